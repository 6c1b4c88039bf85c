"""The tasks of the study, each planned as the sweep that it is, and which of their runs are the same."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medcls.config import Config
from medcls.config.knobs import changeable
from medcls.errors import UserError
from medcls.study.schema import TASKS, StudyConfig
from medcls.sweep.plan import Plan, plan_sweep
from medcls.sweep.sweep_folder import flat
from medcls.sweep.variants import in_grammar

Identity = tuple[tuple[str, str], ...]
ROOTS = {"skin": "MEDCLS_SKIN", "bone": "MEDCLS_BONE", "xray": "MEDCLS_XRAY"}  # as conf/data/ reads them
OURS = ("experiment", "hydra.sweep.dir", "data.root", "resume")  # decided by the study


@dataclass(frozen=True)
class Source:
    """A run of another task that is the beginning, or all, of a run."""

    task: str
    job: str
    epochs: int


@dataclass
class Task:
    """A task with its planned sweep; arguments: those of medcls sweep; chosen: it is to be run.

    identities: by job, what must be equal for two runs to be the same one, for as long as the shorter lasts.
    """

    name: str
    arguments: list[str]
    plan: Plan
    chosen: bool
    identities: dict[str, Identity] = field(default_factory=dict)


def plan_tasks(study: StudyConfig, overrides: Sequence[str]) -> dict[str, Task]:
    """All tasks of the study, on the images that it names; overrides: for every sweep.

    Raises UserError for a folder that is not there, for overrides that a sweep refuses, and where some of the chosen
    tasks would train on images and others on simulated ones.
    """
    if wrong := [word for word in overrides if word.lstrip("+~").partition("=")[0] in OURS]:
        raise UserError(
            f"{wrong[0]}: decided by the study, for each task. Expected study.folder=<folder>, study.skin=/path/to/Skin,"
            " or for one task alone study.also='{\"1b\": [image_size=64]}'"
        )
    for name, variable in ROOTS.items():
        root = getattr(study, name)
        if root is not None:
            if not root.expanduser().is_dir():
                raise UserError(f"study.{name}: no folder {root}. Name the one that holds train/ and test/.")
            os.environ[variable] = str(root)
    tasks = {}
    for name, own in TASKS.items():
        arguments = [*own, *overrides, *study.also.get(name, [])]
        place = f"hydra.sweep.dir={in_grammar(str(study.folder / name))}"
        try:
            plan = plan_sweep([*arguments, place])
        except UserError as error:
            raise UserError(f"task {name}: {error}") from error
        identities = {job: identity(config) for job, config in plan.configs.items()}
        tasks[name] = Task(name, arguments, plan, name in (study.tasks or TASKS), identities)
    check_images(tasks)
    return tasks


def check_images(tasks: Mapping[str, Task]) -> None:
    """Raise UserError where some data sets of the chosen tasks are there and others would be simulated."""
    there, simulated = set[str](), set[str]()
    for task in tasks.values():
        for config in task.plan.configs.values() if task.chosen else ():
            (simulated if config.data.uses_simulation else there).add(config.data.name)
    if there and simulated:
        missing = sorted(simulated)
        raise UserError(
            f"found images of {', '.join(sorted(there))}, none of {', '.join(missing)}, which would be simulated.\n"
            f"  Name them (study.{missing[0]}=/path/to/images), or the tasks to run without them (study.tasks=[...])."
        )


def identity(config: Config) -> Identity:
    """What makes a run the one that it is: all keys but those that may change when it is resumed.

    Its length is one of the latter, unless its rates follow from it.
    """
    free = changeable(config)
    return tuple((key, repr(value)) for key, value in flat(config.plain()) if key not in free)


def sources(tasks: Mapping[str, Task], name: str, job: str) -> list[Source]:
    """Runs of other tasks that are the beginning of a job or, in an earlier task, all of it; the longest first."""
    order, task = list(tasks), tasks[name]
    epochs = task.plan.configs[job].epochs
    found = [
        Source(other.name, twin, length)
        for other in tasks.values()
        if other is not task
        for twin, same in other.identities.items()
        if same == task.identities[job]
        and ((length := other.plan.configs[twin].epochs) < epochs)
        | (length == epochs and order.index(other.name) < order.index(name))
    ]
    return sorted(found, key=lambda source: (-source.epochs, order.index(source.task)))
