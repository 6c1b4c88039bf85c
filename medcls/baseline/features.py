"""What the baselines see of an image: its pixels in small, or a few numbers about its levels and texture."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_gradient_magnitude, gaussian_laplace

from medcls.predict.unlike import pixel_statistics

Features = NDArray[np.float64]

SIDE = 16  # pixels of the small image
SCALES = (1.0, 2.0, 4.0)  # of the texture, in pixels


def small_pixels(images: NDArray[np.uint8]) -> Features:
    """Means (N, SIDE * SIDE * C) over the fields of a grid on images (N, H, W, C)."""
    means = [
        torch.nn.functional.adaptive_avg_pool2d(torch.tensor(image).permute(2, 0, 1).float(), SIDE).flatten()
        for image in images
    ]
    return np.asarray(torch.stack(means), np.float64)


def texture(images: NDArray[np.uint8]) -> Features:
    """Of images (N, H, W, C) the statistics of ``pixel_statistics``, and at each scale mean and spread of two filters.

    The filters are the Laplacian of a Gaussian (spots) and the magnitude of its gradient (edges), of gray values.
    """
    return np.stack([np.concatenate([pixel_statistics(image), _filtered(image)]) for image in images])


def _filtered(image: NDArray[np.uint8]) -> Features:
    gray = image.mean(axis=2)
    answers = [np.abs(of(gray, scale)) for scale in SCALES for of in (gaussian_laplace, gaussian_gradient_magnitude)]
    return np.log1p([number for answer in answers for number in (answer.mean(), answer.std())])


FEATURES: dict[str, Callable[[NDArray[np.uint8]], Features]] = {
    "pixels": small_pixels,
    "texture": texture,
}
