import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from medcls.evaluation.bootstrap import bootstrap_intervals, draw_counts, resampled_scores
from medcls.evaluation.metrics import METRICS, scores
from medcls.evaluation.resampled import Resamples


def predictions(n_images, n_classes, seed=0):
    """Labels of unequal classes and probabilities that know something of them, rounded so that ties occur."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(n_classes, n_images, p=np.arange(1, n_classes + 1) / np.arange(1, n_classes + 1).sum())
    logits = rng.normal(size=(n_images, n_classes)) + 1.2 * np.eye(n_classes)[labels]
    probabilities = (1 / (1 + np.exp(-logits))).round(2)  # independent sigmoids: rows do not sum to 1
    if n_classes == 2:
        probabilities[:, 0] = 1 - probabilities[:, 1]
    return labels, probabilities


@pytest.mark.parametrize("positive", [0, 1])
def test_two_class_scores_are_those_of_the_positive_class(positive):
    labels, probabilities = predictions(150, 2)
    truth, predicted = labels == positive, probabilities.argmax(1) == positive
    got = scores(labels, probabilities, positive)
    assert list(got) == list(METRICS)
    assert got["accuracy"] == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert got["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(truth, predicted))
    assert got["auroc"] == pytest.approx(metrics.roc_auc_score(truth, probabilities[:, positive]))
    assert got["sensitivity"] == pytest.approx(metrics.recall_score(truth, predicted))
    assert got["specificity"] == pytest.approx(metrics.recall_score(~truth, ~predicted))
    assert got["f1"] == pytest.approx(metrics.f1_score(truth, predicted))


def test_many_class_scores_are_means_over_classes_against_the_rest():
    labels, probabilities = predictions(300, 5)
    predicted = probabilities.argmax(1)
    got = scores(labels, probabilities, positive=0)
    assert got["sensitivity"] == pytest.approx(metrics.recall_score(labels, predicted, average="macro"))
    assert got["f1"] == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
    one_vs_rest = [metrics.recall_score(labels != k, predicted != k) for k in range(5)]
    assert got["specificity"] == pytest.approx(np.mean(one_vs_rest))
    # scikit-learn's own one-vs-rest wants rows that sum to 1; as a multi-label problem it takes sigmoids.
    assert got["auroc"] == pytest.approx(metrics.roc_auc_score(np.eye(5)[labels], probabilities, average="macro"))


@pytest.mark.parametrize(
    ("labels", "n_classes", "undefined"),
    [
        ([0, 0, 0, 0], 2, {"balanced_accuracy", "auroc", "sensitivity", "f1"}),  # no image of the positive class
        ([1, 1, 1, 1], 2, {"balanced_accuracy", "auroc", "specificity"}),
        ([0, 1, 0, 1], 3, {"balanced_accuracy", "auroc", "sensitivity", "f1"}),
    ],
)
def test_metrics_that_need_an_absent_class_are_nan(labels, n_classes, undefined):
    probabilities = np.random.default_rng(0).random((4, n_classes))
    got = scores(np.array(labels), probabilities, positive=1)
    intervals = bootstrap_intervals(np.array(labels), probabilities, positive=1, n_resamples=50)
    assert {name for name in METRICS if np.isnan(got[name])} == undefined
    assert {name for name in METRICS if np.isnan(intervals[name].low) and np.isnan(intervals[name].high)} == undefined


def test_a_class_without_images_that_is_never_predicted_counts_as_one_of_the_classes():
    labels, predicted = np.array([0, 1, 0, 1]), [0, 1, 1, 1]
    got = scores(labels, np.eye(3)[predicted], positive=2)
    # Of the images that are not of class 0, 1 and 2, all, one of two and all four are not taken for it.
    assert got["specificity"] == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert {name for name in METRICS if np.isnan(got[name])} == {"balanced_accuracy", "auroc", "sensitivity", "f1"}


@pytest.mark.parametrize(
    ("labels", "shape"), [([], (0, 2)), ([0, 0], (2, 1)), ([0, 2], (2, 2)), ([-1, 0], (2, 2)), ([0, 1], (3, 2))]
)
def test_predictions_that_do_not_fit_are_refused(labels, shape):
    with pytest.raises(ValueError, match="expected"):
        scores(np.array(labels, dtype=int), np.full(shape, 0.5), 1)


def test_a_diverged_net_is_refused_and_not_scored():
    with pytest.raises(ValueError, match="1 of 2 rows are not finite"):
        scores(np.array([0, 1]), np.array([[0.5, 0.5], [np.nan, np.nan]]), 1)


def test_resamples_keep_the_class_counts_and_differ():
    labels, _ = predictions(120, 3)
    counts = np.concatenate(list(draw_counts(labels, 200, np.random.default_rng(0))))
    assert counts.shape == (200, 120)
    for k in range(3):
        assert (counts[:, labels == k].sum(axis=1) == (labels == k).sum()).all()
    assert len(np.unique(counts, axis=0)) == 200
    assert counts.std(axis=0).min() > 0.5  # a draw with replacement: about Poisson(1) for each image


@pytest.mark.parametrize("n_classes", [2, 4])
def test_vectorised_scores_equal_scikit_learn_on_every_resample(n_classes):
    labels, probabilities = predictions(60, n_classes)
    (counts,) = draw_counts(labels, 40, np.random.default_rng(1))
    fast = resampled_scores(Resamples(labels, probabilities, 1, counts))
    for r, count in enumerate(counts.astype(int)):
        drawn = np.repeat(np.arange(len(labels)), count)
        slow = scores(labels[drawn], probabilities[drawn], 1)
        assert {name: v[r] for name, v in fast.items()} == pytest.approx(slow, abs=1e-12)


def test_intervals_are_those_of_scipys_stratified_bootstrap():
    labels, probabilities = predictions(200, 2)
    negative, positive = (probabilities[labels == k, 1] for k in (0, 1))

    def auroc(negative, positive, axis):
        u = stats.mannwhitneyu(positive, negative, axis=axis, method="asymptotic").statistic
        return u / (negative.shape[axis] * positive.shape[axis])

    reference = stats.bootstrap((negative, positive), auroc, n_resamples=4000, method="percentile", vectorized=True)
    got = bootstrap_intervals(labels, probabilities, 1, n_resamples=4000)["auroc"]
    assert (got.low, got.high) == pytest.approx(reference.confidence_interval, abs=0.006)
    wider = bootstrap_intervals(labels, probabilities, 1, level=0.99)["auroc"]
    assert wider.low < got.low < got.value < got.high < wider.high


def test_a_95_percent_interval_covers_the_truth_about_95_times_in_100():
    # Positives N(1, 1), negatives N(0, 1): the true AUROC is Phi(1 / sqrt 2), the true sensitivity at 0.5 Phi(0.5).
    truth = {"auroc": stats.norm.cdf(1 / np.sqrt(2)), "sensitivity": stats.norm.cdf(0.5)}
    labels = np.repeat([0, 1], [80, 60])
    covered = dict.fromkeys(truth, 0)
    for seed in range(100):
        p = np.random.default_rng(seed).normal(labels)
        intervals = bootstrap_intervals(labels, np.stack([1 - p, p], axis=1), 1, n_resamples=400, seed=seed)
        for name, value in truth.items():
            covered[name] += intervals[name].low <= value <= intervals[name].high
    # Of 100 intervals, 95 plus or minus 2.2 (one standard deviation); percentile intervals are known to be narrow.
    assert all(88 <= n <= 99 for n in covered.values()), covered


def test_a_class_with_one_image_and_the_same_seed_work():
    labels, probabilities = np.array([0, 0, 0, 1]), np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]])
    first = bootstrap_intervals(labels, probabilities, 1)
    assert first == bootstrap_intervals(labels, probabilities, 1)
    assert (first["auroc"].low, first["auroc"].high) == (0, 1)
