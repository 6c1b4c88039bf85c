"""What metrics.json and decision.json of a run say, recomputed from its predictions and its history."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from medcls.decision.of_run import rule_of_run
from medcls.decision.record import content_of, decide_on
from medcls.decision.temperature import log_odds
from medcls.errors import UserError
from medcls.evaluation.constant import says_nothing
from medcls.evaluation.formulas import auroc
from medcls.evaluation.intervals import class_table
from medcls.evaluation.metrics import Metric
from medcls.evaluation.plateau import constant_of
from medcls.evaluation.predict import Outcome
from medcls.evaluation.run_metrics import measure
from medcls.pack.compared import Number, compared, distance
from medcls.runs.folder import RunFolder
from medcls.runs.history import best_row
from medcls.runs.predictions import Predictions
from medcls.runs.reading import read_json, read_rows
from medcls.runs.run import Run, validation_images
from medcls.sweep_report.crossvalidation import cross_validate, write_pooled
from medcls.sweep_report.design import Sweep
from medcls.sweep_report.results_csv import result_rows
from medcls.sweep_report.verdicts import Verdicts, judge, split_of
from medcls.training.classifier import Classifier

ROUNDING = 2.0**-23  # of a probability in single precision, relative to 1
_FAR = 1e-3  # from which on a loss is not known from rounded probabilities
# What metrics.json says about the run beyond what its predictions say.
FACTS = (
    *("simulated", "notice", "test_validates", "test_is_fold", "data", "model", "classes", "positive"),
    *("positive_guessed", "n_train"),
)
NEEDS_IMAGES = "the pack has the net of the last epoch but not its predictions; name the images: data.root=..."


@dataclass(frozen=True)
class Loss:
    """Mean loss of predictions, known within ``rounding``."""

    value: float
    rounding: float


def run_numbers(run: Run, last: Predictions | None, net: Classifier | None, own: Sequence[Metric]) -> Iterator[Number]:
    """Every number of a finished run's table.

    last: validation images by the net of the last epoch, None where it is the best one or they are not known; net:
    None where there is none, or its code may not run; own: the user's own metrics.
    """
    stored = {key: value for key, value in run.metrics.items() if key not in FACTS}
    last = run.predictions["val"] if last_is_best(run) else last
    found = table_of(run, net, own)
    if last is not None:
        found["last"]["val"] = measured(last, net, own)
    by_part = {"best": run.predictions["val"], "last": last, "test": run.predictions.get("test")}
    for number in compared(stored, found, ""):
        of = by_part.get(number.where.partition(" ")[0])
        if number.where.startswith("last val") and last is None:
            yield replace(number, why=NEEDS_IMAGES)
        else:
            yield number if of is None or not number.where.endswith(" loss") else within_rounding(number, of, net)
    if not last_is_best(run):
        row, of_last = run.history[-1], stored["last"]["val"]
        in_history = {name: row[f"val_{name}"] for name in ("loss", "accuracy", "auroc")}
        of_table = {name: _value(of_last.get(name)) for name in in_history}
        for number in compared(of_table, in_history, "last val, in history.csv,"):
            yield replace(number, open=of_other_ties(last)) if number.where.endswith("auroc") else number
    yield from decision_numbers(run)


def last_is_best(run: Run) -> bool:
    """Whether both columns of the table are of one net."""
    return bool(run.history[-1]["epoch"] == best_row(run.history)["epoch"])


def table_of(run: Run, net: Classifier | None, own: Sequence[Metric]) -> dict[str, Any]:
    """What metrics.json says that follows from predictions.csv and history.csv, keyed alike."""
    predictions, history = run.predictions, run.history
    val, test = predictions["val"], predictions.get("test")
    classes = run.metrics["classes"]
    found: dict[str, Any] = {
        "n_val": len(val.labels),
        "n_val_patients": val.n_patients if val.groups else None,
        "seconds": round(sum(row["seconds"] for row in history), 3),
        "best": {"epoch": best_row(history)["epoch"], "val": measured(val, net, own)},
        "last": {"epoch": history[-1]["epoch"]},
        "test": None if test is None else {"n": len(test.labels), **measured(test, net, own)},
        "per_class": {split: class_table(of, classes) for split, of in predictions.items()},
        "says_nothing": says_nothing(val, classes) or None,
    }
    if net is not None:
        found["parameters"] = sum(parameter.numel() for parameter in net.parameters())
        found["constant_loss"] = constant_of(net, val.labels)
    return found


def measured(predictions: Predictions, net: Classifier | None, own: Sequence[Metric]) -> dict[str, Any]:
    """Metrics with intervals, and the loss where the probabilities determine it."""
    loss = loss_of(predictions, net)
    found = measure(Outcome(predictions, 0.0 if loss is None else loss.value), own)
    return found if loss is not None else {name: value for name, value in found.items() if name != "loss"}


def loss_of(predictions: Predictions, net: Classifier | None) -> Loss | None:
    """Mean loss by the net's own function, of the logits that give these probabilities; None where these are lost."""
    if net is None:
        return None
    p = predictions.probabilities.astype(np.float64)
    if ((p <= 0) | (p >= 1)).any():
        return None
    rounding = float(np.mean((ROUNDING / np.minimum(p, 1 - p)).max(axis=1)))
    if rounding > _FAR:
        return None
    logits = {"bce": np.log(p[:, 1:]) - np.log(p[:, :1]), "cross_entropy": np.log(p)}.get(net.loss)
    values = torch.from_numpy(log_odds(p) if logits is None else logits)
    labels = torch.from_numpy(predictions.labels)
    return Loss(float(net.compute_loss(values, labels)), rounding * _weight(net))


