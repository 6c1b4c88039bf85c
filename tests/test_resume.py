import csv
import hashlib
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
import torch
from conftest import SCRIPT, TINY
from filelock import FileLock

from medcls.errors import Stopped
from medcls.host.stop import stopping_in_order
from medcls.runs.history import best_row, is_over
from medcls.training import checkpoints
from medcls.training.checkpoints import KeepBestAndLast

# On images this small, more threads only wait for each other.
PLAIN = [*TINY, "trainer.threads=1", "audit=none"]
# All that draws random numbers or keeps state from epoch to epoch, at once.
STATEFUL = [
    *PLAIN,
    "model.dropout=0.3",
    "model.spatial_dropout=0.2",
    "model.batch_norm=true",
    "augment=study",
    "lr=0.1",  # high enough for validation losses that also rise, which plateau answers to
]
SCHEDULES = {
    "cosine": ["scheduler=cosine"],
    "plateau": ["scheduler=plateau", "scheduler.patience=0", "scheduler.factor=0.5"],
}


def rows_of(folder):
    with (folder / "history.csv").open() as file:
        return [{name: row[name] for name in row if name != "seconds"} for row in csv.DictReader(file)]


def epochs_in(folder):
    return len(rows_of(folder)) if (folder / "history.csv").exists() else 0


def checkpointed(folder):
    """Epochs that a resumed run does not train again."""
    return status_of(folder)["epoch"] if (folder / "status.json").exists() else 0


def status_of(folder):
    return json.loads((folder / "status.json").read_text())


def figures_of(folder):
    """All that a run computed: every tensor and number but the seconds it took."""
    last = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)
    best = torch.load(folder / "checkpoints/best.ckpt", weights_only=True)
    metrics = json.loads((folder / "metrics.json").read_text())
    del metrics["seconds"]
    return {
        "last weights": last["state_dict"],
        "optimizer": last["optimizer_states"],
        "schedule": last.get("schedule"),
        "position": (last["epoch"], last["global_step"]),
        "hyper-parameters": last["hyper_parameters"],
        "best weights": best["state_dict"],
        "history": rows_of(folder),
        "metrics": metrics,
        "predictions": (folder / "predictions.csv").read_text(),
        "config": (folder / "config.yaml").read_text(),
    }


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other or (one != one and other != other)  # NaN where a metric has no interval


def assert_same_run(folder, reference):
    ours, expected = figures_of(folder), figures_of(reference)
    assert [name for name in expected if not same(ours[name], expected[name])] == []


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def environment():
    return {key: value for key, value in os.environ.items() if not key.startswith("PL_")}


