"""Lightning's loop over the batches of an epoch, with many steps of the optimiser in the place of one batch.

Lightning offers no public way to do so and keep its own count of batches and steps, which checkpoints, schedules,
loggers and callbacks go by. What it keeps to itself is touched in this file and nowhere else.
"""

import time
from itertools import islice

import pytorch_lightning as pl
import torch
from pytorch_lightning.loops.fetchers import _DataFetcher
from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop
from pytorch_lightning.trainer import call
from torch import Tensor
from torch.optim import Optimizer

from medcls.engine.chunks import Chunk
from medcls.training.classifier import Batch, Classifier

BEAT = 0.1  # seconds between two looks of callbacks at a running epoch: a progress bar, a signal that was lost


def take_many_steps(trainer: pl.Trainer, classifier: Classifier, batch_size: int) -> None:
    """Have ``trainer`` train and validate ``classifier`` on chunks, batch by batch, before it starts."""
    trainer.fit_loop.epoch_loop = ManySteps(trainer, classifier)

    def judge(images: Tensor) -> Tensor:
        return torch.cat([classifier(batch) for batch in torch.split(images, batch_size)])

    classifier.judge = judge


class ManySteps(_TrainingEpochLoop):
    """Trains on one chunk at a time and counts its batches and steps as Lightning counts its own.

    Expects what ``why_single`` has no objection to. Callbacks see a batch every ``BEAT`` seconds and the last one.
    """

    def __init__(self, trainer: pl.Trainer, module: Classifier) -> None:
        super().__init__(trainer)
        self.module = module
        self.last_beat = 0.0

    def advance(self, data_fetcher: _DataFetcher) -> None:
        trainer = self.trainer
        chunk, _, _ = next(data_fetcher)
        n_batches = len(chunk.sizes)
        # It counts what it fetches, and knows the last batch by that.
        data_fetcher.fetched += n_batches - 1
        assert data_fetcher.length is not None
        data_fetcher.done = data_fetcher.fetched >= data_fetcher.length
        chunk = call._call_strategy_hook(trainer, "batch_to_device", chunk, dataloader_idx=0)
        trainer._logger_connector.on_batch_start(chunk)
        n_steps = self.train(chunk)
        trainer._logger_connector.on_batch_end()
        self.batch_progress.increment_by(n_batches, is_last_batch=data_fetcher.done)
        self.automatic_optimization.optim_progress.optimizer.step.increment_by(n_steps)
        self._batches_that_stepped += n_steps - (not self._should_accumulate())  # the caller counts the last one
        trainer._logger_connector.update_train_step_metrics()

    def train(self, chunk: Chunk) -> int:
        """Train on the batches of a chunk, which begins with a step; returns the number of steps of the optimiser."""
        index, together = self.batch_progress.current.ready, self.trainer.accumulate_grad_batches
        batches, n_steps = chunk.batches(), 0
        while step := list(islice(batches, together)):
            self.take_step(step, index)
            index, n_steps = index + len(step), n_steps + 1
            if index == self.trainer.num_training_batches or time.monotonic() - self.last_beat > BEAT:
                self.last_beat = time.monotonic()
                call._call_callback_hooks(self.trainer, "on_train_batch_end", None, step[-1], index - 1)
                call._call_lightning_module_hook(self.trainer, "on_train_batch_end", None, step[-1], index - 1)
        return n_steps

    def take_step(self, step: list[Batch], index: int) -> None:
        """Change the weights by the mean gradient of a few batches, of which ``index`` is the first."""
        optimizer = self.trainer.optimizers[0]
        for batch in step[:-1]:
            self.add_gradient(optimizer, batch, index, first=batch is step[0])
            index += 1

        def last_gradient() -> Tensor:  # which some optimisers want again and again
            loss = self.add_gradient(optimizer, step[-1], index, first=len(step) == 1)
            if self.trainer.gradient_clip_val is not None:
                torch.nn.utils.clip_grad_norm_(parameters_of(optimizer), self.trainer.gradient_clip_val)
            return loss

        optimizer.step(last_gradient)
        self.module.after_step()

    def add_gradient(self, optimizer: Optimizer, batch: Batch, index: int, *, first: bool) -> Tensor:
        """Loss of a batch, whose share of the gradient is added to that of its step (the first: set)."""
        together = self.trainer.accumulate_grad_batches
        with self.trainer.precision_plugin.train_step_context():
            loss = self.module.training_step(batch, index)
        if first:
            forget_gradient(optimizer)
        (loss / together if together > 1 else loss).backward()
        return loss


def parameters_of(optimizer: Optimizer) -> list[Tensor]:
    """All weights that an optimiser changes."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def forget_gradient(optimizer: Optimizer) -> None:
    """What ``zero_grad`` does, without the time that PyTorch takes around it."""
    if type(optimizer).zero_grad is not Optimizer.zero_grad:
        return optimizer.zero_grad()
    for parameter in parameters_of(optimizer):
        parameter.grad = None
