"""Do 95 % intervals cover the truth 95 times in 100? Metrics of simulated nets whose true values are known.

python benchmarks/coverage.py [simulations] [part ...] [--seed 1] [--csv cells.csv]

simulations per cell, default 300; parts: images, patients, uneven (patients with very unequal numbers of images),
mixed, unequal, nine, nine-patients, folds, folds-patients; without any, all. Prevalence is random, and the nets are
fixed: the estimand is other images, or patients, of the same population. The true value is another in each simulation,
within a quarter of the distance from 1, so that coverage is an average over neighbouring values. Beside the width of an
interval is that of the method that medcls had before, percentiles of a bootstrap within classes, from the first
simulations of each cell.
"""

import argparse
import csv
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from medcls.evaluation.compare import compare
from medcls.evaluation.intervals import intervals
from medcls.evaluation.metrics import METRICS
from medcls.evaluation.pooled import CrossValidated
from medcls.evaluation.resampled import Resamples, draw_counts, draw_group_counts
from medcls.runs.predictions import Predictions

Array = NDArray[np.float64]
Patients = NDArray[np.intp]

N, PREVALENCES, AUROCS = (20, 60, 96, 200, 1000), (0.05, 0.3, 0.5), (0.6, 0.85, 0.99, 0.999)
ICC = 0.5  # share of the variance that the images of a patient have in common
OLD, RESAMPLES = 25, 400  # simulations with the old method, and its resamples: widths alone need no more
# Numbers of images of patients, very unequal, by what they are called.
SIZES: dict[str, Callable[[np.random.Generator], NDArray[np.intp]]] = {
    "100 patients, lognormal, median 3": lambda rng: np.exp(rng.normal(np.log(3), 1.2, 100)).astype(int).clip(1),
    "60 patients, 1 + Pareto up to 300": lambda rng: (1 + rng.pareto(1, 60)).astype(int).clip(1, 300),
    "92 patients of 1 to 2, 8 of 60": lambda rng: np.append(rng.integers(1, 3, 92), np.full(8, 60)),
    "56 patients of 1 to 2, 4 of 60": lambda rng: np.append(rng.integers(1, 3, 56), np.full(4, 60)),
}
UNEVEN = np.array([100, 65, 42, 27, 18, 12, 8, 5, 3.0])
FEWEST = 40  # intervals below which a cell's coverage is not given


@dataclass
class Cell:
    """What was found of one metric at one point of the grid."""

    situation: str
    metric: str
    where: str
    covered: list[bool] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)
    old_widths: list[float] = field(default_factory=list)
    without: int = 0
    why: str = ""

    @property
    def coverage(self) -> float:
        return float(np.mean(self.covered))

    @property
    def error(self) -> float:
        """Monte-Carlo error of the coverage, half the width of its own 95 % interval."""
        share = (sum(self.covered) + 2) / (len(self.covered) + 4)
        return float(1.96 * np.sqrt(share * (1 - share) / len(self.covered)))


def patients_of(n: int | str, clustered: bool, rng: np.random.Generator) -> Patients:
    """Patient (n,) of each image: each has one, or 1 to 10; or numbers of images by their name in ``SIZES``."""
    if isinstance(n, str):
        sizes = SIZES[n](rng)
        return np.repeat(np.arange(len(sizes)), sizes)
    return np.repeat(np.arange(n), rng.integers(1, 11, n))[:n] if clustered else np.arange(n)


def numbered(n: int | str) -> tuple[int, str]:
    """What random numbers start from, and the name, of so many images or of sizes named in ``SIZES``."""
    return (list(SIZES).index(n), n) if isinstance(n, str) else (n, f"N {n}")


def noise(patient: Patients, rng: np.random.Generator) -> Array:
    """Standard normal effects (N,) of images; those of a patient share a part."""
    own = rng.normal(size=len(patient))
    if patient[-1] + 1 == len(patient):
        return own
    return np.sqrt(ICC) * rng.normal(size=patient[-1] + 1)[patient] + np.sqrt(1 - ICC) * own


