"""The page of a study: every claim of every task with its verdict, from the folders of its runs alone."""

import re
import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from medcls.atomic import write_text
from medcls.config.stored import read_conf
from medcls.errors import UserError
from medcls.quoting import in_grammar
from medcls.runs.folder import RunFolder
from medcls.runs.history import SPLITS
from medcls.runs.reading import read_json
from medcls.runs.run import Run
from medcls.study.claims import WORDS, Answer, judge_claim
from medcls.study.effort import effort_of, epoch_seconds, in_words, machines, to_do
from medcls.study.plan_file import PlannedTask, read_plan
from medcls.study.reliability import QUESTION, reliability
from medcls.study.schema import FOLDS, RELIABLE
from medcls.sweep_report.changed_images import changed_images
from medcls.sweep_report.design import Sweep, read_sweep
from medcls.sweep_report.verdicts import Verdicts, judge

PLACES = {"skin": "Skin", "bone": "Bone", "xray": "X_ray"}
NOT_RUN = "not run"
HEAD = """\
# The study, run again

What the study claimed, and what the same experiments find here, computed from the folders of their runs alone. A
claimed difference is judged by the test that its experiment specifies beforehand (docs/statistics.md): held where it is
shown, not held where the opposite or equivalence is shown, else not shown. A claim about curves is held where runs of
all seeds agree, not held where all disagree, else not shown. Not judgeable: too few runs, or nothing to compare. Values
are means ± standard deviations over seeds, of the best epoch unless the last is named; "[ ]" are 95 % intervals of
differences over other seeds and other images; p is adjusted for all tests of that experiment (Holm). Values on other
images are not comparable with the study's own, effects are."""


@dataclass(frozen=True)
class Found:
    """A task according to its folder; sweep, verdicts: None where it was not begun; done: epochs complete, by job."""

    name: str
    task: PlannedTask
    sweep: Sweep | None
    verdicts: Verdicts | None
    done: Mapping[str, int]

    @property
    def finished(self) -> int:
        """How many of its runs are done."""
        return sum(run.done for run in self.sweep.runs) if self.sweep else 0


def write_page(folder: Path, page: Path) -> str:
    """Write the page on the study in ``folder``; returns how many claims got which verdict, in words.

    Raises UserError where there is no study, or where no run is finished and the page would replace another.
    """
    plan = read_plan(folder)
    found = [read_task(folder, name, task) for name, task in plan.items()]
    if page.exists() and not any(task.finished for task in found):
        raise UserError(f"{page}: kept as it is, since no run of {folder} is finished. Run the study first.")
    answers = {task.name: answers_of(task) for task in found}
    seconds = epoch_seconds(folder, plan)
    parts = [HEAD, *warnings(found), overview(found, answers), images(found)]
    parts += [section(task, answers[task.name], found, seconds) for task in found if task.task["claims"]]
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text(page, "\n\n".join(filter(None, parts)) + "\n")
    counts = Counter(answer.word for of in answers.values() for answer in of if answer)
    judged = [f"{counts[word]} {word}" for word in WORDS if counts[word]]
    unknown = sum(answer is None for of in answers.values() for answer in of)
    judged += [f"{unknown} {NOT_RUN}"] if unknown else []
    return f"{sum(map(len, answers.values()))} claims: {', '.join(judged)}"


def read_task(folder: Path, name: str, task: PlannedTask) -> Found:
    """A task, whatever state it is in."""
    if not (folder / name / "sweep.json").is_file():
        return Found(name, task, None, None, {})
    sweep = read_sweep(folder / name)
    done = {run.name: len(run.history) for run in sweep.runs}
    if not any(run.done for run in sweep.runs):
        return Found(name, task, None, None, done)
    return Found(name, task, sweep, judge(sweep), done)


def answers_of(found: Found) -> list[Answer | None]:
    """The verdict on each claim of a task; None where it was not run."""
    if found.sweep is None or found.verdicts is None:
        return [None] * len(found.task["claims"])
    return [judge_claim(claim, found.sweep, found.verdicts) for claim in found.task["claims"]]


def warnings(found: list[Found]) -> list[str]:
    """What must be stated before anything else."""
    said = []
    if any(task.sweep and task.sweep.simulated for task in found):
        said.append(
            "**SIMULATED DATA**, drawn by a program: no verdict here says anything about patients or about the study."
        )
    runs = (replace(run, name=f"{task.name}/{run.name}") for task in found if task.sweep for run in task.sweep.runs)
    if changed := changed_images(runs):
        said.append(f"**{changed}**")
    return said


def overview(found: list[Found], answers: Mapping[str, list[Answer | None]]) -> str:
    """One row per task."""
    rows = ["| task | runs finished | " + " | ".join(WORDS) + " | seconds of training, all runs | machine |"]
    rows.append("|" + "---|" * (4 + len(WORDS)))
    for task in found:
        counts = Counter(answer.word for answer in answers[task.name] if answer)
        runs = [run for run in task.sweep.runs if run.done] if task.sweep else []
        cells = [task.name, f"{task.finished} of {len(task.task['jobs'])}", *(str(counts[w] or "") for w in WORDS)]
        cells += [f"{effort_of(runs).seconds:,.0f}", machines(runs)] if runs else ["", NOT_RUN]
        rows.append(f"| {' | '.join(map(_cell, cells))} |")
    return "\n".join(rows)


