"""What a setting does over several variants (a main effect), and a variant's own interval, over seeds and images."""

import math
from collections.abc import Mapping, Sequence

from medcls.evaluation.compare import Comparison, compare_nets
from medcls.evaluation.contrast import Contrast
from medcls.evaluation.interval import LEVEL, Interval
from medcls.evaluation.metrics import COMPARED, Metric
from medcls.evaluation.pairing import Pairing
from medcls.runs.predictions import Predictions

BySeed = Mapping[int, Predictions]


def compare_effects(a: Sequence[BySeed], b: Sequence[BySeed], metrics: Sequence[Metric] = COMPARED) -> list[Comparison]:
    """Each of ``metrics``, averaged over variants: those of ``b`` minus those of ``a``, each seed -> predictions.

    The first seeds of all variants are averaged, then the second, and so on, as far as all have one; the averages are
    compared as the seeds of two variants are, so that an effect is about other seeds and images and these very
    variants. Raises ValueError for a variant without a finished run, or whose seeds were measured on different images.
    """
    if not all([*a, *b]):
        raise ValueError("one of the variants has no finished run")
    n_a, n_b = (min(map(len, of)) for of in (a, b))
    if min(n_a, n_b) == 1:
        n_a = n_b = 1
    of_a, of_b = ([[of[seed] for seed in sorted(of)][:n] for of in cells] for cells, n in ((a, n_a), (b, n_b)))
    fewer = any(len(of) > n for cells, n in ((a, n_a), (b, n_b)) for of in cells)
    pairing = _pairing(of_a, of_b, fewer)
    by_seed = [list(zip(*cells, strict=True)) for cells in (of_a, of_b)]
    return [compare_nets(metric, by_seed[0], by_seed[1], pairing) for metric in metrics if metric.measure]


def over_seeds_and_images(runs: Sequence[Predictions], metric: Metric) -> Interval:
    """Mean of a metric over the seeds of a variant, its interval about other seeds and other images, or patients.

    Of one seed about other images alone. No limits, and why, where no method holds.
    """
    contrast = Contrast(metric, [], [[run] for run in runs])
    value = float(contrast.values.mean())
    if contrast.why:
        return Interval(value, math.nan, math.nan, contrast.why)
    low, high = contrast.estimate().interval(LEVEL)
    return Interval(value, max(low, 0.0), min(high, 1.0))


def _pairing(a: Sequence[Sequence[Predictions]], b: Sequence[Sequence[Predictions]], fewer: bool) -> Pairing:
    images = [{(run.data, run.names, run.labels.tobytes()) for run in runs} for runs in (*a, *b)]
    if any(len(of_variant) > 1 for of_variant in images):
        raise ValueError("the seeds of a variant were measured on different images")
    same = set.union(*images[: len(a)]) == set.union(*images[len(a) :])
    remarks = ["Only as many seeds are averaged as every variant has."] if fewer else []
    if (n := len(set.union(*images))) > 1:
        remarks.append(f"The variants were measured on {n} sets of images; those in several sets are allowed for.")
    remark = " ".join(remarks)
    return Pairing(tuple(a[0]), tuple(b[0]), tuple(range(len(a[0]))), tuple(range(len(b[0]))), same, remark)