def neighbour(value: float, rng: np.random.Generator) -> float:
    """A true value near ``value``."""
    return float(1 - (1 - value) * np.exp(rng.uniform(-0.25, 0.25)))


def predictions(labels: NDArray[np.intp], probabilities: Array, patient: Patients) -> Predictions:
    """Probabilities (N, C) as a run has them; patients are known where one has several images."""
    names = tuple(map(str, range(len(labels))))
    groups = tuple(f"P{i}" for i in patient) if patient[-1] + 1 < len(patient) else ()
    return Predictions("simulated", names, labels, probabilities, 1, groups)


def draw_two(
    n: int | str,
    prevalence: float,
    area: float,
    rng: np.random.Generator,
    *,
    clustered: bool,
    mixed: bool = False,
    sd: float = 1.0,
) -> tuple[Predictions, dict[str, float]]:
    """A net of normal scores with its true metrics; mixed: a patient has images of both classes.

    sd: standard deviation of the positives' scores, 1 of the others'.
    """
    patient, a = patients_of(n, clustered, rng), neighbour(area, rng)
    shift = norm.ppf(a) * np.sqrt(1 + sd**2)
    drawn = rng.random(len(patient)) < prevalence
    positive = drawn if mixed else drawn[patient]
    effects = noise(patient, rng)
    score = np.where(positive, shift + sd * effects, effects) - shift / (1 + sd)
    p = 1 / (1 + np.exp(-score))
    right = float(norm.cdf(shift / (1 + sd)))  # of either class
    truth = dict.fromkeys(METRICS, right) | {"auroc": a}
    truth["f1"] = 2 * prevalence * right / (2 * prevalence * right + 1 - right)
    return predictions(positive.astype(int), np.stack([1 - p, p], 1), patient), truth


def two_classes(
    situation: str,
    sims: int,
    seed: int,
    *,
    clustered: bool,
    mixed: bool = False,
    sd: float = 1.0,
    sizes: Iterable[int | str] = N,
) -> Iterator[Cell]:
    """The grid of two classes, as ``draw_two`` draws them."""
    for n in sizes:
        for prevalence in PREVALENCES:
            for area in AUROCS:
                start, called = numbered(n)
                rng = np.random.default_rng([seed, start, int(prevalence * 100), int(area * 1000)])
                cells = {name: Cell(situation, name, f"{called}, {prevalence:.0%}, AUROC {area}") for name in METRICS}
                for i in range(sims):
                    found, truth = draw_two(n, prevalence, area, rng, clustered=clustered, mixed=mixed, sd=sd)
                    judge(cells, found, truth, rng if i < OLD else None)
                yield from cells.values()


def nine_classes(situation: str, sims: int, seed: int, *, clustered: bool) -> Iterator[Cell]:
    """Nine classes, as many images of each or 100 to 3; truths are those of 400,000 images."""
    for shares, even in ((np.full(9, 1 / 9), "even"), (UNEVEN / UNEVEN.sum(), "100 to 3")):

        def draw(patient: Patients, skill: float, rng: np.random.Generator, shares: Array = shares) -> Predictions:
            labels = rng.choice(9, patient[-1] + 1, p=shares)[patient]
            logits = np.stack([noise(patient, rng) for _ in range(9)], 1) + skill * np.eye(9)[labels]
            return predictions(labels, np.exp(logits) / np.exp(logits).sum(1, keepdims=True), patient)

        for skill in (1.2, 3.3, 4.4):
            large = draw(np.arange(400_000), skill, np.random.default_rng([seed, 9]))
            truth = {name: metric.formula(large.labels, large.probabilities, 1) for name, metric in METRICS.items()}
            for n in (96, 200, 1000):
                rng = np.random.default_rng([seed, n, int(skill * 10), len(even)])
                where = f"{even}, N {n}, AUROC {truth['auroc']:.3f}"
                cells = {name: Cell(situation, name, where) for name in METRICS}
                for i in range(sims):
                    judge(cells, draw(patients_of(n, clustered, rng), skill, rng), truth, rng if i < OLD else None)
                yield from cells.values()


