"""The table of samples: what every source of images ends in and everything later starts from."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Sample:
    """One image.

    ``name``: its path below the root, with forward slashes; ``label``: index of its class; ``group``: its patient, ""
    where unknown.
    """

    name: str
    label: int
    split: str
    group: str = ""


@dataclass(frozen=True)
class SampleTable:
    """All samples of a data set, in a fixed order.

    ``root``: the folder the names are relative to, None for simulated images; ``classes``: names in label order;
    ``split_drawn``: whether the splits were drawn by us, not found as folders.
    """

    root: Path | None
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    split_drawn: bool = False

    @property
    def simulated(self) -> bool:
        return self.root is None

    @property
    def grouped(self) -> bool:
        """Whether the patients are known."""
        return any(sample.group for sample in self.samples)

    def counts(self) -> dict[str, dict[str, int]]:
        """Number of images per split (those that have any) and class."""
        number = Counter((sample.split, sample.label) for sample in self.samples)
        splits = [split for split in SPLITS if any(sample.split == split for sample in self.samples)]
        return {split: {name: number[split, i] for i, name in enumerate(self.classes)} for split in splits}
