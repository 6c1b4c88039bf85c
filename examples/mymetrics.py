"""A metric of your own: Matthews' correlation coefficient.

python train.py model=lenet data=bone 'metrics=[{_target_: mymetrics.matthews}]'
"""

import numpy as np
from sklearn.metrics import matthews_corrcoef


def matthews(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Correlation between true and predicted classes, -1 to 1.

    labels: (N,) integers; probabilities: (N, C), one column a class.
    """
    return float(matthews_corrcoef(labels, probabilities.argmax(axis=1)))
