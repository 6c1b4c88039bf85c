"""The audit, through its command and through runs: what it finds is what was planted, and what follows from it."""

import csv
import html.parser
import io
import json
import logging
import os
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import SCRIPT, TINY
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageEnhance, ImageOps
from pixels.dicom import dicom
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier
from test_errors import can_mount, on_small_disk

import medcls
import medcls.audit.findings
from medcls.audit.alignment import Pictures
from medcls.audit.file_facts import read_facts
from medcls.audit.pixels import OnDisk, gray_images
from medcls.sources.load import load_image_set
from medcls.sources.simulated import simulated_images, simulated_table

FAST = [*TINY, "epochs=1", "logger=none", "data=folder"]
CLASSES = ("Mel", "Nev")
SIDE = 160
# Of simulated images, drawn in three ways.
KINDS = ["bone", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("skin", "xray"))]


@pytest.fixture(scope="session")
def lesions(tmp_path_factory):
    """Folder of simulated lesions: train/Mel_0001.png ..., 24 of each class for training and 6 for testing."""
    root = tmp_path_factory.mktemp("lesions")
    table = simulated_table("skin", CLASSES, {"train": [24, 24], "test": [6, 6]})
    images = simulated_images(table, kind="skin", image_size=SIDE, channels=3)
    for i, (sample, image) in enumerate(zip(table.samples, images, strict=True)):
        path = root / sample.split / f"{CLASSES[sample.label]}_{i:04d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
    return root


@pytest.fixture
def root(lesions, tmp_path):
    """A copy of the lesions, to plant into."""
    return shutil.copytree(lesions, tmp_path / "Lesions")


@pytest.fixture
def audit(tmp_path, command, monkeypatch):
    """Run python -m medcls.audit on a folder: exit status, what it printed, audit.json and audit.html."""

    def run(root, *overrides):
        folder = tmp_path / "audit"
        with monkeypatch.context() as patch:
            patch.setattr(logging.root, "handlers", [])  # pytest's, beside which the command would set up none
            where = ["data=folder", f"data.root='{root}'", "--folder", str(folder)]
            result = command("medcls.audit", *where, *overrides)
        written = (folder / "audit.json").exists()
        findings = json.loads((folder / "audit.json").read_text()) if written else None
        page = (folder / "audit.html").read_text() if written else None
        return SimpleNamespace(status=result.status, out=result.out, err=result.err, findings=findings, page=page)

    return run


def names(root, split="train", token=""):
    return sorted(f"{split}/{path.name}" for path in (root / split).iterdir() if path.name.startswith(token))


def of(findings):
    """The two names of each pair, none of which is listed twice -> kind, orientation, and its flags."""
    found = {
        (pair["second"]["name"], pair["first"]["name"]): (
            pair["kind"],
            pair["orientation"],
            pair["across_splits"],
            pair["conflicting"],
        )
        for pair in findings["copies"]["listed"]
    }
    assert len(found) == len(findings["copies"]["listed"])
    return found


def cropped(image):
    width, height = image.size
    return image.resize(image.size, box=(0.02 * width, 0.01 * height, 0.99 * width, 0.97 * height))


EDITS = {  # what is done to a copy -> the edit, the suffix it is saved with, and the expected kind and orientation
    "same pixels": (lambda image: image, ".tif", "same pixels", ""),
    "recompressed": (lambda image: image, ".jpg", "near copy", ""),
    "shrunk": (lambda image: image.resize((90, 90)), ".png", "near copy", ""),
    "enlarged": (lambda image: image.resize((256, 256)), ".png", "near copy", ""),
    "stretched": (lambda image: image.resize((256, 200)), ".png", "near copy", ""),
    "rotated by 90": (lambda image: image.transpose(Image.Transpose.ROTATE_270), ".png", "near copy", "rotated by 90°"),
    "rotated by 180": (
        lambda image: image.transpose(Image.Transpose.ROTATE_180),
        ".png",
        "near copy",
        "rotated by 180°",
    ),
    "rotated by 270": (
        lambda image: image.transpose(Image.Transpose.ROTATE_90),
        ".png",
        "near copy",
        "rotated by 270°",
    ),
    "mirrored": (ImageOps.mirror, ".png", "near copy", "mirrored left to right"),
    "flipped": (ImageOps.flip, ".png", "near copy", "mirrored top to bottom"),
    "brightened": (lambda image: ImageEnhance.Brightness(image).enhance(1.3), ".png", "near copy", ""),
    "darkened": (lambda image: ImageEnhance.Brightness(image).enhance(0.7), ".png", "near copy", ""),
    "gray": (lambda image: image.convert("L"), ".png", "same pixels when resized", ""),
    "cropped": (cropped, ".png", "near copy, shifted or stretched", ""),
    "all at once": (
        lambda image: ImageOps.mirror(ImageEnhance.Brightness(image).enhance(0.8)).resize((200, 200)),
        ".jpg",
        "near copy",
        "mirrored left to right",
    ),
}


