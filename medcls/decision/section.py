"""The section of a run's own report on its probabilities and the decisions by them."""

from collections.abc import Iterator
from dataclasses import asdict

from medcls.decision.of_run import decision_of
from medcls.decision.pictures import draw_quality
from medcls.decision.quality import quality
from medcls.decision.record import Decision
from medcls.decision.tables import ALT, TITLES
from medcls.document.blocks import Block, Note, Picture, Section, Table, Text
from medcls.evaluation.interval import Interval
from medcls.report.closing_table import cell
from medcls.runs.predictions import Predictions
from medcls.runs.run import Run, validation_images


def decisions(run: Run) -> Section:
    """A table and pictures, drawn below the folder's pictures/, of validation images and of test images."""
    decision = decision_of(run)
    called = {"val": validation_images(run.metrics), "test": "test images"}
    columns = {called[split]: _quality(found, decision) for split, found in run.predictions.items()}
    names = next(iter(columns.values()))
    rows = tuple((TITLES[name], *(_cell(of[name]) for of in columns.values())) for name in names)
    blocks: list[Block] = [Text(" ".join(_fixed(decision))), Table(("", *columns), rows), Note(_how_to_read(decision))]
    title = f"{'SIMULATED ' * run.metrics['simulated']}{run.metrics['data']}, {run.metrics['model']}"
    for split, found in run.predictions.items():
        files = draw_quality(
            found,
            run.metrics["classes"],
            f"{title}: {called[split]}",
            run.folder / "pictures",
            "_test" * (split == "test"),
            average_precision=asdict(columns[called[split]]["average_precision"]),
            threshold=decision.threshold.value,
            prevalence=decision.prevalence if decision.prevalence_stated else None,
            vector=True,
        )
        blocks += [Picture(f"pictures/{file}", f"{ALT[kind]}, {called[split]}") for kind, file in files.items()]
    return Section("Probabilities and decisions", tuple(blocks))


def _quality(found: Predictions, decision: Decision) -> dict[str, Interval]:
    return quality(found, decision.threshold.decide(found.probabilities, found.positive), decision.prevalence)


def _cell(one: Interval) -> str:
    return f"{cell(asdict(one))}{f' ({one.why})' if one.why else ''}"


def _fixed(decision: Decision) -> Iterator[str]:
    """What was fixed on validation images, in sentences."""
    threshold, temperature, images = decision.threshold, decision.temperature, decision.chosen_on
    if threshold.value is not None:
        yield f"Threshold {threshold.value:.4g}, by {threshold.chosen_on(images)}."
    elif threshold.rule:
        yield f"No threshold by {threshold.by}: {threshold.why}; the more probable class is chosen."
    else:
        yield "No threshold was asked for: the most probable class is chosen."
    if temperature.value is None:
        yield f"No temperature: {temperature.why}."
        return
    limits = "" if temperature.low is None else f" [{temperature.low:.3g}, {temperature.high:.3g}]"
    yield (
        f"Temperature {temperature.value:.3g}{limits}, fitted on {images}: with it their loss is {temperature.nll:.4f} "
        f"instead of {temperature.nll_before:.4f}. It is not applied below."
    )
    if temperature.saturated:
        yield f"Do not trust it: {temperature.saturated} of {temperature.n} have probabilities rounded to 0 and 1."


def _how_to_read(decision: Decision) -> str:
    text = "In brackets: 95% intervals, over patients where these are known. Brier score: 0 is best."
    if decision.prevalence is None:
        return text
    source = "threshold.prevalence" if decision.prevalence_stated else f"as in {decision.chosen_on}"
    return (
        f"{text} Calibration slope: below 1, probabilities are too extreme; intercept: below 0, too high on the whole. "
        f"PPV and NPV are at a prevalence of {decision.prevalence:.4g} ({source}), at the threshold. The threshold for "
        "the sensitivity at a fixed specificity comes from the same images, which its interval accounts for. Whatever "
        f"was fixed on {decision.chosen_on} is optimistic there."
    )
