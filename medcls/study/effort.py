"""What the tasks of a study took, and what those that were not run would take."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import NamedTuple

from medcls.errors import UserError
from medcls.runs.folder import RunFolder
from medcls.runs.run import Run
from medcls.study.plan_file import PlannedTask, read_seconds
from medcls.study.shared import shared_by
from medcls.sweep.sweep_folder import history_so_far
from medcls.sweep.watch import duration

_PROCESSORS = ("x86_64", "AMD64", "arm64", "aarch64")  # as platform.platform() has them among versions


class Effort(NamedTuple):
    """The runs of a task: epochs that were trained for it, their seconds, and which task the other epochs are from.

    each: median seconds of an epoch, which a pause of the machine does not lengthen.
    """

    epochs: int
    seconds: float
    each: float
    shared: Mapping[str, int]


def effort_of(runs: Iterable[Run]) -> Effort:
    """What the finished runs took, epochs of other tasks' runs not counted again."""
    seconds, shared = list[float](), dict[str, int]()
    for run in runs:
        rows, source = run.history, shared_by(run.folder)
        if source:
            rows = rows[source["epochs"] :]
            shared[source["task"]] = shared.get(source["task"], 0) + 1
        seconds += [row["seconds"] for row in rows]
    return Effort(len(seconds), sum(seconds), median(seconds or [0.0]), shared)


def in_words(effort: Effort, n_runs: int) -> str:
    """What the runs took, for a reader who wants to run them again."""
    text = f"{effort.epochs} epochs trained in {effort.seconds:,.0f} s ({duration(effort.seconds)})"
    if effort.epochs:
        text += f", {effort.each:.2f} s each (median)"
    shared = [
        f"{count} of {n_runs} runs are, or continue, those of task {task}" for task, count in effort.shared.items()
    ]
    return "; ".join([text, *shared])


def machines(runs: Iterable[Run]) -> str:
    """What the runs ran on, as they recorded it."""
    found = dict.fromkeys(filter(None, (machine(run.folder) for run in runs)))
    return " and ".join(found) or "a machine that was not recorded"


def machine(folder: Path) -> str:
    """GPU, or system and number of threads; empty where it was not recorded."""
    try:
        recorded = json.loads(RunFolder(folder).environment.read_text(encoding="utf-8"))
        gpus, threads = recorded["gpus"], int(recorded["threads"])
        system, *others = str(recorded["platform"]).split("-")
        kind = next((part for part in others if part in _PROCESSORS), "")
        return str(gpus[0]) if gpus else f"{system} {kind}, {threads} thread{'s' if threads > 1 else ''}"
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return ""


def epoch_seconds(folder: Path, plan: Mapping[str, PlannedTask]) -> dict[str, float]:
    """Median seconds of an epoch, by ``cost``, of all that the study has trained so far, here or elsewhere."""
    measured: dict[str, list[float]] = {}
    for name, task in plan.items():
        for job in task["jobs"]:
            try:
                rows = history_so_far(RunFolder(folder / name / job["name"]))
            except UserError:  # damaged
                continue
            measured.setdefault(job["cost"], []).extend(row["seconds"] for row in rows)
    return read_seconds(folder) | {cost: median(seconds) for cost, seconds in measured.items() if seconds}


def to_do(task: PlannedTask, done: Mapping[str, int], seconds: Mapping[str, float]) -> str:
    """What the missing runs of a task would take; done: by job, how many epochs are complete; seconds: by cost."""
    missing = [job for job in task["jobs"] if done.get(job["name"], 0) < job["epochs"]]
    lengths = {f"{job['epochs']}" for job in missing}
    epochs = {job["name"]: job["epochs"] - max(done.get(job["name"], 0), job["shared"]) for job in missing}
    total, shared = sum(epochs.values()), sum(job["shared"] > done.get(job["name"], 0) for job in missing)
    text = f"{len(missing)} run{'s' if len(missing) > 1 else ''} of {' or '.join(sorted(lengths, key=int))} epochs"
    text += f", {shared} of which begin with runs of other tasks: {total} epochs" if shared else f", {total} epochs"
    missing = [job for job in missing if epochs[job["name"]]]
    known = [epochs[job["name"]] * seconds[job["cost"]] for job in missing if job["cost"] in seconds]
    if len(known) < len(missing):
        return f"{text}; seconds unknown: {'only some' if known else 'none'} of these nets have been timed"
    return f"{text}, about {duration(sum(known))} one after another, by the epochs measured in this study"
