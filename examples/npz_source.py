"""Images from an .npz file with the arrays x_train, y_train, x_test and y_test, as Keras names them.

python train.py data=own data._target_=npz_source.load +data.args.path=images.npz

A file with the arrays images and labels, and where known splits, groups and names, needs no code at all:
python train.py data=own data._target_=numpy.load +data.args.file=images.npz
"""

import numpy as np
from numpy.typing import NDArray


def load(path: str) -> dict[str, NDArray[np.generic]]:
    """Columns images, labels and splits: uint8 pixels (N, H, W) or (N, H, W, 3), integers (N,), train or test."""
    with np.load(path) as arrays:
        images = {split: arrays[f"x_{split}"] for split in ("train", "test")}
        labels = {split: arrays[f"y_{split}"].ravel() for split in images}
    return {
        "images": np.concatenate(list(images.values())),
        "labels": np.concatenate(list(labels.values())),
        "splits": np.repeat(list(images), [len(part) for part in images.values()]),
    }
