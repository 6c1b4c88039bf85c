"""The difference between variants that were each trained with several seeds, both seeds and images being samples.

Obuchowski & Rockette (1995) analyze readers who read cases; here seeds are the readers and images the cases, so that
an interval is about other seeds and other images of the same kind. The readers are nested in the tests (Hillis, 2014):
a reader is the same person under both tests, but seed 0 of one variant has no more to do with seed 0 of another than
with its seed 1. Of 1,000 simulated pairs of identical variants with three seeds, and with two, 8 and 12 % were declared
different when treated as crossed, with the degrees of freedom of Hillis (2007), and 4 and 6 % when nested; real
differences were found as often. An error from two or three seeds is often far too small by chance, even 0: with that of
the same nets on other images as the least, 3 and 3 %, at the cost of one point of power (benchmarks/aa_check.py).
"""

import numpy as np
from numpy.typing import NDArray

from medcls.evaluation.difference import Difference

Array = NDArray[np.floating]


def several_seeds(a: Array, b: Array, covariance: Array) -> Difference:
    """Mean of ``b`` minus mean of ``a``, metrics (J,) and (K,) of the seeds of two variants, J, K >= 2.

    covariance: (J + K, J + K), of a's metrics, then b's, over images alone; its blocks between a and b are 0 where
    the images differ. Each variant has variances of its own, degrees of freedom are Satterthwaite's, and a variance
    over images that chance made negative counts as 0.
    """
    n_a, n_b = len(a), len(b)
    over_seeds = np.array([np.var(a, ddof=1) / n_a, np.var(b, ddof=1) / n_b])
    # The spread of seeds contains what images do to each seed alone, but not what they do to all seeds of a variant.
    over_images = max(
        _mean_off_diagonal(covariance[:n_a, :n_a])
        + _mean_off_diagonal(covariance[n_a:, n_a:])
        - 2 * float(covariance[:n_a, n_a:].mean()),
        0.0,
    )
    total = float(over_seeds.sum()) + over_images
    uncertain = float((over_seeds**2 / np.array([n_a - 1, n_b - 1])).sum())
    df = total**2 / uncertain if uncertain > 0 else float("inf")
    return Difference(float(b.mean() - a.mean()), float(np.sqrt(total)), df, _over_images_alone(n_a, n_b, covariance))


def _over_images_alone(n_a: int, n_b: int, covariance: Array) -> float:
    """Standard error of the difference between these very nets on other images."""
    weights = np.repeat([-1 / n_a, 1 / n_b], [n_a, n_b])
    return float(np.sqrt(max(weights @ covariance @ weights, 0)))


def _mean_off_diagonal(block: Array) -> float:
    return float(block[~np.eye(len(block), dtype=bool)].mean())
