"""Which images belong together because they are of one patient."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# No name from a table holds a NUL, so that none is taken for that of an unknown patient.
UNKNOWN = "\0"


def number_patients(groups: Sequence[str]) -> NDArray[np.intp]:
    """Number (N,) of each image's patient, in the order of their names; an image of no known patient ("") is its own."""
    _, numbers = np.unique([group or f"{UNKNOWN}{i}" for i, group in enumerate(groups)], return_inverse=True)
    return np.asarray(numbers.reshape(-1), dtype=np.intp)
