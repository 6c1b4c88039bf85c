"""What callbacks and Classifiers of the user's own may do to a run, and what is refused."""

import sys
import textwrap

import pytest
from conftest import TINY
from test_resume import rows_of, status_of

RUN = [*TINY, "trainer.threads=1", "audit=none", "logger=none", "lr=1e-2", "epochs=4", "data=skin"]
COUNTS = ["data.simulated.counts.train=[10,11]", "data.simulated.counts.val=[5,4]"]
OWN = """
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
"""


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    """Code of the user's, in a module called mine."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own/mine.py").write_text(textwrap.dedent(OWN))
    monkeypatch.syspath_prepend(str(tmp_path / "own"))
    yield
    sys.modules.pop("mine", None)


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
