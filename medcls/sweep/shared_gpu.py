"""Jobs that use one GPU at the same time, through an NVIDIA Multi-Process Service (MPS) of this sweep's own.

Without it a GPU serves its processes in turn, and the kernels of one small net leave most of it idle: eight at once
then take six times as long as one.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from medcls.sweep.child import Child

CONTROL = "nvidia-cuda-mps-control"
PIPES, LOGS, VISIBLE = "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY", "CUDA_VISIBLE_DEVICES"
USUAL = Path("/tmp/nvidia-mps")  # where the pipes of a machine-wide service are, and stay when it ends
READY = "guarded"  # file beside the pipes: from now on the service ends with the sweep
PATIENCE = 60.0  # seconds until the service must have computed something


@contextmanager
def sharing(gpus: Collection[str]) -> Iterator[dict[str, str]]:
    """Variables of the environment by which jobs share GPUs while the block runs; ``gpus``: their UUIDs.

    Empty where there are no GPUs to share, there is no such service, it does not work here, or the user has set one up.
    """
    if not gpus or shutil.which(CONTROL) is None or is_chosen_already():
        yield {}
        return
    pipes = mkdtemp(prefix="medcls_mps_")
    variables = {PIPES: pipes, LOGS: pipes}
    guard = Child(end_with_the_sweep, variables)
    while guard.process.is_alive() and not (Path(pipes) / READY).exists():
        time.sleep(0.01)
    try:
        seen = {VISIBLE: ",".join(gpus)}
        works = control(["-d"], variables | seen) and can_compute(variables | seen)
        if works:
            print("jobs share a GPU through NVIDIA's Multi-Process Service", flush=True)
        yield variables if works else {}
    finally:
        guard.kill()
        end(variables)


def is_chosen_already() -> bool:
    """Whether the user names a service, or a place without one, or there is a machine-wide one."""
    return PIPES in os.environ or (USUAL.exists() and control([], {}, "get_server_list\n"))


def control(arguments: Collection[str], variables: Mapping[str, str], command: str = "") -> bool:
    """Whether the program that starts and ends the service carried out the command."""
    try:
        ended = subprocess.run(
            [CONTROL, *arguments],
            input=command,
            stdout=subprocess.DEVNULL,  # no pipe: the service would keep it open
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **variables},
            timeout=PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0


def can_compute(variables: Mapping[str, str]) -> bool:
    """Whether a process that uses the service computes something on a GPU."""
    with open(os.devnull, "wb") as nowhere:
        child = Child(compute, output=nowhere, environment={**os.environ, **variables})
    child.process.join(PATIENCE)
    child.kill()
    return child.process.exitcode == 0


def compute() -> None:
    """Compute something on a GPU, in a process that may fail."""
    import torch

    torch.ones(1, device="cuda").add_(1).item()


def end_with_the_sweep(variables: Mapping[str, str]) -> None:
    """End the service when the sweep's process dies, which the caller outlives and learns of by SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    (Path(variables[PIPES]) / READY).touch()
    try:
        while True:
            signal.pause()
    finally:
        end(variables)


def end(variables: Mapping[str, str]) -> None:
    """End the service, which waits for the processes that use it."""
    control([], variables, "quit\n")
    shutil.rmtree(variables[PIPES], ignore_errors=True)
