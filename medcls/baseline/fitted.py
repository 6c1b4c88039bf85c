"""A logistic regression fitted to training images, its one setting chosen by cross-validation among these."""

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, make_scorer
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from medcls.baseline.features import Features
from medcls.patients import number_patients

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # of C, the inverse of the penalty
FOLDS = 5


def fit(features: Features, labels: NDArray[np.int64], groups: Sequence[str]) -> Any:
    """A model with ``predict_proba`` of features (N, F), fitted to images of the patients ``groups`` (N,), "" unknown.

    The penalty is that of the lowest log-loss in folds that divide no patient; where that leaves no two of them to
    train on all classes, as with fewer than two patients in a class, it is the middle one.
    """
    model = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTHS[2], max_iter=200))
    patient = number_patients(groups)
    of_class = Counter(label for label, _ in {*zip(labels.tolist(), patient.tolist(), strict=True)})
    folds = min(FOLDS, *of_class.values())
    with threadpool_limits(1, user_api="blas"), warnings.catch_warnings():  # waits for threads cost more than products
        warnings.simplefilter("ignore", ConvergenceWarning)  # a weak penalty; the folds say whether it is worth it
        parts = [] if folds < 2 else _parts(folds, labels, patient)
        if len(parts) < 2:
            return model.fit(features, labels)
        # A part to judge may lack a class: the scorer gets all that there are.
        loss = make_scorer(log_loss, response_method="predict_proba", greater_is_better=False, labels=np.unique(labels))
        search = GridSearchCV(model, {"logisticregression__C": STRENGTHS}, scoring=loss, cv=parts)
        return search.fit(features, labels).best_estimator_


def _parts(folds: int, labels: NDArray[np.int64], patient: NDArray[np.intp]) -> list[tuple[Any, Any]]:
    """Images to train on and to judge, of each fold whose rest has all classes."""
    split = StratifiedGroupKFold(folds, shuffle=True, random_state=0).split(labels, labels, patient)
    return [(rest, fold) for rest, fold in split if len(np.unique(labels[rest])) == len(np.unique(labels))]
