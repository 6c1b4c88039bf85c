"""Logits of validation images, batch by batch, captured on a GPU where that is possible."""

import torch
from torch import Tensor

from medcls.config import Config
from medcls.engine.captured import Captured, settings_of
from medcls.training.classifier import Classifier


class Judge:
    """Logits of many images, computed in batches of the size that the net is trained with."""

    def __init__(self, classifier: Classifier, config: Config) -> None:
        self.classifier = classifier
        self.config = config
        self.captured = Captured(self.logits, lambda: settings_of([classifier.net]), "the validation")

    def __call__(self, images: Tensor) -> Tensor:
        self.captured.refused |= images.device.type != "cuda" or self.config.trainer.steps == "eager"
        if self.captured.refused:
            return torch.cat([self.classifier(batch) for batch in torch.split(images, self.config.batch_size)])
        self.captured.check()
        return torch.cat([self.one_batch(batch) for batch in torch.split(images, self.config.batch_size)])

    def one_batch(self, images: Tensor) -> Tensor:
        """Logits of a batch, which may be smaller than the others."""
        if len(images) != self.config.batch_size:
            return self.logits(images)
        return self.captured(images).clone()  # before the next batch overwrites it

    def logits(self, images: Tensor) -> Tensor:
        """Logits of a batch, without autocast's cache of converted weights: a replay must convert them again."""
        kind = images.device.type
        with torch.autocast(
            kind, torch.get_autocast_dtype(kind), enabled=torch.is_autocast_enabled(kind), cache_enabled=False
        ):
            logits: Tensor = self.classifier(images)
        return logits
