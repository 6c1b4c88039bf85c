"""What is read of audit.json, and of its copy in data.json, as anybody may have left them."""

from typing import Any

from typing_extensions import NotRequired, TypedDict


class Files(TypedDict):
    """Number of files of each size, as far as listed, mode and format."""

    sizes: dict[str, int]
    n_sizes: int
    modes: dict[str, int]
    formats: dict[str, int]


class OfFiles(TypedDict):
    """The part of an audit that packs keep."""

    files: NotRequired[Files]


class Copies(TypedDict):
    """Images that show the same picture."""

    pairs: int
    across_splits: int
    conflicting: int
    doubtful: int
    doubtful_across_splits: int
    pictures: int
    groups: list[Any]
    largest_group: int
    search: str


class Oddities(TypedDict):
    """As ``medcls.audit.oddities`` finds them."""

    companions: dict[str, str]
    several_labels: list[str]
    small_classes: dict[str, dict[str, int]]
    of_one_kind: dict[str, str]


class Patients(TypedDict):
    """How many there are, and which are in several splits: patient -> split -> number of images."""

    known: int
    with_several_images: int
    in_several_splits: dict[str, dict[str, int]]


class Limits(TypedDict):
    """A value with its interval, null where there is none."""

    value: float
    low: float | None
    high: float | None


class Shortcut(TypedDict):
    """How well files alone predict the class, all together and each feature."""

    auroc: Limits
    features: dict[str, float]
    suspicious: bool


class Leaks(TypedDict):
    """Training images that are also elsewhere, by position, and, where there are some, whether they were left out."""

    training: list[int]
    by_copy: int
    by_patient: int
    validation_in_test: int
    dropped: NotRequired[bool]


class Findings(TypedDict):
    """The parts that ``medcls.audit.wording`` describes."""

    images: int
    test_validates: NotRequired[bool]
    files: Files
    unreadable: dict[str, str]
    flat: list[str]
    copies: Copies
    oddities: Oddities
    patients: Patients
    shortcut: Shortcut | None
    leaks: Leaks
