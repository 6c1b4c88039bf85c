"""A trained net applied: probabilities of arrays and image files, preprocessed as its training images were."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medcls.errors import UserError
from medcls.formats.decode import MAX_PIXELS
from medcls.library.pixels import as_trained
from medcls.predict.trained import Preprocessing, preprocessing_of
from medcls.runs.folder import RunFolder
from medcls.training.classifier import Classifier
from medcls.training.classifier import load_classifier as rebuild
from medcls.training.losses import probabilities


@dataclass(frozen=True)
class TrainedClassifier:
    """A classifier with what its images went through. ``module``: the LightningModule; move it to compute elsewhere."""

    module: Classifier
    preprocessing: Preprocessing

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the columns that ``predict`` returns."""
        return tuple(self.module.hparams["classes"])

    def predict(self, images: Any, *, batch_size: int = 8, max_pixels: int = MAX_PIXELS) -> NDArray[np.float32]:
        """Probabilities (N, C) in [0, 1] of N images; rows sum to 1 but under the loss one_vs_rest.

        images: an array (N, H, W), (N, H, W, 1) or (N, H, W, 3) of uint8, a list of arrays of different sizes, or the
        paths of image files. Images of any size are resized, made gray or given three channels as in training; the
        files go through the decoder that training used. batch_size: images at a time; with that of the run and the same
        number of threads, probabilities equal those of predictions.csv bit for bit, else to 1e-6. max_pixels: larger
        files are refused.
        Raises UserError for another type or shape, which a net would silently misjudge, and for unreadable files.
        """
        for name, value in (("batch_size", batch_size), ("max_pixels", max_pixels)):
            if type(value) is not int or value < 1:
                raise UserError(f"{name}: found {value!r}, expected an integer of 1 or more.")
        pixels = torch.from_numpy(as_trained(images, self.preprocessing, max_pixels))
        with torch.inference_mode():
            batches = (pixels[i : i + batch_size] for i in range(0, len(pixels), batch_size))
            logits = [self.module(batch.to(self.module.device)).cpu() for batch in batches]
            if not logits:
                return np.empty((0, len(self.classes)), np.float32)
            return probabilities(torch.cat(logits), self.module.loss).numpy()


def load_classifier(path: Path | str, *, allow: Collection[str] = ()) -> TrainedClassifier:
    """The classifier of a run folder, of its best epoch, or of a checkpoint file, on the CPU.

    allow: dotted paths of code of your own that the checkpoint may run, such as ["mynet.SmallResNet"].
    Raises UserError when there is no checkpoint, or when it names other code.

    >>> import medcls, numpy
    >>> config = medcls.compose(
    ...     "model=lenet", "data=bone", "logger=none", model__n_base=2, image_size=32, epochs=1,
    ...     data__simulated__counts={"train": [8, 8], "val": [4, 4]}, trainer__accelerator="cpu",
    ... )
    >>> run = medcls.train(config, "runs/used", show=False)
    >>> classifier = medcls.load_classifier(run.folder)
    >>> classifier.classes
    ('atypical fracture', 'normal fracture')
    >>> images = numpy.full((3, 200, 150), 128, numpy.uint8)  # gray, of any size
    >>> classifier.predict(images).shape
    (3, 2)
    >>> classifier.predict(images / 255)
    Traceback (most recent call last):
    medcls.errors.UserError: images: found float64 from 0.501961 to 0.501961, expected uint8 from 0 to 255, ...
    """
    if isinstance(allow, str) or not isinstance(allow, Collection):
        raise UserError(f'allow: found {allow!r}, expected a list of dotted paths, such as ["mynet.SmallResNet"].')
    path = Path(path)
    checkpoint = RunFolder(path).best if path.is_dir() else path
    if not checkpoint.is_file():
        raise UserError(
            f"{checkpoint}: no such checkpoint.\n  Name a run folder with a complete epoch, or a file of its "
            "checkpoints/."
        )
    module = rebuild(checkpoint, allow)
    return TrainedClassifier(module, preprocessing_of(module, checkpoint))