def judge(
    cells: dict[str, Cell], found: Predictions, truth: dict[str, float], rng: np.random.Generator | None = None
) -> None:
    """Note whether each metric's interval covers the truth, and how wide it is; with ``rng`` the old one's width."""
    before = old_widths(found, rng) if rng else {}
    for name, interval in intervals(found, [METRICS[name] for name in cells]).items():
        note(cells[name], (interval.low, interval.high), truth[name], interval.why)
        if name in before and np.isfinite(interval.low):
            cells[name].old_widths.append(before[name])


def old_widths(found: Predictions, rng: np.random.Generator) -> dict[str, float]:
    """Width of the percentile intervals of a bootstrap within classes, of patients where they are known."""
    if found.groups:
        drawn = draw_group_counts(found.labels, RESAMPLES, rng, found.groups)
    else:
        drawn = draw_counts(found.labels, RESAMPLES, rng)
    resamples = [Resamples(found.labels, found.probabilities, 1, counts) for counts in drawn]
    widths = {}
    for name, metric in METRICS.items():
        assert metric.resampled is not None
        values = np.concatenate([metric.resampled(part) for part in resamples])
        widths[name] = float(np.ptp(np.quantile(values, [0.025, 0.975])))
    return widths


def folds(situation: str, sims: int, seed: int, *, clustered: bool, k: int = 5) -> Iterator[Cell]:
    """AUROC and accuracy within five folds, and equal nets whose folds are scaled differently, declared different."""
    for n, prevalence in ((96, 0.5), (200, 0.3), (1000, 0.05), (1000, 0.3)):
        for area in AUROCS:
            for offset in (0, 1, 2):
                rng = np.random.default_rng([seed, n, int(prevalence * 100), int(area * 1000), offset])
                where = f"N {n}, {prevalence:.0%}, AUROC {area}"
                single = {name: Cell(situation, name, where) for name in ("auroc", "accuracy")}
                equal = Cell(situation, f"equal nets, offsets of {offset} SD", where)
                for _ in range(sims):
                    nets, truth = two_validated(n, prevalence, area, offset, k, clustered, rng)
                    judge(single, nets[0], truth)
                    compared = compare({0: nets[0]}, {0: nets[1]}, [METRICS["auroc"]])[0]
                    note(equal, (compared.low, compared.high), 0.0, compared.why)
                yield from [*single.values(), equal] if offset == 0 else [equal]


def two_validated(
    n: int, prevalence: float, area: float, offset: float, k: int, clustered: bool, rng: np.random.Generator
) -> tuple[tuple[CrossValidated, CrossValidated], dict[str, float]]:
    """Cross-validations of two equally good variants; the folds of the second are shifted by ``offset`` SD."""
    patient, a = patients_of(n, clustered, rng), neighbour(area, rng)
    positive = rng.random(n) < prevalence
    part = np.empty(n, int)
    for side in (positive, ~positive):
        shuffled = rng.permutation(np.flatnonzero(side))
        part[shuffled] = np.arange(len(shuffled)) % k
    labels, fold = positive[patient], part[patient]
    shared, shift = noise(patient, rng) * np.sqrt(0.7), norm.ppf(a) * np.sqrt(2)
    nets = []
    for shifts in (np.zeros(k), rng.normal(size=k) * offset):
        score = shared + noise(patient, rng) * np.sqrt(0.3) + shift * (labels - 0.5) + shifts[fold]
        p = 1 / (1 + np.exp(-score))
        one = predictions(labels.astype(int), np.stack([1 - p, p], 1), patient)
        nets.append(CrossValidated(**vars(one), folds=fold))
    return (nets[0], nets[1]), {"auroc": a, "accuracy": float(norm.cdf(shift / 2))}


def note(cell: Cell, limits: tuple[float, float], truth: float, why: str) -> None:
    """Note whether limits cover the truth."""
    if np.isnan(limits[0]):
        cell.without += 1
        cell.why = why
        return
    cell.covered.append(limits[0] <= truth + 1e-9 and truth - 1e-9 <= limits[1])
    cell.widths.append(limits[1] - limits[0])


