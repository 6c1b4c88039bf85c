"""Data sets from a function of the user's own: the examples give what files give, and whatever breaks the contract ends
in a message."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY
from PIL import Image

from medcls.composition.compose import composed
from medcls.config import check_config
from medcls.config.data import is_simulated
from medcls.errors import UserError
from medcls.sources.load import load_image_set

EXAMPLES = Path(__file__).parents[1] / "examples"
NPZ = ["data=own", "data._target_=npz_source.load"]
METADATA = ["data=own", "data._target_=metadata_csv.load"]


@pytest.fixture(autouse=True)
def own_files(monkeypatch):
    """The files of examples/ lie where a user's own would."""
    monkeypatch.syspath_prepend(str(EXAMPLES))


@pytest.fixture
def pixels():
    """Images (30, 40, 50, 3) of three classes in turn, the later the brighter."""
    levels = 60 + 60 * (np.arange(30) % 3)
    noise = np.random.default_rng(0).normal(levels[:, None, None, None], 30, (30, 40, 50, 3))
    return noise.clip(0, 255).astype(np.uint8)


@pytest.fixture
def npz(tmp_path, pixels):
    """The images as Keras names them, 18 to train on and 12 to test."""
    path, labels = tmp_path / "x.npz", np.arange(30)[:, None] % 3
    np.savez(path, x_train=pixels[:18], y_train=labels[:18], x_test=pixels[18:], y_test=labels[18:])
    return path


@pytest.fixture
def hugging_face(tmp_path, pixels):
    """The images as PNG files with a metadata.csv in train/ and in test/; two images of each patient."""
    root = tmp_path / "images"
    for split, chosen in (("train", range(18)), ("test", range(18, 30))):
        (root / split).mkdir(parents=True)
        for i in chosen:
            Image.fromarray(pixels[i]).save(root / split / f"{i:02d}.png")
        rows = [f"{i:02d}.png,{i % 3},p{i // 2}" for i in chosen]
        (root / split / "metadata.csv").write_text("\n".join(["file_name,label,patient", *rows]) + "\n")
    return root


def loaded(*overrides, image_size=32):
    return load_image_set(check_config(composed("test", list(overrides))).data, image_size)


def history(folder):
    with (folder / "history.csv").open() as file:
        return [{name: row[name] for name in row if name != "seconds"} for row in csv.DictReader(file)]


@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_and_files_of_the_same_pixels_give_the_same_images(npz, hugging_face, channels):
    arrays = loaded(*NPZ, f"+data.args.path={npz}", f"data.channels={channels}")
    files = loaded(*METADATA, f"data.root={hugging_face}", f"data.channels={channels}")
    for split in ("train", "val"):
        np.testing.assert_array_equal(arrays.images[arrays.indices(split)], files.images[files.indices(split)])
        np.testing.assert_array_equal(arrays.labels(split), files.labels(split))
    assert arrays.images.shape == (30, 32, 32, channels)
    assert arrays.table.classes == files.table.classes == ("0", "1", "2")
    counts = {"train": dict.fromkeys("012", 6), "val": dict.fromkeys("012", 4)}
    assert arrays.table.counts() == files.table.counts() == counts
    assert len({sample.name for sample in arrays.table.samples}) == 30
    assert not arrays.table.simulated


def test_arrays_train_as_files_of_the_same_pixels_do(train, npz, hugging_face):
    runs = [
        train(*TINY, *NPZ, f"+data.args.path={npz}", "data.channels=3"),
        train(*TINY, *METADATA, f"data.root={hugging_face}", "data.channels=3"),
    ]
    assert [run.status for run in runs] == [0, 0], runs[0].err
    assert history(runs[0].folder) == history(runs[1].folder)
    data = json.loads((runs[0].folder / "data.json").read_text())
    assert (data["root"], data["simulated"]) == (None, False)
    assert "SIMULATED" not in runs[0].out
    assert json.loads((runs[0].folder / "metrics.json").read_text())["data"] == "npz_source.load"
    assert (runs[0].folder / "audit.html").exists()


def test_function_lists_files_as_a_manifest_of_the_same_rows_does(hugging_face):
    rows = ["path,label,split,group"]
    for split in ("test", "train"):
        with (hugging_face / split / "metadata.csv").open() as file:
            rows += [f"{split}/{r['file_name']},{r['label']},{split},{r['patient']}" for r in csv.DictReader(file)]
    (hugging_face / "all.csv").write_text("\n".join(rows))
    listed = loaded("data=folder", f"data.root={hugging_face}", "data.manifest=all.csv")
    own = loaded(*METADATA, f"data.root={hugging_face}", "+data.args.group=patient")
    assert own.table == listed.table
    assert own.table.grouped
    assert own.fingerprint == listed.fingerprint


