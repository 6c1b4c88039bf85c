"""What a net says of images, as everything that compares nets takes it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Predictions:
    """What a net says of images: their names, labels (N,) in [0, C), probabilities (N, C) in [0, 1].

    data: name of the data set; images of the same name in different data sets are different images.
    positive: class that AUROC is of where there are two classes.
    groups: patient of each image, "" where unknown; none at all where no patient is known.
    """

    data: str
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    positive: int
    groups: tuple[str, ...] = ()

    @property
    def patients(self) -> tuple[str, ...]:
        """Patient of each image, "" where unknown."""
        return self.groups or ("",) * len(self.names)

    @property
    def n_patients(self) -> int:
        """Number of known patients."""
        return len(set(self.groups) - {""})

    def select(self, names: Sequence[str]) -> "Predictions":
        """The predictions of ``names`` alone, in their order. Raises KeyError for a name that is absent."""
        at = {name: i for i, name in enumerate(self.names)}
        rows = [at[name] for name in names]
        return replace(
            self,
            names=tuple(names),
            labels=self.labels[rows],
            probabilities=self.probabilities[rows],
            groups=tuple(self.groups[row] for row in rows) if self.groups else (),
        )
