"""What more training images would give, from nets trained on parts of them: an extrapolation with its uncertainty.

The error, 1 minus the metric, of most nets falls as a power of the number of training images until it levels off
(Hestness et al., 2017, arXiv:1712.00409; Viering & Loog, 2023, doi 10.1109/TPAMI.2022.3220744). How soon it does is
what a few parts show least. So curves of several bends are fitted, each weighted by how well it explains them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from medcls.evaluation.interval import LEVEL, Interval

Array = NDArray[np.float64]

FEWEST_SIZES = 3  # two lie on every curve
# Of the fall of the log error: 0 is a pure power law, 2 has leveled off after a doubling, below 0 it still steepens.
_BENDS = (-0.5, -0.25, 0.0, 0.25, 0.5, 1.0, 2.0)
_DRAWS = 20_000
_RNG = 0


@dataclass(frozen=True)
class Extrapolation:
    """The metric expected of as many nets trained on ``n`` images, on the same validation images, and its gain.

    value: with the spread of nets, gain: over all images there are, of the means. Both NaN for too few nets.
    """

    n: float
    value: Interval
    gain: Interval


def extrapolate(sizes: Sequence[int], values: Sequence[float], n: float, n_validation: int) -> Extrapolation:
    """Extrapolate the metrics ``values`` (R,) of nets trained on so many images ``sizes`` (R,) to ``n`` images.

    values: in [0, 1], higher is better, NaN where undefined; n_validation: images that they were measured on, since an
    error below half of one cannot be seen. NaN for fewer than three sizes, or five nets.
    """
    measured = np.isfinite(values)
    size, value = np.asarray(sizes, float)[measured], np.asarray(values, float)[measured]
    unknown = Interval(np.nan, np.nan, np.nan)
    if len(np.unique(size)) < FEWEST_SIZES or len(size) < FEWEST_SIZES + 2:
        return Extrapolation(n, unknown, unknown)
    error = np.log(np.maximum(1 - value, 0.5 / n_validation))
    largest = size.max()
    then, now, spread = _draw(size / largest, error, n / largest)
    noise = np.random.default_rng(_RNG + 1).standard_normal(_DRAWS) * spread / np.sqrt((size == largest).sum())
    return Extrapolation(n, _interval(1 - np.exp(then + noise)), _interval(np.exp(now) - np.exp(then)))


def _draw(size: Array, error: Array, to: float) -> tuple[Array, Array, Array]:
    """Draws of the mean log error at the size ``to`` and at 1, and of the spread of nets around it.

    From the posterior of a line on the bent scale, with flat priors on it, on the log spread and on the bend.
    """
    rng, df = np.random.default_rng(_RNG), len(error) - 2
    fits = []
    for bend in _BENDS:
        x, ends = _bent(size, bend), _bent(np.array([to, 1.0]), bend)
        centre, scale = x.mean(), x.std()
        design = np.stack([np.ones_like(x), (x - centre) / scale], axis=1)
        line, *_ = np.linalg.lstsq(design, error, rcond=None)
        squares = float(((error - design @ line) ** 2).sum())
        fits.append((line, squares, np.stack([np.ones(2), (ends - centre) / scale], axis=1)))
    least = max(min(squares for _, squares, _ in fits), 1e-12)
    shares = softmax([-df / 2 * np.log(max(squares, least) / least) for _, squares, _ in fits])
    bends = rng.choice(len(fits), _DRAWS, p=shares)
    lines, left, at = (np.array(part)[bends] for part in zip(*fits, strict=True))
    spread = np.sqrt(np.maximum(left, least) / rng.chisquare(df, _DRAWS))
    drawn = lines + spread[:, None] * rng.standard_normal((_DRAWS, 2)) / np.sqrt(len(error))
    then, now = np.einsum("dek,dk->ed", at, drawn)
    return then, now, spread


def _bent(size: Array, bend: float) -> Array:
    """Falls with the size: as its logarithm, or the faster to a limit the higher ``bend``."""
    return -np.log(size) if bend == 0 else (size**-bend - 1) / bend


def _interval(draws: Array) -> Interval:
    low, value, high = np.quantile(draws, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2])
    return Interval(float(value), float(low), float(high))
