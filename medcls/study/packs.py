"""Packs of a study: the finished runs of each task without their nets, small enough to be kept beside the page."""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from medcls.atomic import write_json
from medcls.composition.compose import checked
from medcls.errors import UserError
from medcls.pack.archive import opened
from medcls.pack.command import pack
from medcls.pack.schema import ConfigWithPack
from medcls.pack.strip import Machine, Stripper
from medcls.quoting import in_grammar
from medcls.runs.reading import read_json
from medcls.study.effort import epoch_seconds
from medcls.study.plan_file import FILE, StudyFile, read_plan, read_seconds
from medcls.study.schema import TASKS
from medcls.study.shared import has_begun, placing
from medcls.sweep.sweep_folder import SweepFolder, history_so_far, read_status
from medcls.sweep_report.contract import read_contract


def packs_in(folder: Path) -> list[Path]:
    """The packs of tasks in a folder, in the order of the study. Raises UserError for a pack of something else."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: found a file, expected a folder: with packs, or to write them to.")
    found = {file.stem: file for file in sorted(folder.glob("*.zip"))}
    if strange := [str(found[name]) for name in found if name not in TASKS]:
        raise UserError(f"{strange[0]}: not the pack of a task. Expected {', '.join(f'{name}.zip' for name in TASKS)}.")
    return [found[name] for name in TASKS if name in found]


@contextmanager
def as_study(folder: Path) -> Iterator[Path]:
    """The folder of a study: ``folder`` itself, or what the packs in it hold while the block runs."""
    if not packs_in(folder):
        yield folder
        return
    with TemporaryDirectory(prefix="medcls_study_") as unpacked:
        unpack(folder, Path(unpacked), {})
        yield Path(unpacked)


def unpack(packs: Path, folder: Path, epochs: Mapping[str, Mapping[str, int]]) -> None:
    """Add finished runs of the packs to the folder of a study; runs that have begun there stay as they are.

    epochs: of the jobs of tasks that are to be run: they cannot use a run of another length without its net.
    Raises UserError for a file that is no pack or was changed, as medcls verify does.
    """
    files = packs_in(packs)
    if files and not (folder / FILE).exists():
        read_plan(packs)  # sound
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(packs / FILE, folder / FILE)
    for file in files:
        with opened(file) as inside:
            source = inside.folder / "runs" / file.stem
            if not (source / "sweep.json").is_file():
                raise UserError(f"{file}: expected the pack of a sweep named {file.stem}, as medcls study writes it.")
            unpack_task(SweepFolder(source), SweepFolder(folder / file.stem), epochs.get(file.stem, {}))


def unpack_task(source: SweepFolder, target: SweepFolder, epochs: Mapping[str, int]) -> None:
    """Add the finished runs of a task to its folder, as jobs that are frozen with the configurations they had."""
    target.jobs.mkdir(parents=True, exist_ok=True)
    for job in finished_jobs(source):
        wanted = source.run_folder(job).read_config().get("epochs")
        if has_begun(target, job) or epochs.get(job, wanted) != wanted:
            continue
        with placing(target.path / job) as part:
            shutil.copytree(source.path / job, part)
            shutil.copyfile(source.run_folder(job).config, target.jobs / f"{job}.yaml")
    if not target.file.exists():
        shutil.copyfile(source.file, target.file)


def finished_jobs(sweep: SweepFolder) -> dict[str, int]:
    """Jobs of a sweep whose runs are done, with their epochs; none where there is no sweep."""
    names = [job["name"] for job in read_contract(sweep.file)["jobs"]] if sweep.file.is_file() else []
    runs = {name: sweep.run_folder(name) for name in names}
    return {name: len(history_so_far(run)) for name, run in runs.items() if read_status(run)["state"] == "done"}


def write_pack(folder: Path, task: str, packs: Path) -> None:
    """Pack what a task has finished, in the place of an earlier pack; what the study asks and has measured beside it.

    Raises UserError where the earlier pack has a finished run that the folder does not have, or has fewer epochs of.
    """
    packs.mkdir(parents=True, exist_ok=True)
    if done := finished_jobs(SweepFolder(folder / task)):
        replace_pack(folder, task, packs, done)
    known = read_seconds(packs) if (packs / FILE).is_file() else {}
    seconds = known | {cost: round(each, 2) for cost, each in epoch_seconds(folder, read_plan(folder)).items()}
    plan = Stripper(Machine([str(folder.absolute())])).values(read_json(folder / FILE, StudyFile))
    write_json(packs / FILE, plan | {"seconds": seconds})


def replace_pack(folder: Path, task: str, packs: Path, done: Mapping[str, int]) -> None:
    """Write the file of a task, unless it has just these runs so judged; done: epochs of its finished jobs."""
    file = packs / f"{task}.zip"
    if file.is_file():
        with opened(file) as inside:
            packed = SweepFolder(inside.folder / "runs" / task)
            before, judged = finished_jobs(packed), judgements(packed, done)
        if before == done and judged == judgements(SweepFolder(folder / task), done):
            return  # made when the images were at hand, which another one may have to do without
        if lost := [job for job, epochs in before.items() if epochs > done.get(job, 0)]:
            raise UserError(
                f"{file}: kept as it is: of {len(lost)} runs it holds more than {folder / task}, such as {lost[0]}.\n"
                "  Name another folder: study.packs=<folder>"
            )
    with TemporaryDirectory(prefix=".medcls_", dir=packs) as part:
        words = [f"run={in_grammar([str(folder / task)])}", f"output={in_grammar(str(Path(part) / file.name))}"]
        os.replace(pack(checked(ConfigWithPack, "pack", [*words, "nets=false"], "pack")), file)


def judgements(sweep: SweepFolder, jobs: Iterable[str]) -> list[bytes]:
    """Metrics and decisions of runs, as their files have them; none of a run that is not there."""
    runs = map(sweep.run_folder, jobs)
    return [file.read_bytes() for run in runs for file in (run.metrics, run.decision) if file.is_file()]