def start(folder, *overrides):
    """train.py in a process of its own."""
    command = [sys.executable, str(SCRIPT), *overrides, f"hydra.run.dir={folder}"]
    return subprocess.Popen(
        command, cwd=folder.parent, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def wait_for(condition, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return tmp_path_factory.mktemp("shared")


@pytest.fixture
def images(make_folder, shared):
    """The same images for all tests, so that they can compare with the same run left alone."""
    if not (shared / "images").exists():
        shutil.copytree(make_folder(), shared / "images")
    return ["data=folder", f"data.root={shared / 'images'}", f"data.cache_dir={shared / 'cache'}"]


@pytest.fixture
def left_alone(train, shared):
    """Folder of a run of these overrides that nothing interrupted, trained by the first test that asks."""

    def folder(*overrides):
        path = shared / hashlib.sha256(repr(overrides).encode()).hexdigest()[:16]
        if not path.exists():
            assert train(*overrides, f"hydra.run.dir={path}").status == 0
        return path

    return folder


@pytest.fixture
def signal_when(monkeypatch):
    """Send this process a signal as soon as a condition holds, at most once; harmless when the run has ended.

    A thread watches, so that the signal comes at any moment; but an epoch does not begin before what the one before
    left on the disk was looked at: however slow the disk and however short the epochs, no run ends first.
    """
    previous = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    over = threading.Event()
    threads = []
    waiting = []  # signals, each with its condition
    taken = threading.Lock()

    def look():
        with taken:
            due = [one for one in waiting if one[1]()]
            waiting[:] = [one for one in waiting if one not in due]
        for number, _ in due:
            os.kill(os.getpid(), number)

    def watch():
        while not over.wait(0.005):
            look()

    def arm(number, condition):
        waiting.append((number, condition))
        if not threads:
            threads.append(threading.Thread(target=watch))
            threads[0].start()

    def epoch_end(keep, *arguments, own=KeepBestAndLast.on_train_epoch_end):
        own(keep, *arguments)
        keep.written.result()
        look()

    monkeypatch.setattr(KeepBestAndLast, "on_train_epoch_end", epoch_end)
    monkeypatch.setattr(checkpoints, "LONGEST", -1.0)  # every epoch is kept
    yield arm
    over.set()
    for thread in threads:
        thread.join()
    for number, handler in previous.items():
        signal.signal(number, handler)


@pytest.fixture
def background(tmp_path):
    """Start train.py in the background; killed when the test ends."""
    processes = []

    def begin(*overrides):
        processes.append(start(tmp_path / "background", *overrides))
        return processes[-1], tmp_path / "background"

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("schedule", "workers"), [pytest.param("cosine", 2, marks=pytest.mark.slow), ("plateau", 0)])
def test_run_stopped_by_sigterm_and_resumed_equals_the_uninterrupted_run(
    schedule, workers, images, train, left_alone, signal_when, tmp_path
):
    run = [*STATEFUL, *SCHEDULES[schedule], *images, "epochs=12"]
    alone = left_alone(*run)
    assert len({row["lr"] for row in rows_of(alone)}) > 2
    folder = tmp_path / "interrupted"
    for epoch in (2, 6):
        signal_when(signal.SIGTERM, lambda epoch=epoch: checkpointed(folder) >= epoch)
        where = [f"resume={folder}"] if folder.exists() else [*run, f"hydra.run.dir={folder}"]
        assert train(*where, f"num_workers={workers}").status == 143
        assert epoch <= checkpointed(folder) <= epochs_in(folder) < 12
    assert train(f"resume={folder}", "num_workers=0").status == 0
    assert_same_run(folder, left_alone(*run))


def test_run_killed_by_sigkill_and_resumed_equals_the_uninterrupted_run(images, train, left_alone, background):
    run = [*STATEFUL, *SCHEDULES["plateau"], *images, "epochs=30"]
    process, folder = background(*run)
    moment = random.Random(0)
    epochs = moment.randint(2, 5)
    wait_for(lambda: epochs_in(folder) >= epochs, process)
    time.sleep(moment.uniform(0, 0.05))
    process.kill()
    process.communicate()
    assert epochs <= epochs_in(folder) < 30
    assert status_of(folder)["state"] == "running"
    result = train(f"resume={folder}")
    assert result.status == 0, result.err
    assert_same_run(folder, left_alone(*run))
    assert status_of(folder) == {"state": "done", "epoch": 30, "reason": None}


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_stops_a_run_in_order(number, status, images, background):
    process, folder = background(*PLAIN, *images, "epochs=100000", "num_workers=2")
    wait_for(lambda: epochs_in(folder) >= 2, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == status
    assert "Traceback" not in out + err
    assert re.search(rf"stopped after \d+ of 100000 epochs; to resume: python \S*train.py resume={folder}\n", out)
    state = status_of(folder)
    assert state["state"] == "stopped"
    assert state["epoch"] == epochs_in(folder) >= 2


def test_signal_lost_in_a_hook_of_fork_still_stops_the_run(images, train, signal_when, tmp_path):
    # Python only prints what such a hook raises; with workers, a Ctrl-C now and then falls into logging's.
    once = [signal.SIGTERM]
    os.register_at_fork(before=lambda: once and os.kill(os.getpid(), once.pop()))
    folder = tmp_path / "stopped"
    result = train(*PLAIN, *images, "epochs=50", "num_workers=1", f"hydra.run.dir={folder}")
    assert once == []
    assert result.status == 143
    assert "Traceback" not in result.out + result.err
    assert status_of(folder)["state"] == "stopped"


def test_command_named_when_stopped_goes_on_with_the_run(images, train, signal_when, tmp_path):
    folder = tmp_path / "run with spaces, commas (and) = signs"
    signal_when(signal.SIGINT, lambda: epochs_in(folder) >= 1)
    stopped = train(*PLAIN, *images, "epochs=20", f"hydra.run.dir='{folder}'")
    assert stopped.status == 130
    command = shlex.split(re.search(r"to resume: (.*)", stopped.out)[1])
    assert command[:2] == ["python", str(SCRIPT)]
    assert train(*command[2:]).status == 0
    assert epochs_in(folder) == 20


@pytest.mark.slow
def test_run_stopped_while_being_scored_is_scored_when_resumed(images, train, left_alone, signal_when, tmp_path):
    run = [*STATEFUL, *SCHEDULES["plateau"], *images, "epochs=12", "logger.pictures=true"]  # so that scoring takes long
    folder = tmp_path / "interrupted"
    signal_when(signal.SIGTERM, lambda: (folder / "predictions.csv").exists())
    assert train(*run, f"hydra.run.dir={folder}").status == 143
    assert not (folder / "metrics.json").exists()
    assert train(f"resume={folder}").status == 0
    assert_same_run(folder, left_alone(*run))


@pytest.mark.slow
def test_run_stopped_early_does_not_train_on_when_resumed(images, train):
    # Without learning, no epoch improves on the first; batch norm is off, so that validation stays as it was.
    patient = train(*PLAIN, *images, "epochs=50", "lr=1e-30", "trainer.patience=3")
    assert epochs_in(patient.folder) == 4
    before = figures_of(patient.folder)
    # As after a kill between the last checkpoint and the scores.
    (patient.folder / "metrics.json").unlink()
    (patient.folder / "status.json").write_text('{"state": "running", "epoch": 4, "reason": null}')
    assert train(f"resume={patient.folder}").status == 0
    assert same(figures_of(patient.folder), before)


@pytest.mark.parametrize(
    ("losses", "best", "epochs", "patience", "over"),
    [
        ([], None, 5, 0, False),
        ([3.0, 2.0, 2.5], 2, 5, 2, False),
        ([3.0, 2.0, 2.5, 2.0], 2, 5, 2, True),  # as low as the best is no lower
        ([3.0, 2.0, 2.5, 1.9], 4, 5, 2, False),
        ([3.0, 2.0, 2.5, 2.0], 2, 5, None, False),
        ([3.0, 2.0, 2.5, 2.0], 2, 4, None, True),
        ([3.0, 2.0], 2, 1, None, True),
    ],
)
def test_training_ends_with_its_epochs_or_after_patience_epochs_without_a_lower_loss(
    losses, best, epochs, patience, over
):
    rows = [{"epoch": epoch, "val_loss": loss} for epoch, loss in enumerate(losses, start=1)]
    assert is_over(rows, epochs, patience) is over
    if rows:
        assert best_row(rows)["epoch"] == best


def test_patience_counts_epochs_from_before_the_interruption(images, train, signal_when, tmp_path):
    run = [*PLAIN, *images, "epochs=200", "lr=1e-30", "trainer.patience=20"]
    folder = tmp_path / "interrupted"
    signal_when(signal.SIGTERM, lambda: epochs_in(folder) >= 5)
    assert train(*run, f"hydra.run.dir={folder}").status == 143
    assert epochs_in(folder) < 21
    assert train(f"resume={folder}").status == 0
    assert epochs_in(folder) == 21


@pytest.mark.parametrize("precision", ["32-true", "64-true"])
def test_extended_run_equals_the_longer_run(precision, images, train, left_alone):
    changed = [] if precision == "32-true" else [f"trainer.precision={precision}"]
    run = [*STATEFUL, *SCHEDULES["plateau"], *images, *changed]
    extended = train(*run, "epochs=2")
    assert train(f"resume={extended.folder}", "epochs=12").status == 0
    assert_same_run(extended.folder, left_alone(*run, "epochs=12"))


def test_extension_survives_an_interruption(images, train, left_alone, signal_when, tmp_path):
    folder = tmp_path / "extended"
    shutil.copytree(left_alone(*STATEFUL, *SCHEDULES["plateau"], *images, "epochs=12"), folder)
    signal_when(signal.SIGTERM, lambda: epochs_in(folder) >= 14)
    assert train(f"resume={folder}", "epochs=24").status == 143
    assert train(f"resume={folder}").status == 0
    assert epochs_in(folder) == 24


def test_resumed_run_counts_as_running(images, train, left_alone, signal_when, tmp_path):
    folder = tmp_path / "resumed"
    shutil.copytree(left_alone(*STATEFUL, *SCHEDULES["plateau"], *images, "epochs=12"), folder)
    # Stops the run that goes on before its first epoch is done, which nothing but its status tells of.
    signal_when(signal.SIGTERM, lambda: status_of(folder) == {"state": "running", "epoch": 12, "reason": None})
    assert train(f"resume={folder}", "epochs=1000").status == 143


def test_resuming_a_finished_run_changes_nothing_and_says_so(images, train, left_alone):
    folder = left_alone(*STATEFUL, *SCHEDULES["plateau"], *images, "epochs=12")
    before = contents(folder)
    again = train(f"resume={folder}")
    assert again.status == 0
    assert "nothing left to train" in again.out
    after = contents(folder)
    assert {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)} == {
        path for path in before if path.name == "train.log"
    }


@pytest.mark.slow
def test_moved_run_folder_resumes_the_same(images, train, left_alone, signal_when, tmp_path):
    run = [*STATEFUL, *SCHEDULES["cosine"], *images, "epochs=12"]
    first, moved = tmp_path / "first", tmp_path / "elsewhere" / "moved"
    signal_when(signal.SIGTERM, lambda: epochs_in(first) >= 3)
    assert train(*run, f"hydra.run.dir={first}").status == 143
    moved.parent.mkdir()
    shutil.move(first, moved)
    assert train(f"resume={moved}").status == 0
    assert_same_run(moved, left_alone(*run))
    assert not first.exists()


def test_half_written_files_never_count(images, train, left_alone, signal_when, tmp_path):
    run = [*STATEFUL, *SCHEDULES["plateau"], *images, "epochs=12"]
    folder = tmp_path / "interrupted"
    signal_when(signal.SIGTERM, lambda: epochs_in(folder) >= 2)
    assert train(*run, f"hydra.run.dir={folder}").status == 143
    for path in ("checkpoints/last.ckpt", "checkpoints/best.ckpt", "history.csv", "status.json", "config.yaml"):
        whole = (folder / path).read_bytes()
        name = (folder / path).name
        (folder / path).with_name(f".{name}.{os.getpid()}.partial").write_bytes(whole[: len(whole) // 2])
        (folder / path).with_name(f".{name}.1.partial").write_bytes(whole[: len(whole) // 2])
    assert train(f"resume={folder}").status == 0
    assert_same_run(folder, left_alone(*run))


def test_epoch_whose_checkpoint_is_missing_is_trained_again(images, train, left_alone, signal_when, tmp_path):
    run = [*STATEFUL, *SCHEDULES["plateau"], *images, "epochs=12"]
    alone, folder = left_alone(*run), tmp_path / "interrupted"
    signal_when(signal.SIGTERM, lambda: epochs_in(folder) >= 2)
    assert train(*run, f"hydra.run.dir={folder}").status == 143
    # As after a kill when history.csv and best.ckpt are written and last.ckpt is not.
    for path in ("history.csv", "checkpoints/best.ckpt"):
        shutil.copy(alone / path, folder / path)
    assert train(f"resume={folder}").status == 0
    assert_same_run(folder, alone)


@pytest.mark.parametrize(
    ("removed", "told"),
    [
        (("best", "last"), "last.ckpt: missing, but resuming after 12 epochs needs it"),
        (("best",), "best.ckpt: missing, but scoring the best epoch so far"),
    ],
)
def test_run_without_its_checkpoint_is_not_begun_again(removed, told, images, train, left_alone, tmp_path):
    """As where checkpoints were removed to save space: its history, or its best epoch, would be lost."""
    folder = tmp_path / "without"
    shutil.copytree(left_alone(*STATEFUL, *SCHEDULES["plateau"], *images, "epochs=12"), folder)
    for name in removed:
        (folder / f"checkpoints/{name}.ckpt").unlink()
    before = contents(folder)
    refused = train(f"resume={folder}", "epochs=14")
    assert refused.status == 2
    assert told in refused.err
    after = contents(folder)
    assert {path.name for path in before.keys() | after.keys() if before.get(path) != after.get(path)} <= {
        "train.log",
        "status.json",
    }


@pytest.mark.slow
def test_second_process_on_a_run_folder_is_refused(images, train, background):
    process, folder = background(*PLAIN, *images, "epochs=100000")
    wait_for(lambda: epochs_in(folder) >= 1, process)
    second = train(f"resume={folder}")
    assert second.status == 2
    assert "another process is working in this run folder" in second.err
    assert "Traceback" not in second.out + second.err
    epochs = epochs_in(folder)
    wait_for(lambda: epochs_in(folder) > epochs, process)


def test_second_new_run_in_a_folder_leaves_the_first_ones_log(images, train, tmp_path):
    # The first is still reading its images: it holds the lock and has written its log, not yet its configuration.
    folder = tmp_path / "both"
    folder.mkdir()
    (folder / "train.log").write_text("first\n")
    with FileLock(folder / ".lock"):
        second = train(*PLAIN, *images, f"hydra.run.dir={folder}")
    assert second.status == 2
    assert "another process is working in this run folder" in second.err
    assert (folder / "train.log").read_text().startswith("first\n")


def assert_refused(result, message, before):
    assert result.status == 2
    assert message in result.err
    assert "Traceback" not in result.out + result.err
    after = contents(result.folder)
    assert {path.name for path in before.keys() | after.keys() if before.get(path) != after.get(path)} <= {"train.log"}


def test_run_folder_in_which_another_process_works_is_refused(images, train, left_alone):
    folder = left_alone(*STATEFUL, *SCHEDULES["plateau"], *images, "epochs=12")
    # A process that holds the folder as a training does, without the seconds that one takes to start.
    program = f"""
        from pathlib import Path
        from medcls.runs.folder import RunFolder

        with RunFolder(Path({str(folder)!r})).locked():
            print("locked", flush=True)
            input()
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == "locked\n"
        before = contents(folder)
        second = train(f"resume={folder}", "epochs=13")
        assert_refused(second, "another process is working in this run folder", before)
        holder.communicate("\n")


def test_resuming_with_other_images_is_refused(images, make_folder, train, left_alone):
    folder = left_alone(*STATEFUL, *SCHEDULES["plateau"], *images, "epochs=12")
    before = contents(folder)
    other = train(f"resume={folder}", "epochs=13", f"data.root={make_folder(size=48)}")
    assert_refused(other, "have changed since this run began", before)


def test_resuming_with_another_learning_rate_is_refused(images, train, left_alone):
    folder = left_alone(*STATEFUL, *SCHEDULES["plateau"], *images, "epochs=12")
    before = contents(folder)
    assert_refused(train(f"resume={folder}", "lr=1e-3"), "lr: cannot change when a run is resumed", before)


def test_resuming_names_one_run_and_no_other_experiment(images, train, left_alone, tmp_path):
    folder = left_alone(*STATEFUL, *SCHEDULES["plateau"], *images, "epochs=12")
    before = contents(folder)
    for word, message in [
        ("experiment=task2_bone", "experiment: cannot change when a run is resumed"),
        (f"hydra.run.dir={tmp_path / 'other'}", f"resume: found {folder}, but hydra.run.dir={tmp_path / 'other'}"),
        ("-m", "resume: found with -m, expected one run"),
    ]:
        result = train(f"resume={folder}", "epochs=13", word)
        assert (result.status, message in result.err) == (2, True), result.err
        assert contents(folder) == before
        assert not (tmp_path / "other").exists()


def test_cosine_run_is_not_extended(images, train, left_alone):
    folder = left_alone(*STATEFUL, *SCHEDULES["cosine"], *images, "epochs=12")
    before = contents(folder)
    assert_refused(train(f"resume={folder}", "epochs=13"), "epochs: cannot change", before)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_run_killed_ten_times_at_random_moments_equals_the_run_left_alone(schedule, images, tmp_path):
    run = [*STATEFUL, *SCHEDULES[schedule], *images, "epochs=60", "num_workers=2"]
    alone = tmp_path / "alone"
    began = time.monotonic()
    process = start(alone, *run)
    _, err = process.communicate()
    assert process.returncode == 0, err
    duration = time.monotonic() - began

    folder = tmp_path / "killed"
    moment = random.Random(schedule)
    reached = []
    while len(reached) < 10:
        going_on = (folder / "config.yaml").exists()
        process = start(folder, *([f"resume={folder}"] if going_on else run))
        try:
            # From the import of torch to the drawing of the curves, all parts of the process alike.
            _, err = process.communicate(timeout=moment.uniform(0, duration))
            assert process.returncode == 0, err
            shutil.rmtree(folder)  # it reached its end before the kill: begin again
            continue
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        reached.append(epochs_in(folder))
        if (folder / "status.json").exists():
            assert status_of(folder)["state"] in ("running", "done")
    process = start(folder, *([f"resume={folder}"] if (folder / "config.yaml").exists() else run))
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert_same_run(folder, alone)


def test_what_lightnings_end_runs_into_after_a_signal_does_not_hide_it():
    """Where its loaders had not begun, the end of a trainer raises an error in the place of what stopped it."""

    def stopped():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            raise RuntimeError("Please call `iter(combined_loader)` first.")

    with pytest.raises(Stopped), stopping_in_order():
        stopped()
    with pytest.raises(RuntimeError, match="of its own"), stopping_in_order():
        raise RuntimeError("of its own")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_at_any_moment_stops_without_a_traceback(number, images, tmp_path):
    run = [*PLAIN, *images, "epochs=100000", "num_workers=2", "augment=study"]
    moment = random.Random(int(number))
    for attempt in range(6):
        folder = tmp_path / f"run{attempt}"
        process = start(folder, *run)
        wait_for((folder / ".lock").exists, process)
        time.sleep(moment.uniform(0, 8))
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 128 + number, err
        assert "Traceback" not in out + err
