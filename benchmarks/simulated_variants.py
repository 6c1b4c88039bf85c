"""Runs of nets that were never trained: predictions of variants whose true metrics are known (aa_check.py).

The scores of 200 images are sums of an effect of the image that all nets share, one of the image on a variant, one of
the seed on separation and threshold, and one of the seed on each image. True AUROC and accuracy follow in closed form.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from medcls.runs.predictions import Predictions

N_IMAGES = 200
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
    # All of the same class, where they carry the least information; a tuple: of each patient of a class.
    images_per_patient: int | tuple[int, ...] = 1
    separation: float = SEPARATION  # of the classes, by variant a
    n_images: int = N_IMAGES
    seed_by_image: float = SEED_BY_IMAGE

    @property
    def labels(self) -> NDArray[np.intp]:
        """Class of each image, half of them of either."""
        return np.arange(self.n_images) * 2 // self.n_images

    @property
    def patients(self) -> NDArray[np.intp]:
        """Patient of each image."""
        if isinstance(self.images_per_patient, int):
            return np.arange(self.n_images) // self.images_per_patient
        sizes = 2 * self.images_per_patient
        return np.repeat(np.arange(len(sizes)), sizes)


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


# Images of the patients of a class: the middle of each tenth of a lognormal distribution, five times; or few with most.
SIZES = {
    "50 of lognormal numbers": 5
    * tuple(np.exp(np.log(3) + 1.2 * norm.ppf(np.arange(5, 100, 10) / 100)).astype(int).clip(1).tolist()),
    "46 of 1 to 2, 4 of 60": 23 * (1, 2) + 4 * (60,),
    "28 of 1 to 2, 2 of 60": 14 * (1, 2) + 2 * (60,),
}


def separation_of(area: float) -> float:
    """Separation of the classes that gives an AUROC, without an effect of seeds."""
    return float(norm.ppf(area) * np.sqrt(2))


SPREADS = {"no spread of seeds": 0.0, "usual spread": 0.1, "strong spread": 0.4}
SEEDS = tuple(
    Scenario(
        f"{n} seeds, AUROC {area}, {spread}",
        tuple(range(n)),
        tuple(range(n)),
        seed_effect=effect,
        threshold=effect,
        separation=separation_of(area),
    )
    for n in (2, 3, 5, 10)
    for area in (0.85, 0.99, 0.999)
    for spread, effect in SPREADS.items()
)


UNEVEN = tuple(
    Scenario(
        f"{n} seed{'s' * (n > 1)}, {name}",
        tuple(range(n)),
        tuple(range(n)),
        images_per_patient=sizes,
        n_images=2 * sum(sizes),
    )
    for n in (1, 3)
    for name, sizes in SIZES.items()
)


MEANS = tuple(
    Scenario(
        f"{n} seeds, {n_images} images, accuracy {accuracy}, nets {alike}",
        tuple(range(n)),
        seed_effect=0.0,
        threshold=0.0,
        separation=float(2 * norm.ppf(accuracy)),
        n_images=n_images,
        seed_by_image=own,
    )
    for alike, own in (("apart", SEED_BY_IMAGE), ("alike", 0.02))
    for n, n_images, accuracy in ((10, 20, 0.9), (5, 50, 0.95), (5, 200, 0.85), (10, 200, 0.99))
)


def variants(scenario: Scenario, rng: np.random.Generator, better: Sequence[float]) -> list[dict[int, Predictions]]:
    """Runs of a first variant and of others on the same images, which separate the classes ``better`` by so much."""
    of_seeds = max(scenario.seeds_a + scenario.seeds_b) + 1
    shared = rng.normal(size=(of_seeds, 2)) * np.sqrt(scenario.shared_seed_effect)
    of_image = IMAGE + SEED_BY_IMAGE - scenario.seed_by_image
    image = effects(scenario, rng, of_image)
    made, labels = [], scenario.labels
    for number, by in enumerate((0.0, *better)):
        if number and not scenario.same_images:
            image = effects(scenario, rng, of_image)
        variant = image + effects(scenario, rng, VARIANT_BY_IMAGE)
        prefix = "" if scenario.same_images else str(number)
        images = tuple(f"{prefix}{i}" for i in range(len(labels)))
        groups = tuple(f"{prefix}{i}" for i in scenario.patients) if scenario.images_per_patient != 1 else ()
        runs = {}
        for seed in scenario.seeds_b if number else scenario.seeds_a:
            own = shared[seed] + rng.normal(size=2) * np.sqrt(1 - scenario.shared_seed_effect)
            separation = scenario.separation + by + scenario.seed_effect * own[0]
            score = variant + effects(scenario, rng, scenario.seed_by_image)
            score = score + (labels - 0.5) * separation + scenario.threshold * own[1]
            p = 1 / (1 + np.exp(-score))
            runs[seed] = Predictions("simulated", images, labels, np.stack([1 - p, p], axis=1), 1, groups)
        made.append(runs)
    return made


def effects(scenario: Scenario, rng: np.random.Generator, variance: float) -> NDArray[np.float64]:
    """Random effects (N,) of the images; those of a patient share a part."""
    own = rng.normal(size=scenario.n_images)
    if scenario.images_per_patient != 1:
        own = np.sqrt(PATIENT) * rng.normal(size=scenario.n_images)[scenario.patients] + np.sqrt(1 - PATIENT) * own
    return own * np.sqrt(variance)


def true_difference(scenario: Scenario, metric: str) -> float:
    """Expected metric of b minus that of a, over images and seeds."""
    return true_mean(scenario, metric, scenario.better) - true_mean(scenario, metric)


def true_mean(scenario: Scenario, metric: str, better: float = 0.0) -> float:
    """Expected metric, over images and seeds, of a variant that separates the classes ``better`` by so much."""
    separation = scenario.separation + better
    if metric == "auroc":
        return float(norm.cdf(separation / np.sqrt(2 + scenario.seed_effect**2)))
    return float(norm.cdf(separation / 2 / np.sqrt(1 + scenario.seed_effect**2 / 4 + scenario.threshold**2)))
