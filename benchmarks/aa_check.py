"""Do the report's tests keep their promised error rates? Simulated pairs of variants, identical and different ones.

python benchmarks/aa_check.py [pairs]     pairs per scenario, default 1000: about a minute on one core

The scores of 200 images are sums of an effect of the image that all nets share, one of the image on a variant, one of
the seed on separation and threshold, and one of the seed on each image. True AUROC and accuracy follow in closed form.
"""

import gc
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from statsmodels.stats.proportion import proportion_confint

from medcls.evaluation.compare import Comparison, adjust, compare
from medcls.runs.predictions import Predictions

LABELS = np.repeat([0, 1], 100)
SEPARATION = 1.45  # AUROC about 0.85, as in the study
IMAGE, VARIANT_BY_IMAGE, SEED_BY_IMAGE = 0.6, 0.1, 0.3  # variances; they sum to 1
PATIENT = 0.7  # fraction of the variances that the images of a patient have in common


@dataclass(frozen=True)
class Scenario:
    """The seeds of each variant, what the variants share, and by how much b separates the classes better than a."""

    name: str
    seeds_a: tuple[int, ...] = (0, 1, 2)
    seeds_b: tuple[int, ...] = (0, 1, 2)
    same_images: bool = True
    better: float = 0.0
    shared_seed_effect: float = 0.0  # fraction of the seed's variance that both variants have in common
    # Standard deviations over seeds of separation and threshold: AUROC then varies by 0.017, accuracy by 0.013.
    seed_effect: float = 0.1
    threshold: float = 0.1
    images_per_patient: int = 1  # all of the same class, where they carry the least information

    @property
    def patients(self) -> NDArray[np.intp]:
        """Patient of each image."""
        return np.arange(len(LABELS)) // self.images_per_patient


SCENARIOS = (
    Scenario("3 seeds, same images, identical"),
    Scenario("3 seeds, same images, identical, seeds alike", shared_seed_effect=0.5),
    Scenario("3 seeds, same images, seeds hardly matter", seed_effect=0.01, threshold=0.01),
    Scenario("3 seeds, same images, b better", better=0.4),
    Scenario("2 seeds, same images, identical", seeds_a=(0, 1), seeds_b=(0, 1)),
    Scenario("2 seeds, seeds matter much, identical", (0, 1), (0, 1), seed_effect=0.4, threshold=0.4),
    Scenario("2 and 4 seeds, same images, identical", seeds_a=(0, 1), seeds_b=(0, 1, 2, 3)),
    Scenario("3 seeds, other images, identical", same_images=False),
    Scenario("3 seeds, other images, b better", same_images=False, better=0.4),
    # One seed says nothing about others: the truth is that of these two nets.
    Scenario("1 seed, same images, identical", (0,), (0,), seed_effect=0, threshold=0),
    Scenario("1 seed, same images, b better", (0,), (0,), better=0.4, seed_effect=0, threshold=0),
    Scenario("1 seed, other images, identical", (0,), (0,), same_images=False, seed_effect=0, threshold=0),
    Scenario("3 seeds, 4 images a patient, identical", images_per_patient=4),
    Scenario("1 seed, 4 images a patient, identical", (0,), (0,), seed_effect=0, threshold=0, images_per_patient=4),
    Scenario(
        "1 seed, 4 other images a patient, b better",
        (0,),
        (0,),
        same_images=False,
        better=0.4,
        seed_effect=0,
        threshold=0,
        images_per_patient=4,
    ),
)


def simulate(scenario: Scenario, rng: np.random.Generator) -> list[Comparison]:
    """Adjusted comparisons of one pair of variants."""
    shared = rng.normal(size=(max(scenario.seeds_a + scenario.seeds_b) + 1, 2)) * np.sqrt(scenario.shared_seed_effect)
    image = effects(scenario, rng, IMAGE)
    variants = []
    for name, seeds, better in (("a", scenario.seeds_a, 0.0), ("b", scenario.seeds_b, scenario.better)):
        if name == "b" and not scenario.same_images:
            image = effects(scenario, rng, IMAGE)
        variant = image + effects(scenario, rng, VARIANT_BY_IMAGE)
        prefix = "" if scenario.same_images else name
        images = tuple(f"{prefix}{i}" for i in range(len(LABELS)))
        groups = tuple(f"{prefix}{i}" for i in scenario.patients) if scenario.images_per_patient > 1 else ()
        runs = {}
        for seed in seeds:
            own = shared[seed] + rng.normal(size=2) * np.sqrt(1 - scenario.shared_seed_effect)
            separation = SEPARATION + better + scenario.seed_effect * own[0]
            score = variant + effects(scenario, rng, SEED_BY_IMAGE)
            score = score + (LABELS - 0.5) * separation + scenario.threshold * own[1]
            p = 1 / (1 + np.exp(-score))
            runs[seed] = Predictions("simulated", images, LABELS, np.stack([1 - p, p], axis=1), 1, groups)
        variants.append(runs)
    return adjust(compare(*variants))


def effects(scenario: Scenario, rng: np.random.Generator, variance: float) -> NDArray[np.float64]:
    """Random effects (N,) of the images; those of a patient share a part."""
    own = rng.normal(size=len(LABELS))
    if scenario.images_per_patient > 1:
        own = np.sqrt(PATIENT) * rng.normal(size=len(LABELS))[scenario.patients] + np.sqrt(1 - PATIENT) * own
    return own * np.sqrt(variance)


def true_difference(scenario: Scenario, metric: str) -> float:
    """Expected metric of b minus that of a, over images and seeds."""
    means = []
    for separation in (SEPARATION, SEPARATION + scenario.better):
        if metric == "auroc":
            means.append(norm.cdf(separation / np.sqrt(2 + scenario.seed_effect**2)))
        else:
            means.append(norm.cdf(separation / 2 / np.sqrt(1 + scenario.seed_effect**2 / 4 + scenario.threshold**2)))
    return float(means[1] - means[0])


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


def simulated_pairs(scenario: Scenario, n_pairs: int, seed: int) -> Iterator[list[Comparison]]:
    """The pairs of a scenario, each from random numbers of its own."""
    for child in np.random.SeedSequence(seed).spawn(n_pairs):
        yield simulate(scenario, np.random.default_rng(child))


def main() -> None:
    """Print one line of rates per scenario."""
    n_pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print(f"{n_pairs} pairs each; in brackets 95 % Clopper-Pearson intervals\n")
    print(f"{'':46}{'difference declared':26}{'AUROC covered':26}accuracy covered")
    for scenario in SCENARIOS:
        counts = rates(scenario, n_pairs)
        print(f"{scenario.name:46}" + "".join(f"{show(count, n_pairs):26}" for count in counts.values()), flush=True)


def show(count: int, n: int) -> str:
    """Share of ``n`` with its interval."""
    low, high = proportion_confint(count, n, method="beta")
    return f"{count / n:6.1%} [{low:.1%}, {high:.1%}]"


if __name__ == "__main__":
    main()