def test_npz_with_our_column_names_needs_no_code_and_is_divided_like_any_folder(tmp_path, pixels):
    np.savez(tmp_path / "x.npz", images=pixels[..., 0], labels=np.arange(30) % 3, groups=np.arange(30) // 6)
    own = ["data=own", "data._target_=numpy.load", f"+data.args.file={tmp_path / 'x.npz'}"]
    folds = [loaded(*own, "data.split.folds=5", f"data.split.fold={fold}").table for fold in range(5)]
    assert all(table.split_drawn for table in folds)
    held_out = [{s.group for s in table.samples if s.split == "test"} for table in folds]
    assert sorted(group for groups in held_out for group in groups) == ["0", "1", "2", "3", "4"]


def test_integers_are_named_by_data_classes(npz):
    names = "data.classes={0: normal, 1: benign, 2: malignant}"
    assert loaded(*NPZ, f"+data.args.path={npz}", names).table.classes == ("normal", "benign", "malignant")


def test_data_frame_is_a_mapping_of_columns(hugging_face, tmp_path, monkeypatch):
    pytest.importorskip("pandas")
    (tmp_path / "frame_source.py").write_text(
        "import pandas\n"
        "def load(root):\n"
        "    frame = pandas.concat(pandas.read_csv(f).assign(splits=f.parent.name) for f in root.glob('*/*.csv'))\n"
        "    frame['paths'] = frame.splits + '/' + frame.file_name\n"
        "    return frame.rename(columns={'label': 'labels', 'patient': 'groups'}).drop(columns='file_name')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    frame = loaded("data=own", "data._target_=frame_source.load", f"data.root={hugging_face}")
    example = loaded(*METADATA, f"data.root={hugging_face}", "+data.args.group=patient")
    assert set(frame.table.samples) == set(example.table.samples)


def test_changed_pixel_of_an_array_is_another_data_set(npz, pixels, tmp_path):
    before = loaded(*NPZ, f"+data.args.path={npz}").fingerprint
    assert loaded(*NPZ, f"+data.args.path={npz}").fingerprint == before
    arrays = dict(np.load(npz))
    arrays["x_test"][3, 0, 0, 0] ^= 1
    np.savez(npz, **arrays)
    assert loaded(*NPZ, f"+data.args.path={npz}").fingerprint != before


@pytest.mark.slow
def test_own_data_are_swept_and_reported(sweep, npz):
    tiny = [override for override in TINY if override != "model=lenet"]
    result = sweep(*tiny, "model=lenet", *NPZ, f"+data.args.path={npz}", "lr=1e-2,1e-3", "epochs=1")
    assert result.status == 0, result.err
    assert "npz_source.load" in (result.folder / "report.md").read_text()


GOOD = {"images": np.zeros((6, 8, 8), np.uint8), "labels": ["a", "b"] * 3}
PATHS = {"paths": [f"{i}.png" for i in range(6)], "labels": ["a", "b"] * 3}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([1, 2], "returned list, expected labels, and images or paths"),
        ({}, "returned the columns none; expected labels"),
        ({"images": GOOD["images"]}, "returned the columns images; expected labels"),
        (GOOD | PATHS, "returned the columns images, labels, paths; expected labels, and images or paths"),
        (GOOD | {"split": ["train"] * 6}, "unknown column split. Did you mean splits?"),
        (GOOD | {"images": np.zeros((6, 8, 8))}, "images of type float64 and shape (6, 8, 8), expected uint8"),
        (GOOD | {"images": np.zeros((6, 3, 8, 8), np.uint8)}, "shape (6, 3, 8, 8), expected uint8 of shape (N, H, W)"),
        (GOOD | {"images": np.zeros((6, 0, 8), np.uint8)}, "expected some pixels"),
        (GOOD | {"labels": ["a", "b"]}, "returned 6 images, 2 labels, expected the same number of each"),
        (GOOD | {"labels": np.eye(2)[[0, 1] * 3]}, "column labels has the shape (6, 2), expected one value"),
        (GOOD | {"labels": "ababab"}, "column labels is str, expected a list or an array"),
        (PATHS | {"paths": set(PATHS["paths"])}, "column paths is set, expected a list or an array"),
        (GOOD | {"labels": ["a", "b", None, "a", 0.5, ""]}, "3 values are wrong:\n  row 2: labels None\n  row 4: "),
        (GOOD | {"labels": np.array([True, False] * 3)}, "6 values are wrong"),
        (GOOD | {"splits": ["train"] * 5 + ["tset"]}, "row 5: split 'tset', expected train (or training), val"),
        (GOOD | {"groups": ["p1"] * 5 + [float("nan")]}, "row 5: groups nan"),
        (GOOD | {"groups": ["p1"] * 5 + ["P1 "]}, "patients 'p1' (5 images) and 'P1' (1 images) differ in case only"),
        (GOOD | {"groups": ["p1"] * 5 + ["None"]}, "row 5: no patient ('None')"),
        (GOOD | {"names": ["x", "y"] * 3}, "row 2: x: the same name as row 0"),
        (GOOD | {"labels": ["a"] * 6}, "data: only one class (a)."),
        ({"images": GOOD["images"][:0], "labels": []}, "returned no images"),
        (PATHS | {"names": list("uvwxyz")}, "Paths serve as names: leave out the column names"),
    ],
)
def test_what_breaks_the_contract_is_explained(tmp_path, monkeypatch, columns, message):
    (tmp_path / "images").mkdir()
    for i in range(6):
        Image.new("L", (8, 8)).save(tmp_path / "images" / f"{i}.png")
    monkeypatch.setattr("npz_source.load", lambda root: columns)
    with pytest.raises(UserError) as error:
        loaded(*NPZ, f"data.root={tmp_path / 'images'}")
    assert message in str(error.value)
    assert "npz_source.load" in str(error.value) or "data: only one class" in message


