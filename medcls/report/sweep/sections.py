"""The sections of a sweep's report, in the order they are read: first the answer, then what it rests on."""

import math
from collections import Counter
from collections.abc import Sequence

from medcls.evaluation.bootstrap import LEVEL
from medcls.report.sweep.blocks import Block, Item, Items, Note, Picture, Section, Table, Text
from medcls.report.sweep.crossvalidation import Validated, cross_validation
from medcls.report.sweep.design import Sweep
from medcls.report.sweep.learning import convergence, overfitting
from medcls.report.sweep.methods import methods
from medcls.report.sweep.pictures import METRIC_NAMES, plot_differences, plot_heat_map, plot_overlay
from medcls.report.sweep.summary import optimism
from medcls.report.sweep.variants import variants_table
from medcls.report.sweep.verdicts import Verdicts, describe, scope, signed

_LONGEST_TITLE = 60  # characters that a picture's title bears


def build_sections(sweep: Sweep, verdicts: Verdicts, validated: Sequence[Validated]) -> list[Section]:
    """Every section that has something to say; draws its pictures into the folder's pictures/."""
    sections = [
        _answers(sweep, verdicts),
        cross_validation(sweep, validated),
        variants_table(sweep),
        _curves(sweep),
        _heat_maps(sweep),
        overfitting(sweep),
        convergence(sweep),
        _best_epoch(sweep, verdicts),
        _failures(sweep),
        methods(sweep, verdicts),
    ]
    return [section for section in sections if section is not None]


def _answers(sweep: Sweep, verdicts: Verdicts) -> Section:
    done = sum(run.done for run in sweep.runs)
    blocks: list[Block] = []
    if done < len(sweep.runs):
        rest = "cross-validations of which all folds are" if sweep.cross_validated else "those"
        blocks.append(Text(f"Only {done} of {len(sweep.runs)} runs are finished: the answers below rest on {rest}."))
    images = "test images" if verdicts.split == "test" else "validation images"
    if sweep.cross_validated:
        images += " of all folds pooled"
    if verdicts.made:
        scopes = {scope(verdict.comparison) for verdict in verdicts.made}
        said = scopes.pop() if len(scopes) == 1 else ""
        blocks.append(Text(f"Nets of the best epoch, on {images}. {said} {_count_shown(verdicts)}"))
        blocks.append(Items(tuple(describe(verdict, scope_said=bool(said)) for verdict in verdicts.made)))
        blocks += _difference_pictures(sweep, verdicts)
    elif not verdicts.impossible:
        blocks.append(Text("Nothing is compared: there is one variant, or no comparison was asked for."))
    if verdicts.impossible:
        items = [Item(f"{b} against {a}", "not compared", f"{why}.") for a, b, why in verdicts.impossible]
        blocks.append(Items(tuple(items)))
    if sweep.remark:
        blocks.append(Note(sweep.remark))
    return Section("Answers", tuple(blocks))


def _count_shown(verdicts: Verdicts) -> str:
    shown = sum(verdict.comparison.shown for verdict in verdicts.made)
    if verdicts.n_tests == 1:
        return ""
    return (
        f"{shown or 'None'} of {verdicts.n_tests} tests show{'s' if shown == 1 else ''} a difference. Each p-value is "
        "adjusted for their number, the intervals are not: they hold for one comparison at a time."
    )


def _difference_pictures(sweep: Sweep, verdicts: Verdicts) -> list[Block]:
    blocks: list[Block] = []
    for metric in ("auroc", "accuracy"):
        made = [v for v in verdicts.made if v.comparison.metric == metric and math.isfinite(v.comparison.low)]
        if len(made) < 2:  # one interval is read faster in words
            continue
        path = f"pictures/differences_{metric}.png"
        labels = [f"{verdict.b} against {verdict.a}" for verdict in made]
        plot_differences([v.comparison for v in made], labels, metric, sweep.simulated, sweep.folder / path)
        blocks.append(Picture(path, f"Differences in {METRIC_NAMES[metric]} with {LEVEL:.0%} intervals"))
    return blocks


def _curves(sweep: Sweep) -> Section | None:
    if not any(run.done for run in sweep.runs):
        return None
    plot_overlay(sweep, _title(sweep), sweep.folder / "pictures/curves.png")
    text = (
        f"Lines are means over {sweep.replications}, bands reach from the lowest to the highest of them, diamonds are "
        "best epochs. Training figures are averages over an epoch's batches while the weights change, dropout and "
        "augmentation on."
    )
    alt = "Training and validation loss and accuracy over the epochs, one colour per variant"
    return Section("Learning curves", (Picture("pictures/curves.png", alt), Note(text)))


def _heat_maps(sweep: Sweep) -> Section | None:
    varied = [key for key in sweep.keys if len({repr(v.get(key)) for v in sweep.variants.values()}) > 1]
    if len(varied) != 2 or not any(run.done for run in sweep.runs):
        return None
    plot_heat_map(sweep, varied, ("loss", "auroc"), sweep.folder / "pictures/heat_map.png")
    alt = f"Validation loss and AUROC at the best epoch over {varied[0]} and {varied[1]}"
    note = Note(f"Means over {sweep.replications} at the best epoch, validation images; the darker, the better.")
    return Section(f"{varied[0]} and {varied[1]}", (Picture("pictures/heat_map.png", alt), note))


def _best_epoch(sweep: Sweep, verdicts: Verdicts) -> Section | None:
    if not any(run.done for run in sweep.runs):
        return None
    text = (
        "Each run's best epoch was chosen by its validation loss, so its validation figures are optimistic: they are "
        "expected to be somewhat worse on new images."
    )
    gaps = optimism(sweep)
    if not gaps:
        text += " By how much cannot be said here, for lack of test images."
        return Section("How much the best epoch flatters", (Text(text),))
    parts = [f"{METRIC_NAMES[key]} {signed(gap.mean)}" for key, gap in gaps.items() if gap.n]
    n = max(gap.n for gap in gaps.values())
    text += f" Here, best-epoch validation figures minus test figures were on average {', '.join(parts)} (runs: {n})."
    note = (
        "What flatters is a lower loss, and a higher accuracy or AUROC, than on test images. The difference contains "
        "chance as well, since the two splits hold different images."
    )
    return Section("How much the best epoch flatters", (Text(text), Note(note)))


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
