"""medcls export: the run's numbers again from a file that needs no medcls, or a refusal with nothing written."""

import csv
import io
import json
import sys
import zipfile

import numpy as np
import onnxruntime
import pytest
import torch
from conftest import SCRIPT, TINY
from PIL import Image
from torch import nn

from medcls.formats.decode import decode

FOLDER = [*TINY, "data=folder", "logger=none", "audit=none"]
NETS = [
    *(
        [f"model={name}", f"model.batch_norm={norm}"]
        for name in ("lenet", "alexnet", "vgg16")
        for norm in (False, True)
    ),
    ["model=torchvision", "model.name=resnet18"],
]


class Noisy(nn.Module):
    """A net that never says the same twice."""

    def __init__(self, n_outputs, in_channels, image_size):
        super().__init__()
        self.last = nn.Linear(in_channels * image_size**2, n_outputs)

    def forward(self, images):
        logits = self.last(images.flatten(1))
        return logits + torch.rand_like(logits)


class Branching(Noisy):
    """A net whose way depends on the pixels."""

    def forward(self, images):
        return self.last(images.flatten(1)) * (2 if images.mean() > 0.5 else 1)


@pytest.fixture
def root(tmp_path):
    """Images of two classes that overlap, so that there is a temperature and a threshold matters."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 20), ("val", 24), ("test", 8)):
        for name, level in (("a", 100), ("b", 125)):
            folder = tmp_path / "images" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.normal(level + rng.normal(0, 20), 25, (50, 44)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.{'png' if i % 2 else 'jpg'}")
    return tmp_path / "images"


def rows_of(file):
    with file.open(newline="") as text:
        return {row["sample"]: row for row in csv.DictReader(text)}


def of_classes(rows):
    return np.array([[float(row["p_a"]), float(row["p_b"])] for row in rows.values()])


def pixels_of(root, names, size=32, channels=1):
    return np.stack([decode((root / name).read_bytes(), image_size=size, channels=channels) for name in names])


def onnx_outputs(file, pixels):
    net = onnxruntime.InferenceSession(file)
    names = [output.name for output in net.get_outputs()]
    return dict(zip(names, net.run(None, {"images": pixels}), strict=True))


def torch_outputs(file, pixels):
    told = {"metadata.json": ""}
    net = torch.export.load(file, extra_files=told).module()
    names = json.loads(told["metadata.json"])["outputs"]
    return dict(zip(names, (value.numpy() for value in net(torch.from_numpy(pixels))), strict=True))


READERS = {"onnx": ("net.onnx", onnx_outputs), "torch": ("net.pt2", torch_outputs)}


@pytest.mark.slow
def test_exported_net_gives_what_predict_gives_whatever_the_number_of_images(root, train, command, caplog):
    caplog.set_level("INFO")
    result = train(*FOLDER, f"data.root={root}", "lr=3e-3", "model.batch_norm=true", "threshold.sensitivity=0.9")
    assert result.status == 0, result.err
    for plus in ("", "calibrate=true"):
        words = [f"run={result.folder}", f"data.root={root / 'test'}", f"output=out{plus[:1]}", *filter(None, [plus])]
        assert command("medcls", "predict", *words).status == 0
    plain, calibrated = (rows_of(root.parent / "working" / name / "predictions.csv") for name in ("out", "outc"))
    pixels = pixels_of(root / "test", plain)
    assert {row["predicted"] for row in plain.values()} == {"a", "b"}
    assert any(row["predicted"] != "ab"[int(float(row["p_b"]) >= 0.5)] for row in plain.values())
    for form, (name, outputs) in READERS.items():
        done = command("medcls", "export", f"run={result.folder}", f"format={form}", f"output={name}")
        assert done.status == 0, done.err
        assert "on 32 validation images of images" in caplog.text
        caplog.clear()
        for n in (1, 3, len(pixels)):
            found = outputs(done.folder / name, pixels[:n])
            np.testing.assert_allclose(found["probabilities"], of_classes(plain)[:n], rtol=0, atol=1e-5)
            np.testing.assert_allclose(found["calibrated"], of_classes(calibrated)[:n], rtol=0, atol=1e-5)
            assert ["ab"[i] for i in found["chosen"]] == [row["predicted"] for row in plain.values()][:n]
    assert command("medcls", "export", f"run={result.folder}", f"output={name}", "format=torch").status == 2


@pytest.mark.slow
def test_exported_file_says_what_it_is_and_nothing_of_this_machine(root, train, command):
    run = train(*FOLDER, f"data.root={root}", "threshold.value=0.4").folder
    for form, (name, _) in READERS.items():
        assert command("medcls", "export", f"run={run}", f"format={form}", f"output={name}").status == 0
    file = root.parent / "working/net.onnx"
    properties = onnxruntime.InferenceSession(file).get_modelmeta().custom_metadata_map
    assert json.loads(properties["classes"]) == ["a", "b"]
    assert [json.loads(properties[name]) for name in ("positive", "image_size", "channels", "threshold")] == [
        *("b", 32, 1, 0.4)
    ]
    fingerprint = json.loads((run / "data.json").read_text())["fingerprint"]
    assert json.loads(properties["data_fingerprints"]) == [fingerprint]
    assert json.loads(properties["simulated"]) is False
    with zipfile.ZipFile(file.with_name("net.pt2")) as inside:
        contents = [inside.read(name) for name in inside.namelist()]
    for content in (file.read_bytes(), *contents):
        assert not any(str(path).encode() in content for path in (root.parent, SCRIPT.parent, sys.prefix))


@pytest.mark.slow
@pytest.mark.parametrize("net", NETS, ids=" ".join)
@pytest.mark.parametrize("form", READERS)
def test_exported_net_gives_the_predictions_of_the_run_from_its_files(root, train, command, net, form):
    size, words = (64 if "vgg16" in " ".join(net) else 32), [word for word in FOLDER if not word.startswith("model")]
    words += [] if "model.name=resnet18" in net else ["model.n_base=2"]
    result = train(*words, *net, f"image_size={size}", "data.channels=3", f"data.root={root}", "lr=1e-3")
    assert result.status == 0, result.err
    name, outputs = READERS[form]
    done = command("medcls", "export", f"run={result.folder}", f"format={form}", f"output={name}")
    assert done.status == 0, done.err
    rows = rows_of(result.folder / "predictions.csv")
    found = outputs(done.folder / name, pixels_of(root, rows, size, channels=3))
    np.testing.assert_allclose(found["probabilities"], of_classes(rows), rtol=0, atol=1e-5)


@pytest.mark.slow
def test_seeds_and_many_classes_are_exported_together(make_folder, sweep, command):
    root = make_folder(classes=("a", "b", "c"), counts={"train": 6, "val": 5})
    result = sweep(*FOLDER, f"data.root={root}", "seed=0,1", "loss=one_vs_rest")
    assert command("medcls", "export", f"run={result.folder}", "output=net.onnx").status == 0
    predicted = command("medcls", "predict", f"run={result.folder}", f"data.root={root / 'val'}", "output=out")
    rows = rows_of(predicted.folder / "out/predictions.csv")
    found = onnx_outputs(predicted.folder / "net.onnx", pixels_of(root / "val", rows))
    theirs = [[float(row[f"p_{name}"]) for name in "abc"] for row in rows.values()]
    np.testing.assert_allclose(found["probabilities"], theirs, rtol=0, atol=1e-5)
    assert ["abc"[i] for i in found["chosen"]] == [row["predicted"] for row in rows.values()]


@pytest.mark.slow
@pytest.mark.parametrize(("net", "told"), [("Noisy", "differs from the run's by"), ("Branching", "cannot be exported")])
def test_net_that_would_be_another_one_is_not_written(root, train, command, net, told):
    own = ["model=own", f"model._target_=test_export.{net}"]
    words = [word for word in FOLDER if not word.startswith("model")]
    run = train(*words, *own, f"data.root={root}", "epochs=1").folder
    done = command("medcls", "export", f"run={run}", "output=net.onnx", f"allow=[test_export.{net}]")
    assert (done.status, told in done.err) == (2, True), done.err
    assert list(done.folder.iterdir()) == []


def test_missing_package_and_wrong_ending_are_told(root, train, command, monkeypatch):
    run = train(*FOLDER, f"data.root={root}", "epochs=1").folder
    wrong = command("medcls", "export", f"run={run}", "output=net.pt2")
    assert (wrong.status, "expected a file ending in .onnx" in wrong.err) == (2, True)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    done = command("medcls", "export", f"run={run}", "output=net.onnx")
    assert done.status == 2
    assert "the package onnxruntime is not installed. Install it: pip install 'medcls[export]'" in done.err
    assert list(done.folder.iterdir()) == []


@pytest.mark.slow
def test_net_behind_http_gives_what_the_run_gave(root, train, command, monkeypatch):
    from fastapi.testclient import TestClient

    run = train(*FOLDER, f"data.root={root}").folder
    done = command("medcls", "export", f"run={run}", "output=net.onnx")
    monkeypatch.setenv("NET", str(done.folder / "net.onnx"))
    monkeypatch.syspath_prepend(str(SCRIPT.parent / "examples"))
    monkeypatch.delitem(sys.modules, "serve", raising=False)
    import serve

    client = TestClient(serve.app)
    for name, row in rows_of(run / "predictions.csv").items():
        found = client.post("/", content=(root / name).read_bytes()).json()
        assert found["probabilities"]["b"] == pytest.approx(float(row["p_b"]), abs=1e-5)
        assert found["class"] == max("ab", key=lambda name: float(row[f"p_{name}"]))
    deep = io.BytesIO()
    Image.fromarray(np.zeros((9, 9), np.uint16)).save(deep, "PNG")
    assert [client.post("/", content=content).status_code for content in (b"x", deep.getvalue())] == [415, 415]
