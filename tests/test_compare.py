import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint

from medcls.evaluation.compare import adjust, compare, paired_interval
from medcls.evaluation.difference import Difference
from medcls.evaluation.influence import measure_accuracy, measure_auroc
from medcls.evaluation.metrics import scores
from medcls.evaluation.seeds import several_seeds
from medcls.runs.predictions import Predictions

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import aa_check


def net(seed, n=60, n_classes=2, skill=1.2, data="skin", images=0):
    """Predictions of a net: noise of the image, shared between nets with the same ``images``, and of its own."""
    shared, own = np.random.default_rng(1000 + images), np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    logits = skill * np.eye(n_classes)[labels] + shared.normal(size=(n, n_classes)) + own.normal(size=(n, n_classes))
    p = (1 / (1 + np.exp(-logits))).round(2)  # so that ties occur
    if n_classes == 2:
        p[:, 0] = 1 - p[:, 1]
    return Predictions(data, tuple(f"{images}/{i}" for i in range(n)), labels, p, 1)


def auroc_by_pairs(labels, score):
    """Whether each positive beats each negative, a tie counting half; the mean is the AUROC."""
    pairs = score[labels == 1][:, None] - score[labels == 0][None]
    return (np.sign(pairs) + 1) / 2


@pytest.mark.parametrize("positives", [30, 15, 2])
def test_delong_covariance_is_that_of_the_u_statistics_computed_over_all_pairs(positives):
    labels = (np.arange(60) % (60 // positives) == 0).astype(int)
    a, b = (replace(net(seed), labels=labels) for seed in (0, 1))
    m, n = (a.labels == 1).sum(), (a.labels == 0).sum()
    kernels = [auroc_by_pairs(one.labels, one.probabilities[:, 1]) for one in (a, b)]
    # DeLong, DeLong & Clarke-Pearson (1988), equations 4 to 6: covariances of the row and the column means.
    over_positives = np.cov([kernel.mean(axis=1) for kernel in kernels])
    over_negatives = np.cov([kernel.mean(axis=0) for kernel in kernels])
    measured = [measure_auroc(one) for one in (a, b)]
    influences = np.stack([one.influence for one in measured])
    assert influences @ influences.T == pytest.approx(over_positives / m + over_negatives / n, rel=1e-12)
    for one, result in zip((a, b), measured, strict=True):
        assert result.value == pytest.approx(scores(one.labels, one.probabilities, 1)["auroc"], abs=1e-12)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_covariances_of_both_metrics_are_those_of_a_bootstrap_over_images(n_classes):
    nets, rng = [net(seed, 300, n_classes) for seed in (0, 1)], np.random.default_rng(0)
    classes = [1] if n_classes == 2 else range(n_classes)
    drawn = {"auroc": [], "accuracy": []}
    for _ in range(600):
        rows = rng.integers(300, size=300)
        labels, resampled = nets[0].labels[rows], [one.probabilities[rows] for one in nets]
        drawn["auroc"].append(
            [np.mean([auroc_by_pairs(labels == k, p[:, k]).mean() for k in classes]) for p in resampled]
        )
        drawn["accuracy"].append([np.mean(p.argmax(axis=1) == labels) for p in resampled])
    for name, measure in (("auroc", measure_auroc), ("accuracy", measure_accuracy)):
        influences = np.stack([measure(one).influence for one in nets])
        assert influences @ influences.T == pytest.approx(np.cov(np.array(drawn[name]).T), rel=0.2)


def test_the_error_of_several_seeds_is_that_of_the_published_analysis_of_van_dykes_readers():
    # Five readers, two modalities, 114 cases: areas, covariances and standard errors of each modality as MRMCaov and
    # RJafroc print them. Of independent images, the difference has the sum of the modalities' variances.
    a = np.array([0.9196457, 0.8587762, 0.9038647, 0.9731079, 0.8297907])
    b = np.array([0.9478261, 0.9053140, 0.9217391, 0.9993559, 0.9299517])
    of_a = np.where(np.eye(5), 0.0010141028, 0.0004839618)
    of_b = np.where(np.eye(5), 0.0005904738, 0.0002041879)
    none = np.zeros((5, 5))
    difference = several_seeds(a, b, np.block([[of_a, none], [none, of_b]]))
    assert difference.value == pytest.approx(0.04380032, abs=1e-7)
    assert difference.error == pytest.approx(np.hypot(0.03317360, 0.02156637), abs=1e-6)
    # The same images: what the two have in common is taken off.
    shared = np.full((5, 5), 0.0002390284)
    paired = several_seeds(a, b, np.block([[of_a, shared], [shared, of_b]]))
    assert paired.error**2 == pytest.approx(difference.error**2 - 2 * 0.0002390284, rel=1e-9)


def test_without_effects_of_images_the_analysis_of_seeds_is_welchs_t_test():
    a, b = np.array([0.81, 0.84, 0.79, 0.86]), np.array([0.86, 0.85, 0.93])
    welch = several_seeds(a, b, np.zeros((7, 7)))
    reference = stats.ttest_ind(b, a, equal_var=False)
    assert (welch.p, welch.df) == pytest.approx((reference.pvalue, reference.df))
    assert welch.interval(0.95) == pytest.approx(tuple(reference.confidence_interval(0.95)))


def test_seeds_that_agree_by_chance_leave_the_error_over_images():
    nets = {name: {seed: net(first + seed, 200) for seed in (0, 1)} for name, first in (("a", 0), ("b", 20))}
    measured = [measure_auroc(one) for runs in nets.values() for one in runs.values()]
    covariance = np.stack([one.influence for one in measured]) @ np.stack([one.influence for one in measured]).T
    agreeing = several_seeds(np.array([0.8, 0.8]), np.array([0.82, 0.82]), covariance)
    # Nothing left but the images: the variance of the difference of the means of these four nets.
    error = np.sqrt(np.array([-1, -1, 1, 1]) @ covariance @ np.array([-1, -1, 1, 1])) / 2
    assert agreeing.p >= 2 * stats.norm.sf(0.02 / error)
    assert agreeing.interval(0.95) == pytest.approx((0.02 - 1.96 * error, 0.02 + 1.96 * error), abs=1e-4)
    assert agreeing.smallest_shown(0.05) == pytest.approx(2.8 * error, rel=0.01)
    # Seeds that differ by more than images explain are judged by their spread, of two values each.
    apart = several_seeds(np.array([0.6, 0.8]), np.array([0.7, 0.9]), covariance)
    assert apart.p == pytest.approx(2 * stats.t.sf(0.1 / apart.error, apart.df))
    assert apart.error > 2 * error


def test_of_two_errors_the_more_cautious_one_answers_with_its_own_degrees_of_freedom():
    known = Difference(0.02, error=0.001, df=2, least=0.01)  # seeds alike by chance, images the larger error
    assert known.p == pytest.approx(2 * stats.norm.sf(2))
    assert known.interval(0.95) == pytest.approx(stats.norm.interval(0.95, 0.02, 0.01))
    assert (Difference(0.9, 0.2, 9).interval(0.95)[1], Difference(-0.9, 0.2, 9).interval(0.95)[0]) == (1, -1)
    estimated = Difference(0.02, error=0.01, df=2, least=0.01)
    assert estimated.p == pytest.approx(2 * stats.t.sf(2, 2))
    assert estimated.interval(0.95) == pytest.approx(stats.t.interval(0.95, 2, 0.02, 0.01))


def of_patients(one, size=3):
    """The same predictions where ``size`` images in a row, of different classes, are of one patient."""
    return replace(one, groups=tuple(f"P{i // size}" for i in range(len(one.names))))


def test_delongs_variance_over_patients_is_obuchowskis():
    one = of_patients(net(0, 120), 3)
    kernel, truth = auroc_by_pairs(one.labels, one.probabilities[:, 1]), one.labels == 1
    value, (m, n), patient = kernel.mean(), kernel.shape, np.arange(120) // 3
    # Obuchowski (1997): sums of the structural components of each patient, by which sides it has.
    of_positives = np.bincount(patient[truth], kernel.mean(1) - value, 40)
    of_negatives = np.bincount(patient[~truth], kernel.mean(0) - value, 40)
    patients = [len(set(patient[side])) for side in (truth, ~truth)]
    squares = [(x**2).sum() * i / (i - 1) for x, i in zip((of_positives, of_negatives), patients, strict=True)]
    between = (of_positives * of_negatives).sum() * 40 / 39
    expected = squares[0] / m**2 + squares[1] / n**2 + 2 * between / (m * n)
    influence = measure_auroc(one).influence
    assert influence.shape == (40,)
    assert influence @ influence == pytest.approx(expected, rel=1e-9)  # all patients have both classes


@pytest.mark.parametrize("measure", [measure_auroc, measure_accuracy])
def test_every_image_given_three_times_tells_no_more_of_a_patient_than_once(measure):
    once = [net(seed, 80) for seed in (0, 1)]
    thrice = [
        replace(
            one,
            names=tuple(f"{name}{i}" for name in one.names for i in range(3)),
            labels=one.labels.repeat(3),
            probabilities=one.probabilities.repeat(3, axis=0),
            groups=tuple(name for name in one.names for _ in range(3)),
        )
        for one in once
    ]
    covariances = []
    for nets in (once, thrice, [replace(one, groups=()) for one in thrice]):
        influences = np.stack([measure(one).influence for one in nets])
        covariances.append(influences @ influences.T)
    assert covariances[1] == pytest.approx(covariances[0], rel=1e-9)
    assert covariances[2] == pytest.approx(covariances[0] / 3, rel=0.03)  # taken for independent


def test_patients_are_the_unit_of_a_comparison_of_single_runs():
    a, b = of_patients(net(0, 240)), of_patients(net(1, 240))
    by_patient = {c.metric: c for c in compare({0: a}, {0: b})}
    assert by_patient["auroc"].method == "DeLong, paired, patients as clusters"
    assert by_patient["accuracy"].method == "normal approximation, paired, patients as clusters"
    apart = replace(b, names=tuple(f"other {name}" for name in b.names))
    assert compare({0: a}, {0: apart})[1].method == "normal approximation, independent images, patients as clusters"
    of_b_alone = compare({0: replace(a, groups=(), data="bone")}, {0: b})[1].method
    assert of_b_alone == "normal approximation, independent images, patients as clusters"
    # One image of each patient: nothing to cluster. And a net changes nothing about whose images they are.
    for groups in (a.names, (*a.names[:9], *[""] * 231)):  # "": not known, so a patient of its own
        single = [replace(one, groups=groups) for one in (a, b)]
        assert [c.method for c in compare({0: single[0]}, {0: single[1]})] == ["DeLong, paired", "McNemar, exact"]
    half_known = compare({0: a}, {0: replace(b, groups=())})
    assert [c.estimate for c in half_known] == [c.estimate for c in by_patient.values()]


def test_one_seed_is_compared_by_mcnemars_exact_test():
    a, b = net(0, 200), net(1, 200, skill=2)
    hit_a, hit_b = (one.probabilities.argmax(1) == one.labels for one in (a, b))
    only_a, only_b = (hit_a & ~hit_b).sum(), (hit_b & ~hit_a).sum()
    accuracy = next(c for c in compare({0: a}, {0: b}) if c.metric == "accuracy")
    assert accuracy.p == pytest.approx(stats.binomtest(only_a, only_a + only_b).pvalue)
    assert accuracy.difference == pytest.approx((only_b - only_a) / 200)
    assert accuracy.low < accuracy.difference < accuracy.high
    assert not accuracy.pairing.covers_seeds


def test_one_seed_is_compared_by_delongs_test_on_the_same_images_and_on_others():
    a, b = net(0, 200), net(1, 200, skill=1.6)
    kernels = [auroc_by_pairs(one.labels, one.probabilities[:, 1]) for one in (a, b)]
    m, n = kernels[0].shape
    (var_a, between), (_, var_b) = (
        np.cov([kernel.mean(axis=1) for kernel in kernels]) / m
        + np.cov([kernel.mean(axis=0) for kernel in kernels]) / n
    )
    difference = kernels[1].mean() - kernels[0].mean()
    for other, error in (
        (b, np.sqrt(var_a + var_b - 2 * between)),
        (replace(b, data="bone"), np.sqrt(var_a + var_b)),
    ):
        (auroc,) = adjust([c for c in compare({0: a}, {0: other}) if c.metric == "auroc"])
        assert auroc.difference == pytest.approx(difference)
        assert auroc.p == pytest.approx(2 * stats.norm.sf(abs(difference) / error))
        assert (auroc.low, auroc.high) == pytest.approx(stats.norm.interval(0.95, difference, error))
        assert auroc.smallest == pytest.approx((1.959964 + 0.841621) * error, rel=1e-6)  # 80 % power at 5 %


def test_accuracies_on_other_images_have_the_interval_of_agresti_and_caffo():
    a, b = net(0, 60), net(1, 90, skill=2, data="bone")
    accuracy = next(c for c in compare({0: a}, {0: b}) if c.metric == "accuracy")
    # Agresti & Caffo (2000): Wald's interval with one hit and one miss more on either side.
    hits = [int((one.probabilities.argmax(axis=1) == one.labels).sum()) for one in (a, b)]
    p_a, p_b = (hits[0] + 1) / 62, (hits[1] + 1) / 92
    error = np.sqrt(p_a * (1 - p_a) / 62 + p_b * (1 - p_b) / 92)
    assert (accuracy.low, accuracy.high) == pytest.approx(stats.norm.interval(0.95, p_b - p_a, error))
    assert accuracy.p == pytest.approx(2 * stats.norm.sf(abs(p_b - p_a) / error))


def test_the_paired_interval_of_accuracies_covers_the_truth_computed_exactly():
    n, p_a, p_b = 40, 0.15, 0.05  # all numbers of disagreements, each weighted with its probability
    counts = [(x, y) for x in range(n + 1) for y in range(n + 1 - x)]
    weight = stats.multinomial.pmf([(x, y, n - x - y) for x, y in counts], n, [p_a, p_b, 1 - p_a - p_b])
    covered = [low <= p_b - p_a <= high for low, high in (paired_interval(x, y, n, 0.95) for x, y in counts)]
    assert weight @ covered == pytest.approx(0.95, abs=0.015)
    low, high = paired_interval(0, 0, n, 0.95)
    assert low < 0 < high  # never disagreeing on 40 images is no proof that they never do


def test_the_paired_interval_of_accuracies_is_the_published_one_and_stays_a_difference_of_shares():
    # The example of ci.prop.ps of the R package statpsych, after Bonett & Price (2012): 48 images, 4 and 26.
    assert paired_interval(4, 26, 48, 0.95) == pytest.approx((0.2548067, 0.6251933), abs=1e-7)
    assert paired_interval(0, 1, 1, 0.95)[1] == 1
    assert paired_interval(1, 0, 1, 0.95)[0] == -1


@pytest.mark.parametrize("df", [1, 2.5, 15, float("inf")])
@pytest.mark.parametrize("alpha", [0.05, 0.005])
def test_the_smallest_difference_is_shown_with_80_percent_power(df, alpha):
    smallest = Difference(0.0, 0.02, df).smallest_shown(alpha)
    rng = np.random.default_rng(0)
    error = 0.02 * (np.sqrt(rng.chisquare(df, 40_000) / df) if np.isfinite(df) else 1)
    estimates = rng.normal(smallest, 0.02, 40_000)
    assert np.mean(2 * stats.t.sf(abs(estimates) / error, df) < alpha) == pytest.approx(0.8, abs=0.01)
    if df == 15:
        reference = TTestPower().power(smallest / 0.02 / 4, nobs=16, df=15, alpha=alpha)
        assert reference == pytest.approx(0.8, abs=1e-3)


@pytest.mark.parametrize("seeds", [[0], [0, 1, 2]])
@pytest.mark.parametrize("data", ["skin", "bone"])
def test_the_other_way_round_a_comparison_differs_in_sign_alone(seeds, data):
    a, b = ({seed: net(first + seed, 100, skill=skill) for seed in seeds} for first, skill in ((0, 1.2), (9, 1.8)))
    b = {seed: replace(one, data=data) for seed, one in b.items()}
    for one, other in zip(adjust(compare(a, b)), adjust(compare(b, a)), strict=True):
        assert other.p == pytest.approx(one.p, rel=1e-9)
        assert 0 < one.p < 1
        assert (other.difference, other.low, other.high) == pytest.approx((-one.difference, -one.high, -one.low))
        assert other.smallest == pytest.approx(one.smallest)


def test_images_decide_whether_a_comparison_is_paired():
    a = {seed: net(seed) for seed in (0, 1, 2)}
    paired = compare(a, {seed: net(seed + 10) for seed in (0, 1, 2)})
    unpaired = compare(a, {seed: net(seed + 10, images=5) for seed in (0, 1, 2)})
    other_data = compare(a, {seed: net(seed + 10, data="bone") for seed in (0, 1, 2)})
    assert all(c.pairing.same_images for c in paired)
    assert not any(c.pairing.same_images for c in unpaired + other_data)
    # The same names in another data set: the noise that the images share must not be taken for shared.
    assert other_data[0].estimate.error > 1.2 * paired[0].estimate.error
    fewer = {seed: net(seed + 10).select([f"0/{i}" for i in range(50)]) for seed in (0, 1, 2)}
    assert "Only the 50 images" in compare(a, fewer)[0].pairing.remark
    with pytest.raises(ValueError, match="different images"):
        compare(a, {0: net(10), 1: net(11, images=5)})


def test_seeds_that_failed_in_one_variant_leave_the_others():
    b = {seed: net(seed + 10) for seed in range(5)}
    fewer = compare({0: net(0), 2: net(2)}, b)[0].pairing
    assert (fewer.seeds_a, fewer.seeds_b, fewer.covers_seeds) == ((0, 2), (0, 1, 2, 3, 4), True)
    single = compare({3: net(0)}, b)[0].pairing
    assert (single.seeds_a, single.seeds_b, single.covers_seeds) == ((3,), (3,), False)
    assert "one seed" in single.remark
    neither = compare({3: net(0)}, {seed: net(seed + 10) for seed in (1, 2)})[0].pairing
    assert (neither.seeds_a, neither.seeds_b) == ((3,), (1,))
    with pytest.raises(ValueError, match="no finished run"):
        compare({}, b)


def test_p_values_are_adjusted_for_the_number_of_tests_and_nets_without_variation_are_not_tested():
    perfect = Predictions("skin", tuple(map(str, range(20))), np.arange(20) % 2, np.eye(2)[np.arange(20) % 2], 1)
    undefined = compare({0: perfect, 1: perfect}, {0: perfect, 1: perfect})
    real = compare({s: net(s, 300) for s in range(3)}, {s: net(s + 9, 300, skill=4) for s in range(3)})
    adjusted = adjust([*real, *undefined])
    p = sorted(c.p for c in real)
    assert sorted(c.adjusted for c in adjusted[:2]) == pytest.approx([min(2 * p[0], 1), max(2 * p[0], p[1])])
    assert all(c.shown and c.alpha == pytest.approx(0.025) for c in adjusted[:2])
    assert all(c.smallest == pytest.approx(c.estimate.smallest_shown(0.025)) for c in adjusted[:2])
    assert all(np.isnan(c.p) and not c.shown for c in adjusted[2:])
    assert not any(c.shown for c in adjust([replace(c, p=0.04) for c in real]))  # 0.04 twice is no longer below 0.05
    assert all(np.isnan(c.estimate.smallest_shown(0.05)) for c in undefined)


def test_a_metric_whose_variance_the_images_leave_undefined_is_not_compared():
    def lone(seed, **changes):
        one = net(seed, 20)
        return {0: replace(one, **{"labels": np.arange(20) // 19, **changes})}  # one positive image

    assert [c.metric for c in compare(lone(0), lone(1))] == ["accuracy"]
    of_one_patient = {"groups": ("P",) * 20}
    assert compare(lone(0, **of_one_patient), lone(1, **of_one_patient)) == []
    two = replace(net(0, 20), groups=("P",) * 12 + ("Q",) * 8)
    hit = two.probabilities.argmax(axis=1) == two.labels
    deviations = [(half - hit.mean()).sum() for half in (hit[:12], hit[12:])]
    variance = sum(x**2 for x in deviations) / 20**2 * 2 / (2 - 1)  # Rao & Scott (1992), of two patients
    assert measure_accuracy(two).influence @ measure_accuracy(two).influence == pytest.approx(variance)
    undefined = measure_auroc(lone(0)[0])
    assert undefined.influence.shape == (20,)
    assert np.isnan([undefined.value, *undefined.influence]).all()


def test_nets_that_call_every_image_the_same_are_not_taken_for_a_sure_tie():
    labels = np.arange(96) % 2
    says = [Predictions("skin", tuple(map(str, range(96))), labels, np.eye(2)[np.full(96, c)], 1) for c in (0, 1)]
    seeds = {0: says[0], 1: says[1], 2: says[1]}
    of_accuracy = compare(seeds, seeds)[1]
    assert of_accuracy.difference == 0
    assert np.isnan([of_accuracy.p, of_accuracy.low, of_accuracy.high]).all()


def test_accuracies_on_other_images_are_compared_for_all_counts():
    def right(count, images):
        labels, hit = np.arange(10) % 2, np.arange(10) < count
        p = np.where(hit == (labels == 1), 0.9, 0.1)
        return Predictions("skin", tuple(f"{images}{i}" for i in range(10)), labels, np.stack([1 - p, p], 1), 1)

    for x in range(11):
        for y in range(11):
            accuracy = next(c for c in compare({0: right(x, "a")}, {0: right(y, "b")}) if c.metric == "accuracy")
            assert -1 <= accuracy.low <= accuracy.difference + 1e-9 <= accuracy.high + 2e-9 <= 1 + 1e-6
            assert (accuracy.p < 0.05) == (accuracy.low > 0 or accuracy.high < 0)


@pytest.mark.parametrize(
    ("scenario", "n_pairs"),
    [pytest.param(s, 60, id=s.name) for s in aa_check.SCENARIOS if s.name.startswith(("3 seeds, same", "1 seed, 4 im"))]
    + [pytest.param(s, 400, id=f"{s.name}, many", marks=pytest.mark.slow) for s in aa_check.SCENARIOS],
)
def test_identical_variants_seldom_differ_and_intervals_cover_the_truth(scenario, n_pairs):
    counts = aa_check.rates(scenario, n_pairs)

    def within(count, truth):
        low, high = proportion_confint(count, n_pairs, alpha=0.001, method="beta")
        return low <= truth <= high

    # Conservative is allowed: Holm, and McNemar's exact test, keep below 5 %.
    if scenario.better == 0:
        assert counts["declared"] <= 0.05 * n_pairs or within(counts["declared"], 0.05), counts
    assert all(counts[m] >= 0.95 * n_pairs or within(counts[m], 0.95) for m in ("auroc", "accuracy")), counts
