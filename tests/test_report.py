from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot
from PIL import Image

from medcls.evaluation.metrics import METRICS
from medcls.report.closing_table import print_closing_table
from medcls.report.confusion import plot_confusion
from medcls.report.curves import plot_curves
from medcls.report.roc import plot_roc
from medcls.runs.predictions import Predictions


def history(n_epochs):
    return [
        {
            "epoch": epoch,
            "train_loss": 1 / epoch,
            "train_accuracy": 1 - 0.5 / epoch,
            "val_loss": 0.5 + abs(epoch - 4) / 10,
            "val_accuracy": 0.8,
            "val_auroc": float("nan") if epoch == 1 else 0.9,
            "lr": 1e-4,
            "seconds": 1.5,
        }
        for epoch in range(1, n_epochs + 1)
    ]


def pixels(path):
    with Image.open(path) as image:
        image.verify()
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def metrics_json(*, simulated=False, test=False):
    def scored(shift):
        metrics = {name: {"value": 0.8 + shift, "low": 0.7 + shift, "high": 0.9 + shift} for name in METRICS}
        return {"loss": 0.4 + shift, **metrics}

    content = {"simulated": simulated, "data": "skin", "model": "vgg16", "classes": ["benign", "melanoma"]}
    content |= {"positive": "melanoma", "n_val": 96, "best": {"epoch": 12, "val": scored(0.042)}}
    content |= {"last": {"epoch": 100, "val": scored(0.001)}}
    return content | ({"test": scored(-0.033)} if test else {})


