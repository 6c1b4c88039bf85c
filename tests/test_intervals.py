"""Intervals of single runs: against second libraries, exact probabilities, and simulations whose truth is known."""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from statsmodels.api import OLS
from statsmodels.stats.proportion import proportion_confint
from test_evaluation import predictions

from medcls.evaluation.areas import measure_auroc, ranks_alike
from medcls.evaluation.intervals import class_table, intervals
from medcls.evaluation.metrics import METRICS, scores
from medcls.evaluation.variation import AreaVariation, model_variance, share_limits
from medcls.runs.predictions import Predictions

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import coverage  # not the package of that name


def of(labels, probabilities, groups=()):
    return Predictions("skin", tuple(map(str, range(len(labels)))), labels, probabilities, 1, tuple(groups))


def always(answer, n_of_class):
    """A net that takes every image for one class, and is a little less sure of some."""
    labels = np.repeat(np.arange(len(n_of_class)), n_of_class)
    p = np.where(answer, 0.6, 0.4) + np.arange(len(labels)) % 7 * 0.01
    return of(labels, np.stack([1 - p, p], 1))


def test_a_net_that_answers_one_class_only_has_wilsons_limits():
    got = intervals(always(1, (21, 57)))  # as many images of each class as BreastMNIST's validation images have
    assert (got["accuracy"].low, got["accuracy"].high) == pytest.approx(proportion_confint(57, 78, method="wilson"))
    assert (got["accuracy"].low, got["accuracy"].high) == pytest.approx((0.623, 0.817), abs=5e-4)
    assert (got["sensitivity"].low, got["sensitivity"].high) == pytest.approx((0.937, 1), abs=5e-4)
    assert (got["specificity"].low, got["specificity"].high) == pytest.approx(
        proportion_confint(0, 21, method="wilson")
    )


@pytest.mark.parametrize(
    ("hits", "n"), [(11, 22), (13, 23), (80, 96), (700, 1000), (0, 30), (3, 30), (95, 96), (1000, 1000)]
)
def test_limits_of_a_share_are_wilsons_or_the_wider_of_his_and_mid_ps_where_hits_or_misses_are_few(hits, n):
    low, high = share_limits(hits / n, n, 0.95)
    wilson = proportion_confint(hits, n, method="wilson")
    if 10 < hits < n - 10:
        assert (low, high) == pytest.approx(wilson)
        return
    assert low <= wilson[0] + 1e-12
    assert high >= wilson[1] - 1e-12
    # Mid-p: chance of more hits and half that of so many (of fewer, and half, at the upper limit) is 2.5 %.
    above, below = stats.binom.sf(hits, n, low), stats.binom.cdf(hits - 1, n, high)
    assert low == 0 or above + stats.binom.pmf(hits, n, low) / 2 <= 0.025 + 1e-9
    assert high == 1 or below + stats.binom.pmf(hits, n, high) / 2 <= 0.025 + 1e-9


@pytest.mark.parametrize(
    ("n", "lowest"), [(10, 0.92682), (12, 0.92228), (25, 0.92241), (42, 0.92647), (115, 0.92932), (200, 0.93405)]
)
def test_limits_of_a_share_cover_every_true_share_computed_exactly(n, lowest):
    """Coverage jumps at the limits and is lowest just beside one; of 10 to 1,000 images 12 have the lowest."""
    hits = np.arange(n + 1)
    limits = np.array([share_limits(k / n, n, 0.95) for k in hits])
    beside = np.concatenate([limits.ravel() - 1e-7, limits.ravel() + 1e-7])

    def exact(truth):
        covered = (limits[:, :1] <= truth) & (truth <= limits[:, 1:])
        return (stats.binom.pmf(hits[:, None], n, truth) * covered).sum(axis=0)

    assert exact(beside[(beside > 0) & (beside < 1)]).min() == pytest.approx(lowest, abs=2e-5)
    even = exact(np.linspace(0.5, 0.9995, 400))
    assert np.convolve(even, np.ones(16) / 16, "valid").min() > 0.93  # over neighbouring shares, two per cent wide


def test_the_error_of_a_share_of_patients_images_is_the_cluster_robust_one():
    rng = np.random.default_rng(3)
    patient = np.repeat(np.arange(60), 4)
    hit = rng.random(60)[patient] < 0.8
    labels = np.arange(len(hit)) % 2
    p = np.where(hit == labels, 0.8, 0.2)
    found = of(labels, np.stack([1 - p, p], 1), [f"P{i}" for i in patient])
    measured = METRICS["accuracy"].measure(found)
    reference = OLS(hit.astype(float), np.ones(len(hit))).fit(cov_type="cluster", cov_kwds={"groups": patient})
    assert np.sqrt(measured.influence @ measured.influence) == pytest.approx(reference.bse[0])
    # Korn & Graubard (1998): the number of independent images that has this error, with t for the patients.
    error, share = reference.bse[0], hit.mean()
    n = share * (1 - share) / error**2 * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 59)) ** 2
    assert measured.limits(0.95) == pytest.approx(share_limits(share, n, 0.95))


