"""Groups of images that are copies of each other, directly or through others."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def group_of(count: int, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each of ``count`` images the first image of its group, given pairs (P,) of copies; itself if alone."""
    links = coo_array((np.ones(len(first), bool), (first, second)), shape=(count, count))
    label = connected_components(links, directed=False)[1]
    first_of = np.full(count, count)
    np.minimum.at(first_of, label, np.arange(count))
    found: NDArray[np.int64] = first_of[label]
    return found