def images(found: list[Found]) -> str:
    """What every data set holds, as the runs recorded it."""
    runs = [run for task in found if task.sweep for run in task.sweep.runs if run.done and run.fold is None]
    known = dict.fromkeys(filter(None, map(images_of_run, runs)))
    return "\n".join(["**Images.**", "", *known]) if known else ""


def images_of_run(run: Run) -> str:
    """The images of a run in a line; empty where they were not recorded."""
    try:
        content, config = read_json(RunFolder(run.folder).data, dict), run.config
        counts = [
            f"{sum(of.values())} {SPLITS.get(split, split)} ({', '.join(f'{n} {name}' for name, n in of.items())})"
            for split, of in content["counts"].items()
        ]
        name = f"{'SIMULATED ' if content['simulated'] else ''}{config['data']['name']}"
        size, precision = config["image_size"], config["trainer"]["precision"]
    except (OSError, UserError, KeyError, TypeError, AttributeError):
        return ""
    notice = f" {run.metrics['notice']}." if run.metrics.get("notice") else ""
    return f"- {name}: {', '.join(counts)}; {size}x{size} pixels, {precision}.{notice}"


def section(found: Found, answers: list[Answer | None], others: list[Found], seconds: Mapping[str, float]) -> str:
    """A task: its command, what it took or would take, and the verdict on each of its claims."""
    lines = [f"## {found.name}: {found.task['question']}", "", "```bash", command(found), "```", ""]
    if found.sweep is not None:
        runs = [run for run in found.sweep.runs if run.done]
        lines += [f"{len(runs)} runs: {in_words(effort_of(runs), len(runs))}, on {machines(runs)}."]
    missing = to_do(found.task, found.done, seconds)
    if found.finished < len(found.task["jobs"]):
        lines += [f"{'Not finished' if found.finished else 'Not run'}: {missing}."]
    lines += ["", "| the study's claim | here | verdict |", "|---|---|---|"]
    for claim, answer in zip(found.task["claims"], answers, strict=True):
        numbers, word = (answer.numbers, answer.word) if answer else ("\N{EN DASH}", NOT_RUN)
        lines.append(f"| {_cell(claim.said)} | {_cell(numbers)} | {word} |")
    if found.name == RELIABLE:
        lines += ["", f"### {QUESTION}", "", *answer_reliability(found, others, seconds)]
    return "\n".join(lines)


def answer_reliability(found: Found, others: list[Found], seconds: Mapping[str, float]) -> list[str]:
    """The answer to task 3's second question."""
    if found.sweep is None or found.verdicts is None:
        return [f"{NOT_RUN.capitalize()}."]
    folds = next(task for task in others if task.name == FOLDS)
    takes = to_do(folds.task, folds.done, seconds)
    items = reliability(found.sweep, found.verdicts, folds.sweep, takes)
    if folds.sweep is not None:
        runs = [run for run in folds.sweep.runs if run.done]
        items[-1] += f" {len(runs)} runs: {in_words(effort_of(runs), len(runs))}, on {machines(runs)}."
    items[-1] += f" `{command(folds)}`"
    return [f"- {item}" for item in items]


def command(found: Found) -> str:
    """What runs a task by itself, with /path/to/Skin in the place of paths."""
    task = found.task
    places = {name: f"/path/to/{PLACES.get(name, name)}" for name in task["data"]}
    words = [_without_path(word) for word in task["words"] if not word.startswith(("data.cache_dir=", "hydra"))]
    if any(word.startswith("data.root=") for word in words) or (found.sweep and found.sweep.simulated):
        return shlex.join(["python", "sweep.py", *words])
    if len(places) == 1:
        ((name, place),) = places.items()
        words = [words[0], f"data.root={place}", *data_words(name, task), *words[1:]]
        return shlex.join(["python", "sweep.py", *words])
    # Two data sets, whose classes and patients an override would change for both.
    roots = [f"study.{name}={place}" for name, place in places.items()]
    named = [f"study.{word.removeprefix('data.')}" for name in places for word in data_words(name, task, f".{name}")]
    return shlex.join(["python", "sweep.py", "study", f"study.tasks=[{found.name}]", *roots, *named, *words[1:]])


def data_words(name: str, task: PlannedTask, of: str = "") -> list[str]:
    """The overrides that give a data set its classes, where they are not its own, and its patients, where known."""
    words, classes = list[str](), task["data"][name]
    if classes and classes != read_conf(f"data/{name}").get("classes"):
        named = ", ".join(f"{token}: {in_grammar(title)}" for token, title in classes.items())
        words.append(f"data.classes{of}={{{named}}}")
    if pattern := task.get("group_pattern", {}).get(name):
        words.append(f"data.group_pattern{of}={in_grammar(pattern)}")
    return words


def _without_path(word: str) -> str:
    key, equals, value = word.partition("=")
    return f"{key}{equals}/path/to/{Path(value.strip(chr(39))).name}" if key in ("data.root", "data.manifest") else word


def _cell(text: str) -> str:
    """Text that a cell of Markdown's tables shows unchanged."""
    return re.sub(r"([|*<>`\\])", r"\\\1", " ".join(text.split()))
