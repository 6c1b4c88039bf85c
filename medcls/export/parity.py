"""Whether a file that is handed over gives the probabilities of the nets that it was made from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from medcls.errors import UserError
from medcls.export.formats import Outputs
from medcls.export.graph import Graph
from medcls.predict.deciding import Deciding
from medcls.predict.nets import Ensemble, mean_and_spread
from medcls.predict.trained import read_image
from medcls.training.losses import probabilities

MOST = 32  # images that are compared
WITHIN = 1e-5


@dataclass(frozen=True)
class Images:
    """Images (N, image_size, image_size, channels) to compare on; ``which``: in words."""

    pixels: NDArray[np.uint8]
    which: str


def images_to_compare(ensemble: Ensemble, max_pixels: int) -> Images:
    """Validation images of the nets' runs, from their files; where there are none, random pixels."""
    how = ensemble.how
    for net in ensemble.nets:
        root, run = net.images.get("root"), net.run
        if run is None or not run.done or not root:
            continue
        names = run.predictions["val"].names
        at = np.unique(np.linspace(0, len(names) - 1, MOST).round().astype(int))
        found = [read_image(Path(root) / names[i], how, max_pixels) for i in at]
        if pixels := [image for image in found if not isinstance(image, str)]:
            return Images(np.stack(pixels), f"{len(pixels)} validation images of {run.metrics['data']}")
    shape = (MOST, how.image_size, how.image_size, how.channels)
    return Images(
        np.random.default_rng(0).integers(0, 256, shape, np.uint8),
        f"{MOST} images of random pixels, for want of the files of the run's images",
    )


def expected(ensemble: Ensemble, how: Deciding, graph: Graph, pixels: NDArray[np.uint8]) -> Outputs:
    """What medcls itself computes for the images, by name of the output."""
    with torch.inference_mode():
        each = [probabilities(net.module(torch.from_numpy(pixels)), net.module.loss) for net in ensemble.nets]
    mean = mean_and_spread(torch.stack(each).numpy())[0]
    calibrated = {} if graph.temperature is None else {"calibrated": graph.temperature.calibrate(mean)}
    return {"probabilities": mean, **calibrated, "chosen": how.decide(mean)}


def check_parity(found: Outputs, wanted: Outputs, how: Deciding, which: str) -> float:
    """Largest difference of a probability.

    Raises UserError where one is above ``WITHIN``, or a class differs that is not that near to being undecided.
    """
    largest = max(float(np.abs(found[name] - wanted[name]).max()) for name in wanted if name != "chosen")
    if not largest <= WITHIN:  # NaN too
        raise UserError(
            f"format: the exported net differs from the run's by {largest:.2g} on {which}, expected at most "
            f"{WITHIN:g}. Nothing was written; the other format may do better."
        )
    p = wanted["probabilities"]
    highest = np.sort(p, axis=1)[:, -2:]
    margin = np.diff(highest)[:, 0] if how.threshold.value is None else np.abs(p[:, how.positive] - how.threshold.value)
    if ((found["chosen"] != wanted["chosen"]) & (margin > 2 * WITHIN)).any():
        raise UserError(f"format: the exported net chooses other classes on {which}. Nothing was written.")
    return largest
