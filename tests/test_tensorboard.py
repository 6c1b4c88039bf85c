import csv
import io
import json
import math
import os
import subprocess
import sys

import pytest
from conftest import SCRIPT, TINY
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import IMAGES, SCALARS, TENSORS, EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

COLUMNS = {
    "loss/train": "train_loss",
    "loss/val": "val_loss",
    "accuracy/train": "train_accuracy",
    "accuracy/val": "val_accuracy",
    "auroc/val": "val_auroc",
    "lr": "lr",
}
SIMULATED = ["data=skin", "data.simulated.counts={train: [6, 6], val: [4, 4]}"]


@pytest.fixture
def run(make_folder, train):
    """Train on a small folder of images."""
    root = make_folder()
    return lambda *overrides: train(*TINY, "trainer.threads=1", "data=folder", f"data.root={root}", *overrides)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return tmp_path_factory.mktemp("shared")


@pytest.fixture
def finished(run, shared):
    """A run of three epochs for the tests that only read, trained by the first."""
    folder = shared / "run"
    if not folder.exists():
        result = run("scheduler=cosine", "epochs=3", f"hydra.run.dir={folder}")
        (folder / "printed.txt").write_text(result.out + result.err)
    return folder


def event_files(folder):
    return sorted(folder.rglob("events.out.tfevents.*"))


def events(folder):
    """All that TensorBoard reads from a run folder."""
    (file,) = event_files(folder)
    return EventAccumulator(str(file), size_guidance={SCALARS: 0, IMAGES: 0, TENSORS: 0}).Reload()


def assert_points_equal_history(folder, n_epochs):
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == n_epochs
    read = events(folder)
    for tag, column in COLUMNS.items():
        points = read.Scalars(tag)
        assert [point.step for point in points] == [int(row["epoch"]) for row in rows]
        assert [point.value for point in points] == pytest.approx([float(row[column]) for row in rows], rel=1e-6)


def hparams(read, name):
    return HParamsPluginData.FromString(read.PluginTagToContent("hparams")[f"_hparams_/{name}"])


def plain(value):
    return getattr(value, value.WhichOneof("kind"))


def test_scalars_have_one_point_per_epoch_and_equal_the_history(finished):
    assert [file.parent for file in event_files(finished)] == [finished]
    assert_points_equal_history(finished, 3)


def test_resumed_run_leaves_one_event_file_with_each_epoch_once(run, train):
    result = run()
    first = event_files(result.folder)
    assert train(f"resume={result.folder}", "epochs=4").status == 0
    assert event_files(result.folder) != first
    assert_points_equal_history(result.folder, 4)
    assert len(events(result.folder).Images("training images as the net sees them")) == 1


def test_page_of_hyper_parameters_shows_the_knobs_and_the_best_epochs_figures(run, train):
    result = run("lr=3e-4", "model.dropout=0.25", "augment=study", "seed=5")
    assert train(f"resume={result.folder}", "epochs=3").status == 0
    read = events(result.folder)
    shown = {
        name: plain(value) for name, value in hparams(read, "session_start_info").session_start_info.hparams.items()
    }
    expected = {
        "data": "images",
        "model": "lenet",
        "lr": 3e-4,
        "batch_size": 4,
        "epochs": 3,
        "seed": 5,
        "image_size": 32,
        "n_base": 2,
        "dropout": 0.25,
        "batch_norm": False,
        "augment": "Affine+HorizontalFlip",
        "optimizer": "adam",
        "scheduler": "none",
    }
    assert {name: shown[name] for name in expected} == expected
    best = json.loads((result.folder / "metrics.json").read_text())["best"]
    declared = {info.name.tag for info in hparams(read, "experiment").experiment.metric_infos}
    assert declared == {"best/accuracy", "best/balanced_accuracy", "best/auroc", "best/loss", "best/epoch"}
    for tag in declared:
        (point,) = read.Scalars(tag)
        name = tag.partition("/")[2]
        value = {"loss": best["val"]["loss"], "epoch": best["epoch"]}.get(name) or best["val"][name]["value"]
        assert point.value == pytest.approx(value, rel=1e-6)
        assert math.isfinite(point.value)
        assert point.step == best["epoch"]
    hparams(read, "session_end_info")  # without it the run would count as unfinished there


