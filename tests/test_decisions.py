"""Thresholds, temperature and what is said of probabilities, against other libraries and planted truths."""

import csv
import json
import sys
from dataclasses import fields

import numpy as np
import pytest
from calzone.metrics import cox_regression_analysis
from calzone.utils import reliability_diagram
from conftest import SCRIPT, TINY
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit, softmax
from scipy.stats import binom
from sklearn.metrics import average_precision_score, brier_score_loss, roc_curve

from medcls.config.schema import ThresholdConfig
from medcls.decision.at_threshold import predictive_values
from medcls.decision.net_benefit import net_benefit
from medcls.decision.over_thresholds import average_precision, sensitivity_at
from medcls.decision.quality import brier, calibration, quality
from medcls.decision.reliability import reliability
from medcls.decision.temperature import fit_temperature
from medcls.decision.threshold import Threshold, choose_threshold
from medcls.evaluation.interval import Interval
from medcls.evaluation.pooled import CrossValidated
from medcls.evaluation.variation import share_limits
from medcls.runs.predictions import Predictions
from medcls.runs.run import read_run

sys.path.insert(0, str(SCRIPT.parent / "tests/reference"))
from make_dcurves_reference import FILE, images


def predictions(labels, p, positive=1, groups=()):
    p = np.asarray(p, float)
    both = np.stack([1 - p, p] if positive else [p, 1 - p], axis=1) if p.ndim == 1 else p
    return Predictions("simulated", tuple(map(str, range(len(labels)))), np.asarray(labels), both, positive, groups)


def rule(**keys):
    return ThresholdConfig.model_validate(dict.fromkeys(ThresholdConfig.model_fields) | keys)


def drawn(n, seed=0, area=1.2):
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.3).astype(int)
    return labels, expit(2 * rng.normal(labels * area - 0.6, 1))


@pytest.fixture
def found():
    return predictions(*images())


def test_net_benefit_equals_that_of_dcurves(found):
    with FILE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for prevalence in ("", "0.05", "0.6"):
        curve = net_benefit(found, float(prevalence) if prevalence else None)
        of = [row for row in rows if row["prevalence"] == prevalence]
        assert len(of) == 99
        np.testing.assert_allclose(curve.thresholds, [float(row["threshold"]) for row in of])
        np.testing.assert_allclose(curve.net, [float(row["net"]) for row in of], atol=1e-6)
        np.testing.assert_allclose(curve.treat_all, [float(row["treat_all"]) for row in of], atol=1e-6)
        assert (curve.low[:50] < curve.net[:50]).all()


@pytest.mark.parametrize("positive", [0, 1])
def test_calibration_and_reliability_equal_those_of_calzone(positive):
    labels, p = drawn(500)
    found = predictions(labels if positive else 1 - labels, p, positive)
    both = np.stack([1 - p, p], axis=1)
    slope, intercept = calibration(found)
    assert slope.value == pytest.approx(cox_regression_analysis(labels, both)[0], abs=1e-6)
    fixed = cox_regression_analysis(labels, both, fix_slope=True)[1]
    assert intercept.value == pytest.approx(fixed, abs=1e-6)
    bins = reliability(found, 10)
    shares, means, _, counts = reliability_diagram(labels, both, num_bins=10, class_to_plot=1, is_equal_freq=True)
    # calzone leaves out the image of the lowest probability, which is on the edge of its first bin.
    np.testing.assert_allclose([one.share.value for one in bins][1:], shares[1:], atol=1e-6)
    np.testing.assert_allclose([one.probability for one in bins][1:], means[1:], atol=1e-6)
    assert [one.n for one in bins] == [counts[0] + 1, *counts[1:]]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("beyond", "ends"), [(-0.1, False), (0.0, False), (0.1, True)])
