"""Data sets of MedMNIST from files of their format, and figures that agree with their own evaluator."""

import csv
import io
import json
import zipfile

import numpy as np
import pytest
from conftest import TINY

medmnist = pytest.importorskip("medmnist", reason="needs the extra medmnist")

FAST = [*TINY, "epochs=1", "logger=none", "data=medmnist", "batch_size=16"]


@pytest.fixture
def make_file(tmp_path):
    """Write a small file of the format of a data set of MedMNIST; the later the class, the brighter."""

    def make(name, size=28, counts=(40, 16, 24), labels_dtype=np.uint8, **changes):
        info = medmnist.INFO[name]
        rng = np.random.default_rng(0)
        colour = (3,) if info["n_channels"] == 3 else ()
        arrays = {}
        for split, count in zip(("train", "val", "test"), counts, strict=True):
            labels = np.arange(count) % len(info["label"])
            levels = (60 + 100 / len(info["label"]) * labels).reshape(-1, *[1] * (2 + len(colour)))
            arrays[f"{split}_images"] = (
                rng.normal(levels, 40, (count, size, size, *colour)).clip(0, 255).astype(np.uint8)
            )
            arrays[f"{split}_labels"] = labels[:, None].astype(labels_dtype)
        folder = tmp_path / "medmnist"
        folder.mkdir(exist_ok=True)
        np.savez_compressed(folder / (f"{name}.npz" if size == 28 else f"{name}_{size}.npz"), **arrays | changes)
        return folder

    return make


@pytest.mark.slow
def test_pack_with_the_file_inside_or_elsewhere_is_judged_again(train, make_file, command, caplog):
    caplog.set_level("INFO")
    folder = make_file("breastmnist")
    done = train(*FAST, "data.name=breastmnist", f"data.root={folder}", "hydra.run.dir=net")
    assert done.status == 0, done.err
    for words in (["output=whole.zip", "images=true"], ["output=bare.zip"]):
        assert command("medcls", "pack", "run=net", *words).status == 0
    folder.rename(moved := folder.with_name("moved"))
    for words in (["whole.zip"], ["bare.zip", f"data.root={moved}"]):
        caplog.clear()
        assert command("medcls", "verify", *words).status == 0
        assert "same            probabilities of 24 test images" in caplog.text
    make_file("breastmnist", counts=(40, 16, 12))
    for root, told in ((folder, "have changed since"), (folder.parent, "no file"), ("nowhere", "no folder nowhere")):
        refused = command("medcls", "verify", "bare.zip", f"data.root={root}")
        assert (refused.status, told in refused.err) == (2, True), refused.err


