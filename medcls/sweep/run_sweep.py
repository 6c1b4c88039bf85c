"""One sweep, from the arguments of its command to its report."""

import shlex
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from medcls.config import Config
from medcls.config.knobs import changeable
from medcls.errors import Stopped, UserError
from medcls.host.terminal import command_line
from medcls.runs.folder import RunFolder
from medcls.runs.history import is_over
from medcls.sweep.answer import report
from medcls.sweep.checks import check_here
from medcls.sweep.child import call, start_server
from medcls.sweep.launch import launch
from medcls.sweep.launch_settings import LaunchSettings, choose_launch_settings
from medcls.sweep.local import run_here
from medcls.sweep.plan import Plan, plan_sweep
from medcls.sweep.sweep_folder import SweepFolder, differences, flat, history_so_far, read_status
from medcls.sweep.watch import Watch


def sweep(arguments: Sequence[str]) -> int:
    """Run the missing jobs of a sweep and report on all of them; returns the exit status.

    Raises UserError before anything is written, Stopped when asked to stop.
    """
    start_server()
    plan = plan_sweep(arguments)
    folder, settings = check_plan(plan)
    folder.path.mkdir(parents=True, exist_ok=True)
    with folder.locked():
        folder.write(plan.contract([*command_words(), *arguments]), plan.configs)
        again = f"{command_line('sweep')} {shlex.join(arguments)}"
        run_missing(folder, plan, settings, list(plan.configs), again)
    failed = print_failures(folder, plan)
    call(report, folder.path, next(iter(plan.configs.values())).columns)
    return 1 if failed else 0


def check_plan(plan: Plan, key: str = "hydra.sweep.dir") -> tuple[SweepFolder, LaunchSettings]:
    """Folder of a sweep and how its jobs are launched, their numbers of threads decided; nothing is written.

    key: by which the user chooses the folder.
    Raises UserError where its jobs cannot run here, or the folder holds other jobs.
    """
    settings = choose_launch_settings(plan.launch, plan.sweep.jobs, plan.configs)
    folder = SweepFolder(plan.folder)
    check_same_sweep(folder, plan, key)
    fix_threads(folder, plan, settings)
    check_same_jobs(folder, plan, key)
    if settings.launcher is None:  # on another machine the images may lie elsewhere
        call(check_here, plan.configs)
    return folder, settings


def check_same_sweep(folder: SweepFolder, plan: Plan, key: str) -> None:
    """Raise UserError if the folder holds jobs that this command does not have."""
    if not folder.file.exists():
        if folder.path.is_dir() and any(folder.path.iterdir()):
            raise UserError(f"{folder.path}: neither empty nor the folder of a sweep. Choose another: {key}=<folder>")
        return
    gone = [job["name"] for job in folder.read()["jobs"] if job["name"] not in plan.configs]
    if gone:
        raise UserError(
            f"{folder.path}: holds {len(gone)} jobs that this command does not have, such as {gone[0]}.\n"
            f"  Expected the same jobs or more. Choose another folder: {key}=<folder>"
        )


def fix_threads(folder: SweepFolder, plan: Plan, settings: LaunchSettings) -> None:
    """Write the number of threads into each configuration that leaves it open, since rounding depends on it.

    A job that has begun keeps its number, whatever the launcher.
    """
    for name, config in plan.configs.items():
        if config.trainer.threads is None:
            frozen = folder.frozen(name, config.own_code)
            threads = (frozen.trainer.threads if frozen else None) or settings.threads
            trainer = config.trainer.model_copy(update={"threads": threads})
            plan.configs[name] = config.model_copy(update={"trainer": trainer})


def check_same_jobs(folder: SweepFolder, plan: Plan, key: str) -> None:
    """Raise UserError that names every key in which a frozen job differs from the configuration composed now."""
    changed: dict[str, list[str]] = {}
    for name, config in plan.configs.items():
        frozen = folder.frozen(name, config.own_code)
        if frozen is None:
            continue
        for change in differences(frozen, config, changeable(config)):
            changed.setdefault(change, []).append(name)
        if (done := len(history_so_far(folder.run_folder(name)))) > config.epochs:
            changed.setdefault(f"epochs: found {config.epochs}, but {done} are done", []).append(name)
    if changed:
        lines = [f"  {key}  ({', '.join(names[:2])}{', ...' * (len(names) > 2)})" for key, names in changed.items()]
        raise UserError(
            f"{folder.path}: its jobs were started with a different configuration:\n" + "\n".join(lines) + "\n"
            f"  Undo the change to resume, or start a new sweep in another folder: {key}=<folder>"
        )


def run_missing(folder: SweepFolder, plan: Plan, settings: LaunchSettings, wanted: Collection[str], again: str) -> None:
    """Launch those of the wanted jobs that are not finished and wait for them.

    Raises Stopped when asked to stop, after printing ``again``, the command that resumes them.
    """
    unfinished = [name for name, config in plan.configs.items() if not is_finished(folder.run_folder(name), config)]
    missing = [name for name in unfinished if name in wanted]
    done = len(plan.configs) - len(unfinished)
    print(f"{plan.name}: {len(plan.configs)} jobs, {done} of them done, in {folder.path}", flush=True)
    if not missing:
        return
    # A job that was running when the last sweep was killed comes last: it may be the cause.
    missing.sort(key=lambda name: read_status(folder.run_folder(name))["state"] == "running")
    try:
        with Watch(folder, plan.configs, settings.slots, plan.name).watching():
            (run_here if settings.launcher is None else launch)(folder, missing, settings)
    except Stopped:
        print(f"stopped; everything is saved. Resume with: {again}", flush=True)
        raise


def is_finished(run: RunFolder, config: Config) -> bool:
    """Whether a run is done and has as many epochs as are asked for now, or was ended before by a user's callback."""
    status, rows = read_status(run), history_so_far(run)
    if status["state"] != "done":
        return False
    if is_over(rows, config.epochs, config.trainer.patience):
        return True
    before = dict(flat(run.read_config()))
    same = [before.get(key) for key in ("epochs", "trainer.patience")] == [config.epochs, config.trainer.patience]
    return same and len(rows) == status["epoch"]


def print_failures(folder: SweepFolder, plan: Plan) -> int:
    """Print each failed job with its reason and its log; returns their number."""
    failed = {name: read_status(folder.run_folder(name)) for name in plan.configs}
    failed = {name: status for name, status in failed.items() if status["state"] != "done"}
    if failed:
        print(f"\n{len(failed)} of {len(plan.configs)} jobs failed; re-run the command to retry:", file=sys.stderr)
    for name, status in failed.items():
        log = folder.run_folder(name).path / "train.log"
        print(f"  {name}: {status['reason']}\n    {log}", file=sys.stderr)
    return len(failed)


def command_words() -> list[str]:
    """The command as sweep.json keeps it: without the folders of this machine."""
    return [Path(word).name for word in shlex.split(command_line("sweep")) if word != "python"]