def test_slope_of_calibration_has_no_end_where_the_likelihood_has_none(sign, beyond, ends):
    """The classes lie apart, meet in one value, or overlap by one image."""
    odds = np.r_[np.linspace(-3, -0.2, 20), beyond, np.linspace(0, 3, 20)]
    labels = np.r_[np.zeros(21, int), np.ones(20, int)]

    def least_loss(slope):
        z = slope * odds
        return minimize_scalar(lambda at: np.logaddexp(0, z + at).sum() - ((z + at) * labels).sum(), (-9, 9)).fun

    assert (np.diff([least_loss(slope) for slope in (50, 100, 200)]) > 0).all() == ends
    slope = calibration(predictions(labels, expit(sign * odds)))[0]
    assert (np.isfinite(slope.value), "no end" in slope.why) == (ends, not ends)


def test_brier_score_and_average_precision_equal_those_of_scikit_learn():
    labels, p = drawn(300)
    for values in (p, p.round(1)):
        found = predictions(labels, values)
        assert brier(found).value == pytest.approx(brier_score_loss(labels, values), abs=1e-12)
        assert average_precision(found).value == pytest.approx(average_precision_score(labels, values), abs=1e-12)
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, 200)
    many = softmax(rng.normal(size=(200, 4)) + 2 * np.eye(4)[labels], axis=1)
    found = predictions(labels, many)
    assert brier(found).value == pytest.approx(brier_score_loss(labels, many), abs=1e-12)
    macro = average_precision_score(np.eye(4)[labels], many, average="macro")
    assert average_precision(found).value == pytest.approx(macro, abs=1e-12)
    assert set(quality(found, labels, None)) == {"brier", "average_precision"}


def test_brier_score_of_images_of_one_class_alone_has_no_interval():
    labels, p = drawn(300)
    alone = brier(predictions(labels[labels == 0], p[labels == 0]))
    assert (alone.value > 0, np.isnan(alone.low), alone.why) == (True, True, "no images of a class")
    assert not brier(predictions(labels, p)).why


def test_interval_of_the_brier_score_covers_it_where_a_few_patients_have_most_images():
    rng, sizes = np.random.default_rng(3), np.repeat([1, 2, 60], (28, 28, 4))
    patient = np.repeat(np.arange(60), sizes)

    def score(patients, n):
        labels = rng.integers(0, 2, n)[patients]
        return labels, expit(1.2 * labels - 0.6 + (rng.normal(size=n)[patients] + rng.normal(size=len(patients))) / 1.4)

    labels, p = score(np.arange(400_000), 400_000)
    truth, covered = brier_score_loss(labels, p), []
    for _ in range(200):
        found = brier(predictions(*score(patient, 60), groups=tuple(map(str, patient))))
        covered.append(found.low <= truth <= found.high)
    assert np.mean(covered) > 0.9  # as few by chance in less than one of 100 such tests


def test_predictive_values_are_those_of_bayes_theorem_and_have_limits_at_the_bound():
    sensitivity, specificity = Interval(0.8, 0.7, 0.88), Interval(0.9, 0.85, 0.94)
    ppv, npv = predictive_values(sensitivity, specificity, 0.02)
    assert ppv.value == pytest.approx(0.8 * 0.02 / (0.8 * 0.02 + 0.1 * 0.98))
    assert npv.value == pytest.approx(0.9 * 0.98 / (0.9 * 0.98 + 0.2 * 0.02))
    assert ppv.low < ppv.value < ppv.high
    perfect, _ = predictive_values(Interval(1.0, 0.9, 1.0), Interval(1.0, 0.95, 1.0), 0.02)
    assert (perfect.value, perfect.high) == (1, 1)
    assert 0.2 < perfect.low < 0.5  # the worst of both limits would be 0.27
    assert np.isnan(predictive_values(Interval(0.0, 0.0, 0.1), Interval(1.0, 0.9, 1.0), 0.5)[0].value)


