"""Do the report's tests keep their promised error rates? Simulated pairs of variants, identical and different ones.

python benchmarks/aa_check.py [pairs] [part ...] [--seed 0]     pairs per scenario, default 1000

parts: scenarios (a difference declared, and intervals that cover it), seeds (identical variants of 2 to 10 seeds, none
to strong spread of seeds, also near an AUROC of 1), uneven (identical variants, patients with very unequal numbers of
images), means (intervals of one variant over seeds and images, by few images and nets that are much alike), family
(four identical variants, each against the first), power (the smallest difference that is printed, against how often it
is found), equivalence. Without any, all.

The variants: simulated_variants.py.
"""

import argparse
import gc
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import norm
from simulated_variants import (
    MEANS,
    SCENARIOS,
    SEEDS,
    UNEVEN,
    Scenario,
    separation_of,
    true_difference,
    true_mean,
    variants,
)
from statsmodels.stats.proportion import proportion_confint

from medcls.evaluation.compare import Comparison, adjust, compare
from medcls.evaluation.effects import over_seeds_and_images
from medcls.evaluation.metrics import METRICS


def rates(scenario: Scenario, n_pairs: int, seed: int = 0) -> dict[str, int]:
    """Of ``n_pairs`` pairs: how many declare a difference, and how many intervals of each metric cover the truth."""
    gc.freeze()  # statsmodels' multipletests collects garbage on each call, which would dominate the run time
    counts = {"declared": 0, "auroc": 0, "accuracy": 0}
    for pair in simulated_pairs(scenario, n_pairs, seed):
        counts["declared"] += any(comparison.shown for comparison in pair)
        for comparison in pair:
            truth = true_difference(scenario, comparison.metric)
            counts[comparison.metric] += comparison.low <= truth <= comparison.high
    gc.unfreeze()
    return counts


def means_covered(scenario: Scenario, n: int, seed: int) -> dict[str, int]:
    """Of ``n`` variants: how many intervals of the mean over seeds and images hold the true one, by metric."""
    counts = {"auroc": 0, "accuracy": 0}
    for child in np.random.SeedSequence([seed, 7]).spawn(n):
        runs = list(variants(scenario, np.random.default_rng(child), [])[0].values())
        for metric in counts:
            found = over_seeds_and_images(runs, METRICS[metric])
            counts[metric] += found.low <= true_mean(scenario, metric) <= found.high
    return counts


def simulated_pairs(scenario: Scenario, n_pairs: int, seed: int) -> Iterator[list[Comparison]]:
    """The pairs of a scenario, each from random numbers of its own."""
    for child in np.random.SeedSequence(seed).spawn(n_pairs):
        yield simulate(scenario, np.random.default_rng(child))


def simulate(scenario: Scenario, rng: np.random.Generator) -> list[Comparison]:
    """Adjusted comparisons of one pair of variants."""
    return adjust(compare(*variants(scenario, rng, [scenario.better])))


def family(n_families: int, seed: int, scenario: Scenario) -> int:
    """Of so many sweeps of four identical variants, three compared with the first: how many show a difference."""
    shown = 0
    for child in np.random.SeedSequence([seed, 4]).spawn(n_families):
        first, *others = variants(scenario, np.random.default_rng(child), [0.0, 0.0, 0.0])
        made = adjust([compare(first, other, [METRICS["auroc"]])[0] for other in others])
        shown += any(comparison.shown for comparison in made)
    return shown


def power(n_pairs: int, seed: int, scenario: Scenario, n_pilots: int = 40) -> str:
    """The smallest differences that pilot studies of equal variants print, and how often their median is found."""
    streams = np.random.SeedSequence([seed, 80]).spawn(n_pilots + n_pairs)
    printed = []
    for child in streams[:n_pilots]:
        made = compare(*variants(scenario, np.random.default_rng(child), [0.0]), [METRICS["auroc"]])[0]
        printed.append((made.smallest_range.low, made.smallest, made.smallest_range.high))
    low, median, high = np.nanmedian(np.array(printed), axis=0)
    best, found = float(norm.cdf(scenario.separation / np.sqrt(2 + scenario.seed_effect**2))), []
    for difference in (median, high):
        worse = norm.ppf(best - difference) * np.sqrt(2 + scenario.seed_effect**2) - scenario.separation
        made = [
            compare(*variants(scenario, np.random.default_rng(child), [worse]), [METRICS["auroc"]])[0]
            for child in streams[n_pilots:]
        ]
        found.append(show(sum(one.p < 0.05 and one.difference < 0 for one in made), n_pairs))
    return f"{median:.3f} (range {low:.3f} to {high:.3f})  found {found[0]}  at the upper end {found[1]}"


