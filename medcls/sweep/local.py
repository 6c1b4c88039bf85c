"""Jobs on this machine: children of this process, some at a time."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from types import FrameType

from medcls.errors import Stopped
from medcls.host.signals import handling_signals
from medcls.sweep.child import Child
from medcls.sweep.ends import mark_for_resuming, record_exit, record_failure
from medcls.sweep.frozen_job import exit_with_status
from medcls.sweep.launch_settings import MOST_ON_A_GPU, LaunchSettings
from medcls.sweep.shared_gpu import VISIBLE, sharing
from medcls.sweep.sweep_folder import SweepFolder, history_so_far

EVERY = 1.0  # seconds between two checks whether the first job on a GPU has shown how much memory it needs


def run_here(sweep: SweepFolder, jobs: Sequence[str], settings: LaunchSettings) -> None:
    """Run the jobs; each records in its folder how it ended.

    Raises Stopped on SIGINT or SIGTERM, when all have stopped in order; a second signal kills them.
    """
    for job in jobs:
        mark_for_resuming(sweep.run_folder(job))
    crowded = min(len(jobs), settings.slots) > len(settings.gpus) > 0
    with sharing(settings.gpus.values() if crowded else ()) as variables:
        crew = Crew(sweep, list(jobs), settings, variables)
        with handling_signals(crew.stop):
            crew.work()
    if crew.received:
        raise Stopped(crew.received[0])


@dataclass
class Running:
    """A running job; ``gpu``: "" where none is assigned; ``epochs``: how many were complete when it started."""

    child: Child
    gpu: str
    epochs: int


@dataclass
class Crew:
    """The jobs of a sweep that wait and those that run; ``room``: by GPU, how many it takes at a time.

    sharing: variables by which they share it at the same moment, if they do.
    """

    sweep: SweepFolder
    waiting: list[str]
    settings: LaunchSettings
    sharing: dict[str, str]
    running: dict[str, Running] = field(default_factory=dict)
    received: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings = self.settings
        self.room = dict.fromkeys(settings.gpus, 1 if settings.measured else settings.slots) or {"": settings.slots}
        self.unmeasured = set(settings.gpus) if settings.measured else set[str]()

    def work(self) -> None:
        """Run all jobs, or until asked to stop; whatever happens, none is left running."""
        try:
            while self.running or (self.waiting and not self.received):
                while self.waiting and not self.received and (gpu := self.free_place()) is not None:
                    self.start(self.waiting.pop(0), gpu)
                measuring = self.waiting and self.unmeasured
                sentinels = [job.child.process.sentinel for job in self.running.values()]
                wait(sentinels, EVERY if measuring else None)
                for name, job in list(self.running.items()):
                    if name in self.running and not job.child.process.is_alive():
                        self.end(name)
                if measuring:
                    self.measure()
        finally:
            self.let_go()
            for job in self.running.values():
                job.child.process.join()

    def free_place(self) -> str | None:
        """The GPU with the fewest jobs of those that take another; "" where none is assigned, None: wait."""
        counts = {gpu: sum(job.gpu == gpu for job in self.running.values()) for gpu in self.room}
        free = [gpu for gpu, count in counts.items() if count < self.room[gpu]]
        return min(free, key=counts.__getitem__) if free and len(self.running) < self.settings.slots else None

    def start(self, name: str, gpu: str) -> None:
        """Start a job; one that cannot start, for lack of memory, is recorded as failed."""
        run = self.sweep.run_folder(name)
        run.path.mkdir(parents=True, exist_ok=True)
        there = os.environ | self.sharing
        if self.sharing or len(self.room) > 1:
            there[VISIBLE] = self.settings.gpus[gpu] if self.sharing else gpu  # the service numbers GPUs by itself
        with (run.path / "train.log").open("ab") as log:
            try:
                job = self.sweep, name, self.settings.allowed
                child = Child(exit_with_status, *job, output=log, environment=there)
            except (EOFError, OSError) as error:
                record_failure(run, f"could not be started ({type(error).__name__}: {error})")
                return
        self.running[name] = Running(child, gpu, len(history_so_far(run)))
        if self.received:  # meanwhile
            child.let_go()

    def end(self, name: str) -> None:
        """Record how a job ended, unless it was asked to stop: then it records that itself."""
        job, run = self.running.pop(name), self.sweep.run_folder(name)
        job.child.let_go()  # where the fork server has died, its children still run
        if not self.received:
            code = job.child.process.exitcode or 0
            record_exit(run, code)
            if self.sharing and code < 0:
                self.begin_again(job.gpu)

    def begin_again(self, gpu: str) -> None:
        """Kill the jobs that shared a GPU with one that was killed, and resume them from what they saved before.

        NVIDIA leaves undefined what they compute from then on.
        """
        for name in [name for name, job in self.running.items() if job.gpu == gpu]:
            self.running.pop(name).child.kill()
            mark_for_resuming(self.sweep.run_folder(name))
            self.waiting.insert(0, name)

    def measure(self) -> None:
        """Open a GPU to as many jobs as fit its memory, once its first job has completed an epoch."""
        for name, job in self.running.items():
            if job.gpu in self.unmeasured and len(history_so_far(self.sweep.run_folder(name))) > job.epochs:
                self.unmeasured.remove(job.gpu)
                used, free = memory(self.settings.gpus[job.gpu])
                self.room[job.gpu] = min(MOST_ON_A_GPU, 1 + free // max(1, used))

    def stop(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: have all jobs stop in order; kill them at a second one."""
        self.received.append(number)
        if len(self.received) > 1:
            for job in self.running.values():
                job.child.process.kill()
            return
        print("stopping all jobs; press Ctrl-C again to kill them", file=sys.stderr)
        self.let_go()

    def let_go(self) -> None:
        for job in self.running.values():
            job.child.let_go()


def memory(gpu: str) -> tuple[int, int]:
    """Used and free memory of a GPU in MiB, by nvidia-smi; (1, 0) where it cannot tell."""
    command = ["nvidia-smi", f"--id={gpu}", "--query-gpu=memory.used,memory.free", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        used, free = map(int, answer.split(","))
    except (OSError, ValueError, subprocess.CalledProcessError):
        return 1, 0
    return used, free
