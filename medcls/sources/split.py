"""Which images train and which validate, where the data does not say: splits and folds, by patient where known.

Images of one patient resemble each other, so that a patient on both sides would make validation look too good.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from medcls.config.data import SplitConfig
from medcls.data.table import ASIDE, Sample, SampleTable
from medcls.errors import UserError
from medcls.patients import number_patients

# A fraction of patients is a number of folds out of a total: 0.2 is 1 of 5, 0.15 is 3 of 20; 0.01 and 0.99 take 100.
_USUAL_FOLDS = 20


def divide(table: SampleTable, split: SplitConfig) -> SampleTable:
    """The table with the splits to use; the same images and ``split.seed`` give the same division.

    Without folds, found splits hold, where a test split alone serves as validation; training images alone are divided.
    Folds: all but the test images, which are set aside, are divided again. The fold is for testing and, of the rest,
    ``val_fraction`` for validation; without ``inner_val`` the fold is for validation, and test images stay what they
    are.
    Raises UserError when a class, or its patients, are too few.
    """
    samples = table.samples
    found = {sample.split for sample in samples}
    if split.folds is None and "val" in found:
        return table
    if split.folds is None and "test" in found:
        renamed = tuple(replace(s, split="val") if s.split == "test" else s for s in samples)
        return replace(table, samples=renamed, test_validates=True)
    drawn = iter(_draw([sample for sample in samples if sample.split != "test"], split))
    test = "test" if split.folds is None or not split.inner_val else ASIDE
    divided = tuple(replace(s, split=test if s.split == "test" else next(drawn)) for s in samples)
    return replace(table, samples=divided, split_drawn=True)


def _draw(samples: Sequence[Sample], split: SplitConfig) -> list[str]:
    """Split of each sample, none of which is for testing yet."""
    labels, groups = [sample.label for sample in samples], [sample.group for sample in samples]
    if split.folds is None:
        return assign_validation(labels, groups, split.val_fraction, split.seed)
    folds = assign_folds(labels, groups, split.folds, split.seed)
    if not split.inner_val:
        return ["val" if fold == split.fold else "train" for fold in folds]
    rest = [i for i, fold in enumerate(folds) if fold != split.fold]
    inner = assign_validation([labels[i] for i in rest], [groups[i] for i in rest], split.val_fraction, split.seed)
    inside = dict(zip(rest, inner, strict=True))
    return [inside.get(i, "test") for i in range(len(samples))]


def assign_validation(labels: Sequence[int], groups: Sequence[str], val_fraction: float, seed: int) -> list[str]:
    """Split ("train" or "val") of each sample, stratified by label, a group never in both; "": no group.

    With groups the fraction is met as nearly as 20ths of whole groups allow, or fewer parts of few groups, or more
    where it is below 1/20 or above 19/20.
    Raises UserError when a class is too small to be in both.
    """
    # Imported here: scikit-learn takes two seconds to import, which a folder with splits should not cost.
    from sklearn.model_selection import train_test_split

    try:
        if any(groups):
            folds_for_it = math.ceil(1 / min(val_fraction, 1 - val_fraction))
            finest = min(max(_USUAL_FOLDS, folds_for_it), _count_patients(groups))
            part = Fraction(val_fraction).limit_denominator(finest)
            part = min(max(part, Fraction(1, finest)), 1 - Fraction(1, finest))
            folds = _folds(labels, groups, part.denominator, seed)
            chosen = {i for i, fold in enumerate(folds) if fold < part.numerator}
        else:
            indices = range(len(labels))
            chosen = set(
                train_test_split(indices, test_size=val_fraction, random_state=_state(seed), stratify=labels)[1]
            )
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
        parts = kind(folds, shuffle=True, random_state=_state(seed)).split(labels, labels, number_patients(groups))
        for fold, (_, validation) in enumerate(parts):
            for index in validation:
                assigned[index] = fold
    return assigned


def _state(seed: int) -> int:
    """A seed that scikit-learn takes, below 2**32; seeds below that stay as they are."""
    return seed if seed < 2**32 else int(np.random.SeedSequence(seed).generate_state(1)[0])


def _described(labels: Sequence[int], groups: Sequence[str]) -> str:
    patients = f" of {_count_patients(groups)} patients" if any(groups) else ""
    return f"{len(labels)} images{patients}"


def _count_patients(groups: Sequence[str]) -> int:
    return len(set(number_patients(groups)))
