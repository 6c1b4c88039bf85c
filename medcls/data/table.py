"""The table of samples: what every source of images ends in and everything later starts from."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from medcls.errors import UserError
from medcls.patients import number_patients

SPLITS = ("train", "val", "test")
ASIDE = "aside"  # the split of test images that take no part in a cross-validation


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

    ``root``: the folder the names are relative to, None for images that are not files; ``classes``: names in label
    order; ``split_drawn``: whether the splits were drawn by us, not found as folders; ``simulated``: no real images.
    ``test_validates``: the validation images are the test split, as there was no other; ``passed_over``: ending ->
    number of files that lie there and are not read; ``further``: name -> what other columns of a list say of it.
    """

    root: Path | None
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    split_drawn: bool = False
    simulated: bool = False
    test_validates: bool = False
    passed_over: Mapping[str, int] = field(default_factory=dict)
    further: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def grouped(self) -> bool:
        """Whether the patients are known."""
        return any(sample.group for sample in self.samples)

    def counts(self) -> dict[str, dict[str, int]]:
        """Number of images per split (those that have any) and class."""
        number = Counter((sample.split, sample.label) for sample in self.samples)
        splits = [split for split in SPLITS if any(sample.split == split for sample in self.samples)]
        return {split: {name: number[split, i] for i, name in enumerate(self.classes)} for split in splits}


def check_counts(table: SampleTable, cause: tuple[str, str] | None = None) -> None:
    """Raise UserError for a single class, or a class without training or validation images.

    cause: the setting, key=value, by which images were left out, and what to do besides changing it.
    """
    key, where = ("data", "") if table.root is None else ("data.root", f" in {table.root}")
    if len(table.classes) < 2:
        raise UserError(
            f"{key}: only one class ({table.classes[0]}){where}. Expected at least two: a sub-folder per "
            "class, or file names that begin with the class (Mel_0001.jpg, Nev_0001.jpg)."
        )
    if not any(sample.split == "train" for sample in table.samples):
        setting, advice = cause or (key, "Add images to train on.")
        raise UserError(
            f"{setting}: no training images{where}: all {len(table.samples)} are in other splits.\n  {advice}"
        )
    for split, counts in table.counts().items():
        for name, number in counts.items():
            if number == 0 and split != "test":
                found = ", ".join(f"{other} {count}" for other, count in counts.items())
                setting, advice = cause or _of_division(table, name) or (key, "Add images or remove the class.")
                raise UserError(
                    f"{setting}: class {name} has no images in {split} (found {found}).\n"
                    f"  Expected some of every class, to train on and to validate with. {advice}"
                )


def _of_division(table: SampleTable, name: str) -> tuple[str, str] | None:
    """What to say of a class that a drawn division left without training or validation images; None for a found one."""
    if not table.split_drawn:
        return None
    of_class = [s.group for s in table.samples if table.classes[s.label] == name and s.split in ("train", "val")]
    if not table.grouped:
        return "data.split", f"There are {len(of_class)} images of it to divide: add some."
    if (patients := len(set(number_patients(of_class)))) == 1:
        return "data.split", "All its images are of one patient, kept together: add patients or remove the class."
    return "data.split", (
        f"Its {patients} patients are each kept together: add some, or choose another data.split.val_fraction or "
        "data.split.seed."
    )
