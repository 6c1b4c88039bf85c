import numpy as np
import pytest
from sklearn import metrics

from medcls.evaluation.intervals import intervals
from medcls.evaluation.metrics import METRICS, scores
from medcls.evaluation.resampled import Resamples, draw_counts
from medcls.runs.predictions import Predictions


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
    found = intervals(Predictions("skin", tuple("abcd"), np.array(labels), probabilities, 1))
    assert {name for name in METRICS if np.isnan(got[name])} == undefined
    for name in undefined:
        assert np.isnan([found[name].value, found[name].low, found[name].high]).all()
        assert found[name].why == "no images of a class"


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
    fast = {metric.name: metric.resampled(Resamples(labels, probabilities, 1, counts)) for metric in METRICS.values()}
    for r, count in enumerate(counts.astype(int)):
        drawn = np.repeat(np.arange(len(labels)), count)
        slow = scores(labels[drawn], probabilities[drawn], 1)
        assert {name: v[r] for name, v in fast.items()} == pytest.approx(slow, abs=1e-12)
