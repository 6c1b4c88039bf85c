"""How much better the best of many variants looks than it is: a bootstrap of the whole choice.

On each resample of the images, or patients, the variants are ranked anew, and the winner is judged on those that were
not drawn (Tsamardinos, Greasidou & Borboudakis, 2018, doi 10.1007/s10994-018-5714-4). Nothing is trained anew: that
each net's epoch was chosen on the same images is no part of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcls.evaluation.interval import LEVEL, Interval
from medcls.evaluation.metrics import Metric
from medcls.evaluation.resampled import Resamples, draw_counts, draw_group_counts
from medcls.runs.predictions import Predictions

Float = NDArray[np.float64]
Seeds = Sequence[Sequence[Predictions]]  # of each seed its folds, or its only run
_RESAMPLES = 400


@dataclass(frozen=True)
class Choice:
    """What taking the best variant reaches on other images, and how much more its winner shows.

    won: share of the resamples that each variant wins, by name.
    """

    honest: Interval
    optimism: float
    won: dict[str, float]


def judge_choice(variants: Mapping[str, Seeds], metric: Metric, n_resamples: int = _RESAMPLES) -> Choice | None:
    """The choice of the variant with the highest mean of a metric over seeds, and folds, judged as a whole.

    None where there is nothing to choose, the metric has no fast form, or the variants were measured on different
    images.
    """
    runs = [run for seeds in variants.values() for folds in seeds for run in folds]
    known = {
        name: (label, group)
        for run in runs
        for name, label, group in zip(run.names, run.labels, run.patients, strict=True)
    }
    images = {frozenset(name for run in folds for name in run.names) for seeds in variants.values() for folds in seeds}
    if len(variants) < 2 or len(images) > 1 or len({run.data for run in runs}) > 1 or metric.resampled is None:
        return None
    at = {name: i for i, name in enumerate(sorted(known))}
    labels = np.array([known[name][0] for name in at])
    groups = [known[name][1] for name in at]
    rng = np.random.default_rng(0)
    drawn = (
        draw_group_counts(labels, n_resamples, rng, groups) if any(groups) else draw_counts(labels, n_resamples, rng)
    )
    inside, outside = [], []
    for counts in drawn:
        inside.append(_means(variants, metric, counts, at))
        outside.append(_means(variants, metric, (counts == 0).astype(float), at))
    chosen, judged = np.concatenate(inside), np.concatenate(outside)
    defined = np.isfinite(chosen).all(axis=1) & np.isfinite(judged).all(axis=1)
    if not defined.any():
        return None
    winner = chosen[defined].argmax(axis=1)
    honest = judged[defined][np.arange(len(winner)), winner]
    apparent = float(_means(variants, metric, np.ones((1, len(at))), at).max())
    low, high = np.quantile(honest, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    share = np.bincount(winner, minlength=len(variants)) / len(winner)
    value = float(honest.mean())
    return Choice(
        Interval(value, float(low), float(high)), apparent - value, dict(zip(variants, share.tolist(), strict=True))
    )


def _means(variants: Mapping[str, Seeds], metric: Metric, counts: Float, at: Mapping[str, int]) -> Float:
    """The metric of every variant (R, V) of images drawn ``counts`` (R, N) times, over seeds of that over folds."""
    assert metric.resampled is not None
    of = metric.resampled

    def measure(run: Predictions) -> Float:
        rows = [at[name] for name in run.names]
        with np.errstate(invalid="ignore", divide="ignore"):
            return of(Resamples(run.labels, run.probabilities, run.positive, counts[:, rows]))

    means = [
        np.mean([np.mean([measure(run) for run in folds], axis=0) for folds in seeds], axis=0)
        for seeds in variants.values()
    ]
    return np.stack(means, axis=1)
