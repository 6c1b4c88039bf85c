import csv
import io
import json
import os
import re
import subprocess
import sys
import time
from urllib.request import Request, urlopen

import pytest
from conftest import SCRIPT, SWEEP, TINY
from PIL import Image
from tensorboard import program
from tensorboard.backend.event_processing.event_accumulator import IMAGES, SCALARS, TENSORS, EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout

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
    fixed = [*TINY, "trainer.threads=1", "audit=none", "data=folder", f"data.root={root}"]
    return lambda *overrides, without=(): train(*(o for o in fixed if o not in without), *overrides)


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


class Page:
    """The HPARAMS page as TensorBoard's server makes it of a folder.

    differing: the knobs shown first; columns: name -> type; metrics: names, in order; runs: name -> its values.
    """

    def __init__(self, folder):
        server = program.TensorBoard()
        server.configure(logdir=str(folder), port=0, load_fast="false", reload_interval=0)
        self.url = f"{server.launch()}data/plugin/hparams"
        # The server reads the folder in a thread of its own.
        while not (groups := self.ask("session_groups", allowedStatuses=["STATUS_SUCCESS"], sliceSize=100)):
            time.sleep(0.05)
        experiment = self.ask("experiment")
        self.differing = {info["name"] for info in experiment["hparamInfos"] if info.get("differs")}
        self.columns = {info["name"]: info["type"] for info in experiment["hparamInfos"]}
        self.metrics = [info["name"]["tag"] for info in experiment["metricInfos"]]
        self.runs = {
            group["name"]: group["hparams"] | {m["name"]["tag"]: m["value"] for m in group["metricValues"]}
            for group in groups["sessionGroups"]
        }

    def ask(self, what, **request):
        body = json.dumps({"experimentName": ""} | request).encode()
        with urlopen(Request(f"{self.url}/{what}", body, {"Content-Type": "application/json"})) as answer:
            return json.load(answer)


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


def test_page_of_hyper_parameters_shows_every_knob_and_the_best_epochs_metrics(run, train):
    result = run("lr=3e-4", "model.dropout=0.25", "augment=study", "optimizer.betas=[0.8,0.99]", "seed=5")
    assert train(f"resume={result.folder}", "epochs=3").status == 0
    page = Page(result.folder)
    (shown,) = page.runs.values()
    given = {"lr", "model.dropout", "augment", "optimizer.betas", "seed"}
    assert given <= page.differing
    assert not {"model.batch_norm", "scheduler"} & page.differing
    expected = {
        "data": "images",
        "model": "lenet",
        "lr": 3e-4,
        "batch_size": 4,
        "epochs": 3,
        "seed": 5,
        "image_size": 32,
        "data.channels": 1,
        "data.split.fold": 0,
        "model.n_base": 2,
        "model.dense": "null",
        "model.dropout": 0.25,
        "model.batch_norm": False,
        "model.init": "glorot",
        "augment": "Affine+HorizontalFlip",
        "loss.class_weights": "null",
        "optimizer": "adam",
        "optimizer.betas": "[0.8, 0.99]",
        "optimizer.momentum": 0,
        "scheduler": "none",
        "trainer.patience": "null",
    }
    assert {name: shown[name] for name in expected} == expected
    assert "Affine: {rotate: [-10, 10]," in shown["augment.transforms"]
    best = json.loads((result.folder / "metrics.json").read_text())["best"]
    values = {name: best["val"][name]["value"] for name in ("accuracy", "balanced_accuracy", "auroc")}
    values |= {"loss": best["val"]["loss"], "epoch": best["epoch"]}
    assert {f"best/{name}": shown[f"best/{name}"] for name in values} == pytest.approx(
        {f"best/{name}": value for name, value in values.items()}, rel=1e-6
    )
    assert [point.step for point in events(result.folder).Scalars("best/loss")] == [best["epoch"]]


@pytest.mark.slow
def test_page_of_a_sweep_begins_with_its_knobs_and_the_best_epochs_metrics(command, tmp_path):
    folder = tmp_path / "sweep"
    swept = ["seed=0,1", "augment.transforms.HorizontalFlip.p=0.25,0.75"]
    fixed = [*TINY, "trainer.threads=1", *SIMULATED, "epochs=1", "augment=study", f"hydra.sweep.dir={folder}"]
    result = command(SWEEP, *fixed, *swept)
    assert result.status == 0, result.err
    page = Page(folder)
    assert page.differing == {"seed", "augment.transforms"}
    assert page.metrics == ["best/accuracy", "best/balanced_accuracy", "best/auroc", "best/loss", "best/epoch"]
    for name, values in page.runs.items():
        p, seed = re.fullmatch("p-(.*)_seed-(.)_SIMULATED", name).groups()
        assert (f"HorizontalFlip: {{p: {p}}}" in values["augment.transforms"], values["seed"]) == (True, int(seed))
        assert set(page.metrics) < set(values)
    assert len(page.runs) == 4


@pytest.mark.slow
def test_every_run_has_every_knob_and_one_type_for_each(run, shared):
    folder = shared / "mixed"
    nets = {
        "a": ["model.dense=[8]", "scheduler=plateau", "trainer.patience=3"],
        "b": ["model=torchvision", "model.name=shufflenet_v2_x0_5", "optimizer=sgd", "loss.class_weights=balanced"],
    }
    for name, overrides in nets.items():
        skipped = [o for o in TINY if name == "b" and o.startswith("model.")]
        assert run(*overrides, "epochs=1", f"hydra.run.dir={folder}/{name}", without=skipped).status == 0
    page = Page(folder)
    texts = {
        name: {key for key, value in values.items() if isinstance(value, str)} for name, values in page.runs.items()
    }
    assert texts["a"] == texts["b"]
    # A run without one of the columns shown would be missing from the parallel coordinates.
    assert page.runs["a"].keys() == page.runs["b"].keys() >= page.columns.keys()
    assert {page.columns[key] for key in ("lr", "model.n_base", "optimizer.momentum")} == {"DATA_TYPE_FLOAT64"}


@pytest.mark.slow
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
    assert [values["data"] for values in Page(folder).runs.values()] == ["skin SIMULATED"]
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


@pytest.mark.slow
def test_a_sweep_has_one_grid_of_images_and_each_run_its_confusion_and_roc(command, tmp_path):
    folder = tmp_path / "sweep"
    fixed = [*TINY, "logger.pictures=true", "trainer.threads=1", *SIMULATED, "epochs=1", f"hydra.sweep.dir={folder}"]
    assert command(SWEEP, *fixed, "lr=1e-3,1e-4", "augment=none,study").status == 0
    shown = {path.name: events(path).Tags()["images"] for path in folder.glob("*SIMULATED")}
    assert len(shown) == 4
    assert all({"confusion, SIMULATED", "roc, SIMULATED"} <= set(tags) for tags in shown.values())
    # One for each kind of training image.
    grids = {name for name, tags in shown.items() if any("training images" in tag for tag in tags)}
    assert sorted("study" in name for name in grids) == [False, True]
