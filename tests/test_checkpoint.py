import csv
import json

import numpy as np
import pytest
import torch
from conftest import TINY as SMALL
from sklearn import metrics as sk

from medcls.errors import UserError
from medcls.formats.decode import decode
from medcls.training.classifier import load_classifier
from medcls.training.losses import probabilities

CONTRACT = {
    "config.yaml",
    "environment.json",
    "data.json",
    "decision.json",
    "status.json",
    "history.csv",
    "metrics.json",
    "predictions.csv",
    "curves.png",
    "confusion.png",
    "roc.png",
    "audit.json",
    "audit.html",
    "checkpoints/best.ckpt",
    "checkpoints/last.ckpt",
    "train.log",
}
TINY = [*SMALL, "trainer.threads=1", "audit=none"]
# Options whose nets, losses and preprocessing a checkpoint has to carry.
KINDS = {
    "two classes": [],
    "three weighted classes": ["classes=abc", "loss.class_weights=[1.0,2.0,0.5]"],
    "one_vs_rest on three classes": ["classes=abc", "loss=one_vs_rest", "optimizer=sgd", "lr=1e-2"],
    "balanced classes": ["loss.class_weights=balanced", "optimizer=adamw"],
    "bf16-mixed": ["trainer.precision=bf16-mixed"],
    "64-true": ["trainer.precision=64-true"],
    "colour": ["data.channels=3", "data.positive=a"],
    "torchvision": ["~model.n_base", "model=torchvision"],
    "all regularised": ["model.batch_norm=true", "model.dropout=0.2", "model.spatial_dropout=0.2", "augment=medical"],
}
SLOW = ("two classes", "three weighted classes", "torchvision", "all regularised")


@pytest.fixture
def run(make_folder, train):
    """Train on a small folder with all three splits; returns the result and the folder of the images."""

    def result_and_root(*overrides):
        classes = tuple("abc") if "classes=abc" in overrides else ("a", "b")
        root = make_folder(classes=classes, counts={"train": 6, "val": 5, "test": 4})
        kept = [o for o in (*TINY, "data=folder", f"data.root={root}", *overrides) if o != "classes=abc"]
        if "model=torchvision" in overrides:
            kept = [o for o in kept if "n_base" not in o and o != "model=lenet"]
        return train(*kept), root

    return result_and_root


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return tmp_path_factory.mktemp("shared")


@pytest.fixture
def finished(run, shared):
    """A run for the tests that only read, trained by the first."""
    folder = shared / "run"
    if not folder.exists():
        stateful = ["scheduler=plateau", "augment=study", "loss.class_weights=balanced"]
        run(*stateful, "audit.enabled=true", "logger.pictures=true", f"hydra.run.dir={folder}")
    return folder


def predictions(folder, split):
    with (folder / "predictions.csv").open() as file:
        return [row for row in csv.DictReader(file) if row["split"] == split]


def probability(rows, classes):
    return np.array([[float(row[f"p_{name}"]) for name in classes] for row in rows])


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow) if kind in SLOW else kind for kind in KINDS]
)
def test_best_checkpoint_alone_reproduces_the_predictions_from_the_image_files(kind, run):
    result, root = run(*KINDS[kind], "epochs=1")
    assert result.status == 0, result.err
    classifier = load_classifier(result.folder / "checkpoints/best.ckpt")
    assert not classifier.training
    hparams = classifier.hparams
    for split in ("val", "test"):
        rows = predictions(result.folder, split)
        images = [
            decode((root / row["sample"]).read_bytes(), image_size=hparams.image_size, channels=hparams.channels)
            for row in rows
        ]
        with torch.no_grad():
            ours = probabilities(classifier(torch.from_numpy(np.stack(images))), classifier.loss)
        # Half precision is not part of a checkpoint: it rounds to 8 bits, about three digits.
        tolerance = 1e-2 if kind == "bf16-mixed" else 1e-6
        assert ours.numpy() == pytest.approx(probability(rows, hparams.classes), abs=tolerance)


@pytest.mark.parametrize("name", ["best", "last"])
def test_checkpoint_holds_only_tensors_and_plain_values(name, finished):
    content = torch.load(finished / f"checkpoints/{name}.ckpt", weights_only=True)
    assert content["hyper_parameters"]["classes"] == ["a", "b"]
    assert ("optimizer_states" in content) == (name == "last")


def test_run_folder_keeps_its_contract(finished):
    files = {path.relative_to(finished).as_posix() for path in finished.rglob("*") if path.is_file()}
    (event_file,) = finished.glob("events.out.tfevents.*")
    assert files == {*CONTRACT, event_file.name, "confusion_test.png", "roc_test.png"}
    status = json.loads((finished / "status.json").read_text())
    assert status == {"state": "done", "epoch": 2, "reason": None}


def test_folder_without_splits_leaves_its_drawn_split(make_folder, train):
    result = train(*TINY, "data=folder", f"data.root={make_folder(counts={'': 10})}", "epochs=1")
    with (result.folder / "split.csv").open() as file:
        split = {row["sample"]: row["split"] for row in csv.DictReader(file)}
    assert len(split) == 20
    assert {row["sample"] for row in predictions(result.folder, "val")} == {
        name for name, of in split.items() if of == "val"
    }


