"""One step of the optimizer, captured on a GPU where that is possible."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from medcls.engine.captured import Captured, other_than_rate, settings_of
from medcls.engine.choice import why_not_captured
from medcls.engine.chunks import ChunkedImages
from medcls.engine.rates import LendRates
from medcls.training.classifier import Batch, Classifier
from medcls.training.optimizer import once


class Step:
    """Changes the weights by the mean gradient of a few batches, and sets the rate of the next step.

    For runs to which ``why_single`` has no objection, once the optimizer exists and has its state from a checkpoint.
    begin_batch: called before each batch with its index in the epoch; not before those of a replay.
    """

    def __init__(
        self,
        trainer: pl.Trainer,
        classifier: Classifier,
        data: ChunkedImages,
        rates: LendRates,
        begin_batch: Callable[[int], None],
    ) -> None:
        self.trainer = trainer
        self.classifier = classifier
        self.images = data.on_device
        self.rates = rates
        self.begin_batch = begin_batch
        self.batch_size = data.config.batch_size
        self.index = 0
        self.options = other_than_rate(self.optimizer)
        self.captured = Captured(self.change_weights, self.settings, "the training step")
        if reason := why_not_captured(data.config, classifier, self.optimizer):
            self.captured.refuse(reason)
        elif classifier.device.type != "cuda" or data.config.trainer.steps == "eager":
            self.captured.refused = True
        self.stream = None if self.captured.refused else torch.cuda.Stream()  # type: ignore[no-untyped-call]

    @property
    def optimizer(self) -> Optimizer:
        """The one that the trainer has, which a callback may replace."""
        return self.trainer.optimizers[0]

    def __call__(self, batches: list[Batch], index: int) -> None:
        """Take a step; ``index``: of its first batch in the epoch."""
        self.index = index
        n_images = self.classifier.train_images + sum(len(labels) for _, labels in batches)
        tensors = [tensor for batch in batches for tensor in batch]
        if self.captured.refused or not self.is_full(batches):
            self.change_weights(*tensors)
        else:
            self.look_for_changes()
            for rates in self.rates.rates:
                rates.refresh()
            self.captured(*tensors)
            self.classifier.train_images = n_images  # which a replay does not count
        self.classifier.after_step()

    def is_full(self, batches: list[Batch]) -> bool:
        """Whether all steps but the last of an epoch are of this shape."""
        sizes = [len(labels) for _, labels in batches]
        return sizes == [self.batch_size] * self.trainer.accumulate_grad_batches

    def look_for_changes(self) -> None:
        """Have the step captured anew where what is fixed in it has changed, at an epoch or by a schedule of steps."""
        if self.index == 0:
            self.captured.check()
        if self.classifier.per_batch:
            before, self.options = self.options, other_than_rate(self.optimizer)
            if before != self.options and self.captured.graph is not None:
                self.captured.check()

    def settings(self) -> list[object]:
        """All but tensors' values that the step depends on."""
        parts = [self.classifier.net, self.classifier.criterion]
        return settings_of([part for part in parts if isinstance(part, nn.Module)], self.optimizer)

    @contextmanager
    def on_its_stream(self) -> Iterator[None]:
        """Let the GPU work on the stream on which steps are captured, after all that it was given before."""
        if self.stream is None:
            yield
            return
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            yield
        torch.cuda.current_stream().wait_stream(self.stream)

    def change_weights(self, *tensors: Tensor) -> Tensor:
        """Take a step on images, or their indices, and labels of one or more batches; returns the loss of the last."""
        batches = list(zip(tensors[::2], tensors[1::2], strict=True))
        for index, batch in enumerate(batches[:-1]):
            self.add_gradient(batch, self.index + index, first=index == 0)

        def last_gradient() -> Tensor:  # which some optimizers call several times
            loss = self.add_gradient(batches[-1], self.index + len(batches) - 1, first=len(batches) == 1)
            if self.trainer.gradient_clip_val is not None:
                torch.nn.utils.clip_grad_norm_(parameters_of(self.optimizer), self.trainer.gradient_clip_val)
            return loss

        gradient = once(last_gradient, self.trainer.accumulate_grad_batches)
        loss: Tensor = self.optimizer.step(gradient)  # type: ignore[assignment]
        return loss

    def add_gradient(self, batch: Batch, index: int, *, first: bool) -> Tensor:
        """Loss of a batch, whose share of the gradient is added to that of its step (the first: set)."""
        self.begin_batch(index)
        images, labels = batch
        together = self.trainer.accumulate_grad_batches
        with self.trainer.precision_plugin.train_step_context():
            images = images if self.images is None else self.images[images]
            loss = self.classifier.training_step((images, labels), index)
        if first:
            forget_gradient(self.optimizer)
        (loss / together if together > 1 else loss).backward()  # type: ignore[no-untyped-call]
        return loss.detach()


def parameters_of(optimizer: Optimizer) -> list[Tensor]:
    """All weights that an optimizer changes."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def forget_gradient(optimizer: Optimizer) -> None:
    """What ``zero_grad`` does, without the time that PyTorch takes around it."""
    if type(optimizer).zero_grad is not Optimizer.zero_grad:
        return optimizer.zero_grad()
    for parameter in parameters_of(optimizer):
        parameter.grad = None
