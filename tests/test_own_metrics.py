"""Metrics of the user's own: functions in a file of theirs, named by the configuration alone."""

import csv
import json
import math

import numpy as np
import pytest
from conftest import SCRIPT, TINY
from sklearn import metrics
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_evaluation import predictions

from medcls.config.targets import Target
from medcls.errors import UserError
from medcls.evaluation.bootstrap import RESAMPLES
from medcls.evaluation.intervals import intervals
from medcls.evaluation.metrics import METRICS
from medcls.evaluation.own_metrics import own_metrics
from medcls.runs.history import COLUMNS, read_history, write_history
from medcls.runs.predictions import Predictions
from medcls.sweep_report.report import write_report

MINE = """
from sklearn.metrics import accuracy_score, fbeta_score, matthews_corrcoef

def matthews(labels, probabilities):
    return matthews_corrcoef(labels, probabilities.argmax(axis=1))

def fbeta(labels, probabilities, positive, beta=1.0):
    return fbeta_score(labels, probabilities.argmax(axis=1), beta=beta, pos_label=positive)

def same_as_accuracy(labels, probabilities):
    return accuracy_score(labels, probabilities.argmax(axis=1))

def infinite(labels, probabilities):
    return float("inf")

def fails_on_resamples(labels, probabilities):
    if len(set(map(tuple, probabilities))) < len(labels):
        raise ValueError("an image twice")
    return 0.25

def fails(labels, probabilities):
    raise LookupError("no such thing")

def talks(labels, probabilities):
    return "very good"

number = 3
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Records of metrics of the module ``my_metrics``, which is on the Python path for the test."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "my_metrics.py").write_text(MINE)
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    return lambda *given: own_metrics([Target.model_validate({"_target_": f"my_metrics.{n}", **a}) for n, a in given])


def of(labels, probabilities, positive, groups=()):
    return Predictions("skin", tuple(map(str, range(len(labels)))), labels, probabilities, positive, groups)


@pytest.mark.slow
@pytest.mark.parametrize("positive", [0, 1])
def test_own_metric_gets_its_arguments_and_the_positive_class_where_it_takes_it(own, positive):
    labels, probabilities = predictions(150, 2)
    records = own(("fbeta", {"beta": 2.0, "name": "f2_score"}), ("matthews", {}))
    assert [(metric.name, metric.title) for metric in records] == [("f2_score", "f2 score"), ("matthews", "matthews")]
    found = intervals(of(labels, probabilities, positive), records)
    predicted = probabilities.argmax(axis=1)
    assert found["f2_score"].value == metrics.fbeta_score(labels, predicted, beta=2, pos_label=positive)
    assert found["matthews"].value == metrics.matthews_corrcoef(labels, predicted)
    assert found["matthews"].low < found["matthews"].value < found["matthews"].high


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 6])
def test_interval_of_an_own_metric_covers_the_truth_over_patients_and_classes_drawn_again(own, size):
    records, covered = own(("same_as_accuracy", {})), 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        labels = np.repeat(rng.random(120 // size) < 0.2, size)  # recognised: nine in ten of a class, half of the other
        right = np.repeat(rng.random(120 // size) < np.where(labels[::size], 0.5, 0.9), size)
        p = np.where(right == labels, 0.9, 0.1)
        groups = tuple(f"P{i // size}" for i in range(120)) if size > 1 else ()
        found = intervals(of(labels.astype(int), np.stack([1 - p, p], 1), 1, groups), records)["same_as_accuracy"]
        covered += found.low <= 0.2 * 0.5 + 0.8 * 0.9 <= found.high
    assert covered >= 34  # of 40, 38 plus or minus 1.4 (one standard deviation)


def test_own_metric_that_is_not_finite_is_undefined_and_one_that_fails_on_resamples_has_no_interval(own, caplog):
    labels = np.arange(40) % 2
    p = np.linspace(0.1, 0.9, 40)
    given = own(("infinite", {}), ("fails_on_resamples", {}))
    found = intervals(of(labels, np.stack([1 - p, p], 1), 1), [*METRICS.values(), *given])
    assert all(map(math.isnan, (found["infinite"].value, found["infinite"].low, found["infinite"].high)))
    assert found["fails_on_resamples"].value == 0.25
    assert math.isnan(found["fails_on_resamples"].low)
    assert "an image twice" in caplog.text
    assert found["fails_on_resamples"].why == "it failed on a resample of the images"
    assert found["auroc"] == intervals(of(labels, np.stack([1 - p, p], 1), 1))["auroc"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([("matthewz", {})], "my_metrics has no matthewz. Did you mean my_metrics.matthews?"),
        ([("matthews", {"name": "auroc"})], "the name auroc is taken"),
        ([("matthews", {"name": "loss"})], "the name loss is taken"),
        ([("fbeta", {}), ("fbeta", {"beta": 2})], "the name fbeta is taken"),
        ([("fbeta", {"name": "F beta"})], "found 'F beta', expected a name of letters"),
        ([("fbeta", {"bta": 2})], "bta: unknown argument. Did you mean beta?"),
        ([("number", {})], "found my_metrics.number, int. Expected a function."),
    ],
)
def test_own_metric_that_cannot_be_is_refused_before_anything_is_computed(own, given, message):
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        own(*given)


@pytest.mark.parametrize(
    ("name", "message"), [("fails", "LookupError: no such thing"), ("talks", "returned str, expected a number")]
)
def test_own_metric_that_fails_is_a_readable_error(own, name, message):
    with pytest.raises(UserError, match=f"my_metrics.{name}.*{message}"):
        intervals(of(*predictions(50, 2), 1), own((name, {})))


@pytest.mark.slow
def test_own_metric_is_shown_wherever_metrics_are_and_a_report_does_not_run_it(own, command, tmp_path, monkeypatch):
    folder = tmp_path / "runs" / "one"
    listed = "metrics=[{_target_: my_metrics.matthews}]"
    small = ["data=skin", "data.simulated.counts.train=[6,6]", "data.simulated.counts.val=[6,6]", "trainer.threads=1"]
    result = command(SCRIPT, *TINY, *small, "lr=1e-2", listed, f"hydra.run.dir={folder}")
    assert result.status == 0, result.err
    content = json.loads((folder / "metrics.json").read_text())
    with (folder / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    truth = [row["label"] == "nevus" for row in rows]
    expected = metrics.matthews_corrcoef(truth, [float(row["p_nevus"]) > float(row["p_melanoma"]) for row in rows])
    assert content["best"]["val"]["matthews"]["value"] == pytest.approx(expected)
    assert content["best"]["val"]["matthews"]["resamples"] == RESAMPLES
    assert any(line.startswith("matthews  ") for line in result.out.splitlines())
    assert f"matthews: {RESAMPLES} resamples" in " ".join(result.out.split())
    history = read_history(folder / "history.csv")
    assert history[content["best"]["epoch"] - 1]["val_matthews"] == pytest.approx(expected, abs=1e-6)
    (events,) = folder.rglob("events.out.tfevents.*")
    read = EventAccumulator(str(events)).Reload()
    assert [point.value for point in read.Scalars("matthews/val")] == [row["val_matthews"] for row in history]
    assert [point.value for point in read.Scalars("best/matthews")] == pytest.approx([expected])

    monkeypatch.setattr("importlib.import_module", None)  # nothing that the folder names is imported
    write_report(folder)
    (row,) = csv.DictReader((folder / "results.csv").open())
    assert float(row["best_val_matthews"]) == content["best"]["val"]["matthews"]["value"]
    assert "| AUROC | matthews |" in (folder / "report.md").read_text()


def test_history_has_nan_for_epochs_before_a_metric_was_asked_for(tmp_path):
    first = {"epoch": 1.0} | dict.fromkeys(COLUMNS, 0.5) | {"lr": 0.1, "seconds": 1.0}
    second = {"epoch": 2.0} | dict.fromkeys(COLUMNS, 0.4) | {"val_mine": 0.7, "lr": 0.1, "seconds": 1.0}
    write_history(tmp_path / "history.csv", [first, second])
    header = (tmp_path / "history.csv").read_text().splitlines()[0]
    assert header == f"epoch,{','.join(COLUMNS)},val_mine,lr,seconds"
    read = read_history(tmp_path / "history.csv")
    assert math.isnan(read[0].pop("val_mine"))
    assert read == [first, second]
