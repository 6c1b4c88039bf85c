"""The study from its command to its page: every chosen task run, or resumed, and every claim judged."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from medcls.errors import Stopped, UserError
from medcls.runs.folder import locked
from medcls.study.plan_file import FILE, PlannedTask, planned, read_plan, with_folders, write_plan
from medcls.study.schema import TASKS, StudyConfig
from medcls.study.shared import finished_source, has_begun, take_over
from medcls.study.tasks import Jobs, Source, Task, jobs_on_disk, plan_task, plan_tasks, sources
from medcls.sweep.answer import report
from medcls.sweep.child import call, start_server
from medcls.sweep.ends import mark_for_resuming
from medcls.sweep.launch_settings import LaunchSettings
from medcls.sweep.run_sweep import check_plan, command_words, is_finished, print_failures, run_missing
from medcls.sweep.sweep_folder import SweepFolder

PAGE = "study.md"


def study(config: StudyConfig, overrides: Sequence[str], again: str) -> int:
    """Run what is missing of the chosen tasks, report on each, write the page and packs; returns the exit status.

    overrides: for the sweeps of all tasks; again: the command that resumes the study.
    Raises UserError before anything but runs of packs is written, and for a pack that has more than the study; Stopped
    when asked to stop.
    """
    start_server()
    tasks = plan_tasks(config, overrides)
    if config.packs is not None:
        epochs = {name: {job: of.epochs for job, of in task.configs.items()} for name, task in tasks.items()}
        call(unpack_into, config.packs, config.folder, epochs)
    checked = {name: check_plan(task.plan, "study.folder") for name, task in tasks.items()}
    before = plan_others(config, tasks)
    config.folder.mkdir(parents=True, exist_ok=True)
    with locked(config.folder, "another study is running here"):
        write_plan(config.folder, tasks, before)
        running = Running(config.folder, tasks, checked, again)
        failed = 0
        try:
            for name in checked:
                print(f"\ntask {name}", flush=True)
                failed += running.run_task(name, config.claimed)
                conclude(config, name)
        except Stopped:
            with suppress(UserError):  # where no run of it is finished
                running.report(name)
            conclude(config, name)
            raise
    return 1 if failed else 0


def conclude(config: StudyConfig, task: str) -> None:
    """Write the page, and the pack of a task, on what is finished."""
    answer_so_far(config)
    if config.packs is not None:
        call(pack_task, config.folder, task, config.packs)


def plan_others(config: StudyConfig, tasks: Collection[str]) -> dict[str, PlannedTask]:
    """The tasks that are not run now: as they were last run, else as the study defines them."""
    before = read_plan(config.folder) if (config.folder / FILE).is_file() else {}
    for name, task in before.items():
        if not SweepFolder(config.folder / name).file.is_file():
            before[name] = with_folders(task, config)
    missing = [name for name in TASKS if name not in {*tasks, *before}]
    others = {name: plan_task(config, name, list(TASKS[name])) for name in missing}
    return before | {name: planned(others, task) for name, task in others.items()}


def answer_so_far(config: StudyConfig) -> None:
    """Write the page; where there is nothing to say yet, say so instead."""
    try:
        answer(config.folder, config.page)
    except UserError as error:
        print(error, flush=True)


def answer(folder: Path, page: Path | None) -> None:
    """Write the page on what the folder of a study holds and say where it is.

    Or, of a folder of packs, on what these hold.
    Raises UserError where there is no study, or nothing to say in the place of an earlier page.
    """
    call(write_answers, folder, page or folder / PAGE)


def write_answers(folder: Path, page: Path) -> None:
    """The same in a process that has imported what judging needs."""
    from medcls.study.packs import as_study
    from medcls.study.page import write_page

    with as_study(folder) as study:
        counts = write_page(study, page)
    print(f"study: {page}\n{counts}", flush=True)


def unpack_into(packs: Path, folder: Path, epochs: dict[str, dict[str, int]]) -> None:
    """Add what packs hold to the folder of the study; in a process that has imported what unpacking needs."""
    from medcls.study.packs import packs_in, unpack

    if not packs_in(packs):
        return
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder, "another study is running here"):
        unpack(packs, folder, epochs)


def pack_task(folder: Path, task: str, packs: Path) -> None:
    """Pack a task, likewise."""
    from medcls.study.packs import write_pack

    write_pack(folder, task, packs)


class Running:
    """The running sweeps of a study; checked: folder and launch settings of each chosen task."""

    def __init__(
        self, folder: Path, tasks: dict[str, Task], checked: dict[str, tuple[SweepFolder, LaunchSettings]], again: str
    ) -> None:
        self.folder, self.tasks, self.checked, self.again = folder, tasks, checked, again
        allowed = set().union(*(config.own_code for task in tasks.values() for config in task.configs.values()))
        others = [name for name in TASKS if name not in tasks and (folder / name).is_dir()]
        self.jobs: dict[str, Jobs] = {**tasks, **{name: jobs_on_disk(folder, name, allowed) for name in others}}

    def run_task(self, name: str, only_claimed: bool) -> int:
        """Run the missing jobs of a task, those that claims are about first, and report; returns how many failed."""
        task, (folder, _) = self.tasks[name], self.checked[name]
        plan, claimed = task.plan, task.claimed
        self.run_jobs(name, claimed)
        if not only_claimed:
            self.run_jobs(name, list(plan.configs))
        wanted = claimed if only_claimed else plan.configs
        failed = print_failures(folder, replace(plan, configs={job: plan.configs[job] for job in wanted}))
        self.report(name)
        return failed

    def report(self, name: str) -> None:
        """Report on what a task has finished. Raises UserError where that is nothing."""
        columns = next(iter(self.tasks[name].plan.configs.values())).columns
        call(report, self.checked[name][0].path, columns)

    def run_jobs(self, name: str, jobs: Collection[str]) -> None:
        """Run jobs of a task, after the missing ones of other chosen tasks that are their beginning."""
        task, (folder, settings) = self.tasks[name], self.checked[name]
        found = {job: sources(self.jobs, name, job) for job in jobs if not has_begun(folder, job)}
        first: dict[str, list[str]] = {}
        for of_job in found.values():
            wanted = next((source for source in of_job if source.awaited and source.task in self.checked), None)
            if wanted and not self.is_finished(wanted):
                first.setdefault(wanted.task, []).append(wanted.job)
        for other, twins in first.items():
            self.run_jobs(other, twins)
        shared: dict[str, Source] = {}
        for job, of_job in found.items():
            config = task.plan.configs[job]
            if known := finished_source(self.folder, of_job, config, task.identities[job]):
                shared[job], stored = known
                # Rounding depends on the number of threads: it stays that of the run that is taken over.
                trainer = config.trainer.model_copy(update={"threads": stored.trainer.threads})
                task.plan.configs[job] = config.model_copy(update={"trainer": trainer})
        folder.path.mkdir(parents=True, exist_ok=True)
        with folder.locked():
            folder.write(task.plan.contract([*command_words(), *task.arguments]), task.plan.configs)
            for job, source in shared.items():
                take_over(self.folder, source, run := folder.run_folder(job))
                if not is_finished(run, task.plan.configs[job]):
                    mark_for_resuming(run)  # so that, if stopped here, the shorter run is not taken for this one
            run_missing(folder, task.plan, settings, jobs, self.again)

    def is_finished(self, source: Source) -> bool:
        """Whether the run that another begins with is done."""
        run = self.checked[source.task][0].run_folder(source.job)
        return is_finished(run, self.tasks[source.task].plan.configs[source.job])
