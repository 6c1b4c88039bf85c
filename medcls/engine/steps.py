"""Lightning's loop over the batches of an epoch, with many steps of the optimizer in place of one batch.

Lightning offers no public way to do so and keep its own count of batches and steps, on which checkpoints, schedules,
loggers and callbacks rely. Its private interface is used in this file and nowhere else.
"""

import time
from functools import partial
from itertools import islice

import pytorch_lightning as pl
from pytorch_lightning.loops.fetchers import _DataFetcher
from pytorch_lightning.loops.training_epoch_loop import _TrainingEpochLoop
from pytorch_lightning.trainer import call

from medcls.engine.chunks import Chunk, ChunkedImages
from medcls.engine.judge import Judge
from medcls.engine.rates import LendRates
from medcls.engine.step import Step
from medcls.training.classifier import Batch, Classifier

BEAT = 0.1  # seconds between two looks of callbacks at a running epoch: a progress bar, a signal that was lost


def take_many_steps(trainer: pl.Trainer, classifier: Classifier, data: ChunkedImages, rates: LendRates) -> None:
    """Have ``trainer`` train and validate ``classifier`` on the chunks of ``data``; to be called before it starts."""
    trainer.fit_loop.epoch_loop = ManySteps(trainer, classifier, data, rates)
    classifier.judge = Judge(classifier, data.config)


class ManySteps(_TrainingEpochLoop):
    """Trains on one chunk at a time and counts its batches and steps as Lightning counts its own.

    For runs to which ``why_single`` has no objection. Callbacks see a batch every ``BEAT`` seconds and the last one.
    """

    def __init__(self, trainer: pl.Trainer, classifier: Classifier, data: ChunkedImages, rates: LendRates) -> None:
        super().__init__(trainer)
        self.begin = partial(Step, trainer, classifier, data, rates, self.begin_batch)
        self.step: Step | None = None  # once there is an optimiser
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
        first, progress = self.batch_progress.current.ready, self.automatic_optimization.optim_progress.optimizer.step
        n_steps = self.train(chunk)
        trainer._logger_connector.on_batch_end()
        # What was counted on the way, for those who ask in the middle of a chunk, is counted here with all the rest.
        self.begin_batch(first - 1)
        self.batch_progress.increment_by(n_batches, is_last_batch=data_fetcher.done)
        progress.total.completed -= n_steps
        progress.increment_by(n_steps)
        self._batches_that_stepped += n_steps - 1  # the caller counts the last one
        trainer._logger_connector.update_train_step_metrics()

    def train(self, chunk: Chunk) -> int:
        """Train on the batches of a chunk, which begins with a step; returns the number of steps of the optimizer.

        Batches and steps are counted one by one, for those who ask for their numbers in the middle of a chunk.
        """
        self.step = self.step or self.begin()
        steps = self.automatic_optimization.optim_progress.optimizer.step.total
        index, together = self.batch_progress.current.ready, self.trainer.accumulate_grad_batches
        batches, n_steps = chunk.batches(), 0
        with self.step.on_its_stream():
            while batches_of_step := list(islice(batches, together)):
                self.step(batches_of_step, index)
                index, n_steps = index + len(batches_of_step), n_steps + 1
                steps.completed += 1
                if index == self.trainer.num_training_batches or time.monotonic() - self.last_beat > BEAT:
                    self.show(batches_of_step[-1], index - 1)
        return n_steps

    def begin_batch(self, index: int) -> None:
        """Count the batches of the epoch up to this one as begun."""
        progress = self.batch_progress
        progress.total.ready += index + 1 - progress.current.ready
        progress.current.ready = index + 1

    def show(self, batch: Batch, index: int) -> None:
        """Let callbacks look."""
        self.last_beat = time.monotonic()
        call._call_callback_hooks(self.trainer, "on_train_batch_end", None, batch, index)
        call._call_lightning_module_hook(self.trainer, "on_train_batch_end", None, batch, index)
