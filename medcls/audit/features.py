"""Local features of images, small enough to hold those of tens of thousands: places, and codes that can be mirrored.

SIFT (Lowe, 2004, doi 10.1023/B:VISI.0000029664.99615.94) in OpenCV's version, of an image's detail; as RootSIFT
(Arandjelovic & Zisserman, 2012, doi 10.1109/CVPR.2012.6248018), reduced by principal components.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from medcls.audit.detail import SIDE, as_levels, detail
from medcls.audit.progress import in_threads

MOST = 100  # features per image, the strongest
DIMENSIONS = 48  # of a code
_SAMPLED = 500  # images that the principal components are found on
# A descriptor is 4 x 4 histograms of 8 directions: where each entry goes when the image is mirrored left to right.
_MIRROR = np.arange(128).reshape(4, 4, 8)[::-1][:, :, (-np.arange(8)) % 8].ravel()

Described = tuple[NDArray[np.float32], NDArray[np.float32]]  # places (K, 2), descriptors (K, 128)


@dataclass(frozen=True)
class Features:
    """Features of N images, those of image i at ``ends[i]`` to ``ends[i + 1]``.

    ``places`` (M, 2): in units of the side; ``codes`` (M, DIMENSIONS): near where the features look alike;
    ``parity`` (DIMENSIONS,): codes times parity are those of the mirrored image.
    """

    places: NDArray[np.float32]
    codes: NDArray[np.int8]
    ends: NDArray[np.int64]
    parity: NDArray[np.int8]

    def of(self, image: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Places and codes of an image."""
        part = slice(self.ends[image], self.ends[image + 1])
        return self.places[part], self.codes[part].astype(np.float32)


def find_features(images: Sequence[NDArray[np.uint8]]) -> Features:
    """Features of gray images (S, S)."""
    sample = np.unique(np.linspace(0, len(images) - 1, min(_SAMPLED, len(images))).astype(int)).tolist()
    first = dict(zip(sample, described_all(images, sample, "Features, of a sample"), strict=True))
    code = Code(np.concatenate([descriptors for _, descriptors in first.values()]))
    rest = described_all(images, [i for i in range(len(images)) if i not in first], "Features")
    most = MOST * len(images)
    places, codes, ends = np.empty((most, 2), np.float32), np.empty((most, DIMENSIONS), np.int8), [0]
    for i in range(len(images)):
        where, descriptors = first.pop(i) if i in first else next(rest)
        part = slice(ends[-1], ends[-1] + len(where))
        places[part], codes[part] = where, code(descriptors)
        ends.append(part.stop)
    return Features(places[: ends[-1]], codes[: ends[-1]], np.array(ends, np.int64), code.parity)


def described_all(images: Sequence[NDArray[np.uint8]], chosen: Sequence[int], what: str) -> Iterator[Described]:
    """Places and descriptors of the chosen images, one after another."""
    return in_threads(lambda i: described(images[i]), chosen, what)


def described(image: NDArray[np.uint8]) -> Described:
    """Places and descriptors of the strongest features of a gray image."""
    sift = cv2.SIFT_create(  # type: ignore[attr-defined]
        nfeatures=MOST, contrastThreshold=0.02, edgeThreshold=15
    )
    keys, found = sift.detectAndCompute(as_levels(detail(image)[0]), None)
    if found is None:
        return np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32)
    found = np.sqrt(found[:MOST] / (found[:MOST].sum(axis=1, keepdims=True) + 1e-9))
    places = np.array([key.pt for key in keys[:MOST]], np.float32) / np.float32(SIDE) + np.float32(0.5 / SIDE)
    return places, found.astype(np.float32)


class Code:
    """Descriptors (K, 128) as codes (K, DIMENSIONS): principal components, half whitened, as signed bytes.

    The components of descriptors and their mirror images together are each symmetric or antisymmetric, so that
    mirroring an image only changes the signs of the latter. Half whitened: what all have in common counts less.
    """

    def __init__(self, descriptors: NDArray[np.float32]) -> None:
        both = np.concatenate([descriptors, descriptors[:, _MIRROR]])
        if not len(both):
            both = np.zeros((2, 128), np.float32)
        self.mean = both.mean(axis=0)
        values, vectors = np.linalg.eigh(np.cov((both - self.mean).T.astype(np.float64)))
        values, vectors = values[::-1][:DIMENSIONS], vectors[:, ::-1][:, :DIMENSIONS]
        symmetric = np.einsum("ij,ij->j", vectors, vectors[_MIRROR]) > 0
        self.parity = np.where(symmetric, 1, -1).astype(np.int8)
        basis = vectors / np.maximum(values, 1e-9) ** 0.25
        spread = np.abs((both[:50_000] - self.mean) @ basis)
        self.basis = (basis * 127 / max(float(np.quantile(spread, 0.9999)), 1e-9)).astype(np.float32)

    def __call__(self, descriptors: NDArray[np.float32]) -> NDArray[np.int8]:
        codes: NDArray[np.int8] = np.rint((descriptors - self.mean) @ self.basis).clip(-127, 127).astype(np.int8)
        return codes