def test_image_grid_shows_the_asked_number_of_training_images(run):
    read = events(run("logger.images=10", "epochs=1").folder)
    (image,) = read.Images("training images as the net sees them")
    # 8 in a row and 2 below, each 32 pixels and 2 of margin, and the margin on the other side.
    assert (image.width, image.height) == (8 * 34 + 2, 2 * 34 + 2)
    assert Image.open(io.BytesIO(image.encoded_image_string)).size == (image.width, image.height)


def test_image_grid_holds_no_more_images_than_there_are(finished):
    (image,) = events(finished).Images("training images as the net sees them")
    assert (image.width, image.height) == (8 * 34 + 2, 2 * 34 + 2)  # 12 training images, 32 asked


def test_custom_scalars_lay_training_over_validation(finished):
    read = events(finished)
    layout = Layout.FromString(read.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    charts = {chart.title: list(chart.multiline.tag) for category in layout.category for chart in category.chart}
    assert charts == {"loss": ["loss/train", "loss/val"], "accuracy": ["accuracy/train", "accuracy/val"]}
    assert set(charts["loss"] + charts["accuracy"]) < set(read.Tags()["scalars"])


def test_no_event_file_without_tensorboard(run):
    assert event_files(run("logger=none", "epochs=1").folder) == []


def test_simulated_run_says_so_wherever_it_shows(train, tmp_path):
    result = train(*TINY, "trainer.threads=1", *SIMULATED, "hydra.run.dir=${run_folder:runs,now}")
    (folder,) = (tmp_path / "working" / "runs").iterdir()
    assert "SIMULATED" in folder.name
    assert "SIMULATED" in result.out
    assert all("SIMULATED" in line for line in result.out.splitlines() if line.lstrip().startswith("epoch "))
    assert "SIMULATED" in (folder / "train.log").read_text()
    assert json.loads((folder / "metrics.json").read_text())["simulated"] is True
    assert json.loads((folder / "data.json").read_text())["simulated"] is True
    read = events(folder)
    assert all("SIMULATED" in tag for tag in read.Tags()["images"])
    shown = hparams(read, "session_start_info").session_start_info.hparams
    assert plain(shown["data"]) == "skin SIMULATED"
    (file,) = event_files(folder)
    assert file.parent == folder


def test_simulated_run_in_a_folder_of_another_name_says_so_in_tensorboard(train):
    result = train(*TINY, "trainer.threads=1", *SIMULATED, "epochs=1")
    (file,) = event_files(result.folder)
    assert file.parent == result.folder / "SIMULATED"
    assert train(f"resume={result.folder}", "epochs=2").status == 0
    assert_points_equal_history(result.folder, 2)


def test_run_on_images_of_ones_own_is_nowhere_called_simulated(finished):
    for name in ("printed.txt", "train.log"):
        assert "SIMULATED" not in (finished / name).read_text()
    assert json.loads((finished / "metrics.json").read_text())["simulated"] is False
    tags = events(finished).Tags()
    assert not any("SIMULATED" in tag for tag in tags["images"] + tags["scalars"])


@pytest.mark.slow
def test_tensorflow_is_not_imported_where_it_is_installed(tmp_path):
    (tmp_path / "tensorflow.py").write_text("raise SystemExit('TensorFlow was imported')\n")
    found = [str(tmp_path), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    command = [sys.executable, str(SCRIPT), *TINY, *SIMULATED, f"hydra.run.dir={tmp_path}/run"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, found))}
    ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert event_files(tmp_path / "run")