@pytest.mark.parametrize(
    ("hits", "right", "limits"),  # of 20 and of 100, at a prevalence of 0.2
    [((4, 20), (85, 100), (0.0944, 0.4462)), ((1, 20), (99, 100), None), ((10, 20), (40, 100), None)],
)
def test_limits_of_predictive_values_are_where_those_of_the_difference_of_their_parts_are_zero(hits, right, limits):
    """Of a - x b the lower (upper) limit is 0 at the lower (upper) limit x of a / b (Donner & Zou, 2012)."""
    sensitivity, specificity = share_of(*hits), share_of(*right)
    ppv, npv = predictive_values(sensitivity, specificity, 0.2)
    for found, a, b, odds in ((ppv, specificity, sensitivity, 0.25), (npv, sensitivity, specificity, 4.0)):
        miss = 1 - a.value

        def edge(x, side, miss=miss, a=a, b=b):
            of_a, of_b = (a.high - a.value, b.high - b.value) if side > 0 else (a.value - a.low, b.value - b.low)
            return miss - x * b.value - side * np.hypot(of_a, x * of_b)

        ratio = miss / b.value
        assert found.high == pytest.approx(odds / (odds + brentq(edge, 0, ratio, args=(1,))), abs=1e-9)
        assert found.low == pytest.approx(odds / (odds + brentq(edge, ratio, 1e6, args=(-1,))), abs=1e-9)
    assert limits is None or (ppv.low, ppv.high) == pytest.approx(limits, abs=1e-4)


@pytest.mark.parametrize(("sensitivity", "specificity"), [(0.2, 0.85), (0.1, 0.9), (0.9, 0.3)])
def test_intervals_of_predictive_values_cover_the_truth_computed_exactly(sensitivity, specificity):
    n, m = 15, 40
    truth = sensitivity / (sensitivity + 4 * (1 - specificity)), 4 * specificity / (4 * specificity + 1 - sensitivity)
    covered = np.zeros(2)
    of_sides = [[share_of(k, size) for k in range(size + 1)] for size in (n, m)]
    for k, j in np.ndindex(n + 1, m + 1):
        chance = binom.pmf(k, n, sensitivity) * binom.pmf(j, m, specificity)
        found = predictive_values(of_sides[0][k], of_sides[1][j], 0.2)
        # Where no image is called so, nothing is claimed.
        covered += [
            chance * (not one.low > true and not one.high < true) for one, true in zip(found, truth, strict=True)
        ]
    assert (covered > 0.945).all()
    assert (covered < 0.99).all()


def share_of(hits, n):
    return Interval(hits / n, *share_limits(hits / n, n, 0.95))


def test_intervals_widen_when_each_image_counts_ten_times_for_one_patient():
    labels, p = drawn(200)
    one, groups = predictions(labels, p), tuple(f"P{i}" for i in range(200) for _ in range(10))
    ten = predictions(np.repeat(labels, 10), np.repeat(p, 10), groups=groups)
    narrow = predictions(np.repeat(labels, 10), np.repeat(p, 10))
    of_one, of_ten, of_narrow = (quality(each, each.labels, None) for each in (one, ten, narrow))
    for name in of_one:
        assert of_ten[name].value == pytest.approx(of_one[name].value, abs=1e-9)
        widths = [of[name].high - of[name].low for of in (of_one, of_ten, of_narrow)]
        assert widths[1] == pytest.approx(widths[0], rel=0.1), name
        assert widths[2] < 0.6 * widths[0], name


@pytest.mark.parametrize("positive", [0, 1])
@pytest.mark.parametrize(
    "keys",
    [{"sensitivity": 0.95}, {"specificity": 0.9}, {"rule": "youden"}, {"cost": 4}, {"cost": 20, "prevalence": 0.02}],
)
def test_threshold_is_the_best_of_all_that_could_be_chosen(keys, positive):
    labels, p = drawn(150)
    labels = labels if positive else 1 - labels
    found = predictions(labels, p.round(2), positive)
    threshold = choose_threshold(found, rule(**keys))
    is_positive = labels == positive

    def worth(at):
        called = p.round(2) >= at
        sensitivity, specificity = called[is_positive].mean(), 1 - called[~is_positive].mean()
        if "sensitivity" in keys:
            return specificity if sensitivity >= 0.95 else -1
        if "specificity" in keys:
            return sensitivity if specificity >= 0.9 - 1e-9 else -1
        if "rule" in keys:
            return sensitivity + specificity
        of = keys.get("prevalence", is_positive.mean())
        return -(keys["cost"] * of * (1 - sensitivity) + (1 - of) * (1 - specificity))

    best = max(worth(at) for at in np.arange(0.001, 1.01, 0.002))
    assert worth(threshold.value) == pytest.approx(best, abs=1e-12)
    assert abs(p.round(2) - threshold.value).min() > 1e-3  # between two probabilities: no image is on the edge
    decided = threshold.decide(found.probabilities, positive)
    np.testing.assert_array_equal(decided == positive, p.round(2) >= threshold.value)


