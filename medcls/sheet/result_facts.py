"""What a run's files say about the performance of its net."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from medcls.audit.saved_results import FINDINGS
from medcls.decision.tables import TITLES
from medcls.document.blocks import Note, Table, Text
from medcls.evaluation.interval import LEVEL
from medcls.evaluation.intervals import as_json, intervals
from medcls.evaluation.metrics import METRICS, own_in, title_of
from medcls.report.baselines import FILE as BASELINE
from medcls.report.baselines import of_earlier_nets, read_baselines
from medcls.report.closing_table import cell, row_name
from medcls.runs.folder import RunFolder
from medcls.runs.reading import read_json
from medcls.sheet.data_facts import called
from medcls.sheet.record import Fact, Record
from medcls.subgroups.columns import FILE as SUBGROUPS
from medcls.subgroups.columns import read_columns
from medcls.subgroups.shown import subgroups_section

_SHOWN = 5  # of the worst errors
_PICTURES = ("curves.png", "confusion.png", "confusion_test.png", "roc.png", "roc_test.png")


def measures(record: Record) -> Fact:
    """Which metrics there are, and pictures."""
    names = [name for name in [*METRICS, *own_in(record.scored)] if name in record.scored]
    pictures = [name for name in _PICTURES if (record.run.folder / name).is_file()]
    text = f"{', '.join(map(title_of, names))}, loss."
    return record.fact(text, "metrics.json", *pictures)


def uncertainty(record: Record) -> Fact | None:
    """That there are intervals, about what, by which methods.

    None also for intervals that the predictions do not give again: an older medcls computed them in another way.
    """
    names = [name for name in METRICS if isinstance(record.scored.get(name), Mapping)]
    today = as_of_today(record, names)
    if not names or not all(same(record.scored[name], today[name]) for name in names):
        return None
    patients = record.run.predictions[record.judged].n_patients
    about = "other patients, with all their images," if patients else "other images"
    text = (
        f"{LEVEL:.0%} intervals for {about} drawn like these: score limits, for shares Wilson's (1927) or mid-p's, for "
        "AUROC with the variance of DeLong et al. (1988), with patients Obuchowski's (1997); the predictions reproduce "
        "them. One net: they do not cover other seeds."
    )
    return record.fact(text, "metrics.json", "predictions.csv")


def as_of_today(record: Record, names: list[str]) -> dict[str, Any]:
    """The metrics with intervals that the run's predictions give now."""
    found = intervals(record.run.predictions[record.judged], [METRICS[name] for name in names])
    return {name: as_json(one) for name, one in found.items()}


def same(stored: Mapping[str, Any], computed: Mapping[str, Any]) -> bool:
    """Whether two intervals are the same but for rounding."""
    pairs = [(stored.get(key), computed.get(key)) for key in ("value", "low", "high")]
    return all(
        math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9)
        if a is not None and b is not None and a == a
        else b is None or b != b
        for a, b in pairs
    )


def internal(record: Record) -> Fact:
    """What it was judged on in house."""
    found = record.run.predictions[record.judged]
    patients = f" of {found.n_patients} patients" if found.n_patients else ""
    chosen = "" if record.judged == "test" else ", on which its epoch was chosen: these metrics are optimistic"
    text = f"{len(found.names)} {called(record, record.judged)}{patients}{chosen}."
    return record.fact(text, "metrics.json", "predictions.csv")


def performance(record: Record) -> Fact:
    """Every metric with its interval."""
    scored, positive = record.scored, record.metrics["positive"]
    shown = [f"{row_name(name, positive)} {cell(scored[name])}" for name in METRICS if has_interval(scored, name)]
    own = [f"{title_of(name)} {cell(scored[name])}" for name in own_in(scored)]
    where = f"On {called(record, record.judged)}, best epoch"
    text = f"{where}: {'; '.join([*shown, *own])}; loss {scored['loss']:.3f}."
    beside = read_baselines(record.run.folder)
    if beside is None or "baselines" not in beside:
        return record.fact(text, "metrics.json")
    if earlier := of_earlier_nets(record.run.folder, beside):
        return record.fact(f"{text} {earlier}.", "metrics.json")
    baselines = "; ".join(f"{name} {cell(of['auroc'])}, {of['verdict']}" for name, of in beside["baselines"].items())
    return record.fact(f"{text} Baselines, AUROC: {baselines}.", "metrics.json", BASELINE)


def diagnostic(record: Record) -> Fact | None:
    """Sensitivity, specificity and predictive values of what is decided."""
    metrics, scored, positive = record.metrics, record.scored, record.metrics["positive"]
    where = called(record, record.judged)
    if len(metrics["classes"]) > 2:
        rows = metrics["per_class"][record.judged]
        each = "; ".join(f"{row['class']}: sensitivity {cell(row['sensitivity'])}" for row in rows)
        return record.fact(f"Each class against the rest, {where}: {each}.", "metrics.json")
    decision = record.decision
    if decision is None or decision.threshold.value is None:
        names = [name for name in ("sensitivity", "specificity") if has_interval(scored, name)]
        shown = "; ".join(f"{row_name(name, positive)} {cell(scored[name])}" for name in names)
        return record.fact(f"The more probable class, {where}: {shown}.", "metrics.json")
    stored = read_json(RunFolder(record.run.folder).decision, dict[str, Any])["at_threshold"][record.judged]
    shown = "; ".join(f"{TITLES.get(name) or row_name(name, positive)} {cell(one)}" for name, one in stored.items())
    prevalence = "" if decision.prevalence is None else f" PPV and NPV at a prevalence of {decision.prevalence:.4g}."
    text = f"From a probability of {decision.threshold.value:.4g} on, {where}: {shown}.{prevalence}"
    return record.fact(text, "decision.json")


