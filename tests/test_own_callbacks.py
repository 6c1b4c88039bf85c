"""What callbacks and Classifiers of the user's own may do to a run, and what is refused."""

import pytest
from conftest import TINY
from test_resume import rows_of, status_of

RUN = [*TINY, "trainer.threads=1", "audit=none", "logger=none", "lr=1e-2", "epochs=4", "data=skin"]
COUNTS = ["data.simulated.counts.train=[10,11]", "data.simulated.counts.val=[5,4]"]
OWN = """
    import torch
    from pytorch_lightning import Callback

    import medcls


    class AtEpochEnd(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            trainer.should_stop = trainer.current_epoch == 1


    class InEpoch(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if trainer.current_epoch == 1 and batch_idx == 2:
                trainer.should_stop = True


    class Exhausted(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            next(iter([]))


    class ExhaustedStep(medcls.Classifier):
        def compute_loss(self, logits, labels):
            if self.training and self.trainer.current_epoch:
                next(iter([]))
            return super().compute_loss(logits, labels)


    class ExhaustedValidation(medcls.Classifier):
        def validation_step(self, batch, batch_idx):
            return next(iter([])) if batch_idx else super().validation_step(batch, batch_idx)


    class Logging(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            pl_module.log_dict({"val_epoch": float(trainer.current_epoch), "val_loss": 0.0})


    class Counting(Callback):
        def __init__(self, start):
            self.count = start

        def state_dict(self):
            return {"count": self.count}


    class History(Counting):
        pass


    class Silent:
        def on_train_epoch_end(self):
            pass


    class Mixed(Silent, medcls.Classifier):
        pass


    class Saving(medcls.Classifier):
        def on_save_checkpoint(self, checkpoint):
            checkpoint["mine"] = 3


    class Optimising(medcls.Classifier):
        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=1e-2)


    class Scheduled(medcls.Classifier):
        def configure_optimizers(self):
            optimizer = super().configure_optimizers()
            return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)]


    class Noted(medcls.Classifier):
        def on_train_epoch_end(self):
            super().on_train_epoch_end()
            self.note = 1
"""


pytestmark = pytest.mark.usefixtures("own_code")


@pytest.mark.parametrize("callback", ["AtEpochEnd", "InEpoch"])
def test_callback_that_stops_the_training_ends_the_run_for_good_after_a_whole_epoch(callback, train):
    part = f"callbacks=[{{_target_: mine.{callback}}}]"
    stopped, alone = train(*RUN, *COUNTS, part).folder, train(*RUN, *COUNTS, "epochs=2").folder
    assert status_of(stopped) == {"state": "done", "epoch": 2, "reason": None}
    assert rows_of(stopped) == rows_of(alone)
    resumed = train(f"resume={stopped}", "epochs=5", f"allow=[mine.{callback}]")
    assert "nothing left to train" in resumed.out


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("callbacks=[{_target_: mine.Exhausted}]", "training ended after 0 of 4 epochs"),
        ("classifier._target_=mine.ExhaustedStep", "epoch 2 ended after 0 of 6 training batches"),
        ("classifier._target_=mine.ExhaustedValidation", "epoch 1 ended after 1 of 3 validation batches"),
    ],
)
def test_epochs_and_batches_that_stop_iteration_leaves_out_are_told(part, told, train):
    result = train(*RUN, *COUNTS, part, "trainer.steps=single")
    assert result.status == 2
    assert told in result.err
    assert status_of(result.folder)["state"] == "failed"


def test_what_a_callback_logs_at_the_end_of_an_epoch_is_in_the_row_of_that_epoch(train):
    logged = rows_of(train(*RUN, *COUNTS, "callbacks=[{_target_: mine.Logging}]").folder)
    assert [float(row.pop("val_epoch")) for row in logged] == [0, 1, 2, 3]
    assert logged == rows_of(train(*RUN, *COUNTS).folder)


LIGHTNING = "callbacks=[{_target_: pytorch_lightning.callbacks."
ONE_CYCLE = ["scheduler=own", "scheduler._target_=torch.optim.lr_scheduler.OneCycleLR", "+scheduler.args.max_lr=0.01"]


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("part", "told"),
    [
        (["classifier._target_=mine.Mixed"], "mine.Silent.on_train_epoch_end does not call super().on_train_epoch_end"),
        ([LIGHTNING + "StochasticWeightAveraging, swa_lrs: 0.1}]"], "callbacks.0: StochasticWeightAveraging averages"),
        (["optimizer=own", "optimizer._target_=torch.optim.SparseAdam"], "SparseAdam cannot take a step with lenet"),
        (["callbacks=[{_target_: mine.History, start: 1}]"], "callbacks: Found more than one stateful callback"),
        (["classifier._target_=mine.Saving"], "mine.Saving.on_save_checkpoint does not call"),
        (
            ["callbacks=[{_target_: mine.Counting, start: 1},{_target_: mine.Counting, start: 2}]"],
            "more than one stateful",
        ),
        (["optimizer=own", "optimizer._target_=torch.optim.LBFGS"], "optimizer: torch.optim.LBFGS cannot take a step"),
        (["classifier._target_=mine.Optimising"], "mine.Optimising.configure_optimizers does not call"),
        ([LIGHTNING + "EMAWeightAveraging}]"], "callbacks.0: EMAWeightAveraging averages weights"),
        (
            ["optimizer=own", "optimizer._target_=torch.optim.Adam", "+optimizer.args={fused: true, foreach: true}"],
            "optimizer: torch.optim.Adam failed: RuntimeError: `fused` and `foreach`",
        ),
    ],
)
def test_part_of_the_users_own_that_would_go_wrong_is_refused_before_the_run_begins(part, told, train):
    result = train(*RUN, *COUNTS, *part)
    assert result.status == 2
    assert told in result.err
    assert "Traceback" not in result.err
    assert not result.folder.exists()


def test_classifier_that_calls_super_trains_as_the_one_of_the_house(train):
    noted = train(*RUN, *COUNTS, "classifier._target_=mine.Noted", "scheduler=cosine").folder
    assert rows_of(noted) == rows_of(train(*RUN, *COUNTS, "scheduler=cosine").folder)


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ([LIGHTNING + "LearningRateMonitor}]"], "Some callbacks need a logger: loggers=[csv]"),
        (["classifier._target_=mine.Scheduled"], "Scheduled.configure_optimizers returned a schedule"),
        ([*ONE_CYCLE, "scheduler.interval=batch", "+scheduler.args.total_steps=3"], "scheduler: OneCycleLR failed:"),
        ([*ONE_CYCLE, "+scheduler.args.total_steps=3"], "The specified number of total steps is 3"),
    ],
)
def test_part_of_the_users_own_that_fails_in_training_is_told_in_a_message(part, told, train):
    result = train(*RUN, *COUNTS, *part)
    assert result.status == 2
    assert told in result.err
    assert "Traceback" not in result.err
    assert status_of(result.folder)["state"] == "failed"