def test_threshold_between_neighbouring_probabilities_of_single_precision_divides_them():
    low = np.float32(0.7)
    for lower in (low, np.nextafter(low, np.float32(1))):  # the middle would be rounded down or up
        p = np.array([0.1, lower, np.nextafter(lower, np.float32(1)), 0.9], np.float32)
        found = Predictions("simulated", tuple("abcd"), np.array([0, 0, 1, 1]), np.stack([1 - p, p], axis=1), 1)
        decided = choose_threshold(found, rule(rule="youden")).decide(found.probabilities, 1)
        assert decided.tolist() == [0, 0, 1, 1]


def test_values_of_probabilities_are_of_all_folds_images_together_though_a_fold_lacks_a_class():
    labels, p = drawn(120)
    labels[:30] = 0
    whole, folds = predictions(labels, p), np.repeat(np.arange(4), 30)
    pooled = CrossValidated(*(getattr(whole, one.name) for one in fields(whole)), folds=folds)
    found, expected = (quality(one, labels, None) for one in (pooled, whole))
    assert found == expected
    assert all(np.isfinite([one.low, one.value, one.high]).all() for one in found.values())


@pytest.mark.slow
def test_interval_of_the_slope_covers_it_where_few_patients_are_positive():
    """Log-odds twice too large, 1 to 10 images of a patient, one patient in twenty positive."""
    rng, covered = np.random.default_rng(3), []
    for _ in range(300):
        patient = np.repeat(np.arange(180), rng.integers(1, 11, 180))
        labels = (rng.random(180) < 0.05).astype(int)[patient]
        score = (rng.normal(size=180)[patient] + rng.normal(size=len(patient))) / np.sqrt(2) + 1.5 * labels
        odds = 1.5 * score - 1.5**2 / 2 + np.log(0.05 / 0.95)
        slope, _ = calibration(predictions(labels, expit(2 * odds), groups=tuple(map(str, patient))))
        covered += [slope.low <= 0.5 <= slope.high] if np.isfinite(slope.low) else []
    assert len(covered) > 250
    assert np.mean(covered) > 0.92


def test_threshold_that_calls_all_images_the_same_is_none():
    labels = np.array([0, 1] * 10)
    constant = choose_threshold(predictions(labels, np.full(20, 0.4)), rule(sensitivity=0.9))
    assert constant.value is None
    assert "only by calling all positive" in constant.why
    inverse = choose_threshold(predictions(labels, 0.9 - 0.5 * labels), rule(specificity=0.9))
    assert "only by calling none positive" in inverse.why
    assert choose_threshold(predictions(labels * 0, labels), rule(rule="youden")).why
    assert choose_threshold(predictions(labels, labels), rule()) == Threshold()


def systematic(p, rng):
    """Labels that are 1 with probability p (N,), among like probabilities as many as expected."""
    order = np.argsort(p)
    labels = np.zeros(len(p), int)
    labels[order] = np.diff(np.floor(np.cumsum(p[order]) + rng.random()), prepend=0) > 0
    return labels


@pytest.mark.parametrize("seed", range(5))
def test_planted_temperature_of_two_is_recovered_at_1000_images(seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, 1000)
    labels = systematic(expit(logits), rng)
    two = fit_temperature(predictions(labels, expit(2 * logits).astype(np.float32)))
    assert two.value == pytest.approx(2, rel=0.05)
    assert two.nll < two.nll_before
    assert (two.independent, two.saturated, two.why) == (False, 0, "")


