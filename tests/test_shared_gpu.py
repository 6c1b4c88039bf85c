"""Jobs that share a GPU through NVIDIA's service, of which a stand-in says what it was told; they run on the CPU."""

import os
import re
import subprocess
import sys
import time

import pytest
from sweeping import TINY, histories, run_jobs, states

from medcls.runs.folder import RunFolder
from medcls.sweep import shared_gpu
from medcls.sweep.launch_settings import LaunchSettings
from medcls.sweep.shared_gpu import sharing
from medcls.sweep.sweep_folder import read_status

SERVICE = """#!/bin/sh
if [ "$1" = -d ]; then echo "start $CUDA_VISIBLE_DEVICES" >> {log}; exit {status}; fi
read word; echo "$word" >> {log}; [ "$word" = quit ] || exit {of_others}
"""
# A callback that says through what its run shares a GPU, and kills the run of one seed once the others are at work.
KILLED = """import os
import signal
from pathlib import Path
import pytorch_lightning as pl

class Callback(pl.Callback):
    def on_fit_start(self, trainer, pl_module):
        print("shares", os.environ.get("CUDA_MPS_PIPE_DIRECTORY"), os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)

    def on_train_epoch_end(self, trainer, pl_module):
        folder = Path(trainer.default_root_dir)
        at_work = len(list(folder.parent.glob("*/history.csv")))
        if "seed-1" in folder.name and at_work == 3 and os.environ.get("TO_BE_KILLED"):
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def service(tmp_path, monkeypatch):
    """Puts a stand-in for the service's program on the path; returns the file of what it was told."""

    def put(status=0, of_others=0):
        program, log = tmp_path / "bin" / shared_gpu.CONTROL, tmp_path / "told"
        program.parent.mkdir(exist_ok=True)
        program.write_text(SERVICE.format(log=log, status=status, of_others=of_others))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        monkeypatch.setattr(shared_gpu, "USUAL", tmp_path / "none")
        return log

    return put


@pytest.mark.slow
def test_jobs_that_shared_a_gpu_with_one_that_was_killed_go_on_from_what_they_had_saved(
    tmp_path, monkeypatch, service, capfd
):
    log = service()
    monkeypatch.setattr(shared_gpu, "can_compute", lambda variables: True)
    (tmp_path / "killed.py").write_text(KILLED)
    monkeypatch.syspath_prepend(str(tmp_path))
    words = [*TINY, "epochs=60", "seed=0,1,2", "callbacks=[{_target_: killed.Callback}]"]
    alone = run_jobs(tmp_path / "alone", words, LaunchSettings(None, ["killed.Callback"], 1, slots=3))
    monkeypatch.setenv("TO_BE_KILLED", "yes")
    here = LaunchSettings(None, ["killed.Callback"], 1, slots=3, gpus={"0": "GPU-a"})
    sweep = run_jobs(tmp_path / "shared", words, here)
    printed = capfd.readouterr()
    assert "jobs share a GPU" in printed.out
    assert "Traceback" not in printed.err
    assert [state for name, state in sorted(states(sweep.path).items())] == ["done", "failed", "done"]
    assert log.read_text().split("\n") == ["start GPU-a", "quit", ""]
    logs = [path.read_text() for path in sorted(sweep.path.glob("*/train.log"))]
    begun = [re.findall(r"^shares (\S+) GPU-a$", text, re.MULTILINE) for text in logs]
    assert list(map(len, begun)) == [2, 1, 2]
    assert not os.path.exists(begun[0][0])
    expected, found = histories(alone.path), histories(sweep.path)
    killed = next(name for name in found if "seed-1" in name)
    assert "signal 9" in read_status(RunFolder(sweep.path / killed))["reason"]
    assert {name: rows for name, rows in found.items() if name != killed} == {
        name: rows for name, rows in expected.items() if name != killed
    }


@pytest.mark.parametrize(
    "why", ["no program", "it does not start", "no GPU", "the user's own", "the machine's", "left behind"]
)
def test_jobs_take_turns_where_they_cannot_share(tmp_path, monkeypatch, service, capfd, why):
    log = service(status=int(why == "it does not start"), of_others=int(why == "left behind"))
    if why == "no program":
        monkeypatch.setenv("PATH", "/nowhere")
    if why == "the user's own":
        monkeypatch.setenv(shared_gpu.PIPES, "/some/where")
    if why in ("the machine's", "left behind"):
        (tmp_path / "none").mkdir()
    with sharing(["GPU-a", "GPU-b"]) as variables:
        assert variables == {}
    assert "Traceback" not in capfd.readouterr().err
    told = log.read_text().split("\n") if log.exists() else []
    asked = ["get_server_list"] if why in ("the machine's", "left behind") else []
    tried = ["start GPU-a,GPU-b", "quit"] if why in ("it does not start", "no GPU", "left behind") else []
    assert told[:-1] == asked + tried


@pytest.mark.slow
def test_service_ends_with_the_sweep_that_is_killed(tmp_path, service):
    log = service()
    code = (
        "import os, signal; from medcls.sweep import shared_gpu; shared_gpu.can_compute = lambda variables: True\n"
        f"shared_gpu.USUAL = shared_gpu.Path({str(tmp_path / 'none')!r})\n"
        "with shared_gpu.sharing(['GPU-a']) as there:\n"
        "    print(there[shared_gpu.PIPES], flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    pipes = ended.stdout.split()[-1]
    until = time.monotonic() + 60
    while (os.path.exists(pipes) or "quit" not in log.read_text()) and time.monotonic() < until:
        time.sleep(0.05)
    assert log.read_text().split("\n") == ["start GPU-a", "quit", ""]
    assert not os.path.exists(pipes)
