"""study.json: what every task of a study asks and would take, whether it was run or not."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import NotRequired, TypedDict

from medcls.atomic import write_json
from medcls.config import Config
from medcls.config.schema import ClaimConfig
from medcls.errors import UserError
from medcls.runs.reading import read_json
from medcls.study.schema import FOLDS, TASKS, StudyConfig
from medcls.study.tasks import Jobs, Task, sources

FILE = "study.json"
# What hardly matters for how long an epoch takes.
CHEAP = ("dropout", "spatial_dropout")


class PlannedJob(TypedDict):
    """A run: its length, how much of it another task trains, and its cost, equal for runs whose epochs take as long."""

    name: str
    epochs: int
    shared: int
    cost: str


class PlannedTask(TypedDict):
    """A task: what it asks and claims, the words of its sweep's command, its data sets with their classes, its runs.

    group_pattern: of data sets whose folders tell the patients.
    """

    question: str
    claims: list[ClaimConfig]
    words: list[str]
    data: dict[str, dict[str, str] | None]
    group_pattern: NotRequired[dict[str, str]]
    jobs: list[PlannedJob]


class StudyFile(TypedDict):
    """Content of study.json, by task; seconds: of an epoch, by ``cost``, where its runs are not at hand."""

    tasks: dict[str, PlannedTask]
    seconds: NotRequired[dict[str, Annotated[float, Field(ge=0)]]]


def write_plan(folder: Path, tasks: Mapping[str, Task], before: Mapping[str, PlannedTask]) -> None:
    """Write study.json; before: its tasks that are not run now, which are kept."""
    content = {name: planned(tasks, tasks[name]) if name in tasks else before[name] for name in TASKS}
    plain = {name: _plain(task) for name, task in content.items()}
    known = read_seconds(folder) if (folder / FILE).is_file() else {}
    write_json(folder / FILE, {"tasks": plain, "seconds": known})


def planned(tasks: Mapping[str, Jobs], task: Task) -> PlannedTask:
    """A task as study.json keeps it."""
    jobs: list[PlannedJob] = []
    for name, config in task.configs.items():
        shared = max((source.epochs for source in sources(tasks, task.name, name) if source.awaited), default=0)
        jobs.append({"name": name, "epochs": config.epochs, "shared": shared, "cost": cost(config)})
    data = [config.data for config in task.configs.values()]
    return {
        "question": task.plan.sweep.question or "",
        "claims": [] if task.name == FOLDS else task.plan.sweep.claims,  # which task 3 has
        "words": task.arguments,
        "data": {one.name: one.classes for one in data},
        "group_pattern": {one.name: one.group_pattern for one in data if one.group_pattern},
        "jobs": jobs,
    }


def with_folders(task: PlannedTask, study: StudyConfig) -> PlannedTask:
    """A task that was not begun, with the classes and patients that the study names now for its data sets."""
    classes = {name: getattr(study.classes, name, None) or known for name, known in task["data"].items()}
    patterns = {name: found for name in classes if (found := getattr(study.group_pattern, name, None))}
    return {**task, "data": classes, "group_pattern": task.get("group_pattern", {}) | patterns}


def cost(config: Config) -> str:
    """What decides how long an epoch takes: equal for runs whose epochs take equally long on one machine."""
    plain = config.plain()
    model = {key: value for key, value in plain["model"].items() if key not in CHEAP}
    data = {key: plain["data"][key] for key in ("name", "split")}
    data["split"] = {key: value for key, value in data["split"].items() if key != "fold"}
    others = [plain[key] for key in ("image_size", "batch_size", "augment")]
    return json.dumps([model, data, *others, plain["trainer"]["precision"]], sort_keys=True)


def read_plan(folder: Path) -> dict[str, PlannedTask]:
    """Tasks of the study in ``folder``. Raises UserError where there is none, or its file is damaged."""
    content = _read(folder)
    for task in content["tasks"].values():
        task["claims"] = [ClaimConfig.model_validate(claim) for claim in task["claims"]]
    return content["tasks"]


def read_seconds(folder: Path) -> dict[str, float]:
    """Seconds of an epoch that the study in ``folder`` knows of runs elsewhere. Raises UserError likewise."""
    return _read(folder).get("seconds", {})


def _read(folder: Path) -> StudyFile:
    try:
        return read_json(folder / FILE, StudyFile)
    except FileNotFoundError as error:
        raise UserError(
            f"report: {folder} is not the folder of a study (it holds no {FILE}).\n  Name one, such as runs/study."
        ) from error


def _plain(task: PlannedTask) -> dict[str, Any]:
    return {**task, "claims": [claim.model_dump(exclude_none=True) for claim in task["claims"]]}