def test_planted_temperature_of_many_classes_is_recovered():
    rng, values = np.random.default_rng(0), []
    for _ in range(10):
        logits = rng.normal(0, 2, (1000, 10))
        labels = np.array([rng.choice(10, p=row) for row in softmax(logits, axis=1)])
        values.append(fit_temperature(predictions(labels, softmax(2 * logits, axis=1).astype(np.float32))).value)
    assert np.mean(values) == pytest.approx(2, rel=0.05)


def test_temperatures_of_labels_drawn_at_random_scatter_about_the_planted_one():
    rng, values, covered = np.random.default_rng(0), [], []
    for _ in range(60):
        logits = rng.normal(0, 2, 1000)
        fit = fit_temperature(predictions((rng.random(1000) < expit(logits)).astype(int), expit(2 * logits)))
        values.append(fit.value)
        covered.append(fit.low <= 2 <= fit.high)
    assert np.median(values) == pytest.approx(2, rel=0.05)
    assert np.mean(covered) > 0.87


@pytest.mark.parametrize("size", [1, 3])
def test_limits_of_the_temperature_cover_it_where_next_to_no_image_is_misplaced(size):
    rng, found = np.random.default_rng(1), []
    for _ in range(400):
        logits = rng.normal(0, 12, 60)
        labels = (rng.random(60) < expit(logits)).astype(int)  # 3 of 60 on the wrong side, on the average
        patients = tuple(str(i) for i in range(60)) * size
        given = predictions(np.tile(labels, size), np.tile(expit(2 * logits), size), groups=patients)
        found.append(fit_temperature(given))
    limits = [(fit.low, fit.high) for fit in found if fit.value is not None]
    assert len(limits) > 300
    assert np.mean([low <= 2 <= high for low, high in limits]) > 0.91


def test_independent_probabilities_are_scaled_each_by_its_own_log_odds():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 3000)
    # Normal scores, a third of them of the class: their log-odds hold.
    logits = 2 * (rng.normal(0, 1, (3000, 3)) + 2 * np.eye(3)[labels]) - 2 + np.log(1 / 2)
    found = predictions(labels, expit(2 * logits))
    fit = fit_temperature(found)
    assert fit.independent
    assert fit.value == pytest.approx(2, rel=0.05)
    np.testing.assert_allclose(fit.calibrate(expit(2 * logits)), expit(2 * logits / fit.value), atol=1e-6)


@pytest.mark.parametrize(
    ("labels", "p", "why"),
    [
        ([0, 0, 1, 1] * 5, [0.1, 0.2, 0.8, 0.7] * 5, "right side"),
        ([0, 1] * 10, [0.9, 0.1] * 10, "tells nothing"),
        ([1] * 20, [0.9, 0.1] * 10, "one class alone"),
    ],
)
def test_temperature_that_has_no_end_is_none_and_says_so(labels, p, why):
    fit = fit_temperature(predictions(labels, p))
    assert fit.value is None
    assert why in fit.why
    with pytest.raises(ValueError, match=why):
        fit.calibrate(np.array([[0.5, 0.5]]))


def test_probabilities_rounded_to_one_are_counted():
    labels, p = drawn(200)
    p[:7] = labels[:7]
    assert fit_temperature(predictions(labels, p)).saturated == 7


def test_sensitivity_at_a_specificity_is_read_off_the_roc_curve():
    labels, p = drawn(400)
    rates, sensitivities, _ = roc_curve(labels, p, drop_intermediate=False)
    found = sensitivity_at(predictions(labels, p), 0.9)
    assert found.value == pytest.approx(sensitivities[rates <= 0.1 + 1e-12].max())
    fixed = np.sqrt(found.value * (1 - found.value) / labels.sum()) * 1.96 * 2
    assert found.high - found.low > 1.1 * fixed  # the threshold is estimated too


FOLDER = [*TINY, "data=folder", "logger=none", "audit=none", "threshold.sensitivity=0.8"]


def decision(folder):
    return json.loads((folder / "decision.json").read_text())


