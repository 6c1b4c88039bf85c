"""Which images train and which validate, where the data does not say: splits and folds, by patient where known.

Images of one patient resemble each other, so that a patient on both sides would make validation look too good.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from medcls.config.data import SplitConfig
from medcls.data.table import SampleTable
from medcls.errors import UserError
from medcls.patients import number_patients

# A fraction of patients is so many of so many folds: 0.2 is 1 of 5, 0.15 is 3 of 20.
_MOST_FOLDS = 20


@dataclass(frozen=True)
class Division:
    """How to divide images that come undivided: a fraction for validation, or the ``fold`` of ``folds``.

    The same images and ``seed`` give the same division.
    """

    val_fraction: float
    seed: int
    folds: int | None = None
    fold: int = 0

    @classmethod
    def of(cls, split: SplitConfig) -> "Division":
        """The division that a configuration asks for."""
        return cls(split.val_fraction, split.seed, split.folds, split.fold)


def divide(table: SampleTable, division: Division) -> SampleTable:
    """The table with the splits to use.

    Folds: all but the test images are divided again. Otherwise found splits hold, where a test split alone serves as
    validation; training images alone are divided. Raises UserError when a class, or its patients, are too few.
    """
    samples = table.samples
    found = {sample.split for sample in samples}
    if division.folds is None and "val" in found:
        return table
    if division.folds is None and "test" in found:
        renamed = tuple(replace(s, split="val") if s.split == "test" else s for s in samples)
        return replace(table, samples=renamed, test_validates=True)
    taking_part = [sample for sample in samples if sample.split != "test"]
    labels, groups = [sample.label for sample in taking_part], [sample.group for sample in taking_part]
    if division.folds is None:
        drawn = assign_validation(labels, groups, division.val_fraction, division.seed)
    else:
        folds = assign_folds(labels, groups, division.folds, division.seed)
        drawn = ["val" if fold == division.fold else "train" for fold in folds]
    splits = iter(drawn)
    divided = tuple(s if s.split == "test" else replace(s, split=next(splits)) for s in samples)
    return replace(table, samples=divided, split_drawn=True)


def assign_validation(labels: Sequence[int], groups: Sequence[str], val_fraction: float, seed: int) -> list[str]:
    """Split ("train" or "val") of each sample, stratified by label, a group never in both; "": no group.

    With groups the fraction is met as nearly as 20ths of whole groups allow.
    Raises UserError when a class is too small to be in both.
    """
    # Imported here: scikit-learn takes two seconds to import, which a folder with splits should not cost.
    from sklearn.model_selection import train_test_split

    try:
        if any(groups):
            part = Fraction(val_fraction).limit_denominator(_MOST_FOLDS)
            part = min(max(part, Fraction(1, _MOST_FOLDS)), 1 - Fraction(1, _MOST_FOLDS))
            folds = _folds(labels, groups, part.denominator, seed)
            chosen = {i for i, fold in enumerate(folds) if fold < part.numerator}
        else:
            indices = range(len(labels))
            chosen = set(train_test_split(indices, test_size=val_fraction, random_state=seed, stratify=labels)[1])
    except ValueError as error:
        raise UserError(
            f"data.split: {_described(labels, groups)} cannot be split into training and validation images of every "
            f"class ({error}). Add images, or change data.split.val_fraction={val_fraction}."
        ) from error
    return ["val" if index in chosen else "train" for index in range(len(labels))]


def assign_folds(labels: Sequence[int], groups: Sequence[str], folds: int, seed: int) -> list[int]:
    """Fold (0 ... folds - 1) of each sample, stratified by label, every group in one fold; "": no group.

    Raises UserError when a class has too few images, or patients, for an image in every fold.
    """
    try:
        assigned = _folds(labels, groups, folds, seed)
    except ValueError as error:
        raise UserError(
            f"data.split.folds: {_described(labels, groups)} cannot be divided into {folds} folds ({error}).\n"
            "  Choose fewer folds, or add images."
        ) from error
    for label in sorted(set(labels)):
        held = {fold for fold, of in zip(assigned, labels, strict=True) if of == label}
        if len(held) < folds:
            raise UserError(
                f"data.split.folds: found images of class number {label + 1} in {len(held)} of {folds} folds, expected "
                f"some in each ({_described(labels, groups)}).\n  Choose fewer folds, or add images."
            )
    return assigned


def _folds(labels: Sequence[int], groups: Sequence[str], folds: int, seed: int) -> list[int]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    kind = StratifiedGroupKFold if any(groups) else StratifiedKFold
    assigned = [0] * len(labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a class smaller than the number of folds: checked afterwards
        parts = kind(folds, shuffle=True, random_state=seed).split(labels, labels, number_patients(groups))
        for fold, (_, validation) in enumerate(parts):
            for index in validation:
                assigned[index] = fold
    return assigned


def _described(labels: Sequence[int], groups: Sequence[str]) -> str:
    patients = f" of {len(set(groups))} patients" if any(groups) else ""
    return f"{len(labels)} images{patients}"
