"""The folder of a sweep: sweep.json, the frozen configuration of each job, a run folder per job."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medcls.atomic import write_json, write_text
from medcls.config import Config
from medcls.config.stored import check_stored
from medcls.errors import UserError
from medcls.runs.folder import RunFolder, locked
from medcls.runs.history import Row, read_history
from medcls.runs.reading import read_yaml, yaml_text
from medcls.sweep_report.contract import read_contract


@dataclass(frozen=True)
class Job:
    """One run of a sweep: ``name`` is its folder within the sweep's; ``overrides`` make its configuration.

    fold, folds: as in data.split; None without cross-validation.
    """

    name: str
    variant: str
    seed: int
    fold: int | None
    folds: int | None
    overrides: list[str]


class SweepFolder:
    """Paths and small files of a sweep; every file is written whole or not at all.

    sweep.json: name, question, command, simulated, keys (swept, without seed and fold), variants (name, values), jobs
    (name, variant, seed, fold, folds, overrides), compare, metric, margin and reach as in the configuration. The
    report reads this file, the run folders and baseline.json, where medcls baseline left it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / "sweep.json"
        self.jobs = path / "jobs"
        self.launch = self.jobs / ".launch"

    def run_folder(self, job: str) -> RunFolder:
        """The run folder of a job."""
        return RunFolder(self.path / job)

    def read(self) -> dict[str, Any]:
        """Content of sweep.json. Raises UserError if the folder holds no sweep."""
        if not self.file.is_file():
            raise UserError(f"{self.path}: not the folder of a sweep (it holds no sweep.json).")
        content: dict[str, Any] = read_contract(self.file)
        return content

    def swept_keys(self) -> list[str]:
        """Keys in which the jobs differ, including seed and fold if there are several."""
        content = self.read()
        repeated = {"seed": "seed", "fold": "data.split.fold"}
        several = [key for name, key in repeated.items() if len({job[name] for job in content["jobs"]}) > 1]
        return [*content["keys"], *several]

    def write(self, content: dict[str, Any], configs: dict[str, Config]) -> None:
        """Freeze the jobs; sweep.json is written last, since it makes the folder a sweep."""
        self.jobs.mkdir(parents=True, exist_ok=True)
        for name, config in configs.items():
            write_text(self.jobs / f"{name}.yaml", yaml_text(config.plain()))
        write_json(self.file, content)

    def frozen(self, job: str, allowed: Collection[str]) -> Config | None:
        """Configuration that a job was frozen with; None if it is new. allowed: code that it may name."""
        file = self.jobs / f"{job}.yaml"
        return check_stored(read_yaml(file), file, allowed) if file.is_file() else None

    def locked(self) -> AbstractContextManager[None]:
        """Keep a second sweep out of the folder; the system releases the lock of a process that dies."""
        return locked(self.path, "another sweep is running here")


def read_status(folder: RunFolder) -> dict[str, Any]:
    """Content of status.json: state, epoch, reason; state "waiting" if no run has begun.

    Raises UserError where it is damaged.
    """
    status = folder.read_status()
    return {"state": "waiting", "epoch": 0, "reason": None} if status is None else dict(status)


def history_so_far(folder: RunFolder) -> list[Row]:
    """Rows of history.csv; none if no epoch is complete. Raises UserError where it is damaged."""
    done = read_status(folder)["epoch"]  # before the rows: a running run writes it after them
    try:
        rows = read_history(folder.history)
        if len(rows) < done:
            raise ValueError(f"{len(rows)} of {done} epochs")
        return rows
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise UserError(
            f"{folder.history}: damaged or of another program ({error}).\n"
            f"  Restore it from a copy or, to train this run anew, remove the folder {folder.path}"
        ) from error


def differences(frozen: Config, composed: Config, changeable: Sequence[str]) -> list[str]:
    """A line for each key that differs and may not: its value when the sweep began, and now."""
    before, now = dict(flat(frozen.plain())), dict(flat(composed.plain()))
    return [
        f"{key}: {before.get(key, 'absent')!r} when the sweep began, now {now.get(key, 'absent')!r}"
        for key in dict.fromkeys([*before, *now])
        if key not in changeable and before.get(key, "absent") != now.get(key, "absent")
    ]


def flat(section: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of every leaf."""
    for key, value in section.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
