"""How often is a subgroup declared different whose AUROC is that of the rest? And one whose AUROC is lower?

python benchmarks/subgroup_levels.py [data sets] [word ...] [--seed 0]    data sets of each kind, default 400

A word picks the kinds with it in their name. Each prints how often p is below 5 and below 0.5 %, as one of ten tests
has to be, of a single test. Scores of a class are normal; "hidden": a part of one class looks like the other one, all
the rest is apart, which has the same AUROC by another shape; "wide": three times the standard deviation in one class;
"shifted": all scores of the subgroup are higher. The true AUROC is known in closed form in all of them.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from statsmodels.stats.proportion import proportion_confint

from medcls.runs.predictions import Predictions
from medcls.subgroups.against_rest import against_rest

Float = NDArray[np.float64]
Shape = Callable[[Float, NDArray[np.bool_], float, np.random.Generator], Float]


def plain(noise: Float, own: NDArray[np.bool_], auroc: float, rng: np.random.Generator) -> Float:
    """Normal scores of equal variance."""
    return noise + np.sqrt(2) * norm.ppf(auroc) * own


def shifted(noise: Float, own: NDArray[np.bool_], auroc: float, rng: np.random.Generator) -> Float:
    """The same, all of them higher."""
    return plain(noise, own, auroc, rng) + 2


def wide(noise: Float, own: NDArray[np.bool_], auroc: float, rng: np.random.Generator) -> Float:
    """Normal scores, those of the class three times as wide."""
    return np.where(own, 3 * noise + np.sqrt(10) * norm.ppf(auroc), noise)


def hidden(noise: Float, own: NDArray[np.bool_], auroc: float, rng: np.random.Generator) -> Float:
    """Of the class all are apart from the others but a part that looks like them."""
    return noise + 20 * (own & (rng.random(len(own)) >= 2 * (1 - auroc)))


@dataclass(frozen=True)
class Kind:
    """Patients of the class and others, in the subgroup and in the rest; each with so many images, half alike."""

    name: str
    shape: Shape
    auroc: tuple[float, float]
    patients: tuple[int, int, int, int]
    images: int = 1
    classes: int = 2

    def draw(self, rng: np.random.Generator) -> tuple[Predictions, NDArray[np.bool_]]:
        """A data set and which of its images are in the subgroup. With more classes the others are dealt evenly."""
        m, n = sum(self.patients[:2]), sum(self.patients)
        label = np.concatenate([np.repeat([1, 0], self.patients[:2]), np.repeat([1, 0], self.patients[2:])])
        label[label == 0] = np.resize([0, *range(2, self.classes)], (label == 0).sum())
        scores = np.zeros((n, self.images, self.classes))
        for k in range(self.classes):
            noise = rng.normal(size=(n, self.images))
            if self.images > 1:
                noise = (noise + rng.normal(size=(n, 1))) / np.sqrt(2)
            for part, shape, auroc in ((slice(m), self.shape, self.auroc[0]), (slice(m, n), plain, self.auroc[1])):
                for i in range(self.images):
                    # Whole patients are hidden: the generator begins anew with each of their images.
                    again = np.random.default_rng(int(noise[0, 0] * 2**40) % 2**32)
                    scores[part, i, k] = shape(noise[part, i], label[part] == k, auroc, again)
        p = norm.cdf(scores.reshape(-1, self.classes) / 20)
        if self.classes == 2:
            p[:, 0] = 1 - p[:, 1]
        patient = np.repeat(np.arange(n), self.images)
        names = tuple(map(str, range(len(p))))
        groups = tuple(map(str, patient)) if self.images > 1 else ()
        return Predictions("data", names, label[patient], p, 1, groups), patient < m


SMALL, MIDDLE, EVEN, LARGE = (5, 5, 50, 50), (20, 60, 100, 300), (30, 30, 150, 150), (100, 100, 400, 400)
KINDS = (
    Kind("equal, small", plain, (0.85, 0.85), SMALL),
    Kind("equal", plain, (0.85, 0.85), MIDDLE),
    Kind("equal, near 1", plain, (0.99, 0.99), MIDDLE),
    Kind("hidden, small", hidden, (0.85, 0.85), SMALL),
    Kind("hidden", hidden, (0.85, 0.85), MIDDLE),
    Kind("hidden, even", hidden, (0.85, 0.85), EVEN),
    Kind("hidden, few misplaced", hidden, (0.95, 0.95), MIDDLE),
    Kind("hidden, near 1", hidden, (0.99, 0.99), LARGE),
    Kind("wide", wide, (0.9, 0.9), (15, 85, 100, 300)),
    Kind("shifted", shifted, (0.85, 0.85), MIDDLE),
    Kind("patients of 4 images, equal", plain, (0.85, 0.85), MIDDLE, images=4),
    Kind("patients of 4 images, hidden", hidden, (0.85, 0.85), MIDDLE, images=4),
    Kind("three classes, equal", plain, (0.85, 0.85), MIDDLE, classes=3),
    Kind("three classes, hidden", hidden, (0.85, 0.85), MIDDLE, classes=3),
    Kind("lower: 0.75, not 0.95", plain, (0.75, 0.95), (15, 15, 135, 135)),
    Kind("lower: 0.70, not 0.85", plain, (0.70, 0.85), MIDDLE),
    Kind("lower: 0.60, not 0.90, small", plain, (0.60, 0.90), (6, 6, 50, 50)),
)


def main() -> None:
    """Print a line for each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n", nargs="?", type=int, default=400)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for kind in KINDS:
        if args.words and not any(word in kind.name for word in args.words):
            continue
        rng = np.random.default_rng(args.seed)
        p = np.array([against_rest(*kind.draw(rng)).p for _ in range(args.n)])
        low, high = proportion_confint((p < 0.05).sum(), args.n, method="beta")
        size = "{} + {} and {} + {}".format(*kind.patients)
        print(f"{kind.name} ({size}): {(p < 0.05).mean():.1%} [{low:.1%}, {high:.1%}]", end=", ")
        print(f"at 0.5% {(p < 0.005).mean():.1%}", flush=True)


if __name__ == "__main__":
    main()
