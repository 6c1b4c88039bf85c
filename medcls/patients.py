"""Which images belong together because they are of one patient."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def number_patients(groups: Sequence[str]) -> NDArray[np.intp]:
    """Number (N,) of each image's patient, from 0; an image of no known patient ("") is a patient of its own."""
    # No name from a table holds a NUL, so that none is taken for that of an unknown patient.
    _, numbers = np.unique([group or f"\0{i}" for i, group in enumerate(groups)], return_inverse=True)
    return np.asarray(numbers.reshape(-1), dtype=np.intp)


def number_together(lists: Sequence[Sequence[str]]) -> list[NDArray[np.intp]]:
    """Number of each name in each of several lists, from 0 in order of appearance; the same name has one in all."""
    known: dict[str, int] = {}
    return [np.array([known.setdefault(name, len(known)) for name in names], np.intp) for names in lists]