def test_of_unequal_numbers_of_images_the_error_is_the_bias_reduced_one_with_degrees_of_freedom_of_the_shares():
    # Of those with few images and of those with many half have hits alone: all are equally alike within patients.
    sizes = np.repeat([2, 6], 20)
    patient = np.repeat(np.arange(40), sizes)
    hit = np.repeat(np.arange(40) % 2 == 0, sizes)
    labels = np.arange(len(hit)) % 2
    p = np.where(hit == labels, 0.8, 0.2)
    measured = METRICS["accuracy"].measure(of(labels, np.stack([1 - p, p], 1), [f"P{i}" for i in patient]))
    share = sizes / sizes.sum()
    linearised = (share**2 * 0.25 / (1 - share)).sum()  # Bell & McCaffrey (2002)
    assert measured.influence @ measured.influence == pytest.approx(linearised, rel=1e-3)
    assert measured.variation.df == pytest.approx(1 / (share**2).sum() - 1)  # Kish (1965)


def test_f1_has_the_limits_of_the_share_that_it_is_of():
    labels, probabilities = predictions(150, 2)
    predicted = probabilities.argmax(1)
    true_positives, involved = (labels & predicted).sum(), (labels | predicted).sum()
    got = intervals(of(labels, probabilities))["f1"]
    low, high = share_limits(true_positives / involved, involved, 0.95)
    assert (got.low, got.high) == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)))


@pytest.mark.parametrize(
    "name",
    ["balanced_accuracy", *(pytest.param(name, marks=pytest.mark.slow) for name in ("f1", "specificity", "auroc"))],
)
def test_the_error_of_a_mean_over_classes_is_that_of_a_bootstrap_of_images(name):
    labels, probabilities = predictions(400, 4)
    measured, rng = METRICS[name].measure(of(labels, probabilities)), np.random.default_rng(0)
    drawn = []
    for _ in range(500):
        rows = rng.integers(400, size=400)
        drawn.append(METRICS[name].formula(labels[rows], probabilities[rows], 1))
    error = np.sqrt(measured.influence @ measured.influence)
    assert error == pytest.approx(np.std(drawn), rel=0.12)
    # The model of the limits is the more cautious: where classes, or the tails of scores, differ.
    assert 0.99 * error < np.sqrt(measured.variation.variance(measured.value)) < 1.25 * error


# At 0.97 and few of a class a longer tail of their scores would more than double the variance.
@pytest.mark.parametrize(("area", "m", "n", "most"), [(0.7, 20, 40, 1.2), (0.9, 30, 30, 1.5), (0.97, 10, 80, 3)])
def test_the_variance_of_an_auroc_is_at_least_that_of_normal_scores(area, m, n, most):
    rng = np.random.default_rng(0)
    shift = stats.norm.ppf(area) * np.sqrt(2)
    u = [(rng.normal(shift, 1, m)[:, None] > rng.normal(size=n)).mean() for _ in range(4000)]
    assert np.mean(u) == pytest.approx(area, abs=0.01)
    counts = np.array([float(m)]), np.array([float(n)])
    assert 0.95 * np.var(u) < model_variance(area, *counts) < most * np.var(u)
    assert model_variance(area, *counts, longer_tails=False) == pytest.approx(np.var(u), rel=0.08)


def test_four_copies_of_each_image_of_a_patient_tell_as_much_as_one():
    rng, labels = np.random.default_rng(0), np.arange(200) % 2
    p = 1 / (1 + np.exp(-rng.normal(1.2 * labels - 0.6, 1)))
    one = measure_auroc(of(labels, np.stack([1 - p, p], 1)))
    labels, p, groups = np.repeat(labels, 4), np.repeat(p, 4), [f"P{i // 4}" for i in range(800)]
    clustered = measure_auroc(of(labels, np.stack([1 - p, p], 1), groups))
    assert clustered.value == pytest.approx(one.value)
    assert clustered.variation.variance(0.8) == pytest.approx(one.variation.variance(0.8), rel=0.05)
    assert clustered.limits(0.95) == pytest.approx(one.limits(0.95), abs=0.003)


@pytest.mark.parametrize("side", [0, 1])
def test_nets_are_alike_as_far_as_they_order_the_images_of_both_classes_alike(side):
    rng, labels = np.random.default_rng(0), np.arange(100) % 2
    score = rng.uniform(0, 0.4, 100) + 0.5 * labels
    other = np.where(
        labels == side, rng.permutation(score[labels == side]).repeat(2), score
    )  # of one class another order
    alike = ranks_alike([of(labels, np.stack([1 - x, x], 1)) for x in (score, other)])
    assert alike[0, 0] == pytest.approx(0.8)
    spearman = [stats.spearmanr(score[labels == k], other[labels == k])[0] for k in (0, 1)]
    assert alike[0, 1] == pytest.approx(0.8 * np.mean(spearman), abs=1e-9)
    assert spearman[1 - side] == pytest.approx(1)