def _weight(net: Classifier) -> float:
    """How much more than in the mean an image's loss may count."""
    weights = net.class_weights
    return 1.0 if weights is None else float(weights.max() / weights.min())


def within_rounding(number: Number, predictions: Predictions, net: Classifier | None) -> Number:
    """A loss as the same where it is by what single precision leaves open."""
    loss = loss_of(predictions, net)
    if number.why:
        why = (
            "the loss needs the net, or its own code"
            if net is None
            else "rounded probabilities do not determine the loss"
        )
        return replace(number, why=why)
    return number if loss is None else replace(number, open=loss.rounding)


def of_other_ties(predictions: Predictions | None) -> float:
    """How far apart AUROC is by the probability of one of two classes and by that of the other, rounded to other ties.

    Earlier versions took that of the second class after each epoch, and the table that of the positive one.
    """
    if predictions is None or predictions.probabilities.shape[1] != 2:
        return 0.0
    first, second = (auroc(predictions.labels, predictions.probabilities, positive) for positive in (0, 1))
    return abs(first - second) + ROUNDING


def decision_numbers(run: Run) -> Iterator[Number]:
    """Threshold and temperature, and how well they do; none of an older run without decision.json."""
    if not (file := RunFolder(run.folder).decision).is_file():
        return
    stored = read_json(file, dict[str, Any])
    decision = decide_on(run.predictions["val"], rule_of_run(run), validation_images(run.metrics))
    yield from compared(stored, content_of(decision, run.predictions), "decision")


def verdicts_of(sweep: Sweep) -> dict[str, Any]:
    """The comparisons of a sweep, tested ones and others, as verdicts.json of a pack has them."""
    found = judge(sweep)
    return {"split": found.split, "comparisons": list(_comparisons(found)), "impossible": _impossible(found)}


def _comparisons(found: Verdicts) -> Iterator[dict[str, Any]]:
    for tested, verdicts in ((True, found.made), (False, found.described)):
        for one in verdicts:
            c = one.comparison
            yield {
                "class": f"{one.b} vs. {one.a}, {c.metric}",
                "tested": tested,
                "difference": {"value": c.difference, "low": c.low, "high": c.high},
                "p": c.p,
                "adjusted_p": c.adjusted,
                "method": c.method,
                "verdict": one.word,
            }


def _impossible(found: Verdicts) -> list[str]:
    return [f"{pair.b} vs. {pair.a}: {why}" for pair, why in found.impossible]


def sweep_numbers(sweep: Sweep, verdicts: Path) -> Iterator[Number]:
    """Verdicts, results.csv and pooled.csv of a sweep, where the pack has them."""
    if verdicts.is_file():
        yield from compared(read_json(verdicts, dict[str, Any]), verdicts_of(sweep), "verdicts")
    rows = [{key: str(value) for key, value in row.items()} for row in result_rows(sweep)]
    yield from table_numbers(sweep.folder / "results.csv", rows, "run")
    if (file := sweep.folder / "pooled.csv").is_file():
        with TemporaryDirectory(prefix="medcls_verify_") as name:
            validated = cross_validate(sweep, split_of(sweep))
            write_pooled(replace(sweep, folder=Path(name)), validated)
            again = Path(name) / file.name
            yield from table_numbers(file, read_rows(again) if again.is_file() else [], "")


def table_numbers(file: Path, rows: Sequence[Mapping[str, str]], key: str) -> Iterator[Number]:
    """A table of the report as one number for each row, as far apart as its cells are at most."""
    if not file.is_file():
        return
    try:
        stored = read_rows(file)
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: damaged ({error}). Get the pack again from where it came from.") from error
    if len(stored) != len(rows):
        yield Number(f"{file.name} rows", len(stored), len(rows), float("inf"))
    for i, (one, other) in enumerate(zip(stored, rows, strict=False)):
        shared = [column for column in one if column in other]
        off = max((distance(_cell(one[column]), _cell(other[column])) for column in shared), default=float("inf"))
        name = one.get(key) or str(i + 1)
        yield Number(f"{file.name} {name}", f"{len(shared)} cells", f"{len(shared)} cells", off)


def _value(metric: Any) -> Any:
    return metric.get("value") if isinstance(metric, Mapping) else metric


def _cell(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
