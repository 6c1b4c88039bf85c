"""A transform of one's own: vignetting, the darker corners of a dermatoscope.

python train.py augment=study '+augment.transforms.vignette={_target_: examples.own_transform.Vignette, depth: 0.6}'
"""

from typing import Any

import albumentations
import numpy as np
from numpy.typing import NDArray


class Vignette(albumentations.ImageOnlyTransform):
    """Darken the corners by a random part of up to ``depth`` (0 to 1) of their brightness, with probability ``p``."""

    def __init__(self, depth: float = 0.5, p: float = 0.5) -> None:
        super().__init__(p=p)
        self.depth = depth

    def get_params(self) -> dict[str, Any]:
        """What is drawn for one image: from self.py_random or self.random_generator, which medcls seeds."""
        return {"depth": self.py_random.uniform(0, self.depth)}

    def apply(self, img: NDArray[np.uint8], depth: float, **params: Any) -> NDArray[np.uint8]:
        """Image (H, W, C) of the same shape and type."""
        y, x = np.ogrid[-1 : 1 : img.shape[0] * 1j, -1 : 1 : img.shape[1] * 1j]
        dimmed = img * (1 - depth * (x**2 + y**2) / 2)[..., None]
        return np.rint(dimmed).astype(np.uint8)