def test_limits_of_an_auroc_are_the_areas_whose_own_error_the_estimate_is_away_by():
    variation = AreaVariation(np.array([30.0]), np.array([50.0]), 1.3, 40.0)
    for value in (0.6, 0.95, 0.999):
        for limit in variation.limits(value, 0.95):
            assert abs(value - limit) == pytest.approx(
                stats.t.ppf(0.975, 40) * np.sqrt(variation.variance(limit)), rel=1e-3
            )
    low, high = variation.limits(1.0, 0.95)
    assert (low < 0.97, high) == (True, 1)


@pytest.mark.parametrize("patients", [False, True])
@pytest.mark.parametrize("skill", [0.0, 1.0, 50.0])
def test_with_ten_patients_of_each_class_every_metric_has_an_interval_of_some_width(patients, skill):
    rng = np.random.default_rng(1)
    for n_classes in (2, 6):
        patient = np.repeat(np.arange(10 * n_classes), 3) if patients else np.arange(10 * n_classes)
        labels = (np.arange(10 * n_classes) % n_classes)[patient]
        logits = rng.normal(size=(len(labels), n_classes)) + skill * np.eye(n_classes)[labels]
        probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        found = of(labels, probabilities, [f"P{i}" for i in patient] if patients else ())
        for interval in intervals(found).values():
            assert 0 <= interval.low <= interval.value <= interval.high <= 1
            assert interval.high - interval.low > 0.01
            assert interval.why == ""


def test_where_no_method_holds_there_is_a_value_and_a_reason_instead_of_limits():
    labels, probabilities = predictions(40, 2)
    labels = (np.arange(40) < 4).astype(int)
    got = intervals(of(labels, probabilities))
    assert got["auroc"].value == pytest.approx(scores(labels, probabilities, 1)["auroc"])
    assert np.isnan([got["auroc"].low, got["auroc"].high]).all()
    assert got["auroc"].why == "fewer than five images of a class"
    assert got["sensitivity"].high - got["sensitivity"].low > 0.3  # a share has limits for any number of images
    of_patients = intervals(of(labels, probabilities, [f"P{i // 10}" for i in range(40)]))
    assert of_patients["accuracy"].why == "fewer than five patients of a class"
    most = intervals(of(np.arange(40) % 2, probabilities, ["P"] * 30 + [f"P{i}" for i in range(10)]))
    assert most["auroc"].why == most["accuracy"].why == "one patient has most of the images"
    three = np.repeat([0, 1, 2], (20, 18, 2))
    many = intervals(of(three, predictions(40, 3)[1]))
    assert many["balanced_accuracy"].why == many["auroc"].why == "fewer than three images of a class"
    assert np.isfinite(many["accuracy"].low)


def test_metrics_of_each_class_are_those_of_the_class_against_the_rest():
    labels, probabilities = predictions(200, 3)
    rows = class_table(of(labels, probabilities, [f"P{i // 2}" for i in range(200)]), ["a", "b", "c"])
    assert [(row["class"], row["images"]) for row in rows] == list(
        zip("abc", np.bincount(labels).tolist(), strict=True)
    )
    assert rows[0]["patients"] == len({i // 2 for i in np.flatnonzero(labels == 0)})
    for k, row in enumerate(rows):
        p = probabilities[:, k]
        expected = scores((labels == k).astype(int), np.stack([1 - p, p], 1), 1)
        assert row["auroc"]["value"] == pytest.approx(expected["auroc"])
        assert row["sensitivity"]["value"] == pytest.approx((probabilities.argmax(1) == k)[labels == k].mean())
        assert row["specificity"]["value"] == pytest.approx((probabilities.argmax(1) != k)[labels != k].mean())
        assert all(row[name]["low"] < row[name]["value"] < row[name]["high"] for name in ("auroc", "sensitivity", "f1"))
    of_two = class_table(of(*predictions(50, 2)), ["a", "b"])
    assert [set(row) for row in of_two] == [{"class", "images", "patients"}] * 2
    assert of_two[0]["patients"] is None


@pytest.mark.parametrize(
    ("n", "prevalence", "area", "clustered"),
    [
        (20, 0.5, 0.99, False),
        (96, 0.5, 0.99, False),
        (200, 0.05, 0.85, False),
        (60, 0.5, 0.85, True),
        (200, 0.3, 0.99, True),
        ("56 patients of 1 to 2, 4 of 60", 0.5, 0.85, True),
        ("60 patients, 1 + Pareto up to 300", 0.5, 0.85, True),
    ],
)
def test_intervals_cover_the_truth_where_a_bootstrap_within_classes_does_not(n, prevalence, area, clustered):
    covered, given, rng = Counter(), Counter(), np.random.default_rng(7)
    for _ in range(100):
        found, truth = coverage.draw_two(n, prevalence, area, rng, clustered=clustered)
        for name, interval in intervals(found).items():
            if np.isfinite(interval.low):
                given[name] += 1
                covered[name] += interval.low <= truth[name] <= interval.high
    for name in METRICS:
        # As few as this by chance in one of 1,000 tests where coverage is 95 %.
        assert covered[name] >= stats.binom.ppf(0.001, given[name], 0.95), (name, covered, given)