@pytest.mark.parametrize("kind", ["colour", "one_vs_rest on three classes"])
def test_metrics_equal_those_of_scikit_learn_on_the_predictions(kind, run):
    result, _ = run(*KINDS[kind], "lr=1e-3")
    metrics = json.loads((result.folder / "metrics.json").read_text())
    classes = metrics["classes"]
    assert metrics["n_train"] == 6 * len(classes)
    assert metrics["n_val"] == 5 * len(classes)
    assert metrics["test"]["n"] == 4 * len(classes)
    for split, found in {"val": metrics["best"]["val"], "test": metrics["test"]}.items():
        rows = predictions(result.folder, split)
        labels = np.array([classes.index(row["label"]) for row in rows])
        p = probability(rows, classes)
        predicted = p.argmax(axis=1)
        expected = {
            "accuracy": sk.accuracy_score(labels, predicted),
            "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
        }
        if len(classes) == 2:  # data.positive=a
            expected |= {
                "auroc": sk.roc_auc_score(labels == 0, p[:, 0]),
                "sensitivity": sk.recall_score(labels, predicted, pos_label=0),
                "specificity": sk.recall_score(labels, predicted, pos_label=1),
                "f1": sk.f1_score(labels, predicted, pos_label=0),
            }
            assert found["loss"] == pytest.approx(sk.log_loss(labels, p), rel=1e-5)
        else:
            expected |= {
                "auroc": np.mean([sk.roc_auc_score(labels == k, p[:, k]) for k in range(3)]),
                "sensitivity": sk.recall_score(labels, predicted, average="macro"),
                "f1": sk.f1_score(labels, predicted, average="macro"),
            }
            binary = [sk.log_loss(labels == k, np.column_stack([1 - p[:, k], p[:, k]])) for k in range(3)]
            assert found["loss"] == pytest.approx(np.mean(binary), rel=1e-5)
        assert {name: found[name]["value"] for name in expected} == pytest.approx(expected)
        for name in expected:
            if "why" in found[name]:  # there are no limits
                assert min(np.bincount(labels)) < 5
            else:
                assert found[name]["low"] <= found[name]["value"] <= found[name]["high"]


def test_best_figures_are_those_of_the_epoch_with_the_lowest_validation_loss(run):
    result, _ = run("epochs=4", "lr=3e-2")
    with (result.folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    best = min(rows, key=lambda row: float(row["val_loss"]))
    metrics = json.loads((result.folder / "metrics.json").read_text())
    for row, figures in ((best, metrics["best"]), (rows[-1], metrics["last"])):
        assert figures["epoch"] == int(row["epoch"])
        assert figures["val"]["loss"] == pytest.approx(float(row["val_loss"]), rel=1e-5)
        assert figures["val"]["accuracy"]["value"] == pytest.approx(float(row["val_accuracy"]))
        assert figures["val"]["auroc"]["value"] == pytest.approx(float(row["val_auroc"]))


def test_test_images_change_nothing_but_the_test_figures(make_folder, train):
    counts = {"train": 6, "val": 4}
    runs = [train(*TINY, "data=folder", f"data.root={make_folder(counts=counts | more)}") for more in ({}, {"test": 5})]
    without, with_test = (result.folder for result in runs)
    assert predictions(without, "test") == []
    assert len(predictions(with_test, "test")) == 10
    assert {row["sample"].split("/")[0] for row in predictions(with_test, "val")} == {"val"}
    assert predictions(without, "val") == predictions(with_test, "val")
    histories = [[row[:-1] for row in csv.reader((folder / "history.csv").open())] for folder in (without, with_test)]
    assert histories[0] == histories[1]
    assert histories[0][0][-1] == "lr"  # only the seconds are left out
    metrics = [json.loads((folder / "metrics.json").read_text()) for folder in (without, with_test)]
    assert metrics[0]["test"] is None
    assert metrics[0]["best"] == metrics[1]["best"]


def test_test_folder_alone_serves_as_validation(make_folder, train):
    result = train(*TINY, "data=folder", f"data.root={make_folder(counts={'train': 4, 'test': 3})}", "epochs=1")
    assert len(predictions(result.folder, "val")) == 6
    assert json.loads((result.folder / "metrics.json").read_text())["test"] is None


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half", b"cos\nsystem\n", b"text"])
def test_file_that_is_no_checkpoint_is_refused_with_a_message(content, tmp_path):
    path = tmp_path / "best.ckpt"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a checkpoint of medcls"):
        load_classifier(path)


def test_truncated_checkpoint_is_refused_with_a_message(finished, tmp_path):
    whole = (finished / "checkpoints/best.ckpt").read_bytes()
    path = tmp_path / "best.ckpt"
    for length in (len(whole) // 2, len(whole) - 1, 100):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match="not a checkpoint of medcls"):
            load_classifier(path)


def test_checkpoint_of_another_program_is_refused_with_a_message(tmp_path):
    for content in ({"state_dict": {}}, {"hyper_parameters": {"lr": 1.0}, "state_dict": {}}, torch.zeros(2)):
        torch.save(content, tmp_path / "other.ckpt")
        with pytest.raises(UserError, match="not a checkpoint of medcls"):
            load_classifier(tmp_path / "other.ckpt")


def test_checkpoint_that_would_run_code_is_refused(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'harm')!r}, 'w')",))

    torch.save({"state_dict": Harmful(), "hyper_parameters": {"classes": []}}, tmp_path / "harmful.ckpt")
    with pytest.raises(UserError, match="not a checkpoint of medcls"):
        load_classifier(tmp_path / "harmful.ckpt")
    assert not (tmp_path / "harm").exists()
