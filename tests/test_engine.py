"""Many steps at a time give the numbers of one step per batch of Lightning's, bit for bit, and make way where asked."""

import math
import random

import pytest
import torch
from conftest import TINY
from test_resume import assert_same_run, figures_of, rows_of, same
from torch import nn

from medcls.engine.captured import Captured, settings_of
from medcls.engine.rates import RatesOnDevice
from medcls.runs.history import best_row
from medcls.training import checkpoints

ONE_CYCLE = [
    *("scheduler=own", "scheduler._target_=torch.optim.lr_scheduler.OneCycleLR", "scheduler.interval=batch"),
    *("+scheduler.args.max_lr=0.05",),
]
# A net whose capture fails half-way, after which dropout draws again.
WAITING = """import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, n_outputs, in_channels, image_size):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(in_channels, 4, 3), nn.AdaptiveAvgPool2d(4), nn.Flatten())
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(64, n_outputs))

    def forward(self, images):
        features = self.body(images)
        torch.cuda.synchronize()
        return self.head(features)
"""
# Of 41 images, batches of 4 leave a lone last one; three of them are a step, so that the last step of an epoch has two.
RUN = [*TINY, "trainer.threads=1", "audit=none", "logger=none", "lr=1e-2", "epochs=3", "data=skin"]
COUNTS = ["data.simulated.counts.train=[20,21]", "data.simulated.counts.val=[9,8]"]


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    "knobs",
    [
        ["model=alexnet", "trainer.gradient_clip=0.1", "trainer.accumulate=3", "loss.class_weights=balanced"],
        ["model=alexnet", *ONE_CYCLE, "trainer.accumulate=2", "augment=study", "model.dropout=0.3"],
        ["model=lenet", *ONE_CYCLE, "augment=study", "num_workers=2", "model.spatial_dropout=0.2"],
        ["model=lenet", "trainer.precision=bf16-mixed", "model.batch_norm=true", "scheduler=cosine"],
        pytest.param(
            ["model=lenet", "trainer.precision=64-true", "optimizer=sgd", "scheduler=plateau", "scheduler.patience=0"],
            marks=pytest.mark.slow,
        ),
    ],
    ids=["clipped-accumulated", "one-cycle-augmented", "workers", "bf16-cosine", "f64-plateau"],
)
def test_many_steps_at_a_time_equal_one_per_batch(knobs, train):
    single, many = (train(*RUN[1:], *COUNTS, *knobs, f"trainer.steps={steps}").folder for steps in ("single", "auto"))
    ours, expected = figures_of(many), figures_of(single)
    del ours["config"], expected["config"]
    assert [name for name in expected if not same(ours[name], expected[name])] == []
    assert len({row["val_loss"] for row in rows_of(many)}) == 3


@pytest.mark.parametrize("steps", ["auto", "single"])
def test_rate_after_each_epoch_is_that_of_pytorchs_schedule_after_as_many_steps(steps, train):
    result = train(*RUN, *COUNTS, *ONE_CYCLE, f"trainer.steps={steps}")
    assert result.status == 0, result.err
    found = [float(row["lr"]) for row in rows_of(result.folder)]
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=1e-2)
    schedule, expected = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=33), []
    for step in range(1, 34):
        optimizer.step()
        schedule.step()
        if step % 11 == 0:
            expected.append(optimizer.param_groups[0]["lr"])
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("steps", ["auto", "single"])
def test_cosine_lasts_as_long_as_the_run(steps, train):
    result = train(*RUN, *COUNTS, "scheduler=cosine", "scheduler.min_lr=0", f"trainer.steps={steps}")
    found = [float(row["lr"]) for row in rows_of(result.folder)]
    assert found == pytest.approx([1e-2 * (1 + math.cos(math.pi * epoch / 3)) / 2 for epoch in range(3)])