def plant(root, original, edit, ending, name="planted"):
    """Put an edited copy of a training image among the test images of its class."""
    with Image.open(root / original) as image:
        edit(image.convert("RGB")).save(root / f"test/{original[6:9]}_{name}{ending}", quality=75)
    return f"test/{original[6:9]}_{name}{ending}"


def test_planted_copies_are_found_and_nothing_else_is(root, audit):
    originals = names(root)[::3]
    expected = {}
    for original, (what, (edit, ending, kind, turn)) in zip(originals, EDITS.items(), strict=False):
        planted = plant(root, original, edit, ending, what.replace(" ", "-"))
        expected[original, planted] = (kind, turn, True, False)
    assert len(expected) == len(EDITS)
    result = audit(root)
    assert of(result.findings) == expected
    leaking = {original for original, _ in expected}
    assert result.findings["leaks"]["training"] == [
        position for position, name in enumerate(names(root, "test") + names(root)) if name in leaking
    ]
    assert result.status == 1
    assert audit(root, "audit.on_leak=warn").status == 0


def turned(degrees):
    return lambda image: image.rotate(degrees, Image.Resampling.BICUBIC)


def cut(image, share=0.2):
    width, height = image.size
    return image.resize(image.size, box=(0.5 * share * width, 0, width, (1 - share) * height))


@pytest.mark.slow
def test_turned_and_cropped_copies_are_found_whatever_size_a_net_is_trained_on(root, audit):
    edits = [
        *(turned(degrees) for degrees in (4, -9, 16, -30)),
        cut,
        lambda image: ImageOps.mirror(turned(12)(cut(image))),
    ]
    expected = set()
    for i, (original, edit) in enumerate(zip(names(root)[::7], edits, strict=False)):
        expected.add((original, plant(root, original, edit, ".jpg", f"edit{i}")))
    found = [audit(root, f"image_size={size}").findings for size in (28, 64, 128, 224)]
    assert set(of(found[0])) == expected
    assert all(other["copies"] == found[0]["copies"] and other["leaks"] == found[0]["leaks"] for other in found)
    assert found[0]["copies"]["doubtful"] == 0