@pytest.fixture
def printed(capsys, monkeypatch):
    """What ``print_closing_table`` writes into a pipe of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def lines(metrics, folder=Path("outputs/run")):
        print_closing_table(metrics, folder)
        return [line.rstrip() for line in capsys.readouterr().out.splitlines()]

    return lines


@pytest.mark.one_in(2)
@pytest.mark.parametrize("n_epochs", [1, 30])
def test_curves_show_the_lines_and_the_best_epoch(tmp_path, n_epochs):
    best = min(4, n_epochs)
    plot_curves(history(n_epochs), best, "vgg16 on bone", tmp_path / "curves.png", vector=True)
    plot_curves(history(n_epochs), n_epochs, "vgg16 on bone", tmp_path / "other.png", vector=True)
    image = pixels(tmp_path / "curves.png")
    height, width, _ = image.shape
    assert 1200 < width < 2400
    assert 400 < height < 1000
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0, 0, 0)):  # training, validation, the best epoch
        assert (np.abs(image - colour).max(axis=2) < 12).sum() > 100
    assert (best == n_epochs) == np.array_equal(image, pixels(tmp_path / "other.png"))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        f"{name}.{form}" for name in ("curves", "other") for form in ("pdf", "png", "svg")
    ]  # nothing half-written is left


def test_curves_refuse_a_best_epoch_that_was_not_trained(tmp_path):
    with pytest.raises(ValueError, match="best epoch 9 is not among the 5"):
        plot_curves(history(5), 9, "vgg16 on bone", tmp_path / "curves.png")


@pytest.mark.parametrize("n_classes", [2, pytest.param(9, marks=pytest.mark.slow)])
def test_confusion_and_roc_are_drawn_even_with_a_class_without_images(tmp_path, n_classes):
    rng = np.random.default_rng(0)
    classes = [f"class number {k} with a long name" for k in range(n_classes)]
    probabilities = rng.random((80, n_classes))
    drawn = []
    for n_present in (n_classes, n_classes - 1):
        labels = rng.integers(n_present, size=80)
        found = Predictions("skin", tuple(map(str, range(80))), labels, probabilities, 1)
        plot_confusion(found, classes, "a title", tmp_path / "confusion.png")
        plot_roc(found, classes, "a title", tmp_path / "roc.png")
        drawn += [pixels(tmp_path / "confusion.png"), pixels(tmp_path / "roc.png")]
    for image in drawn:
        assert min(image.shape[:2]) > 600
        assert image.std() > 10
    assert not np.array_equal(drawn[1], drawn[3])


def test_a_plot_stays_in_no_list_of_pyplot(tmp_path):
    # A figure that pyplot holds is never freed: a sweep of a thousand runs would keep them all.
    before = pyplot.get_fignums()
    plot_curves(history(2), 2, "vgg16 on bone", tmp_path / "curves.png")
    assert pyplot.get_fignums() == before


def test_closing_table_gives_every_metric_with_its_interval_under_its_epoch(printed):
    lines = printed(metrics_json())
    assert any(line.split() == ["best", "epoch", "12", "last", "epoch", "100"] for line in lines)
    for name in ("accuracy", "balanced accuracy", "AUROC", "sensitivity (melanoma)", "specificity", "F1"):
        (row,) = [line for line in lines if line.startswith(f"{name}  ")]
        assert row.split("  ", 1)[1].strip() == "0.842 [0.742, 0.942]  0.801 [0.701, 0.901]"
    assert any(line.split() == ["loss", "0.442", "0.401"] for line in lines)
    text = " ".join(lines)
    assert "vgg16 on skin: 96 validation images" in text
    assert "Validation metrics of epoch 12 are optimistic" in text
    assert "SIMULATED" not in text


def test_closing_table_with_a_test_column_fits_80_columns_uncut(printed):
    folder = Path("outputs") / ("a-long-name-" * 10)
    lines = printed(metrics_json(simulated=True, test=True), folder)
    assert lines[-1] == str(folder)  # not wrapped: it is there to be copied
    assert max(map(len, lines[:-1])) <= 80
    # "balanced" and "(melanoma)" may wrap, the numbers not.
    rows = [line for line in lines if line.endswith("0.842 [0.742, 0.942]  0.801 [0.701, 0.901]  0.767 [0.667, 0.867]")]
    assert len(rows) == len(METRICS)
    assert any(line.startswith("SIMULATED DATA") for line in lines)


def test_closing_table_has_class_counts_and_says_why_there_is_no_interval(printed):
    metrics = metrics_json(test=True)
    counts = [{"class": "benign", "images": 70, "patients": 31}, {"class": "melanoma", "images": 4, "patients": 4}]
    metrics["per_class"] = {"val": counts, "test": [row | {"patients": None} for row in counts]}
    without = {"value": 0.91, "low": None, "high": None, "why": "fewer than five patients of a class"}
    metrics["best"]["val"] |= {"auroc": without, "balanced_accuracy": without}
    lines = printed(metrics)
    assert "validation images: 70 benign of 31 patients, 4 melanoma of 4 patients" in lines
    assert "test images: 70 benign, 4 melanoma" in lines
    (row,) = [line for line in lines if line.startswith("AUROC  ")]
    assert row.split("  ", 1)[1].strip().startswith("0.910 [no interval]")
    text = " ".join(lines)
    assert "No interval of balanced accuracy, AUROC: fewer than five patients of a class." in text
    assert "for other images drawn like these" in text


def test_closing_table_has_the_metrics_of_each_of_several_classes(printed):
    metrics = metrics_json() | {"classes": ["a", "b", "c"], "positive": None}
    one = {"value": 0.75, "low": 0.5, "high": 0.875}
    metrics["per_class"] = {
        "val": [{"class": k, "images": 9, "patients": None} | dict.fromkeys(METRICS, one) for k in "abc"]
    }
    lines = printed(metrics)
    for name in "abc":
        assert [name, "9", "0.750", "[0.500,", "0.875]", "0.750", "[0.500,", "0.875]"] in [
            line.split() for line in lines
        ]
    many = [{"class": f"k{k}", "images": k + 3, "patients": None} for k in range(30)]
    lines = printed(metrics | {"classes": [row["class"] for row in many], "per_class": {"val": many}})
    assert "validation images: 3 to 32 of each of 30 classes" in lines
    assert len(lines) < 30


def test_closing_table_says_undefined_for_nan_and_null(printed):
    metrics = metrics_json() | {"classes": ["a", "b", "c"], "positive": None}
    metrics["best"]["val"]["auroc"] = {"value": float("nan"), "low": float("nan"), "high": float("nan")}
    metrics["last"]["val"]["auroc"] = {"value": None, "low": None, "high": None}
    lines = printed(metrics)
    assert ["AUROC", "undefined", "undefined"] in [line.split() for line in lines]
    assert any("3 classes, macro averages" in line for line in lines)
