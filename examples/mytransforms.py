"""A transform of your own beside those of albumentations: an elastic deformation on a coarse grid.

conf/augment/mine.yaml in this folder combines it with noise, blur and others: python train.py data=bone augment=mine
"""

from typing import Any

import albumentations
import cv2
import numpy as np


class Wave(albumentations.DualTransform):
    """Shifts each row by a sine of up to ``amplitude`` pixels. Draws from ``self.random_generator`` alone."""

    def __init__(self, amplitude: float = 2.0, p: float = 0.5) -> None:
        super().__init__(p=p)
        self.amplitude = amplitude

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        height, width = params["shape"][:2]
        phase, turns = self.random_generator.uniform(0, 2 * np.pi), self.random_generator.uniform(1, 3)
        shift = self.amplitude * np.sin(phase + turns * 2 * np.pi * np.arange(height) / height)
        columns = np.arange(width)[None, :] + shift[:, None]
        return {
            "columns": columns.astype(np.float32),
            "rows": np.repeat(np.arange(height, dtype=np.float32)[:, None], width, axis=1),
        }

    def apply(self, img: np.ndarray, columns: np.ndarray, rows: np.ndarray, **params: Any) -> np.ndarray:
        moved = cv2.remap(img, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return moved.reshape(img.shape)