def in_frame(image, rng):
    """A radiograph of little contrast in a frame with a letter, as a digitiser leaves it."""
    frame = np.full((SIDE, SIDE), 6, np.uint8)
    frame[30:130, 32:128] = 35 + 0.25 * np.asarray(image.convert("L").resize((96, 100)))
    for edge in (slice(26, 29), slice(131, 134)):
        frame[edge, 28:132] = frame[28:132, edge] = 90
    frame[4:24, 8:12] = frame[20:24, 8:20] = 230
    return Image.fromarray((frame + rng.normal(0, 1, frame.shape)).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_and_a_letter_do_not_make_images_the_same_nor_hide_a_copy(audit, tmp_path, kind):
    rng = np.random.default_rng(1)
    table = simulated_table(kind, CLASSES, {"train": [30, 30], "test": [12, 12]})
    images = simulated_images(table, kind=kind, image_size=SIDE, channels=1)
    root = tmp_path / "Framed"
    for i, (sample, image) in enumerate(zip(table.samples, images, strict=True)):
        path = root / sample.split / f"{CLASSES[sample.label]}_{i:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        in_frame(Image.fromarray(image[..., 0]), rng).save(path)
    original = names(root)[4]
    planted = plant(root, original, turned(7), ".jpg")
    assert {pair for pair, (kind, *_) in of(audit(root).findings).items() if kind[:8] != "doubtful"} == {
        (original, planted)
    }


def test_the_step_to_what_a_shift_brought_in_does_not_drown_the_detail_beside_it():
    texture = gaussian_filter(np.random.default_rng(2).normal(0, 1, (160, 160)), 2)
    bright = np.rint(200 + 4 * texture / texture.std()).astype(np.uint8)
    first, second = bright[:128, :128], np.zeros((128, 128), np.uint8)
    second[14:, 12:] = first[:-14, :-12]
    fit = Pictures([first, second]).laid(0, 1, mirror=False, start=np.array([[1, 0, 12], [0, 1, 14]], np.float32))
    assert fit.similarity > 0.9
    np.testing.assert_allclose(fit.warp, [[1, 0, 12], [0, 1, 14]], atol=0.3)


def test_neighbouring_slices_of_small_scans_are_doubtful_and_a_saved_copy_of_one_is_found(audit, tmp_path):
    rng, root = np.random.default_rng(3), tmp_path / "Scans"
    for scan in range(40):
        volume = gaussian_filter(rng.normal(0, 1, (12, 64, 64)), (2.5, 3, 3))[4:6]
        for depth, plane in enumerate(volume[: 2 if scan < 3 else 1]):
            path = root / ("test" if depth or scan % 4 == 0 else "train") / f"{CLASSES[scan % 2]}_{scan}_{depth}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.rint(128 + 45 * plane / volume.std()).clip(0, 255).astype(np.uint8)).save(path)
    original = names(root)[0]
    planted = plant(root, original, lambda image: image, ".jpg")
    findings = audit(root).findings
    told = {tuple(sorted(pair)): kind[:8] for pair, (kind, *_) in of(findings).items()}
    copy = told.pop(tuple(sorted((original, planted))))
    assert copy in ("near cop", "doubtful")
    assert set(told.values()) == {"doubtful"}
    assert {name.split("_")[1] for pair in told for name in pair} == {"0", "1", "2"}


def test_an_edited_slice_is_a_copy_of_its_own_original_and_at_most_doubtful_beside_the_neighbour(audit, tmp_path):
    rng, root = np.random.default_rng(3), tmp_path / "Scans"
    for scan in range(40):
        volume = gaussian_filter(rng.normal(0, 1, (24, 64, 64)), (4.5, 3, 3))[9:11]
        for depth, plane in enumerate(volume[: 2 if scan < 6 else 1]):
            path = root / ("test" if scan % 4 == 0 else "train") / f"{CLASSES[scan % 2]}_{scan}_{depth}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.rint(128 + 45 * plane / volume.std()).clip(0, 255).astype(np.uint8)).save(path)
    edited = [name for name in names(root) if name.endswith("_0.png") and int(name.split("_")[1]) < 6]
    planted = {plant(root, name, ImageOps.mirror, ".png", f"mirrored{i}"): name for i, name in enumerate(edited)}
    told = {tuple(sorted(pair)): kind[:8] for pair, (kind, *_) in of(audit(root).findings).items()}
    copies = {pair for pair, kind in told.items() if kind != "doubtful"}
    assert copies == {tuple(sorted(pair)) for pair in planted.items()}


@pytest.mark.slow
def test_copies_of_one_picture_form_a_group_that_leaves_training_as_a_whole(train, audit, root):
    original = names(root, token="Mel")[2]
    with Image.open(root / original) as image:
        for i in range(1, 9):
            turned(3 * i)(image).save(root / f"train/Mel_turned{i}.png")
        cut(image).save(root / "test/Mel_cut.png")
    result = audit(root)
    [group] = result.findings["copies"]["groups"]
    assert len(group) == 10
    assert result.findings["copies"]["pictures"] == 60
    assert "60 distinct pictures in 69 files; 1 of them several times, one 10 times" in result.out
    assert len(result.findings["leaks"]["training"]) == 9
    assert Page(result.page).text.count("near copy") >= 1
    dropped = train(*FAST, f"data.root={root}", "audit.on_leak=drop")
    counts = json.loads((dropped.folder / "data.json").read_text())["counts"]
    assert sum(counts["train"].values()) == 47


@pytest.mark.slow
def test_a_quick_search_says_what_it_did_not_look_for(root, audit):
    plant(root, names(root)[0], ImageOps.mirror, ".jpg", "mirrored")
    plant(root, names(root)[1], turned(20), ".jpg", "turned")
    result = audit(root, "audit.search=quick")
    assert [name for _, name in of(result.findings)] == ["test/Mel_mirrored.jpg"]
    assert "Not looked for: copies that were cropped, shifted or turned by other angles" in result.out
    assert audit(root).findings["copies"]["pairs"] == 2


def test_what_is_odd_about_files_and_classes_is_named(audit, tmp_path):
    rng = np.random.default_rng(0)
    root = tmp_path / "Odd"
    for name, count, ending in (("0", 24, ".png"), ("1", 24, ".png"), ("0 1", 12, ".png"), ("2", 14, ".bmp")):
        for i in range(count):
            path = root / name / f"{name.replace(' ', '')}_{i:02d}{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (40, 40), np.uint8)).save(path)
    (root / "1/@eaDir").mkdir()
    Image.fromarray(rng.integers(0, 255, (20, 20), np.uint8)).save(root / "1/@eaDir/thumb.png")
    mask = Image.fromarray(255 * (rng.random((40, 40)) > 0.5).astype(np.uint8))
    mask.save(root / "0/0_03_mask.png")
    mask.transpose(Image.Transpose.ROTATE_90).save(root / "0/0_05.bmp")
    result = audit(root)
    oddities = result.findings["oddities"]
    assert oddities["companions"] == {
        "1/@eaDir/thumb.png": "in a folder @eaDir",
        "0/0_03_mask.png": "beside 0_03",
        "0/0_05.bmp": "of two values, beside a file of the same name",
    }
    assert oddities["several_labels"] == ["0 1"]
    assert set(oddities["small_classes"]["val"]) == {"0", "1", "0 1", "2"}
    assert oddities["of_one_kind"] == {}  # the mask is a .bmp too
    assert "3 files look like masks, thumbnails or annotations beside images" in result.out
    (root / "0/0_05.bmp").unlink()
    assert audit(root).findings["oddities"]["of_one_kind"] == {"2": "format BMP"}


@pytest.mark.slow
def test_copy_of_another_class_is_a_conflict_and_one_within_a_split_is_no_leak(root, audit):
    mel, nev = names(root, token="Mel"), names(root, token="Nev")
    shutil.copy(root / mel[0], root / "test/Nev_wrong.png")
    shutil.copy(root / mel[1], root / "train/Nev_also_wrong.png")
    with Image.open(root / nev[0]) as image:
        ImageOps.flip(image).save(root / "train/Nev_twice.png")
    result = audit(root)
    assert of(result.findings) == {
        (mel[0], "test/Nev_wrong.png"): ("same file", "", True, True),
        ("train/Nev_also_wrong.png", mel[1]): ("same file", "", False, True),
        ("train/Nev_twice.png", nev[0]): ("near copy", "mirrored top to bottom", False, False),
    }
    assert "3 pairs of images show the same picture, 1 across splits, 2 with different classes" in result.out
    assert "1 training images are also in validation or test (1 as copies, 0 through their patients)" in result.out
    wrong = "test/Nev_wrong.png (test (as validation))"
    assert f"{wrong} = {mel[0]} (train)   same file, different classes, 1.000" in result.out


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_different_images_of_the_same_class_are_not_copies(audit, tmp_path, kind):
    table = simulated_table(kind, CLASSES, {"train": [60, 60], "test": [20, 20]})
    images = simulated_images(table, kind=kind, image_size=128, channels=1)
    for i, (sample, image) in enumerate(zip(table.samples, images, strict=True)):
        path = tmp_path / "Images" / sample.split / CLASSES[sample.label] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(path)
    result = audit(tmp_path / "Images")
    assert result.findings["copies"]["pairs"] == 0
    assert result.status == 0


@pytest.mark.slow
def test_a_chain_of_copies_leaks_only_where_it_touches_a_held_out_image(root, audit):
    first, second, third, *_ = names(root, token="Mel")
    for name in ("train/Mel_again.png", "test/Mel_held_out.png"):
        shutil.copy(root / first, root / name)
    shutil.copy(root / second, root / "train/Mel_only_in_training.png")
    result = audit(root)
    leaking = result.findings["leaks"]["training"]
    in_order = names(root, "test") + names(root)
    assert [in_order[position] for position in leaking] == [first, "train/Mel_again.png"]
    assert result.findings["copies"]["pairs"] == 3
    assert third not in str(result.findings["copies"])


@pytest.fixture
def leaking(root):
    """Lesions with one training image also in test, mirrored, and another as the same file; the two, in order."""
    first, second = names(root, token="Mel")[3], names(root, token="Nev")[5]
    plant(root, first, ImageOps.mirror, ".png", "mirrored")
    shutil.copy(root / second, root / "test/Nev_same.png")
    return SimpleNamespace(root=root, training=[first, second], test=["test/Mel_mirrored.png", "test/Nev_same.png"])


def test_leaks_stop_a_run_that_says_what_to_do(train, leaking):
    result = train(*FAST, f"data.root={leaking.root}")
    assert result.status == 2
    assert "Traceback" not in result.err
    for line in (
        f"{leaking.root}: 2 of 48 training images, or their patients, are also in validation or test.",
        "2 show the same picture as a held-out image:",
        f"{leaking.training[0]} = {leaking.test[0]}   near copy, mirrored left to right",
        f"{leaking.training[1]} = {leaking.test[1]}   same file",
        "Train without these images: audit.on_leak=drop",
        "Train with them, and do not trust the metrics: audit.on_leak=warn",
    ):
        assert line in result.err
    page = result.err.partition("All pairs side by side: ")[2].splitlines()[0]
    assert "test/Nev_same.png" in Path(page).read_text()
    assert not result.folder.exists()


@pytest.fixture
def titles(monkeypatch):
    """The titles of all pictures that are drawn."""
    drawn = []
    for kind, name in ((Axes, "set_title"), (Figure, "suptitle")):
        real = getattr(kind, name)

        def record(self, text, *arguments, _real=real, **options):
            drawn.append(" ".join(text.split()).replace("- ", "-"))  # long titles are wrapped, also at hyphens
            return _real(self, text, *arguments, **options)

        monkeypatch.setattr(kind, name, record)
    return drawn


NOTICES = {
    "drop": "2 training images left out: copies of held-out images, or images of held-out patients",
    "warn": "LEAK: 2 training images used despite leaks: copies of held-out images, or images of held-out patients",
}


@pytest.mark.one_in(2)
@pytest.mark.parametrize("choice", NOTICES)
def test_run_with_leaks_says_so_wherever_its_metrics_appear(train, leaking, titles, choice):
    overrides = [*TINY, "data=folder", f"data.root={leaking.root}", f"audit.on_leak={choice}"]
    result = train(*overrides, "epochs=1", "logger.pictures=true")
    assert result.status == 0, result.err
    notice = NOTICES[choice]
    assert notice in (result.folder / "train.log").read_text()
    assert notice in " ".join(result.out.split())  # the table at the end
    assert json.loads((result.folder / "metrics.json").read_text())["notice"] == notice
    titles = [title for title in titles if "Lesions" in title]
    assert len(titles) == 3  # of curves, confusion matrix and ROC
    assert all(notice in title for title in titles)
    [events] = result.folder.glob("events.out.tfevents.*")
    assert notice.encode() in events.read_bytes()
    trained, held_out = 48 - 2 * (choice == "drop"), 12 + 2
    data = json.loads((result.folder / "data.json").read_text())
    assert {split: sum(count.values()) for split, count in data["counts"].items()} == {
        "train": trained,
        "val": held_out,
    }
    with (result.folder / "predictions.csv").open() as file:
        assert {row["sample"] for row in csv.DictReader(file)} == set(names(leaking.root, "test"))
    assert f"({trained} train, {held_out} test (as validation) images)" in (result.folder / "train.log").read_text()
    page = (result.folder / "audit.html").read_text()
    assert "test (as validation)" in page
    assert ">val<" not in page
    if choice == "drop":
        resumed = train(f"resume={result.folder}", "epochs=2")
        assert resumed.status == 0, resumed.err
        assert json.loads((result.folder / "metrics.json").read_text())["notice"] == notice


def test_images_left_out_are_those_that_leak_and_no_others(train, leaking):
    result = train(*FAST, f"data.root={leaking.root}", "audit.on_leak=drop")
    assert result.status == 0, result.err
    for name in leaking.training:
        (leaking.root / name).unlink()
    resumed = train(f"resume={result.folder}", "epochs=2")  # refused, were the images not the same now
    assert resumed.status == 0, resumed.err
    assert json.loads((result.folder / "metrics.json").read_text())["notice"] is None


@pytest.mark.slow
def test_validation_images_in_test_are_reported_and_kept(train, root):
    shutil.copytree(root / "test", root / "val")
    for path in (root / "val").iterdir():
        with Image.open(path) as image:
            image.transpose(Image.Transpose.ROTATE_90).save(path)
    result = train(*FAST, f"data.root={root}")
    assert result.status == 0, result.err
    counts = json.loads((result.folder / "data.json").read_text())["counts"]
    assert sum(counts["val"].values()) == 12
    assert "12 validation images, or their patients, are also in test" in result.out


def with_patients(root, patients):
    """Write a manifest of the lesions, each image a patient of its own except those named."""
    rows = [
        [f"{split}/{path.name}", path.name[:3], split, patients.get(f"{split}/{path.name}", f"own{path.stem}")]
        for split in ("train", "test")
        for path in sorted((root / split).iterdir())
    ]
    with (root.parent / "patients.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "split", "patient"], *rows])
    return [f"data.manifest={root.parent}/patients.csv", "data.columns.group=patient"]


def test_patients_in_two_splits_leak_with_all_their_training_images(train, audit, root):
    first, second, third, *others = names(root)
    held_out = names(root, "test")[0]
    manifest = with_patients(
        root, {first: "P7", second: "P7", held_out: "P7", third: "P8"} | dict.fromkeys(others[:2], "P9")
    )
    result = audit(root, *manifest)
    assert result.status == 1
    assert result.findings["patients"]["in_several_splits"] == {"P7": {"train": 2, "val": 1}}
    assert "56 of them" not in result.out
    assert "57, 2 of them with several images, 1 in several splits\nP7: 2 train, 1 val" in result.out
    stopped = train(*FAST, f"data.root={root}", *manifest)
    assert stopped.status == 2
    assert "2 belong to patients in several splits:\n  P7: 2 train, 1 val" in stopped.err
    dropped = train(*FAST, f"data.root={root}", *manifest, "audit.on_leak=drop")
    assert dropped.status == 0, dropped.err
    counts = json.loads((dropped.folder / "data.json").read_text())["counts"]
    assert {split: sum(count.values()) for split, count in counts.items()} == {"train": 46, "val": 12}


@pytest.mark.slow
def test_patients_may_come_from_the_names(audit, root):
    result = audit(root, r"data.group_pattern='_\d*(\d\d)\.png'")
    assert result.findings["patients"]["known"] == 60
    assert result.findings["patients"]["in_several_splits"] == {}
    (root / names(root)[0]).rename(root / "train/Mel_150.png")
    (root / names(root, "test", "Nev")[0]).rename(root / "test/Nev_250.png")
    result = audit(root, r"data.group_pattern='_\d*(\d\d)\.png'")
    assert result.findings["patients"]["in_several_splits"]["50"].keys() >= {"train", "val"}
    assert result.status == 1


def write_plain(root, change, count=40):
    """Noise of two classes in a folder without splits: alike except for what ``change`` does to images of class 1."""
    rng = np.random.default_rng(3)
    for label in range(2):
        for i in range(count):
            pixels = rng.normal(110, 30, (48, 48)).clip(0, 255).astype(np.uint8)
            image, ending = change(Image.fromarray(pixels), label, rng)
            path = root / f"class{label}" / f"{i:03d}{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
    return root


def brighter(image, label, rng):
    added = int(rng.integers(0, 24)) + 15 * label
    return image.point([min(level + added, 255) for level in range(256)]), ".png"


def larger(image, label, rng):
    side = int(rng.integers(40, 60)) + 8 * label
    return image.resize((side, side)), ".png"


def other_format(image, label, rng):
    return image, ".bmp" if rng.random() < 0.15 + 0.7 * label else ".png"


def other_mode(image, label, rng):
    return image.convert("RGB" if rng.random() < 0.15 + 0.7 * label else "L"), ".png"


def alike(image, label, rng):
    return image, ".png"


def features_of(root):
    """What is known of each file without looking at the picture, read independently of the audit."""
    rows, labels = [], []
    for path in sorted(root.glob("class*/*")):
        with Image.open(path) as image:
            brightness = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.BILINEAR)).mean()
            rows.append([brightness, *image.size, image.mode == "RGB", image.format == "PNG", path.stat().st_size])
        labels.append(path.parent.name == "class1")
    values = np.array(rows, float)
    return values[:, (values != values[0]).any(axis=0)], np.array(labels)


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    ("change", "name"),
    [
        (brighter, "mean brightness"),
        pytest.param(larger, "width", marks=pytest.mark.slow),
        (other_format, "format"),
        pytest.param(other_mode, "mode", marks=pytest.mark.slow),
        (alike, None),
    ],
)
def test_shortcut_is_what_scikit_learn_predicts_from_the_files_alone(audit, tmp_path, change, name):
    root = write_plain(tmp_path / "Plain", change)
    result = audit(root, "image_size=32")
    shortcut = result.findings["shortcut"]
    values, labels = features_of(root)
    probabilities = cross_val_predict(
        DecisionTreeClassifier(max_depth=3, min_samples_leaf=2, random_state=0),
        values,
        labels,
        groups=[f"\0{i}" for i in range(len(labels))],  # their order decides which fold an image is in
        cv=StratifiedGroupKFold(5, shuffle=True, random_state=0),
        method="predict_proba",
    )
    assert shortcut["auroc"]["value"] == pytest.approx(roc_auc_score(labels, probabilities[:, 1]), abs=0.01)
    assert shortcut["auroc"]["low"] < shortcut["auroc"]["value"] < shortcut["auroc"]["high"]
    assert shortcut["suspicious"] == (name is not None)
    if name is None:
        assert "none: size, format and brightness alone give AUROC" in result.out
    else:
        alone = shortcut["features"]
        assert alone[name] >= max(alone.values()) - 0.05
        assert alone[name] > 0.7
        assert "the class can be predicted without looking at the picture" in result.out


