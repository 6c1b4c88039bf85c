"""Nets of two variants, or of groups of variants, contrasted: what a comparison is computed from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from medcls.evaluation.difference import Difference, Estimate, Recovered, Widest
from medcls.evaluation.measured import Measured
from medcls.evaluation.metrics import Metric
from medcls.evaluation.planning import Design
from medcls.evaluation.seeds import several_seeds
from medcls.evaluation.variation import Variation
from medcls.patients import number_patients, number_together
from medcls.runs.predictions import Predictions

Array = NDArray[np.float64]
Seeds = Sequence[Sequence[Predictions]]  # of each seed the nets whose mean it is, most often one


@dataclass(frozen=True, eq=False)
class Contrast:
    """The mean of a metric over the nets of ``b`` minus that over the nets of ``a``, which may be empty."""

    metric: Metric
    a: Seeds
    b: Seeds

    @cached_property
    def runs(self) -> list[Predictions]:
        """All nets, those of a first."""
        return [run for seed in (*self.a, *self.b) for run in seed]

    @cached_property
    def nets(self) -> list[Measured]:
        """All nets measured."""
        assert self.metric.measure is not None
        return [self.metric.measure(run) for run in self.runs]

    @property
    def why(self) -> str:
        """In words why there is no test; empty where there is one."""
        return next((one.why for one in self.nets if one.variation is None), "")

    @property
    def values(self) -> Array:
        return np.array([one.value for one in self.nets])

    @cached_property
    def of_seeds(self) -> Array:
        """Matrix (J + K, nets) that takes values of nets to means of seeds."""
        sizes = [len(seed) for seed in (*self.a, *self.b)]
        return np.asarray(np.repeat(np.eye(len(sizes)), sizes, axis=1) / np.repeat(sizes, sizes))

    @property
    def weights(self) -> Array:
        """Weight (nets,) of each in the difference."""
        n_a, n_b = len(self.a), len(self.b)
        return np.asarray(np.concatenate([np.full(n_a, -1 / max(n_a, 1)), np.full(n_b, 1 / n_b)]) @ self.of_seeds)

    @cached_property
    def covariance(self) -> Array:
        """Covariance of the metrics of all nets over patients, or images where unknown, that they share."""
        covariance = np.zeros((len(self.nets), len(self.nets)))
        for linked in self._linked:
            of_patients = _by_patient([self.runs[i] for i in linked], [self.nets[i].influence for i in linked])
            covariance[np.ix_(linked, linked)] = of_patients @ of_patients.T
        return covariance

    @cached_property
    def correlation(self) -> Array:
        """Correlation of the metrics of all nets over images, from influences as far as they are to be trusted.

        The rest is estimated from how alike the nets are. Where that is unknown it is 0, which widens the interval of a
        difference, or 1 where there is none but a mean.
        """
        scale = np.sqrt(np.diag(self.covariance))
        products, alike = np.outer(scale, scale), np.zeros_like(self.covariance)
        correlation = np.divide(self.covariance, products, out=np.zeros_like(products), where=products > 0)
        for linked in self._linked:
            likeness = self.metric.alike([self.runs[i] for i in linked]) if self.metric.alike else float(not self.a)
            alike[np.ix_(linked, linked)] = likeness
        known = np.array([one.known for one in self.nets])
        trusted = np.minimum.outer(known, known)
        mixed = trusted * correlation + (1 - trusted) * alike
        np.fill_diagonal(mixed, 1)
        return np.asarray(mixed)

    def estimate(self) -> Estimate:
        """The more cautious of two: what seeds and influences say about the error, and the limits of each net."""
        variations = [one.variation for one in self.nets if one.variation is not None]
        recovered = Recovered(self.weights, self.values, variations, self.correlation)
        return Widest((recovered, self._normal()))

    def _normal(self) -> Difference:
        n_a, n_b = len(self.a), len(self.b)
        if n_b > 1 and n_a != 1:
            seeds, covariance = self.of_seeds @ self.values, self.of_seeds @ self.covariance @ self.of_seeds.T
            if n_a:
                return several_seeds(seeds[:n_a], seeds[n_a:], covariance)
            # Held against what does not vary: the error is the variant's own.
            return several_seeds(np.zeros(n_b), seeds, np.kron(np.diag([0.0, 1.0]), covariance))
        error = math.sqrt(max(float(self.weights @ self.covariance @ self.weights), 0.0))
        return Difference(float(self.weights @ self.values), error, math.inf)

    def design(self) -> Design:
        """The comparison as the plan of one like it."""
        n_a = sum(map(len, self.a))
        parts = slice(n_a), slice(n_a, None)
        values, nets, covers_seeds = self.values, self.nets, min(len(self.a), len(self.b)) > 1
        order = parts if values[parts[1]].mean() >= values[parts[0]].mean() else parts[::-1]
        of_b = np.arange(len(nets)) >= n_a
        same = (of_b[:, None] == of_b) & ~np.eye(len(nets), dtype=bool)
        spread = [np.var(seeds, ddof=1) for seeds in self._seed_values()] if covers_seeds else [0.0]
        df = max(len(self.a) + len(self.b) - 2, 1)
        run = min(self.runs, key=lambda run: len(run.names))
        return Design(
            best=float(values[order[1]].mean()),
            seeds=(len(nets[order[0]]), len(nets[order[1]])),
            variations=(_middle(nets[order[0]]), _middle(nets[order[1]])),
            within=max(float(self.correlation[same].mean()), 0.0) if same.any() else 0.0,
            between=max(float(self.correlation[of_b[:, None] != of_b].mean()), 0.0),
            # Of a variance from few seeds more than half of all estimates are too small.
            spread=float(np.mean(spread) * df / chi2.ppf(0.5, df)) * len(nets) / (len(self.a) + len(self.b)),
            images=float(np.mean(np.diag(self.covariance))),
            covers_seeds=covers_seeds,
            n_images=len(run.names),
            n_patients=run.n_patients,
        )

    def _seed_values(self) -> tuple[Array, Array]:
        seeds = self.of_seeds @ self.values
        return seeds[: len(self.a)], seeds[len(self.a) :]

    @cached_property
    def _linked(self) -> list[list[int]]:
        """Positions of the nets in groups: those of a group share images or patients, at least through others of it."""
        sets: dict[tuple[str, tuple[str, ...], bytes], list[int]] = {}
        for i, run in enumerate(self.runs):
            sets.setdefault((run.data, run.names, run.labels.tobytes()), []).append(i)
        if len(sets) == 1:
            return list(sets.values())
        groups: list[tuple[set[tuple[str, str]], list[int]]] = []
        for same in sets.values():
            run = self.runs[same[0]]
            who = {(run.data, name) for name in (*run.names, *(f"\0{group}" for group in set(run.groups) - {""}))}
            met = [group for group in groups if not who.isdisjoint(group[0])]
            groups = [group for group in groups if group not in met]
            groups.append((who.union(*(of for of, _ in met)), sorted([*same, *(i for _, of in met for i in of)])))
        return [linked for _, linked in groups]


def _by_patient(runs: Sequence[Predictions], influences: Sequence[Array]) -> Array:
    """Influence (J, P) on the metric of each of J nets of each patient of any of them, 0 of those that it did not see.

    An image of no known patient is a patient by its name.
    """
    patient_of = {name: group for run in runs for name, group in zip(run.names, run.patients, strict=True) if group}
    firsts = [np.unique(number_patients(run.patients), return_index=True)[1] for run in runs]
    numbers = number_together(
        [
            [patient_of.get(run.names[i]) or f"\0{run.names[i]}" for i in first]
            for run, first in zip(runs, firsts, strict=True)
        ]
    )
    n_patients = 1 + max(int(number.max()) for number in numbers)
    return np.stack([np.bincount(number, one, n_patients) for number, one in zip(numbers, influences, strict=True)])


def _middle(nets: Sequence[Measured]) -> Variation:
    """The variation of the net in the middle, by how far its metric varies at a value in the middle."""
    found = sorted((one.variation for one in nets if one.variation), key=lambda variation: variation.variance(0.8))
    return found[(len(found) - 1) // 2]
