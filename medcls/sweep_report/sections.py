"""The sections of a sweep's report, in the order they are read: first the answer, then what it rests on."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from medcls.document.blocks import Note, Picture, Section, Table, Text
from medcls.evaluation.metrics import COMPARED, title_of
from medcls.report.baselines import baselines_section
from medcls.sweep_report.comparisons import in_words_section, tests_section
from medcls.sweep_report.crossvalidation import Validated, cross_validation
from medcls.sweep_report.design import Sweep
from medcls.sweep_report.forest import plot_forest
from medcls.sweep_report.heat_map import plot_heat_map
from medcls.sweep_report.learning import convergence, overfitting
from medcls.sweep_report.methods import methods
from medcls.sweep_report.more_data import more_data
from medcls.sweep_report.over_seeds import optimism
from medcls.sweep_report.overlay import plot_overlay
from medcls.sweep_report.own_columns import OwnColumn
from medcls.sweep_report.ranking import Ranking, ranking_section
from medcls.sweep_report.variants_table import variants_table
from medcls.sweep_report.verdicts import Verdicts, signed

_LONGEST_TITLE = 60  # characters of a picture's title


def build_sections(
    sweep: Sweep,
    verdicts: Verdicts,
    ranking: Ranking,
    validated: Sequence[Validated],
    own: Sequence[OwnColumn] = (),
) -> list[Section]:
    """Every section that has content; draws its pictures into the folder's pictures/."""
    first = [
        ranking_section(sweep, verdicts, ranking, plot_forest(sweep, ranking)),
        tests_section(sweep, verdicts),
        baselines_section(sweep.folder),
        more_data(sweep, verdicts.split),
        _curves(sweep),
    ]
    details = [
        in_words_section(sweep, verdicts),
        cross_validation(sweep, validated),
        variants_table(sweep, own),
        _heat_maps(sweep),
        overfitting(sweep),
        convergence(sweep),
        _best_epoch(sweep),
        _failures(sweep),
        methods(sweep, verdicts),
    ]
    return [section for section in first if section] + [replace(one, folded=True) for one in details if one]


def _curves(sweep: Sweep) -> Section | None:
    if not any(run.done for run in sweep.runs):
        return None
    plot_overlay(sweep, _title(sweep), sweep.folder / "pictures/curves.png")
    text = (
        f"Lines are means over {sweep.replications}, bands reach from the lowest to the highest of them, diamonds are "
        "best epochs. Training metrics are averages over an epoch's batches while the weights change, dropout and "
        "augmentation on."
    )
    alt = "Training and validation loss and accuracy over the epochs, one color per variant"
    return Section("Learning curves", (Picture("pictures/curves.png", alt), Note(text)))


def _heat_maps(sweep: Sweep) -> Section | None:
    varied = [key for key in sweep.keys if len({repr(v.get(key)) for v in sweep.variants.values()}) > 1]
    if len(varied) != 2 or not any(run.done for run in sweep.runs):
        return None
    metrics = ("loss", COMPARED[0].name)
    plot_heat_map(sweep, varied, metrics, sweep.folder / "pictures/heat_map.png")
    alt = f"Validation {' and '.join(map(title_of, metrics))} at the best epoch over {varied[0]} and {varied[1]}"
    note = Note(f"Means over {sweep.replications} at the best epoch, {sweep.validation_images}; darker is better.")
    return Section(f"{varied[0]} and {varied[1]}", (Picture("pictures/heat_map.png", alt), note))


def _best_epoch(sweep: Sweep) -> Section | None:
    if not any(run.done for run in sweep.runs):
        return None
    text = (
        "Each run's best epoch was chosen by its validation loss, so its validation metrics are optimistic: they are "
        "expected to be somewhat worse on new images."
    )
    gaps = optimism(sweep)
    if not gaps:
        text += " By how much cannot be said here: there are no test images."
        return Section("Optimism of best-epoch metrics", (Text(text),))
    parts = [f"{title_of(key)} {signed(gap.mean)}" for key, gap in gaps.items() if gap.n]
    n = max(gap.n for gap in gaps.values())
    text += f" Here, best-epoch validation metrics minus test metrics were on average {', '.join(parts)} (runs: {n})."
    note = (
        "Optimistic means a lower loss, and a higher accuracy or AUROC, than on test images. The difference contains "
        "chance as well, since the two splits hold different images."
    )
    return Section("Optimism of best-epoch metrics", (Text(text), Note(note)))


def _failures(sweep: Sweep) -> Section | None:
    failed = [run for run in sweep.runs if not run.done]
    if not failed:
        return None
    counts = ", ".join(f"{n} {state}" for state, n in Counter(run.state for run in failed).items())
    rows = tuple(
        (run.name, run.state, run.reason, str(run.log.relative_to(sweep.folder)) if run.log else "\N{EN DASH}")
        for run in failed
    )
    return Section("Runs that are not finished", (Text(f"{counts}."), Table(("run", "state", "reason", "log"), rows)))


def _title(sweep: Sweep) -> str:
    data: Sequence[str] = sorted({str(run.metrics["data"]) for run in sweep.runs if run.done})
    title = f"{'SIMULATED ' if sweep.simulated else ''}{', '.join(data)}"
    title = f"{title}: {sweep.name}" if len(sweep.name) <= _LONGEST_TITLE else title
    return title + "".join(f" ({notice})" for notice in sweep.notices)