@pytest.mark.slow
def test_few_patients_or_images_are_no_error(audit, tmp_path):
    root = write_plain(tmp_path / "Plain", alike, count=6)
    result = audit(root, "image_size=32", r"data.group_pattern='(\d)\.png'", "data.split.val_fraction=0.5")
    assert result.status == 0, result.err
    assert result.findings["patients"]["known"] == 6
    result = audit(root, "image_size=32", r"data.group_pattern='0(0)'", "data.split.val_fraction=0.5")
    assert result.status == 2  # one patient cannot be in two splits
    for path in root.glob("*/00[3-5].png"):
        path.unlink()
    result = audit(root, "image_size=32", "data.split.val_fraction=0.5")
    assert result.findings["shortcut"] is None
    assert "not checked: too few images or patients of a class" in result.out


@pytest.mark.slow
def test_second_audit_repeats_nothing(audit, leaking, monkeypatch):
    first = audit(leaking.root, *with_patients(leaking.root, {}))

    def never(*arguments):
        raise AssertionError("made again")

    with monkeypatch.context() as patch:
        patch.setattr(medcls.audit.findings, "make_findings", never)
        second = audit(leaking.root, *with_patients(leaking.root, {}))
        assert second.status == first.status
        assert second.findings == first.findings
        assert second.page == first.page
    with monkeypatch.context() as patch:
        patch.setattr(medcls.audit.findings, "find_copies", never)
        # Other patients are another audit, of the same images.
        third = audit(leaking.root, *with_patients(leaking.root, dict.fromkeys(leaking.test + leaking.training, "P")))
    assert third.findings["copies"] == first.findings["copies"]
    assert list(third.findings["patients"]["in_several_splits"]) == ["P"]


