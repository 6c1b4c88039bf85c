"""However a job or a whole sweep ends, other jobs are not touched, nothing is lost, and the same command resumes."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import SWEEP
from sweeping import FAILING, TINY, eventually, histories, pids_of, results, states

TWO_AT_A_TIME = "sweep.jobs=2"
# A callback that does not let its run end when asked to.
STUBBORN = """import time
import pytorch_lightning as pl

class Callback(pl.Callback):
    def on_exception(self, trainer, pl_module, exception):
        time.sleep(1000)
"""


def limit_memory():
    """Limit a process and those that it starts to 9 GiB of address space each; PyTorch alone takes 5."""
    resource.setrlimit(resource.RLIMIT_AS, (9 * 2**30, 9 * 2**30))


def states_so_far(folder):
    return {path.parent.name: json.loads(path.read_text())["state"] for path in folder.glob("*/status.json")}


@pytest.mark.slow
def test_job_that_raises_is_killed_or_exceeds_the_memory_leaves_the_others_alone_and_is_retried(
    started, folder, tmp_path
):
    (tmp_path / "failing.py").write_text(FAILING)
    variants = {
        "good": "epochs:2",
        "killed": "epochs:60",
        "raises": "epochs:2,callbacks:[{_target_:failing.Callback}]",
        "large": "epochs:2,model.dense:[2000000]",
    }
    tiny = [override for override in TINY if not override.startswith("epochs")]
    line = [*tiny, TWO_AT_A_TIME, *(f"+sweep.variants.{name}={{{values}}}" for name, values in variants.items())]
    good, killed, raises, large = (f"{name}_seed-0_SIMULATED" for name in variants)
    first = started(*line, preexec_fn=limit_memory)
    eventually((folder / killed / "history.csv").exists)
    os.kill(*pids_of(killed), signal.SIGKILL)
    _, err = first.communicate()
    assert first.returncode == 1
    assert states(folder) == {good: "done", killed: "failed", raises: "failed", large: "failed"}
    reasons = {name: err.split(f"\n  {name}: ")[1].partition("\n")[0] for name in (killed, raises, large)}
    assert "killed by signal 9" in reasons[killed]
    assert "it broke" in reasons[raises]
    assert "memory" in reasons[large]
    assert err.count("train.log") == 3
    written = (folder / good / "metrics.json").stat().st_mtime_ns
    again = started(*line, preexec_fn=limit_memory)
    out, err = again.communicate()
    assert again.returncode == 1, err
    assert "1 of them done" in out
    assert states(folder) == {good: "done", killed: "done", raises: "failed", large: "failed"}
    assert len(histories(folder)[killed]) == 61
    assert (folder / good / "metrics.json").stat().st_mtime_ns == written


@pytest.mark.slow
@pytest.mark.parametrize("at_a_time", [1, 2])
def test_ctrl_c_loses_nothing_and_the_same_command_resumes(started, sweep, folder, tmp_path, at_a_time):
    grid = [*TINY, "epochs=30", "lr=1e-3,1e-4"]
    process = started(*grid, f"sweep.jobs={at_a_time}")
    first = folder / "lr-1e-3_seed-0_SIMULATED"
    eventually((first / "history.csv").exists)
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate()
    assert process.returncode == 130
    assert f"Resume with: python {SWEEP} model=lenet" in out
    assert states_so_far(folder)[first.name] in ("stopped", "done")
    assert sweep(*grid).status == 0
    assert sweep(*grid, f"hydra.sweep.dir={tmp_path / 'alone'}").status == 0
    assert histories(folder) == histories(tmp_path / "alone")


@pytest.mark.slow
def test_no_process_of_a_sweep_outlives_it_when_it_is_killed_and_its_jobs_shut_down_cleanly(started, folder):
    process = started(*TINY, TWO_AT_A_TIME, "epochs=2000", "lr=1e-3,1e-4,1e-5,1e-6")
    eventually(lambda: len(list(folder.glob("*/history.csv"))) == 2)
    process.kill()  # and not yet waited for, as in a container whose init process reaps no zombies
    eventually(lambda: not pids_of(folder))
    assert sorted(states_so_far(folder).values()) == ["stopped", "stopped"]
    process.communicate(timeout=30)  # returns when the last process that could write there is gone
    time.sleep(10)
    assert not pids_of(folder)


@pytest.mark.slow
def test_sweep_survives_the_death_of_the_process_that_its_jobs_are_forked_from(started, folder):
    line = [*TINY, TWO_AT_A_TIME, "epochs=40", "lr=1e-3,1e-4,1e-5,1e-6"]
    process = started(*line)
    eventually(lambda: len(list(folder.glob("*/history.csv"))) == 2)
    os.kill(parent_of(min(pids_of(folder) - {process.pid})), signal.SIGKILL)
    process.communicate()
    assert process.returncode == 1
    assert [states(folder)[f"lr-{lr}_seed-0_SIMULATED"] for lr in ("1e-3", "1e-4", "1e-5", "1e-6")] == [
        *["failed", "failed"],
        *["done", "done"],
    ]
    started(*line).communicate()
    assert set(states(folder).values()) == {"done"}


@pytest.mark.slow
def test_jobs_run_the_code_of_the_command_and_not_that_of_another_medcls(tmp_path):
    """A checkout that is not installed, where another is."""
    for part in ("medcls", "conf"):
        shutil.copytree(SWEEP.parent / part, tmp_path / part)
    code = "import sys; sys.path.insert(0, sys.argv[1]); from medcls.sweep.child import call; "
    code += """print(call(eval, "__import__('sys').modules['medcls.run'].__file__"))"""
    ended = subprocess.run([sys.executable, "-c", code, tmp_path], cwd="/", capture_output=True, text=True, check=True)
    assert ended.stdout == f"{tmp_path}/medcls/run.py\n"


@pytest.mark.slow
def test_second_ctrl_c_kills_the_jobs_and_the_same_command_resumes(started, folder):
    (work := folder.parent / "stubborn.py").write_text(STUBBORN)
    line = [*TINY, "epochs=30", "lr=1e-3,1e-4", TWO_AT_A_TIME, "callbacks=[{_target_: stubborn.Callback}]"]
    process = started(*line)
    eventually(lambda: len(list(folder.glob("*/history.csv"))) == 2)
    os.killpg(process.pid, signal.SIGINT)
    assert "press Ctrl-C again" in process.stderr.readline() + process.stderr.readline()
    time.sleep(1)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert not pids_of(folder)
    work.write_text(STUBBORN.replace("time.sleep(1000)", "pass"))
    started(*line).communicate()
    assert set(states(folder).values()) == {"done"}


def parent_of(process):
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.slow
@pytest.mark.parametrize("at_a_time", [1, 2])
def test_sweep_killed_ten_times_equals_the_one_left_alone(started, sweep, folder, tmp_path, at_a_time):
    grid = [*TINY, "epochs=400", "lr=1e-3,1e-4", "augment=study", "model.dropout=0.2"]
    alone = tmp_path / "alone"
    assert sweep(*grid, f"hydra.sweep.dir={alone}").status == 0
    seconds = sum(float(row.rpartition(",")[2]) for path in alone.glob("*/history.csv") for row in rows(path))
    draw = random.Random(0)
    for kill in range(10):
        before = sum(len(rows(path)) for path in folder.glob("*/history.csv"))
        process = started(*grid, f"sweep.jobs={at_a_time}")
        if kill % 2:  # during training, the other kills at any time, so that it makes progress
            eventually(lambda: sum(len(rows(path)) for path in folder.glob("*/history.csv")) > before)  # noqa: B023
        time.sleep(draw.uniform(0, seconds / 12))
        assert process.poll() is None, "over before it was killed"
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert sweep(*grid).status == 0
    assert histories(folder) == histories(alone)
    assert results(folder) == results(alone)


def rows(history):
    return history.read_text().splitlines()[1:]