def equivalence(n_pairs: int, seed: int, scenario: Scenario, margin: float = 0.05) -> str:
    """How often equal variants, and variants just ``margin`` apart, are found equivalent."""
    best, said = float(norm.cdf(scenario.separation / np.sqrt(2 + scenario.seed_effect**2))), []
    worse = norm.ppf(best - margin) * np.sqrt(2 + scenario.seed_effect**2) - scenario.separation
    for by in (0.0, worse):
        count, stated = 0, []
        for child in np.random.SeedSequence([seed, 5]).spawn(n_pairs):
            made = compare(*variants(scenario, np.random.default_rng(child), [by]), [METRICS["auroc"]])[0]
            count += made.equivalent(margin)
            stated.append(made.design.power_of_equivalence(margin))
        said.append(
            f"{show(count, n_pairs)} (stated beforehand {np.median(stated):.0%})" if by == 0 else show(count, n_pairs)
        )
    return f"equal {said[0]}  {margin} apart {said[1]}"


def print_rates(scenarios: Sequence[Scenario], n_pairs: int, seed: int) -> None:
    """A line per scenario."""
    print(f"{'':46}{'difference declared':26}{'AUROC covered':26}accuracy covered")
    for scenario in scenarios:
        counts = rates(scenario, n_pairs, seed)
        print(f"{scenario.name:46}" + "".join(f"{show(count, n_pairs):26}" for count in counts.values()), flush=True)


def print_means(n: int, seed: int) -> None:
    """A line per scenario of one variant."""
    print(f"{'':57}{'AUROC covered':25}accuracy covered")
    for scenario in MEANS:
        counts = means_covered(scenario, n, seed)
        print(f"{scenario.name:57}" + "".join(f"{show(count, n):25}" for count in counts.values()), flush=True)


def main() -> None:
    """Print the parts that were asked for."""
    parts = ("scenarios", "seeds", "uneven", "means", "family", "power", "equivalence")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="?", type=int, default=1000)
    parser.add_argument("parts", nargs="*", metavar="part")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if unknown := set(given.parts) - set(parts):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; parts: {', '.join(parts)}")
    print(f"{given.pairs} pairs each, seed {given.seed}; in brackets 95 % Clopper-Pearson intervals")
    sized = [Scenario("", separation=separation_of(area), n_images=n) for n in (96, 200) for area in (0.7, 0.9, 0.99)]
    tables = {"scenarios": SCENARIOS, "seeds": SEEDS, "uneven": UNEVEN}
    for part in given.parts or parts:
        print(f"\n{part}")
        if part in tables:
            print_rates(tables[part], given.pairs, given.seed)
        for scenario in sized if part in ("power", "equivalence") else ():
            line = (power if part == "power" else equivalence)(given.pairs, given.seed, scenario)
            area = norm.cdf(scenario.separation / np.sqrt(2))
            print(f"N {scenario.n_images}, 3 seeds, AUROC {area:.2f}: {line}", flush=True)
        if part == "means":
            print_means(given.pairs, given.seed)
        for area in (0.85, 0.99) if part == "family" else ():
            of_area = replace(SCENARIOS[0], separation=separation_of(area))
            shown = family(given.pairs, given.seed, of_area)
            print(f"4 identical variants of 3 seeds, AUROC {area}: any shown {show(shown, given.pairs)}", flush=True)


def show(count: int, n: int) -> str:
    """Share of ``n`` with its interval."""
    low, high = proportion_confint(count, n, method="beta")
    return f"{count / n:6.1%} [{low:.1%}, {high:.1%}]"


if __name__ == "__main__":
    main()