@pytest.mark.parametrize(
    ("first", "then"), [pytest.param("single", "auto", marks=pytest.mark.slow), ("auto", "single")]
)
def test_run_may_change_between_one_step_and_many_when_resumed(first, then, train):
    run = [*RUN, *COUNTS, "scheduler=plateau", "scheduler.patience=0", "model.dropout=0.3", "trainer.accumulate=3"]
    alone, changed = train(*run).folder, train(*run, "epochs=2", f"trainer.steps={first}").folder
    assert train(f"resume={changed}", "epochs=3", f"trainer.steps={then}").status == 0
    ours, expected = figures_of(changed), figures_of(alone)
    del ours["config"], expected["config"]
    assert [name for name in expected if not same(ours[name], expected[name])] == []


OWN = """
    import torch
    from pytorch_lightning import Callback

    import medcls


    class Watching(Callback):
        def __init__(self):
            self.seen = []

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            self.seen.append((trainer.global_step, len(batch[1])))

        def on_train_end(self, trainer, pl_module):
            print("seen", self.seen)


    class Epochs(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            print("steps", trainer.global_step, trainer.num_training_batches, trainer.fit_loop.total_batch_idx)


    class Flipped(medcls.Classifier):
        def training_step(self, batch, batch_idx):
            return super().training_step((batch[0].flip(2), batch[1]), batch_idx)


    class Halved(medcls.Classifier):
        def compute_loss(self, logits, labels):
            return super().compute_loss(logits, labels) / 2


    class Counting(medcls.Classifier):
        def compute_loss(self, logits, labels):
            step, batch = self.global_step, self.trainer.fit_loop.epoch_loop.batch_idx
            return super().compute_loss(logits, labels) * (1 + step + batch / 10)


    class Twice(torch.optim.SGD):
        def step(self, closure):
            closure()
            return super().step(closure)
"""


SLOWER = "one step at a time, which is slower: "


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("callbacks=[{_target_: mine.Watching}]", "Watching has on_train_batch_end"),
        ("classifier._target_=mine.Flipped", "Flipped has its own training_step"),
        ("classifier._target_=mine.Halved", None),
        ("callbacks=[{_target_: mine.Epochs}]", None),
        ("callbacks=[{_target_: pytorch_lightning.callbacks.LearningRateMonitor}]", "LearningRateMonitor has on_train"),
    ],
)
def test_own_part_that_sees_every_batch_gets_them_one_by_one_and_a_line_says_so(part, reason, own_code, train):
    loggers = ["loggers=[csv]"] if "Monitor" in part else []
    result = train(*RUN, *COUNTS, "epochs=1", part, *loggers)
    assert result.status == 0, result.err
    assert (SLOWER in result.out) == (reason is not None)
    assert reason is None or SLOWER + reason in result.out
    if "Watching" in part:
        assert f"seen {[(step, 4) for step in range(1, 11)] + [(11, 1)]}" in result.out
    if "Epochs" in part:
        assert "steps 11 11 10" in result.out


def test_own_code_finds_the_counts_of_steps_and_batches_that_lightning_would_give_it(own_code, train):
    run = [*RUN, *COUNTS, "classifier._target_=mine.Counting", "trainer.accumulate=2"]
    many, single = train(*run).folder, train(*run, "trainer.steps=single").folder
    assert rows_of(many) == rows_of(single)
    assert rows_of(many) != rows_of(train(*run[:-2], run[-1]).folder)


@pytest.mark.parametrize("steps", ["auto", "single"])
def test_gradient_of_several_batches_is_not_computed_twice(steps, own_code, train):
    twice = ["optimizer=own", "optimizer._target_=mine.Twice", f"trainer.steps={steps}"]
    result = train(*RUN, *COUNTS, *twice, "trainer.accumulate=2")
    assert result.status == 2
    assert "trainer.accumulate: found more than 1 with an optimizer that computes" in result.err
    assert train(*RUN, *COUNTS, *twice).status == 0


