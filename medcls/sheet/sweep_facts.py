"""What the runs of a sweep say together, where that is more than what each says alone; ``*/`` stands for each run."""

from collections.abc import Iterator

from medcls.document.blocks import Note
from medcls.evaluation.metrics import title_of
from medcls.sheet.record import Fact
from medcls.sweep_report.answers import Head
from medcls.sweep_report.design import Sweep
from medcls.sweep_report.methods import methods
from medcls.sweep_report.ranking import Ranking, choice_in_words, show_difference, show_interval
from medcls.sweep_report.verdicts import Verdicts, images_of, show_p


def objectives(sweep: Sweep) -> Fact | None:
    """What was asked before the runs, and what was to be tested."""
    file = "sweep.json"
    if not (sweep.folder / file).is_file():
        return None
    pairs = ", ".join(f"{pair.b} vs. {pair.a}" for pair in sweep.compare) or "nothing"
    margin = "" if sweep.margin is None else f", margin of equivalence {sweep.margin:g}"
    asked = f"{sweep.question} " if sweep.question else ""
    return Fact(f"{asked}Varied: {sweep.varied} To be tested, by {title_of(sweep.metric)}: {pairs}{margin}.", (file,))


def performance(sweep: Sweep, verdicts: Verdicts, ranking: Ranking) -> Fact:
    """Every variant with its interval, and the verdicts."""
    variants = "; ".join(f"{one.name} {show_interval(one.value)} ({one.n_seeds} seeds)" for one in ranking.variants)
    made = [
        f"{one.b} vs. {one.a} {show_difference(one)}, adjusted p {show_p(one.comparison.adjusted)}: {one.word}."
        for one in verdicts.made
    ]
    text = f"{title_of(sweep.metric)} on {images_of(sweep, verdicts.split)}: {variants}. {' '.join(made)}"
    return Fact(text.strip(), ("*/predictions.csv",))


def uncertainty(sweep: Sweep, verdicts: Verdicts) -> Fact:
    """Methods of the comparisons."""
    notes = [block.text for block in methods(sweep, verdicts).blocks if isinstance(block, Note)]
    return Fact(" ".join(notes[:-1]) or "Nothing is compared.", ("*/predictions.csv",))


def selection(sweep: Sweep, verdicts: Verdicts, ranking: Ranking) -> Fact:
    """How epochs and the best variant were chosen."""
    text = f"Of each net the epoch with the lowest validation loss, on {sweep.validation_images}."
    if ranking.choice:
        text = f"{text} {choice_in_words(sweep, ranking.choice, verdicts.split)}"
    return Fact(text, ("*/history.csv",))


def ensembling(sweep: Sweep) -> Fact:
    """That nets are not used as an ensemble."""
    return Fact(f"None: metrics are means over {sweep.replications}, each net alone.", ("*/checkpoints/best.ckpt",))


def repetition(sweep: Sweep) -> Fact:
    """What it takes to get the same numbers again."""
    seeds = ", ".join(str(seed) for seed in sorted({run.seed for run in sweep.runs}))
    text = (
        f"Seeds {seeds} of {len(sweep.variants)} variants; settings of each run in config.yaml, versions and commit in "
        "environment.json."
    )
    design = ("sweep.json",) if (sweep.folder / "sweep.json").is_file() else ()
    return Fact(text, (*design, "*/config.yaml", "*/environment.json"))


def limits(sweep: Sweep, head: Head) -> Fact:
    """What the files themselves put in doubt."""
    return Fact(" ".join(_doubts(sweep, head)), ("*/metrics.json", "*/predictions.csv"))


def _doubts(sweep: Sweep, head: Head) -> Iterator[str]:
    if sweep.simulated:
        yield "SIMULATED images: nothing here says anything about patients."
    yield from (f"{notice}." for notice in sweep.notices)
    yield from head.doubts
    if unfinished := [run.name for run in sweep.runs if not run.done]:
        yield f"{len(unfinished)} of {len(sweep.runs)} runs are not finished: {', '.join(unfinished)}."
    yield "Training images are held fixed: no interval says what others would change."