def fixed(folder):
    """What a run fixed, without what it is worth on the images of each split."""
    return {key: value for key, value in decision(folder).items() if key != "at_threshold"}


def permute(root, rng):
    """Give the images of a folder with a class each, a and b, the classes of others."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    labels = rng.permutation([path.parent.name for path in files])
    for i, (path, label) in enumerate(zip(files, labels, strict=True)):
        path.rename(root / label / f"{i}_{path.parent.name}{path.suffix}")


def test_permuting_test_labels_changes_neither_threshold_nor_temperature(make_folder, train):
    rng, runs = np.random.default_rng(1), []
    for permuted in (False, True):
        root = make_folder(counts={"train": 8, "val": 10, "test": 10})
        if permuted:
            permute(root / "test", rng)
        done = train(*FOLDER, f"data.root={root}")
        assert done.status == 0, done.err
        runs.append(done.folder)
    assert fixed(runs[0]) == fixed(runs[1])
    one, other = (decision(run)["at_threshold"] for run in runs)
    assert one["val"] == other["val"]
    assert one["test"] != other["test"]


def test_run_stores_the_threshold_of_its_validation_images_and_its_worth(make_folder, train):
    root = make_folder(counts={"train": 8, "val": 10, "test": 10})
    done = train(*FOLDER, f"data.root={root}", "threshold.prevalence=0.1")
    run = read_run(done.folder, "run", "run", 0, {})
    stored, val, test = decision(done.folder), run.predictions["val"], run.predictions["test"]
    threshold = choose_threshold(val, rule(sensitivity=0.8))
    assert stored["threshold"] == {"rule": {"sensitivity": 0.8}, "value": threshold.value, "why": ""}
    called, positive = test.probabilities[:, 1] >= threshold.value, test.labels == 1
    assert stored["at_threshold"]["test"]["sensitivity"]["value"] == pytest.approx(called[positive].mean())
    assert stored["at_threshold"]["test"]["specificity"]["value"] == pytest.approx(1 - called[~positive].mean())
    assert f"At a threshold of {threshold.value:.4g} (threshold.sensitivity=0.8 on validation images)" in done.out
    assert "PPV and NPV are at a prevalence of 0.1 (threshold.prevalence)." in done.out


def test_default_leaves_the_other_files_and_the_table_as_they_are(make_folder, train):
    root = make_folder(counts={"train": 8, "val": 6, "test": 6})
    plain, by_rule = (train(*FOLDER[:-1], f"data.root={root}", *words) for words in ((), FOLDER[-1:]))
    assert "threshold" not in plain.out
    for name in ("predictions.csv", "metrics.json"):
        one, other = ((done.folder / name).read_text() for done in (plain, by_rule))
        if name == "metrics.json":
            one, other = ({**json.loads(text), "seconds": 0} for text in (one, other))
        assert one == other
    assert decision(plain.folder)["threshold"]["value"] is None
    assert decision(plain.folder)["temperature"] == decision(by_rule.folder)["temperature"]


@pytest.mark.parametrize(
    ("classes", "words", "told"),
    [
        (
            "abc",
            "threshold.sensitivity=0.9",
            "threshold.sensitivity: found 3 classes, expected two, of which one is positive",
        ),
        ("ab", "threshold.sensitivity=0.9 threshold.rule=youden", "expected one of sensitivity, specificity, rule"),
        ("ab", "threshold.sensitivity=1.2", "threshold.sensitivity: found 1.2, expected less than or equal to 1"),
        ("ab", "threshold.rule=best", "threshold.rule: found 'best', expected 'argmax' or 'youden'"),
        ("ab", "threshold.sensitivty=0.9", "Did you mean threshold.sensitivity?"),
    ],
)
def test_rule_that_cannot_be_used_is_refused_before_training(make_folder, train, classes, words, told):
    done = train(*FOLDER[:-1], f"data.root={make_folder(classes=tuple(classes))}", *words.split())
    assert (done.status, told in done.err) == (2, True), done.err
    assert not (done.folder / "config.yaml").exists()
