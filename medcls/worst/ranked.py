"""The worst errors and the most doubtful labels among images, the worst first."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Positions = NDArray[np.intp]

SURE = 0.9


def worst_errors(labels: NDArray[np.int64], probabilities: Array, taken: NDArray[np.int64]) -> Positions:
    """Images taken for another class than theirs, those of the highest loss, or lowest probability, first.

    labels, taken: (N,); probabilities: (N, C).
    """
    own = probabilities[np.arange(len(labels)), labels]
    wrong = np.flatnonzero(taken != labels)
    return wrong[np.argsort(own[wrong], kind="stable")]


def doubtful_labels(labels: NDArray[np.int64], probabilities: Array) -> tuple[Positions, NDArray[np.int64]]:
    """Images whose label is doubtful, the most doubtful first, and the class (N,) that each image would rather be of.

    By confident learning (Northcutt, Jiang & Chuang, 2021, doi 10.1613/jair.1.12125): a label is doubtful where another
    class is at least as probable as it is on average among images labelled so, or as ``SURE``, where that is less (of
    nets that are sure of everything an average is no bar), and the most probable of such classes.
    Order: by the probability of the label minus that of the other class. probabilities: (N, C), of nets that were not
    trained on the image.
    """
    n, classes = probabilities.shape
    of_class = [probabilities[labels == k, k] for k in range(classes)]
    usual = np.array([min(float(of.mean()), SURE) if len(of) else SURE for of in of_class])
    confident = np.where(probabilities >= usual, probabilities, -1.0)
    rather = np.where(confident.max(axis=1) >= 0, confident.argmax(axis=1), labels)
    at = np.arange(n)
    margin = probabilities[at, labels] - probabilities[at, rather]
    doubtful = np.flatnonzero(rather != labels)
    return doubtful[np.argsort(margin[doubtful], kind="stable")], np.asarray(rather, np.int64)
