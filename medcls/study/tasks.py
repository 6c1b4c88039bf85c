"""The tasks of the study, each planned as the sweep that it is, and which of their runs are the same."""

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medcls.config import Config
from medcls.config.data import ROOTS
from medcls.config.knobs import changeable
from medcls.errors import UserError
from medcls.quoting import in_grammar
from medcls.study.schema import TASKS, StudyConfig
from medcls.sweep.plan import Plan, plan_sweep
from medcls.sweep.sweep_folder import SweepFolder, flat

Identity = tuple[tuple[str, str], ...]
OURS = ("experiment", "hydra.sweep.dir", "data.root", "resume")  # decided by the study


@dataclass(frozen=True)
class Source:
    """A run of another task that is the beginning, or all, of a run.

    awaited: it is trained first; else it is the whole run, of a later task, and can be used once it is finished.
    """

    task: str
    job: str
    epochs: int
    awaited: bool


@dataclass
class Jobs:
    """The runs of a task: configurations and identities, by job."""

    name: str
    configs: Mapping[str, Config]
    identities: dict[str, Identity] = field(init=False)

    def __post_init__(self) -> None:
        self.identities = {job: identity(config) for job, config in self.configs.items()}


@dataclass
class Task(Jobs):
    """A task with its planned sweep; arguments: those of medcls sweep, but for its folder."""

    arguments: list[str]
    plan: Plan

    @property
    def claimed(self) -> list[str]:
        """Jobs of the variants that claims name; all of them where a claim is about more, such as a setting."""
        names = {name for claim in self.plan.sweep.claims for name in claim.of}
        known = {job.variant for job in self.plan.jobs}
        return [job.name for job in self.plan.jobs if job.variant in names or not names <= known]


def plan_tasks(study: StudyConfig, overrides: Sequence[str]) -> dict[str, Task]:
    """The tasks that are to be run, on the images that the study names; overrides: for every sweep.

    Raises UserError for a folder that is not there, for overrides that a sweep refuses, and where some tasks would
    train on images and others on simulated ones.
    """
    if wrong := [word for word in overrides if word.lstrip("+~").partition("=")[0] in OURS]:
        raise UserError(
            f"{wrong[0]}: decided by the study, for each task. Expected study.folder=<folder>, study.skin=<folder>, or "
            "for one task alone 'study.also.task1b=[\"image_size=64\"]'"
        )
    for name, variable in ROOTS.items():
        root = getattr(study, name)
        if root is not None:
            if not root.expanduser().is_dir():
                raise UserError(f"study.{name}: no folder {root}. Name the one that holds train/ and test/.")
            os.environ[variable] = str(root)
    tasks = {}
    for name in TASKS:  # in this order, however they are listed
        if name in (study.tasks or TASKS):
            try:
                tasks[name] = plan_task(study, name, words_of(name, overrides, study.also[f"task{name}"]))
            except UserError as error:
                raise UserError(f"task {name}: {error}") from error
    check_images(tasks)
    return tasks


def words_of(name: str, overrides: Sequence[str], alone: Sequence[str]) -> list[str]:
    """Overrides of a task's sweep; of those with one key the last: its own, after those of all tasks."""
    experiment, *fixed = TASKS[name]
    return list({word.partition("=")[0]: word for word in (experiment, *overrides, *fixed, *alone)}.values())


def plan_task(study: StudyConfig, name: str, arguments: list[str]) -> Task:
    """One task. Raises UserError for what its sweep refuses."""
    plan = plan_sweep([*arguments, f"hydra.sweep.dir={in_grammar(str(study.folder / name))}"])
    for job, config in plan.configs.items():
        plan.configs[job] = of_folder(config, study)
    return Task(name, dict(plan.configs), arguments, plan)


def of_folder(config: Config, study: StudyConfig) -> Config:
    """The configuration with the classes and patients that the study names for its data set.

    An override could not give them to one of two data sets that a sweep compares. The positive class is that in the
    place of the former.
    """
    update: dict[str, Any] = {}
    if classes := getattr(study.classes, config.data.name, None):
        former, positive = list((config.data.classes or {}).values()), config.data.positive
        place = former.index(positive) if positive in former else -1
        update = {"classes": dict(classes), "positive": list(classes.values())[place] if place >= 0 else None}
    if pattern := getattr(study.group_pattern, config.data.name, None):
        update["group_pattern"] = pattern
    return config.model_copy(update={"data": config.data.model_copy(update=update)})


def jobs_on_disk(folder: Path, name: str, allowed: Collection[str]) -> Jobs:
    """The runs of a task that was begun before and is not run now; none of those that cannot be read.

    allowed: code of the user's own that the command names.
    """
    sweep, configs = SweepFolder(folder / name), {}
    for file in sorted(sweep.jobs.glob("*.yaml")):
        with suppress(UserError):
            configs[file.stem] = sweep.frozen(file.stem, allowed)
    return Jobs(name, {job: config for job, config in configs.items() if config})


def check_images(tasks: Mapping[str, Task]) -> None:
    """Raise UserError where some data sets are there and others would be simulated."""
    there, simulated = set[str](), set[str]()
    for task in tasks.values():
        for config in task.configs.values():
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


def fits(found: Identity, wanted: Identity) -> bool:
    """Whether a run of one identity is that of another, which may leave the number of threads open."""
    threads = "trainer.threads"
    if (threads, "None") in wanted:
        found = tuple((key, "None" if key == threads else value) for key, value in found)
    return found == wanted


def sources(tasks: Mapping[str, Jobs], name: str, job: str) -> list[Source]:
    """Runs of other tasks that are the beginning of a job, or all of it; the longest first."""
    order, task = list(TASKS), tasks[name]
    epochs, identical = task.configs[job].epochs, task.identities[job]
    known = []
    for other in tasks.values():
        earlier = order.index(other.name) < order.index(name)
        for twin in [twin for twin, found in other.identities.items() if fits(found, identical) and other is not task]:
            length = other.configs[twin].epochs
            if length <= epochs:
                known.append(Source(other.name, twin, length, awaited=earlier or length < epochs))
    return sorted(known, key=lambda source: (-source.epochs, order.index(source.task)))
