"""What two variants share, the images or the seeds: it decides how they may be compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from medcls.runs.predictions import Predictions

# Below this share of common images a comparison on them would be about another, smaller question.
_ENOUGH = 0.5


@dataclass(frozen=True)
class Pairing:
    """The runs to compare, those of ``a`` and ``b`` in the order of ``seeds_a`` and ``seeds_b``.

    same_images: whether all were measured on the same images. remark: what was left out; empty where nothing was.
    """

    a: tuple[Predictions, ...]
    b: tuple[Predictions, ...]
    seeds_a: tuple[int, ...]
    seeds_b: tuple[int, ...]
    same_images: bool
    remark: str

    @property
    def covers_seeds(self) -> bool:
        """Whether an interval is about other seeds too, and not about other images alone."""
        return min(len(self.a), len(self.b)) >= 2

    @property
    def overlapping(self) -> bool:
        """Whether only some of the images, or of their patients, are the same."""
        a, b = self.a[0], self.b[0]
        shared = {*a.names} & {*b.names} or {*a.groups} & {*b.groups} - {""}
        return not self.same_images and a.data == b.data and bool(shared)

    @property
    def by_patient(self) -> bool:
        """Whether a patient has several images, which are then not independent."""
        return any(run.n_patients < sum(map(bool, run.groups)) for run in (self.a[0], self.b[0]))


def pair(a: Mapping[int, Predictions], b: Mapping[int, Predictions]) -> Pairing:
    """Runs of two variants (seed -> predictions) that can be compared, cut to the images that they share.

    All seeds where both have two or more, else one of each, the same where there is one.
    Raises ValueError when a variant has no run, or seeds measured on different images.
    """
    if not a or not b:
        raise ValueError("one of the two has no finished run")
    seeds_a, seeds_b = sorted(a), sorted(b)
    remarks = []
    if min(len(a), len(b)) < 2 < len(a) + len(b):
        seeds_a, seeds_b = _one_of_each(seeds_a, seeds_b)
        remarks.append(f"Only one seed of each is compared ({seeds_b[0]} and {seeds_a[0]}): one variant has no more.")
    of_a, of_b = [a[seed] for seed in seeds_a], [b[seed] for seed in seeds_b]
    for runs in (of_a, of_b):
        if any(_images(run) != _images(runs[0]) for run in runs):
            raise ValueError("the seeds of a variant were measured on different images")
    same_images = _images(of_a[0]) == _images(of_b[0])
    if not same_images and (shared := _shared(of_a[0], of_b[0])):
        same_images = True
        if len(shared) < max(len(of_a[0].names), len(of_b[0].names)):
            remarks.append(f"Only the {len(shared)} images that both were measured on are compared.")
        of_a, of_b = [run.select(shared) for run in of_a], [run.select(shared) for run in of_b]
    if same_images:
        both = _with_patients([*of_a, *of_b])
        of_a, of_b = both[: len(of_a)], both[len(of_a) :]
    else:
        of_a, of_b = _with_patients(of_a), _with_patients(of_b)
    return Pairing(tuple(of_a), tuple(of_b), tuple(seeds_a), tuple(seeds_b), same_images, " ".join(remarks))


def _one_of_each(a: Sequence[int], b: Sequence[int]) -> tuple[list[int], list[int]]:
    common = [seed for seed in a if seed in b]
    return (common[:1], common[:1]) if common else (list(a[:1]), list(b[:1]))


def _images(run: Predictions) -> tuple[str, tuple[str, ...], bytes]:
    return run.data, run.names, run.labels.tobytes()


def _with_patients(runs: Sequence[Predictions]) -> list[Predictions]:
    """Runs on the same images, all with the patients that any of them knows: a net changes nothing about those."""
    groups = next((run.groups for run in runs if run.groups), ())
    return [replace(run, groups=groups) for run in runs]


def _shared(a: Predictions, b: Predictions) -> list[str]:
    """Names of the images of both, in a's order; empty where they are too few, or of different data sets."""
    if a.data != b.data:
        return []
    labels = dict(zip(b.names, b.labels, strict=True))
    shared = [name for name, label in zip(a.names, a.labels, strict=True) if labels.get(name) == label]
    return shared if len(shared) >= _ENOUGH * max(len(a.names), len(b.names)) else []
