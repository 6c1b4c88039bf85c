"""What a design is said to show, against the power of textbook tests in designs simple enough to have one."""

import math
from dataclasses import replace
from types import SimpleNamespace as NS

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower
from statsmodels.stats.proportion import power_proportions_2indep, tost_proportions_2indep
from statsmodels.stats.weightstats import ttost_ind

from medcls.evaluation.planning import Design
from medcls.evaluation.variation import AreaVariation, ShareVariation
from medcls.sweep_report.answers import next_step

SD = 0.02  # of a metric over seeds


def two_nets(n, best=0.8, patients=0):
    """Accuracy of two nets, each on ``n`` images of its own: two independent shares."""
    variation = ShareVariation(n)
    return Design(
        best=best,
        seeds=(1, 1),
        variations=(variation, variation),
        within=0.0,
        between=0.0,
        spread=0.0,
        images=variation.variance(best),
        covers_seeds=False,
        n_images=n,
        n_patients=patients,
    )


def many_images(a, b, spread=SD**2):
    """So many images that seeds alone matter: two samples of a normal variable."""
    return replace(two_nets(10**9), seeds=(a, b), spread=spread, images=0.0, covers_seeds=True)


def power_of_shares(difference, n, best=0.8, alpha=0.05):
    return power_proportions_2indep(-difference, best, n, alpha=alpha).power


@pytest.mark.parametrize("n", [100, 400, 3000])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_the_smallest_difference_of_two_shares_is_found_with_80_to_90_percent(n, alpha):
    smallest = two_nets(n).smallest(alpha)
    assert 0.8 <= power_of_shares(smallest, n, alpha=alpha) <= 0.9
    assert two_nets(n).shows(smallest, alpha)
    assert not two_nets(n).shows(smallest - 1e-3, alpha)


@pytest.mark.parametrize("seeds", [(2, 2), (3, 3), (10, 10), (3, 8)])
def test_the_smallest_difference_over_seeds_is_found_with_80_to_90_percent(seeds):
    smallest = many_images(*seeds).smallest(0.05)
    power = TTestIndPower().power(smallest / SD, seeds[0], 0.05, ratio=seeds[1] / seeds[0])
    # Of unequal numbers the smaller one's variance is the less certain: a little more is asked for.
    assert 0.8 <= power <= (0.9 if seeds[0] == seeds[1] else 0.97)


def test_degrees_of_freedom_are_welchs():
    rng = np.random.default_rng(0)
    a, b = ((x - x.mean()) / x.std(ddof=1) * SD for x in (rng.normal(size=3), rng.normal(size=8)))
    assert many_images(3, 8).error(0.0)[1] == pytest.approx(stats.ttest_ind(a, b, equal_var=False).df, rel=1e-3)
    assert math.isinf(two_nets(100).error(0.0)[1])


@pytest.mark.parametrize(("within", "between"), [(0.0, 0.0), (0.6, 0.0), (0.6, 0.4)])
def test_the_error_is_that_of_nets_which_share_images_and_differ_in_seeds(within, between):
    seeds, difference = (2, 4), 0.1
    images = ShareVariation(200).variance(0.8)
    spread = SD**2 + (1 - within) * images
    design = replace(
        many_images(*seeds, spread),
        variations=(ShareVariation(200), ShareVariation(200)),
        images=images,
        within=within,
        between=between,
    )
    assert design.seed_variance == pytest.approx(SD**2)
    rng = np.random.default_rng(0)
    sd = np.repeat(np.sqrt([0.7 * 0.3 / 200, 0.8 * 0.2 / 200]), seeds)
    drawn = rng.multivariate_normal(np.zeros(6), sd[:, None] * design.correlation * sd, 200_000)
    drawn += rng.normal(0, SD, drawn.shape)
    found = drawn[:, 2:].mean(axis=1) - drawn[:, :2].mean(axis=1)
    assert design.error(difference)[0] == pytest.approx(found.std(), rel=0.01)
    assert design.correlation[0].tolist() == [1, within, between, between, between, between]


def test_needed_is_the_least_that_shows_the_difference():
    design = two_nets(200, patients=50)
    needed = design.needed(0.06, 0.05)
    assert 0.8 <= power_of_shares(0.06, needed.images) <= 0.9
    assert not two_nets(round(0.98 * needed.images)).shows(0.06, 0.05)
    assert needed.patients == pytest.approx(needed.images / 4, abs=1)
    assert (needed.seeds, two_nets(200).needed(0.06, 0.05).patients) == (None, None)
    assert design.needed(1e-4, 0.05).images is None  # a thousand times as many do not show it
    seeds = many_images(2, 2).needed(0.02, 0.05).seeds
    assert 0.8 <= TTestIndPower().power(0.02 / SD, seeds, 0.05) <= 0.9
    assert not many_images(seeds - 1, seeds - 1).shows(0.02, 0.05)
    assert many_images(2, 2).needed(1e-3, 0.05).seeds is None