def output(record: Record) -> Fact | None:
    """What the net gives, and how a class is chosen."""
    if (decision := record.decision) is None:
        return None
    threshold, positive = decision.threshold, record.metrics["positive"]
    if threshold.value is not None:
        how = f"{positive} from {threshold.value:.4g} on, by {threshold.chosen_on(decision.chosen_on)}"
    else:
        how = "the most probable" + (f" (no threshold by {threshold.by}: {threshold.why})" if threshold.rule else "")
    return record.fact(f"A probability for each class; the class chosen is {how}.", "decision.json")


def recalibration(record: Record) -> Fact | None:
    """The temperature that validation images give."""
    if (decision := record.decision) is None:
        return None
    found = decision.temperature
    if found.value is None:
        return record.fact(f"No temperature could be fitted: {found.why}.", "decision.json")
    limits = "" if found.low is None else f" [{found.low:.3g}, {found.high:.3g}]"
    text = (
        f"Temperature {found.value:.3g}{limits}, fitted on {decision.chosen_on}: with it their loss is {found.nll:.4f} "
        f"instead of {found.nll_before:.4f}. No metric of this run uses it."
    )
    return record.fact(text, "decision.json")


def errors(record: Record) -> Fact:
    """How many images are decided wrongly, as what, and the most confident errors."""
    found, classes = record.run.predictions[record.judged], record.metrics["classes"]
    threshold = None if record.decision is None else record.decision.threshold
    p = found.probabilities
    predicted = p.argmax(axis=1) if threshold is None else threshold.decide(p, found.positive)
    wrong = np.flatnonzero(predicted != found.labels)
    kinds: dict[str, int] = {}
    for i in wrong:
        kind = f"{classes[found.labels[i]]} taken for {classes[predicted[i]]}"
        kinds[kind] = kinds.get(kind, 0) + 1
    worst = sorted(wrong, key=lambda i: -p[i, predicted[i]])[:_SHOWN]
    text = f"{len(wrong)} of {len(found.labels)} {called(record, record.judged)} are decided wrongly"
    text += f": {', '.join(f'{n} {kind}' for kind, n in kinds.items())}" if kinds else ""
    most = ", ".join(f"{found.names[i]} ({classes[predicted[i]]} {p[i, predicted[i]]:.2f})" for i in worst)
    files = ["predictions.csv"] + ["decision.json"] * (threshold is not None)
    return record.fact(f"{text}. {f'The most confident errors: {most}.' if most else ''}".strip(), *files)


def subgroups(record: Record) -> Fact | None:
    """Metrics by what the manifest says about patients, and whether differences are shown."""
    if (section := subgroups_section(record.run)) is None:
        return None
    parts = []
    for block in section.blocks:
        if isinstance(block, Text | Note):
            parts.append(block.text)
        elif isinstance(block, Table):
            titles = block.columns[1:]
            for name, *cells in block.rows:
                parts.append(f"{name}: {', '.join(f'{t} {c}' for t, c in zip(titles, cells, strict=True))}.")
    return record.fact(" ".join(parts), SUBGROUPS, "predictions.csv")


def subgroup_columns(record: Record) -> Fact | None:
    """By what subgroups are made, and how they are compared."""
    if (read := read_columns(record.run.folder, record.run.predictions[record.judged].names)) is None:
        return None
    by = ", ".join(read[0]) or "nothing"
    where = called(record, record.judged)
    text = f"Metrics by {by}, on {where}; AUROC of each group vs. the rest, tested (Holm)."
    return record.fact(text, SUBGROUPS)


def limits(record: Record) -> Fact:
    """What the files themselves put in doubt."""
    files = ["metrics.json", "config.yaml"] + [FINDINGS] * (record.audit is not None)
    return record.fact(" ".join(_doubts(record)), *files)


def _doubts(record: Record) -> Iterator[str]:
    metrics = record.metrics
    if metrics["simulated"]:
        yield "SIMULATED images: nothing here says anything about patients."
    if metrics.get("notice"):
        yield f"{metrics['notice']}."
    if metrics.get("says_nothing"):
        yield f"Where the more probable class is chosen, this net {metrics['says_nothing']}."
    yield f"One net of one seed ({record.config['seed']}): another seed would give another net."
    if record.judged == "val":
        yield "No test images: the epoch was chosen on the images that metrics are computed on."
    if not record.run.predictions[record.judged].n_patients:
        yield "Patients are unknown: intervals treat all images as independent."
    if record.audit is None:
        yield "The images were not audited for copies, leaks and shortcuts."
    if not record.external:
        yield "Not judged on images from elsewhere."


def has_interval(scored: Mapping[str, Any], name: str) -> bool:
    """Whether a metric is there. Raises KeyError where it is, but without an interval, as in an older file."""
    if name not in scored:
        return False
    if not isinstance(scored[name], Mapping):
        raise KeyError(name)
    return True
