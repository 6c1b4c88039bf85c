"""Splitting a folder that comes without split folders."""

from collections.abc import Sequence

from medcls.errors import UserError


def assign_validation(labels: Sequence[int], val_fraction: float, seed: int) -> list[str]:
    """Split ("train" or "val") of each sample, stratified by label, the same for the same labels and seed.

    Raises UserError when a class is too small to be in both.
    """
    # Imported here: scikit-learn takes two seconds to import, which a folder with splits should not cost.
    from sklearn.model_selection import train_test_split

    try:
        _, validation = train_test_split(range(len(labels)), test_size=val_fraction, random_state=seed, stratify=labels)
    except ValueError as error:
        raise UserError(
            f"data.split: {len(labels)} images cannot be split into training and validation images of every class "
            f"({error}). Add images, or change data.split.val_fraction={val_fraction}."
        ) from error
    chosen = set(validation)
    return ["val" if index in chosen else "train" for index in range(len(labels))]