@pytest.mark.parametrize(("seed_sd", "difference"), [(0.0, 0.05), (0.02, 0.05), (0.02, 0.04)])
def test_more_images_leave_what_seeds_differ_by_and_are_as_many_as_a_t_test_over_seeds_needs(seed_sd, difference):
    seeds, pilot = 10, two_nets(100)
    # Each net on images of its own.
    design = replace(pilot, seeds=(seeds, seeds), spread=seed_sd**2 + pilot.images, covers_seeds=True)
    images = design.needed(difference, 0.05).images
    assert design.with_images(images / 100).seed_variance == pytest.approx(seed_sd**2)
    of_nets = np.mean([seed_sd**2 + p * (1 - p) / images for p in (0.8, 0.8 - difference)])
    assert 0.8 <= TTestIndPower().power(difference / math.sqrt(of_nets), seeds, 0.05) <= 0.9
    assert replace(design, spread=(3 * difference) ** 2 + pilot.images).needed(difference, 0.05).images is None


def test_a_way_is_offered_only_where_it_is_enough_for_every_comparison_without_a_difference():
    def said(*designs):
        made = [NS(word="no difference shown", comparison=NS(design=design, alpha=0.05)) for design in designs]
        sweep = NS(runs=[NS(done=True, seed=s) for s in range(3)], variants="abc", margin=None, metric="auroc")
        return next_step(sweep, NS(made=made)).partition("AUROC")[2]

    few, more = two_nets(200), two_nets(400, best=0.6)  # of one seed each: none but images helps
    images = [design.needed(0.05, 0.05).images for design in (few, more)]
    assert said(few, more) == f": about {max(images)} validation images."
    seeds = many_images(2, 2, 0.03**2)  # far from enough images
    assert said(seeds) == f": {seeds.needed(0.05, 0.05).seeds} seeds each."
    neither = ", more seeds and more images together are needed."
    assert said(few, seeds) == said(few, None) == neither  # None: no method holds on so few images


def test_variations_of_more_images_are_those_of_a_study_with_as_many():
    m, n = np.array([20.0]), np.array([60.0])
    area, larger = AreaVariation(m, n, 1.3, 15), AreaVariation(4 * m, 4 * n, 1.3, 60)
    assert area.scaled(4) == larger
    assert area.scaled(4).variance(0.8) == pytest.approx(area.variance(0.8) / 4, rel=0.02)
    # 25 patients with 40 images' worth of information, and 100 with 160.
    assert ShareVariation(40, 24).scaled(4) == ShareVariation(160, 99)
    assert ShareVariation(40).scaled(4) == ShareVariation(160)


@pytest.mark.parametrize("margin", [0.05, 0.09, 0.15])
def test_equal_shares_are_found_equivalent_as_often_as_promised(margin):
    rng, n = np.random.default_rng(0), 300
    found = [
        tost_proportions_2indep(a, n, b, n, -margin, margin, method="wald").pvalue < 0.05
        for a, b in rng.binomial(n, 0.8, (2000, 2))
    ]
    assert two_nets(n).power_of_equivalence(margin) == pytest.approx(np.mean(found), abs=0.05)


@pytest.mark.parametrize(("seeds", "margin"), [((5, 5), 0.03), ((5, 5), 0.04), ((10, 10), 0.02), ((4, 9), 0.035)])
def test_seeds_alike_are_found_equivalent_as_often_as_promised(seeds, margin):
    rng = np.random.default_rng(0)
    found = [
        ttost_ind(rng.normal(0, SD, seeds[0]), rng.normal(0, SD, seeds[1]), -margin, margin, usevar="unequal")[0] < 0.05
        for _ in range(1000)
    ]
    assert many_images(*seeds).power_of_equivalence(margin) == pytest.approx(np.mean(found), abs=0.04)


def test_the_range_of_the_smallest_difference_holds_that_of_the_true_spread():
    df, truth, missed = 4, many_images(3, 3).smallest(0.05), []
    for estimate in SD**2 * stats.chi2.ppf((np.arange(40) + 0.5) / 40, df) / stats.chi2.ppf(0.5, df):
        around = many_images(3, 3, estimate).smallest_range(0.05)
        assert around.low <= around.value <= around.high
        missed.append((truth > around.high) - int(truth < around.low))
    # A tenth on either side; the other uncertainty, of the metric, is absent here.
    assert missed.count(1) == pytest.approx(4, abs=1)
    assert missed.count(-1) == pytest.approx(4, abs=1)


def test_where_a_lower_metric_could_show_nothing_the_range_has_no_upper_end():
    around = two_nets(14, best=0.7).smallest_range(0.05)
    assert math.isfinite(around.low)
    assert math.isnan(around.high)
    assert math.isnan(two_nets(4, best=0.5).smallest(0.05))