class Intruder:
    """Unpickling it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def doctored(path):
    content = io.BytesIO()
    np.savez(content, picture=np.array([Intruder(path)], object))
    return content.getvalue()


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("*/audit.json", lambda path: path.write_bytes(path.read_bytes().replace(b'"by_copy": 2', b'"by_copy": 0'))),
        ("*/audit.html", lambda path: path.write_bytes(b"\xff\xfe" + path.read_bytes()[2:])),
        pytest.param("*/checksum", lambda path: path.write_bytes(b""), marks=pytest.mark.slow),
        pytest.param("*/audit.html", lambda path: path.unlink(), marks=pytest.mark.slow),
        ("copies-*.npz", lambda path: os.truncate(path, 300)),
        ("copies-*.npz", lambda path: path.write_bytes(doctored(path.with_name("made by unpickling")))),
    ],
)
def test_damaged_cache_of_the_audit_is_replaced(audit, leaking, tmp_path, file, damage):
    first = audit(leaking.root)
    [path] = (tmp_path / "cache/audit").glob(file)
    damage(path)
    existed = path.exists()
    if file.startswith("copies"):
        shutil.rmtree(next((tmp_path / "cache/audit").glob("*/")))
    again = audit(leaking.root)
    assert again.findings == first.findings
    assert again.page == first.page
    assert ("again." in again.out) == existed
    assert "again." not in audit(leaking.root).out
    assert not list(tmp_path.rglob("made by unpickling"))


def test_cache_that_cannot_be_written_costs_only_a_warning(audit, leaking, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/audit").touch()
    result = audit(leaking.root)
    assert result.findings["copies"]["pairs"] == 2
    assert "cannot be written" in result.out


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="needs to mount a file system of its own")
@pytest.mark.parametrize(
    ("overrides", "kilobytes", "status", "message"),
    [
        ("data.cache_dir={disk}", 1084, 0, "cannot be written"),  # pixels at two sizes and their index, no findings
        ("hydra.run.dir={disk}", 32, 2, "audit.html: no space left on the disk"),
    ],
    ids=["cache", "run folder"],
)
def test_full_disk_at_the_findings_is_reported(leaking, tmp_path, overrides, kilobytes, status, message):
    disk = tmp_path / "disk"
    disk.mkdir()
    where = [f"data.root={leaking.root}", f"hydra.run.dir={tmp_path}/run", *overrides.format(disk=disk).split()]
    command = [sys.executable, str(SCRIPT), *FAST, "audit.on_leak=warn", *where]
    ended, output, files = on_small_disk(kilobytes, disk, command, tmp_path)
    assert ended == status, output
    assert message in output
    assert "Traceback" not in output
    assert not [name for name in files if name.endswith(".partial")]


class Page(html.parser.HTMLParser):
    """Tags with their attributes, and the text, of a page as a browser would see it."""

    def __init__(self, content):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(content)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


@pytest.mark.skipif(os.name == "nt", reason="such names cannot be on Windows")
def test_names_of_files_classes_and_patients_stay_text_on_the_page(audit, tmp_path):
    root = tmp_path / "<b>Images"
    script, onerror = "<script>alert(1)<", "a\"><img src=x onerror=alert(2)>'"
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in (script, "Nev"):
            for i in range(8):
                path = root / split / name / f"{onerror}{split}{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 255, (40, 40), np.uint8)).save(path)
    shutil.copy(root / f"train/Nev/{onerror}train0.png", root / f"test/{script}/{onerror}test0.png")
    (root / f"train/Nev/{onerror}broken.png").write_bytes(b"<svg onload=alert(3)>")
    result = audit(root, "image_size=32", r"data.group_pattern='(.*)t'", "audit.on_leak=warn")
    assert result.status == 0, result.err
    page = Page(result.page)
    assert not {"script", "b", "svg"} & {tag for tag, _ in page.tags}
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 2
    assert all(set(image) == {"src", "alt"} and image["src"].startswith("data:image/jpeg;") for image in images)
    assert not [a for _, attributes in page.tags for a in attributes if a.startswith("on")]
    for text in (f"train/Nev/{onerror}train0.png", script, f"{onerror}broken.png", "<b>Images"):
        assert text in page.text
    assert f"train/Nev/{onerror}broken.png   not an image (begins with '<svg onl')" in result.out


def test_unreadable_and_empty_images_are_named_and_the_others_audited(audit, root):
    (whole,) = names(root, token="Mel")[:1]
    content = (root / whole).read_bytes()
    (root / "train/Mel_cut.png").write_bytes(content[: len(content) // 2])
    (root / "train/Nev_empty.png").write_bytes(b"")
    Image.new("L", (50, 50), 7).save(root / "train/Nev_black.png")
    result = audit(root)
    assert result.status == 0, result.err
    assert set(result.findings["unreadable"]) == {"train/Mel_cut.png", "train/Nev_empty.png"}
    assert result.findings["flat"] == ["train/Nev_black.png"]
    for text in ("train/Nev_empty.png   empty file", "train/Mel_cut.png   truncated after", "train/Nev_black.png"):
        assert text in result.out
        assert text in Page(result.page).text
    assert result.findings["images"] == 61


def test_sizes_modes_and_formats_are_counted(audit, root):
    with Image.open(root / names(root)[0]) as image:
        image.convert("L").resize((300, 200)).save(root / names(root)[0])
        image.resize((130, 140)).save(root / "train/Nev_other.jpg")
    files = audit(root, "audit.on_leak=warn").findings["files"]
    assert files["sizes"] == {"160x160": 59, "300x200": 1, "130x140": 1}
    assert files["modes"] == {"RGB": 60, "L": 1}
    assert files["formats"] == {"PNG": 60, "JPEG": 1}


def test_a_dicom_without_its_preamble_has_the_facts_of_one_with_it(tmp_path):
    samples = np.zeros((30, 40), np.uint16)
    for head in ("whole", "no preamble", "bare", "no syntax"):
        (tmp_path / head).write_bytes(dicom(samples, head=head, BitsStored=12))
        assert read_facts(tmp_path / head)[:4] == (40, 30, "MONOCHROME2, 12 bits", "DICOM")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.channels=2"], "data.channels: found 2, expected 1 or 3"),
        (["audit.on_leak=ask"], "audit.on_leak: found 'ask', expected"),
        (["audit.serch=quick"], "audit.serch: unknown key. Did you mean audit.search"),
        (["data.root=nowhere"], "data.root: no folder nowhere"),
        (["data=foldr"], "data=foldr: no such choice"),
    ],
)
def test_mistake_in_the_command_is_one_message_and_status_2(audit, root, overrides, message):
    result = audit(root, *overrides)
    assert result.status == 2
    assert result.err.count(message) == 1
    assert "Traceback" not in result.err


def test_audit_writes_nothing_into_the_data_folder(audit, root):
    before = {path: path.lstat().st_mtime_ns for path in [root, *root.rglob("*")]}
    assert audit(root).status == 0
    result = audit(root, "--folder", str(root / "findings"))
    assert result.status == 2
    assert f"--folder: {root}/findings lies in the folder of the images" in result.err
    assert {path: path.lstat().st_mtime_ns for path in [root, *root.rglob("*")]} == before


@pytest.mark.parametrize("room", [True, False])
def test_images_that_are_compared_are_those_of_the_files_with_and_without_room_on_the_disk(
    make_folder, tmp_path, monkeypatch, room
):
    root = make_folder(counts={"train": 3, "val": 2})
    config = medcls.compose("data=folder", f"data.root={root}", f"data.cache_dir={tmp_path / 'cache'}", "image_size=32")
    images = load_image_set(config.data, config.image_size)
    if not room:
        monkeypatch.setattr(tempfile, "TemporaryFile", partial(open, "/dev/full", "wb"))
    found = gray_images(images, config.data)
    assert isinstance(found, OnDisk) == room
    direct = load_image_set(config.data.model_copy(update={"channels": 1}), 128).images[..., 0]
    assert len(found) == len(direct) == len(images.images)
    assert all(np.array_equal(one, other) for one, other in zip(found, direct, strict=True))
