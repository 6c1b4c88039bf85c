"""Temperature scaling: logits divided by one number, fitted on validation images (Guo et al., 2017, arXiv 1706.04599).

Logits come from stored probabilities. Where single precision has rounded one to 0 or 1, its logit is unknown and taken
as that of ``EPSILON``, of a softmax over more than two classes as that of ``TINY``; such images count as saturated.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.optimize import minimize_scalar
from scipy.special import expit, softmax

from medcls.decision.score_limits import score_limits
from medcls.evaluation.interval import LEVEL
from medcls.evaluation.measured import LEAST, Units
from medcls.runs.predictions import Predictions

Float = NDArray[np.float64]

EPSILON = 2.0**-25  # half of the distance from 1 to the float32 below it
TINY = 2.0**-149  # the smallest float32
LOWEST, HIGHEST = 1 / 100, 100.0  # a temperature beyond is taken for no fit
_SUM = 1e-5  # rows of one softmax sum to 1 within this


@dataclass(frozen=True)
class Temperature:
    """Logits are divided by ``value``, with a 95 % interval ``low`` to ``high``; None: none could be fitted (``why``).

    independent: the probabilities are of one class against the rest each, and do not sum to 1. nll, nll_before: mean
    negative log-likelihood with and without. saturated: of ``n`` images those with a probability rounded to 0 or 1.
    """

    value: Annotated[float, Field(ge=LOWEST, le=HIGHEST)] | None
    low: float | None
    high: float | None
    independent: bool
    n: int
    saturated: int
    nll: float | None
    nll_before: float
    why: str = ""

    def calibrate(self, probabilities: NDArray[np.floating[Any]]) -> Float:
        """Probabilities (..., C) as they are at this temperature. Raises ValueError where there is none."""
        if self.value is None:
            raise ValueError(f"no temperature: {self.why}")
        return _at(_logits(probabilities, self.independent), 1 / self.value, self.independent)


def fit_temperature(predictions: Predictions) -> Temperature:
    """The temperature of lowest negative log-likelihood on these images, with its interval over patients."""
    p = predictions.probabilities.astype(np.float64)
    independent = not np.allclose(p.sum(axis=1), 1, atol=_SUM, rtol=0)
    z, truth = _logits(p, independent), np.eye(p.shape[1])[predictions.labels]
    saturated = int(np.count_nonzero(((p == 0) | (p == 1)).any(axis=1)))
    before = _loss(z, truth, 1.0, independent)
    none = Temperature(None, None, None, independent, len(p), saturated, None, before)
    if why := _endless(z, truth, independent):
        return replace(none, why=why)
    bounds = np.log([LOWEST, HIGHEST])
    found = minimize_scalar(
        lambda at: _loss(z, truth, np.exp(-at), independent), bounds=bounds, method="bounded", options={"xatol": 1e-9}
    )
    if min(found.x - bounds[0], bounds[1] - found.x) < 0.01:
        return replace(none, why=f"it would be beyond {LOWEST:g} to {HIGHEST:g}")
    value = float(np.exp(found.x))
    units, doubtful = Units.of(predictions), float((1 - _at(z, 1 / value, independent).max(axis=1)).sum())
    if units.too_few([units.everything], LEAST):
        return replace(none, value=value, nll=float(found.fun))
    score = partial(_score, z, truth, independent)
    slopes = score_limits(score, 1 / value, (1 / HIGHEST, 1 / LOWEST), units, doubtful, LEVEL)
    return replace(none, value=value, low=1 / slopes[1], high=1 / slopes[0], nll=float(found.fun))


def _endless(z: Float, truth: Float, independent: bool) -> str:
    """In words why the loss, which is convex in the slope, has no lowest value; "" where it has one."""
    if truth.any(axis=0).sum() < 2:
        return "validation images of one class alone"
    own = (z * truth).sum(axis=1)
    right = ((z > 0) == (truth > 0)).all() if independent else (own >= z.max(axis=1)).all()
    if right:
        return "each validation image is on the right side, and the loss falls with ever lower ones"
    gain = (z * (truth - 0.5)).sum() if independent else (own - z.mean(axis=1)).sum()
    return "" if gain > 0 else "the net tells nothing of validation images, and the loss falls with ever higher ones"


def log_odds(p: NDArray[np.floating[Any]]) -> Float:
    """Log-odds of probabilities, finite where they are rounded to 0 or 1."""
    p = p.astype(np.float64)
    return np.asarray(np.log(np.where(p > 0, p, EPSILON)) - np.log(np.where(p < 1, 1 - p, EPSILON)), np.float64)


def _logits(probabilities: NDArray[np.floating[Any]], independent: bool) -> Float:
    """Log-odds (..., C) of independent classes, else logarithms, which are logits up to a constant of each image."""
    if independent:
        return log_odds(probabilities)
    p = probabilities.astype(np.float64)
    return np.asarray(np.log(np.where(p > 0, p, EPSILON if p.shape[-1] == 2 else TINY)), np.float64)


def _at(z: Float, slope: float, independent: bool) -> Float:
    return np.asarray(expit(slope * z) if independent else softmax(slope * z, axis=-1), np.float64)


def _loss(z: Float, truth: Float, slope: float, independent: bool) -> float:
    """Mean over images of the cross-entropy; of independent classes their sum."""
    if independent:
        return float((np.logaddexp(0, slope * z) - slope * z * truth).sum(axis=1).mean())
    return float((np.logaddexp.reduce(slope * z, axis=1) - slope * (z * truth).sum(axis=1)).mean())


def _score(z: Float, truth: Float, independent: bool, slope: float) -> tuple[Float, float, float]:
    """Derivative (N,) of each image's log-likelihood by the slope; expected variance and third cumulant of the sum."""
    q = _at(z, slope, independent)
    of_images = ((truth - q) * z).sum(axis=1)
    if independent:
        variance = q * (1 - q) * z**2
        return of_images, float(variance.sum()), float((variance * (1 - 2 * q) * z).sum())
    apart = z - (q * z).sum(axis=1, keepdims=True)
    return of_images, float((q * apart**2).sum()), float((q * apart**3).sum())