PARTS: dict[str, Callable[[str, int, int], Iterator[Cell]]] = {
    "images": lambda *given: two_classes(*given, clustered=False),
    "patients": lambda *given: two_classes(*given, clustered=True),
    "uneven": lambda *given: two_classes(*given, clustered=True, sizes=SIZES),
    "mixed": lambda *given: two_classes(*given, clustered=True, mixed=True),
    "unequal": lambda *given: two_classes(*given, clustered=False, sd=2.0),
    "nine": lambda *given: nine_classes(*given, clustered=False),
    "nine-patients": lambda *given: nine_classes(*given, clustered=True),
    "folds": lambda *given: folds(*given, clustered=False),
    "folds-patients": lambda *given: folds(*given, clustered=True),
}


def show(cells: list[Cell]) -> None:
    """A row per metric: the cell with the lowest coverage, the median, the highest, and median widths."""
    for metric in dict.fromkeys(cell.metric for cell in cells):
        given = [cell for cell in cells if cell.metric == metric and len(cell.covered) >= FEWEST]
        if not given:
            continue
        coverage = np.array([cell.coverage for cell in given])
        worst = given[int(coverage.argmin())]
        below = sum(cell.coverage + cell.error < 0.93 for cell in given)
        width = np.median([np.median(cell.widths) for cell in given])
        old = [np.median(cell.old_widths) for cell in given if cell.old_widths]
        print(
            f"| {metric} | {len(given)} | {worst.coverage:.3f} \u00b1 {worst.error:.3f} ({worst.where}) "
            f"| {np.median(coverage):.3f} | {coverage.max():.3f} | {(coverage < 0.93).sum()}, {below} "
            f"| {width:.3f} | {f'{np.median(old):.3f}' if old else '-'} |",
            flush=True,
        )


def show_missing(cells: list[Cell]) -> None:
    """The cells where more than one in 200 simulations had no interval, over all AUROCs, and why most often."""
    found: dict[str, dict[str, list[Cell]]] = {}
    for cell in cells:
        found.setdefault(cell.metric, {}).setdefault(cell.where.split(", AUROC")[0], []).append(cell)
    for metric, places in found.items():
        said = []
        for where, of in places.items():
            missing = sum(cell.without for cell in of) / sum(cell.without + len(cell.covered) for cell in of)
            if missing > 0.005:
                why = max(of, key=lambda cell: cell.without).why
                said.append(f"{where}: {missing:.0%}, {why}")
        if said:
            print(f"- {metric}: {'; '.join(said)}")


def main() -> None:
    """Print a table for each part, and write every cell where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("simulations", nargs="?", type=int, default=300)
    parser.add_argument("parts", nargs="*", metavar="part")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--csv", type=Path)
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; parts: {', '.join(PARTS)}")
    rows: list[Cell] = []
    for name in given.parts or PARTS:
        start = time.time()
        cells = list(PARTS[name](name, given.simulations, given.seed))
        print(f"\n{name}: {given.simulations} simulations a cell, seed {given.seed}, {time.time() - start:.0f} s\n")
        print("| metric | cells | lowest coverage | median | highest | below 0.93, surely | median width | before |")
        print("|---|---|---|---|---|---|---|---|")
        show(cells)
        print("\nWithout an interval (share of the simulations):")
        show_missing(cells)
        rows += cells
        if given.csv:
            write_cells(given.csv, rows)


def write_cells(path: Path, cells: list[Cell]) -> None:
    """Write every cell with its coverage, its error and the median widths."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["part", "metric", "cell", "intervals", "none", "coverage", "error", "width", "width before"])
        for cell in cells:
            numbers = (
                [f"{cell.coverage:.4f}", f"{cell.error:.4f}", f"{np.median(cell.widths):.4f}"]
                if cell.covered
                else [""] * 3
            )
            before = f"{np.median(cell.old_widths):.4f}" if cell.old_widths else ""
            table.writerow([cell.situation, cell.metric, cell.where, len(cell.covered), cell.without, *numbers, before])


if __name__ == "__main__":
    main()
