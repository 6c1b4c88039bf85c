"""A run that another task of the study has finished, taken over: resumed from a copy, or copied where it is as long."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from typing_extensions import TypedDict

from medcls.atomic import write_json
from medcls.config import Config
from medcls.config.stored import check_stored
from medcls.errors import UserError
from medcls.runs.folder import RunFolder
from medcls.runs.reading import read_json
from medcls.study.tasks import Identity, Source, fits, identity
from medcls.sweep.run_sweep import is_finished
from medcls.sweep.sweep_folder import SweepFolder, history_so_far

FILE = "shared.json"  # in the run folder of a copy


class Shared(TypedDict):
    """Whose run a copy is: the task and the job, and how many epochs that one has."""

    task: str
    job: str
    epochs: int


def finished_source(
    folder: Path, found: Sequence[Source], config: Config, wanted: Identity
) -> tuple[Source, Config] | None:
    """The longest finished run that ``config`` can continue, with its configuration; None where there is none.

    A run that was unpacked without its nets can be used only where it is the whole run.
    wanted: identity of ``config`` as it was composed, which may leave the number of threads open.
    """
    for source in found:
        run = RunFolder(folder / source.task / source.job)
        try:
            if not run.config.is_file():
                continue
            stored = check_stored(run.read_config(), run.config, config.own_code)
            same = fits(identity(stored.model_copy(update={"resume": None})), wanted)
            long_enough = stored.epochs == config.epochs or (stored.epochs < config.epochs and run.last.is_file())
            if same and long_enough and is_finished(run, stored):
                return source, stored
        except UserError:  # damaged, so not usable
            continue
    return None


def take_over(folder: Path, source: Source, target: RunFolder) -> None:
    """Copy a finished run to where another is wanted, whole or not at all."""
    run = RunFolder(folder / source.task / source.job)
    with placing(target.path) as part:
        with run.locked():
            shutil.copytree(run.path, part, ignore=shutil.ignore_patterns(".lock", "train.log", FILE))
            shared: Shared = {"task": source.task, "job": source.job, "epochs": len(history_so_far(run))}
        write_json(part / FILE, shared)


@contextmanager
def placing(target: Path) -> Iterator[Path]:
    """Where to put a folder that takes the place of ``target`` when the block ends without an error."""
    part = target.with_name(f".{target.name}.copy")
    shutil.rmtree(part, ignore_errors=True)
    yield part
    shutil.rmtree(target, ignore_errors=True)  # of a job that failed before it began
    part.rename(target)


def shared_by(folder: Path) -> Shared | None:
    """Whose run the one in a folder was copied from; None where it was trained there."""
    try:
        return read_json(folder / FILE, Shared)
    except FileNotFoundError:
        return None


def has_begun(sweep: SweepFolder, job: str) -> bool:
    """Whether a job's folder holds a run."""
    return sweep.run_folder(job).config.exists()