def test_every_wrong_path_is_listed_at_once(hugging_face, monkeypatch):
    paths = ["train/00.png", "gone.png", "../x.npz", "/etc/passwd", "./train/00.png", "train/01.png"]
    monkeypatch.setattr("metadata_csv.load", lambda root: {"paths": paths, "labels": ["a", "b"] * 3})
    with pytest.raises(UserError, match="4 of 6 rows are wrong") as error:
        loaded(*METADATA, f"data.root={hugging_face}")
    for line in (
        "row 1: gone.png: no such file",
        "row 2: ../x.npz lies outside of data.root",
        "row 3: /etc/passwd lies outside of data.root",
        "row 4: ./train/00.png: the same file as on row 0",
    ):
        assert line in str(error.value)


def test_function_that_exits_has_failed(monkeypatch):
    monkeypatch.setattr("npz_source.load", lambda: sys.exit(3))
    with pytest.raises(UserError, match=r"npz_source.load failed \(.*\): SystemExit: 3"):
        loaded(*NPZ)


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("overrides", "fragments"),
    [
        (["data=own"], ["data._target_: Missing"]),
        (["data=own", "data._target_=npz_sorce.load"], ["data._target_", "Did you mean npz_source?"]),
        (["data=own", "data._target_=npz_source.laod"], ["data._target_", "Did you mean npz_source.load?"]),
        (["data=own", "data._target_=npz_source.np"], ["data._target_", "Expected a function"]),
        ([*NPZ, "+data.args.pth=x.npz"], ["data.args.pth: unknown argument", "Did you mean path?"]),
        (NPZ, ["data.args: load cannot be called", "missing a required argument: 'path'"]),
        ([*NPZ, "+data.args.path=gone.npz"], ["npz_source.load failed", "npz_source.py, line 1", "gone.npz"]),
        ([*NPZ, "+data.args.path=x.npz", "data.manifest=x.csv"], ["data.manifest: found with data._target_"]),
        ([*NPZ, "+data.args.path={npz}", "data.root=."], ["data.root: not for data._target_: npz_source.load"]),
        ([*NPZ, "+data.args.path={npz}", "data.positive=x"], ["data.positive: found 'x', expected one of the classes"]),
        (METADATA, ["data.root: missing. Name the folder with the images"]),
        ([*METADATA, "data.root=gone"], ["no images"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_mistake_in_the_command_ends_with_a_message_and_no_run(train, npz, overrides, fragments):
    result = train(*TINY, *(override.replace("{npz}", str(npz)) for override in overrides))
    assert result.status == 2, result.err
    assert all(fragment in result.err for fragment in fragments), result.err
    assert "Traceback" not in result.err
    assert not result.folder.exists()


@pytest.mark.parametrize(
    ("changes", "simulated"),
    [
        ([], True),
        (["data.root=images"], False),
        (["data.manifest=labels.csv"], False),
        (["data.default_root=/"], False),
        (["data.default_root=null"], False),
        (["data.simulated=null"], False),
        (["+data._target_=mydata.load"], False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_simulated_means_the_same_before_and_after_the_check(changes, simulated):
    values = composed("test", ["data=skin", *changes])
    assert is_simulated(values.data) is simulated
    assert check_config(values).data.uses_simulation is simulated
