"""python sweep.py, from its words to its report."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.core.global_hydra import GlobalHydra

from medcls.audit.gate import audited
from medcls.config import Config
from medcls.config.knobs import changeable
from medcls.errors import Stopped, UserError
from medcls.runs.folder import RunFolder
from medcls.runs.history import is_over
from medcls.sources.load import load_image_set
from medcls.sweep.launch import launch
from medcls.sweep.launch_settings import Launching, choose_launching
from medcls.sweep.plan import Plan, plan_sweep
from medcls.sweep.sweep_folder import SweepFolder, differences, history_so_far, read_status
from medcls.sweep.watch import Watch


def sweep(arguments: Sequence[str]) -> int:
    """Run what is missing of a sweep and report on all of it; returns the exit status.

    Raises UserError before anything is written, Stopped when asked to stop.
    """
    if len(arguments) == 1 and arguments[0].startswith("report="):
        report(Path(arguments[0].partition("=")[2]))
        return 0
    loader = GlobalHydra.instance().config_loader()
    plan = plan_sweep(arguments, loader)
    launching = choose_launching(plan.launch, plan.configs, loader)
    folder = SweepFolder(plan.folder)
    check_same_sweep(folder, plan)
    settle_threads(folder, plan, launching)
    check_same_jobs(folder, plan)
    if launching.local:  # on another machine the images may lie elsewhere
        check_images(plan.configs)
    folder.path.mkdir(parents=True, exist_ok=True)
    with folder.locked():
        folder.write(plan.contract([Path(sys.argv[0]).name, *arguments]), plan.configs)
        run_missing(folder, plan, launching, arguments)
    failed = tell_failures(folder, plan)
    report(folder.path)
    return 1 if failed else 0


def check_same_sweep(folder: SweepFolder, plan: Plan) -> None:
    """Raise UserError when the folder holds jobs that this line does not have."""
    if not folder.file.exists():
        if folder.path.is_dir() and any(folder.path.iterdir()):
            raise UserError(f"{folder.path}: no folder of a sweep, and not empty. Choose another: hydra.sweep.dir=...")
        return
    gone = [job["name"] for job in folder.read()["jobs"] if job["name"] not in plan.configs]
    if gone:
        raise UserError(
            f"{folder.path}: holds {len(gone)} jobs that this line does not have, such as {gone[0]}.\n"
            "  Expected the same jobs or more. Choose another folder: hydra.sweep.dir=<folder>"
        )


def settle_threads(folder: SweepFolder, plan: Plan, launching: Launching) -> None:
    """Write the number of threads into each configuration that leaves it open, since sums round differently with it.

    A job that has begun keeps its number under another launcher too.
    """
    for name, config in plan.configs.items():
        if config.trainer.threads is None:
            frozen = folder.frozen(name, config.own_code)
            threads = (frozen.trainer.threads if frozen else None) or launching.threads
            trainer = config.trainer.model_copy(update={"threads": threads})
            plan.configs[name] = config.model_copy(update={"trainer": trainer})


def check_same_jobs(folder: SweepFolder, plan: Plan) -> None:
    """Raise UserError that names every key in which a frozen job differs from what was composed now."""
    told: dict[str, list[str]] = {}
    for name, config in plan.configs.items():
        frozen = folder.frozen(name, config.own_code)
        if frozen is None:
            continue
        for change in differences(frozen, config, changeable(config)):
            told.setdefault(change, []).append(name)
        if (done := len(history_so_far(folder.run_folder(name)))) > config.epochs:
            told.setdefault(f"epochs: found {config.epochs}, but {done} are done", []).append(name)
    if told:
        lines = [f"  {change}  ({', '.join(names[:2])}{', ...' * (len(names) > 2)})" for change, names in told.items()]
        raise UserError(
            f"{folder.path}: its jobs were begun with another configuration:\n" + "\n".join(lines) + "\n"
            "  Take the change back to go on, or start anew elsewhere: hydra.sweep.dir=<folder>"
        )


def check_images(configs: dict[str, Config]) -> None:
    """Read the images that the jobs need, into the cache that they share. Raises UserError for those that cannot be."""
    mistakes: dict[str, None] = {}
    for config in {(repr(c.data), repr(c.audit), c.image_size): c for c in configs.values()}.values():
        if config.data.uses_simulation:
            continue
        try:
            audited(load_image_set(config.data, config.image_size), config)
        except UserError as error:
            mistakes[str(error)] = None
    if mistakes:
        raise UserError("\n".join(mistakes))


def run_missing(folder: SweepFolder, plan: Plan, launching: Launching, arguments: Sequence[str]) -> None:
    """Launch the jobs that are not finished and wait for them. Raises Stopped when asked to stop."""
    missing = [name for name, config in plan.configs.items() if not is_finished(folder.run_folder(name), config)]
    told = f"{plan.name}: {len(plan.configs)} jobs, {len(plan.configs) - len(missing)} of them done, in {folder.path}"
    print(told, flush=True)
    if not missing:
        return
    # A job in which the last sweep died without a word comes last: it may be what killed it.
    missing.sort(key=lambda name: read_status(folder.run_folder(name))["state"] == "running")
    try:
        with Watch(folder, plan.configs, launching.slots, plan.name).watching():
            launch(folder, missing, launching)
    except Stopped:
        line = shlex.join(["python", Path(sys.argv[0]).name, *arguments])
        print(f"stopped; all is kept. Go on: {line}", flush=True)
        raise


def is_finished(run: RunFolder, config: Config) -> bool:
    """Whether a run is done, and no more epochs are asked for than it has."""
    rows = history_so_far(run)
    return read_status(run)["state"] == "done" and is_over(rows, config.epochs, config.trainer.patience)


def tell_failures(folder: SweepFolder, plan: Plan) -> int:
    """Print each failed job with its reason and its log; returns their number."""
    failed = {name: read_status(folder.run_folder(name)) for name in plan.configs}
    failed = {name: status for name, status in failed.items() if status["state"] != "done"}
    if failed:
        print(f"\n{len(failed)} of {len(plan.configs)} jobs failed; the same line again retries them:", file=sys.stderr)
    for name, status in failed.items():
        log = folder.run_folder(name).path / "train.log"
        print(f"  {name}: {status['reason']}\n    {log}", file=sys.stderr)
    return len(failed)


def report(folder: Path) -> None:
    """Write the report on a folder of runs and say where it lies."""
    if not folder.is_dir():
        raise UserError(f"report: no folder {folder}. Expected the folder of a sweep or of other runs.")
    from medcls.report.sweep import write_report  # matplotlib takes seconds to import

    written = write_report(folder)
    print("\n".join(["", *written.answers, f"report: {written.page}"]))