@pytest.mark.parametrize(
    ("name", "channels"), [("breastmnist", 1), pytest.param("retinamnist", 3, marks=pytest.mark.slow)]
)
def test_official_splits_are_used_and_our_figures_are_the_evaluators(train, make_file, name, channels):
    folder = make_file(name)
    result = train(*FAST, f"data.name={name}", f"data.root={folder}", f"data.channels={channels}")
    assert result.status == 0, result.err
    data = json.loads((result.folder / "data.json").read_text())
    assert {split: sum(count.values()) for split, count in data["counts"].items()} == {
        "train": 40,
        "val": 16,
        "test": 24,
    }
    assert data["classes"] == list(medmnist.INFO[name]["label"].values())
    with (result.folder / "predictions.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    assert [row["sample"] for row in rows] == [f"{name}/test/{i:05d}" for i in range(24)]
    scores = np.array([[float(row[f"p_{of}"]) for of in data["classes"]] for row in rows])
    official = medmnist.Evaluator(name, "test", root=str(folder)).evaluate(scores)
    metrics = json.loads((result.folder / "metrics.json").read_text())
    assert metrics["medmnist"] == {"AUC": pytest.approx(official.AUC), "ACC": pytest.approx(official.ACC)}
    assert metrics["test"]["auroc"]["value"] == pytest.approx(official.AUC)
    assert metrics["test"]["accuracy"]["value"] == pytest.approx(official.ACC)
    assert f"MedMNIST's own evaluator, test: AUC {official.AUC:.3f}, ACC {official.ACC:.3f}." in result.out
    assert sorted(path.name for path in folder.iterdir()) == [f"{name}.npz"]


def test_pixels_are_those_of_the_package(make_file):
    from medcls.sources.medmnist import read_medmnist

    folder = make_file("dermamnist", size=64)
    table, images, _ = read_medmnist("dermamnist", folder, size=64, download=False, image_size=64, channels=3)
    reference = medmnist.DermaMNIST(split="val", root=str(folder), size=64)
    ours = [i for i, sample in enumerate(table.samples) if sample.split == "val"]
    assert len(ours) == 16
    for i, (image, target) in zip(ours, (reference[j] for j in range(16)), strict=True):
        np.testing.assert_array_equal(images[i], np.asarray(image))
        assert table.samples[i].label == target[0]


def test_larger_images_are_shrunk_and_gray_where_one_channel_is_asked_for(make_file):
    from medcls.sources.medmnist import read_medmnist

    folder = make_file("dermamnist", size=64)
    _, images, _ = read_medmnist("dermamnist", folder, size=64, download=False, image_size=32, channels=1)
    assert images.shape == (80, 32, 32, 1)
    original = medmnist.DermaMNIST(split="train", root=str(folder), size=64).imgs[0]
    assert images[0].mean() == pytest.approx((original @ (0.299, 0.587, 0.114)).mean(), abs=1)


class Intruder:
    def __reduce__(self):
        return print, ("code of somebody else ran",)


@pytest.mark.parametrize(
    ("changes", "overrides", "message"),
    [
        ({}, ["data.name=breastmnst"], "data.name: found 'breastmnst'. Did you mean breastmnist?"),
        ({}, ["data.name=chestmnist"], "data.name: found 'chestmnist'"),  # many labels an image
        ({}, ["data.name=organmnist3d"], "data.name: found 'organmnist3d'"),
        ({}, ["data.medmnist.size=64"], "breastmnist_64.npz. Put it there"),
        ({}, ["data.medmnist.size=30"], "data.medmnist.size: found 30, expected 28, 64, 128 or 224"),
        (
            {"test_labels": np.full((24, 1), 2)},
            [],
            "breastmnist.npz: cannot be read as breastmnist (labels from 2 to 2",
        ),
        ({"val_images": np.zeros((16, 28, 28))}, [], "images of type float64"),
        ({"val_labels": np.zeros((15, 1), np.uint8)}, [], "16 images with labels of shape (15, 1)"),
        ({"val_labels": np.uint8(0)}, [], "16 images with labels of shape ()"),
        ({"val_labels": np.full((16, 1), 0.9)}, [], "labels of type float64, expected integers"),
        ({"val_labels": np.full((16, 1), 1 + 0j)}, [], "labels of type complex128, expected integers"),
        ({"val_labels": np.full((16, 1), "1")}, [], "labels of type <U1, expected integers"),
        ({"val_images": np.zeros((16, 64, 64), np.uint8)}, [], "val images of shape (64, 64), expected (28, 28)"),
        ({"val_images": np.zeros((16, 28, 28, 3), np.uint8)}, [], "shape (28, 28, 3), expected (28, 28)"),
        ({"val_labels": np.zeros((16, 1), np.uint8)}, [], "class normal, benign has no images in val"),
        ({"train_labels": np.zeros((40, 1), np.uint8)}, [], "class normal, benign has no images in train"),
        ({"train_images": np.array([Intruder()], dtype=object)}, [], "Object arrays cannot be loaded"),
    ],
)
def test_what_cannot_be_read_is_explained(train, make_file, changes, overrides, message):
    result = train(*FAST, f"data.root={make_file('breastmnist', **changes)}", *overrides)
    assert result.status == 2
    assert message in result.err
    assert "Traceback" not in result.err
    assert "somebody else" not in result.out


def archive(member):
    """A zip file of one member, which numpy takes for an array."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        zipped.writestr("train_images.npy", member)
    return file.getvalue()


def array():
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


@pytest.mark.parametrize(
    "content", [b"", b"<html>not found</html>", b"PK\3\4 cut", archive(b""), archive(b"hello"), array()]
)
def test_damaged_file_is_explained(train, make_file, content):
    folder = make_file("breastmnist")
    (folder / "breastmnist.npz").write_bytes(content)
    result = train(*FAST, f"data.root={folder}")
    assert result.status == 2
    assert "breastmnist.npz: cannot be read as breastmnist" in result.err