def test_best_and_last_epoch_are_kept_where_epochs_are_too_short_to_write_each(train, monkeypatch):
    run = [*RUN, *COUNTS, "epochs=8", "lr=0.1", "model.dropout=0.3"]
    each = train(*run).folder
    monkeypatch.setattr(checkpoints, "LONGEST", 1e9)  # so that the first and the last epoch alone are written
    monkeypatch.setattr(checkpoints, "SHARE", 0.0)
    written = []
    write = checkpoints.KeepBestAndLast.write
    monkeypatch.setattr(
        checkpoints.KeepBestAndLast,
        "write",
        lambda keep, files, rows: (written.append(len(rows)), write(keep, files, rows)),
    )
    few = train(*run).folder
    assert written == [1, 8]
    assert 1 < best_row([{name: float(row[name]) for name in row} for row in rows_of(each)])["epoch"] < 8
    assert_same_run(few, each)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize(
    "knobs",
    [
        ["model=lenet", "model.dropout=0.3", "model.spatial_dropout=0.2", "model.batch_norm=true"],
        ["model=alexnet", "trainer.gradient_clip=0.1", "trainer.accumulate=3", "loss.class_weights=balanced"],
        ["model=lenet", *ONE_CYCLE, "+scheduler.args.cycle_momentum=false", "augment=study", "num_workers=2"],
        ["model=lenet", "trainer.precision=bf16-mixed", "model.dropout=0.3", "scheduler=cosine"],
        ["model=vgg16", "optimizer=sgd", "scheduler=plateau", "scheduler.patience=0"],
    ],
)
def test_captured_steps_equal_those_that_are_not(knobs, train):
    run = [*RUN, *COUNTS, *knobs, "trainer.accelerator=gpu"]
    one, *others = (train(*run, f"trainer.steps={steps}") for steps in ("auto", "eager", "single"))
    assert "not captured" not in one.out
    for other in others:
        ours, expected = figures_of(one.folder), figures_of(other.folder)
        del ours["config"], expected["config"]
        assert [name for name in expected if not same(ours[name], expected[name])] == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_net_that_no_graph_can_hold_is_trained_step_by_step(train, tmp_path, monkeypatch):
    (tmp_path / "waiting.py").write_text(WAITING)
    monkeypatch.syspath_prepend(str(tmp_path))
    run = [*RUN, *COUNTS, "model=own", "model._target_=waiting.Net", "trainer.accelerator=gpu"]
    one, other = (train(*run, f"trainer.steps={steps}") for steps in ("auto", "eager"))
    assert "the training step is not captured as a CUDA graph" in one.out
    ours, expected = figures_of(one.folder), figures_of(other.folder)
    del ours["config"], expected["config"]
    assert [name for name in expected if not same(ours[name], expected[name])] == []


def test_step_is_not_repeated_where_python_decides_what_it_does():
    drawing = Captured(lambda x: x * random.random(), list, "it")
    assert drawing(torch.ones(1)) < 1
    assert drawing.refused
    net = nn.Sequential(nn.Linear(1, 1))
    net.calls = []

    def counted(x):
        net.calls.append(len(net.calls))
        return x * len(net.calls)

    counting = Captured(counted, lambda: settings_of([net]), "it")
    assert [counting(torch.ones(1)).item() for _ in range(4)] == [1, 2, 3, 4]
    assert counting.refused
    steady = Captured(lambda x: x * 2, lambda: settings_of([net]), "it")
    assert [steady(torch.ones(1)).item() for _ in range(3)] == [2, 2, 2]
    assert not steady.refused
    before = settings_of([net])
    net[0].weight.requires_grad = False
    assert settings_of([net]) != before


def test_rates_are_lent_to_a_step_as_tensors_and_stay_numbers_for_all_others():
    def weights(lend):
        torch.manual_seed(0)
        weight = nn.Parameter(torch.randn(5))
        optimizer = torch.optim.Adam([weight], lr=2.0**-7, fused=True)  # which float32 has exactly
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        if lend:
            RatesOnDevice(optimizer, torch.device("cpu"))
        for _ in range(4):
            weight.grad = weight.detach().cos()
            optimizer.step()
            schedule.step()
            assert type(optimizer.param_groups[0]["lr"]) is float
        assert optimizer.param_groups[0]["capturable"] is False
        return weight.detach(), optimizer.state_dict()

    assert same(weights(lend=True), weights(lend=False))
