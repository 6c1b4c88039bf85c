"""Nearest vectors among many: the only file that calls faiss (Douze et al., 2024, arXiv 2401.08281)."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from medcls.process import usable_cores

logging.getLogger("faiss.loader").setLevel(logging.WARNING)  # it logs every kind of processor that it was not built for

import faiss  # noqa: E402

Index: TypeAlias = Any  # faiss has no types

_FEW = 5000  # vectors up to which each is compared with each
_PROBED = 8  # cells searched for each vector
_BLOCK = 100_000  # vectors added at a time


def make_index(vectors: NDArray[np.number], *, products: bool = False) -> Index:
    """Index of vectors (N, D), by distance, or by inner ``products``, which finds the largest.

    Of more than a few, only those in the _PROBED nearest of 2 sqrt(N) cells are looked at, so that the time of N
    searches grows with N to the power of 1.5; distances are those of vectors rounded to bytes.
    """
    dimensions = vectors.shape[1]
    metric = faiss.METRIC_INNER_PRODUCT if products else faiss.METRIC_L2
    if len(vectors) <= _FEW:
        index: Index = faiss.IndexFlat(dimensions, metric)
    else:
        cells = int(2 * np.sqrt(len(vectors)))
        index = faiss.index_factory(dimensions, f"IVF{cells},SQ8", metric)
        index.cp.niter = 8  # centers need not converge: near vectors are in one of the cells around
        index.train(vectors[:: max(1, len(vectors) // (cells * 40))].astype(np.float32))
        index.nprobe = _PROBED
    for start in range(0, len(vectors), _BLOCK):
        index.add(vectors[start : start + _BLOCK].astype(np.float32))
    return index


@contextmanager
def search_threads() -> Iterator[None]:
    """Have faiss use the cores that this process may use while the block runs."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(usable_cores())
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
