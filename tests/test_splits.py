"""What folders, manifests and the command line say of splits and classes is what a run is made of, or it is refused."""

import csv
import json
import logging
import unicodedata

import pytest
from conftest import TINY, split_config

from medcls.errors import UserError
from medcls.sources.image_folder import scan_folder
from medcls.sources.split import assign_validation

# Below 2**32 as scikit-learn takes it, so that runs keep their splits.
SEEDS = [0, 2**32 - 1, 2**32, 2**32 + 1, 10**40]
FAST = [*TINY, "epochs=1", "logger=none", "audit=none", "data=folder"]


def scan(root, classes=None):
    return scan_folder(root, classes, split=split_config(0.25))


def test_training_and_testing_are_splits_and_the_test_images_are_called_so(train, make_folder):
    root = make_folder(counts={"Training": 6, "Testing": 4})
    result = train(*FAST, f"data.root={root}")
    assert result.status == 0, result.err
    metrics = json.loads((result.folder / "metrics.json").read_text())
    assert (metrics["classes"], metrics["test_validates"], metrics["n_val"]) == (["a", "b"], True, 8)
    assert json.loads((result.folder / "data.json").read_text())["test_validates"]
    assert ": 8 test images, as validation, 2 classes" in result.out
    assert "12 train, 8 test (as validation) images" in result.out
    assert "There is no validation split: the test images served as one" in result.out
    assert "The positive class is b, the last one, since data.positive names none." in result.out


def test_valid_is_validation_and_the_test_images_are_looked_at_once(train, make_folder):
    result = train(*FAST, f"data.root={make_folder(counts={'train': 6, 'valid': 4, 'test': 4})}", "data.positive=a")
    assert result.status == 0, result.err
    metrics = json.loads((result.folder / "metrics.json").read_text())
    assert (metrics["n_val"], metrics["test"]["n"], metrics["test_validates"]) == (8, 8, False)
    assert "validation images, 2 classes" in result.out
    assert "The positive class is" not in result.out


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"train": 4, "eval": 4}, "has eval, which may be a split: expected train (or training)"),
        ({"Train set": 4, "Test set": 4}, "has Test set, Train set, which may be a split"),
        ({"fold_1": 4, "fold_2": 4}, "has fold_1, fold_2, which may be a split"),
        ({"x/train": 4, "y/train": 4, "x/test": 4}, "the splits test, train lie below x, y; expected them above"),
        ({"archive/train": 4, "archive/test": 4}, "expected them above the classes: data.root="),
        ({"train/train": 4, "test/test": 4}, "test, train would be a class, but reads like a split"),
    ],
)
def test_folder_that_may_be_a_split_is_asked_of(make_folder, counts, message):
    root = make_folder(counts=counts)
    with pytest.raises(UserError) as error:
        scan(root)
    assert message in str(error.value)


def test_class_that_reads_like_a_split_is_one_where_the_classes_are_given(make_folder):
    root = make_folder(classes=("eval", "control"), counts={"": 8})
    assert scan(root, {"eval": "evaluated", "control": "control"}).classes == ("evaluated", "control")


@pytest.mark.parametrize(
    ("pair", "difference"),
    [
        (("Benign", "benign"), "case"),
        (("1", "1.0"), "number format"),
        (("bénin", unicodedata.normalize("NFD", "bénin")), "Unicode form"),
        (("a b", "a  b"), "space"),
    ],
)
def test_folders_of_one_class_written_twice_are_named_and_can_be_merged(make_folder, pair, difference):
    root = make_folder(classes=(*pair, "other"))
    with pytest.raises(
        UserError, match=rf"classes '.*' \(\d+ images\) and '.*' \(\d+ images\) differ in {difference} only"
    ):
        scan(root)
    table = scan(root, {**dict.fromkeys(pair, "one"), "other": "other"})
    assert table.counts() == {"train": {"one": 12, "other": 6}, "val": {"one": 8, "other": 4}}


@pytest.mark.parametrize("name", ["null", "NULL", "true", "it's", '"b"', "é"])
def test_classes_that_cannot_be_typed_are_written_to_a_file(train, make_folder, tmp_path, name):
    root = make_folder(classes=("na", name))
    with pytest.raises(UserError, match=r"say so: a file conf/data/mine\.yaml with the classes in quotes"):
        scan(root)
    classes = {"na": "na", name: "other"}
    assert scan(root, classes).classes == ("na", "other")


def test_folder_called_nan_is_no_class(make_folder):
    with pytest.raises(UserError, match="10 images have the label 'nan', which stands for a missing label"):
        scan(make_folder(classes=("a", "nan")))


def test_tokens_of_one_name_are_one_class_in_a_run(train, make_folder):
    root = make_folder(classes=("mel", "bcc", "nev"))
    result = train(*FAST, f"data.root={root}", "data.classes={mel:malignant,bcc:malignant,nev:benign}")
    assert result.status == 0, result.err
    with (result.folder / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [sum(row["label"] == name for row in rows) for name in ("malignant", "benign")] == [8, 4]
    assert all(float(row["p_malignant"]) + float(row["p_benign"]) == pytest.approx(1) for row in rows)
    assert "2 classes" in result.out


def test_classes_given_replace_those_that_a_data_set_comes_with(train, make_folder):
    root = make_folder(classes=("OA", "NO"))
    classes = "data.classes={OA: osteoarthritis, NO: normal}"
    result = train(*FAST[:-1], "data=bone", f"data.root={root}", classes)
    assert result.status == 0, result.err
    metrics = json.loads((result.folder / "metrics.json").read_text())
    assert (metrics["classes"], metrics["positive"]) == (["osteoarthritis", "normal"], "normal")
    assert json.loads((result.folder / "environment.json").read_text())["overrides"].count(classes) == 1
    assert train(f"resume={result.folder}", "epochs=2").status == 0


def test_integers_are_names_of_classes_and_the_positive_one(train, make_folder):
    root = make_folder(classes=("0", "1"))
    result = train(*FAST, f"data.root={root}", "data.positive=0")
    assert result.status == 0, result.err
    assert "sensitivity (0)" in result.out
    result = train(*FAST, f"data.root={root}", "data.classes={0:7,1:8}", "data.positive=7")
    assert "sensitivity (7)" in result.out


def test_what_is_passed_over_is_counted_by_ending_in_the_log_and_in_data_json(train, make_folder):
    root = make_folder()
    for split in ("train", "test"):
        (root / split / "c").mkdir()
        for i in range(3):
            (root / split / "c" / f"{i}.nii.gz").write_bytes(b"x")
    (root / "train/a/notes").write_text("x")
    (root / "train/a/.hidden.png").write_bytes(b"x")
    result = train(*FAST, f"data.root={root}")
    assert result.status == 0, result.err
    assert "8 files are not readable images and are skipped: 6 .nii.gz, 1 hidden, 1 without ending" in result.out
    assert "including all of test/c, train/c" in result.out
    counts = json.loads((result.folder / "data.json").read_text())["passed_over"]
    assert counts == {".nii.gz": 6, "hidden": 1, "without ending": 1}


@pytest.fixture
def listed(make_folder):
    """Images in split folders, and a function that writes a manifest of them."""
    root = make_folder("tokens", counts={"train": 6, "test": 4})
    rows = [(p.relative_to(root).as_posix(), p.name[0]) for p in sorted(root.rglob("*.*"))]

    def write(name="labels.csv", rows=rows, header="path,label"):
        (root / name).write_text(header + "\n" + "".join(f"{','.join(row)}\n" for row in rows))
        return rows

    return root, write, rows


def test_manifest_without_splits_takes_them_from_its_paths(train, listed):
    root, write, _ = listed
    write()
    result = train(*FAST, f"data.root={root}", "data.manifest=labels.csv")
    assert "splits are taken from the folders in the paths" in result.out
    assert "12 train, 8 test (as validation) images" in result.out
    drawn = train(*FAST, f"data.root={root}", "data.manifest=labels.csv", "data.columns.split=null")
    assert "16 train, 4 val images" in drawn.out


def test_manifest_whose_paths_name_splits_in_part_stops(train, listed):
    root, write, rows = listed
    (root / "stray.png").write_bytes((root / "train/a_1.png").read_bytes())
    write(rows=[*rows, ("stray.png", "a")])
    result = train(*FAST, f"data.root={root}", "data.manifest=labels.csv")
    assert result.status == 2
    assert "the folders in 20 paths name a split, those in 1 do not:\n  stray.png" in result.err


def test_metadata_in_each_split_folder_is_found(train, listed):
    root, _, rows = listed
    for split in ("train", "test"):
        inner = [f"{path.partition('/')[2]},{'xy'[label == 'a']}" for path, label in rows if path.startswith(split)]
        (root / split / "metadata.csv").write_text("file_name,label\n" + "\n".join(inner) + "\n")
    result = train(*FAST, f"data.root={root}")
    assert result.status == 0, result.err
    data = json.loads((result.folder / "data.json").read_text())
    assert (data["classes"], data["test_validates"]) == (["x", "y"], True)
    assert data["counts"] == {"train": {"x": 6, "y": 6}, "val": {"x": 4, "y": 4}}


def test_manifest_of_another_system_and_of_names_without_ending_is_read(train, listed):
    root, write, rows = listed
    write(rows=[(path.replace("/", "\\").rpartition(".")[0], label) for path, label in rows])
    result = train(*FAST, f"data.root={root}", "data.manifest=labels.csv")
    assert result.status == 0, result.err
    assert "12 train, 8 test (as validation) images" in result.out


@pytest.mark.parametrize("label", ["", "nan", " NaN ", "N/A", "None"])
def test_row_without_label_is_refused(train, listed, label):
    root, write, rows = listed
    write(rows=[*rows[:-1], (rows[-1][0], label)])
    result = train(*FAST, f"data.root={root}", "data.manifest=labels.csv")
    assert result.status == 2
    assert f"line {len(rows) + 1}: no label ({label.strip()!r})" in result.err


def test_column_that_is_there_twice_is_refused(train, listed):
    root, write, rows = listed
    write(rows=[(*row, "x") for row in rows], header="path,label,label")
    result = train(*FAST, f"data.root={root}", "data.manifest=labels.csv")
    assert "has 2 columns 'label', expected one" in result.err


def test_directory_of_a_dicom_medium_is_no_image(make_folder, caplog):
    root = make_folder()
    (root / "train/a/DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(99))
    with caplog.at_level(logging.INFO):
        scan(root)
    assert "1 without ending" in caplog.text


@pytest.mark.parametrize("groups", [[""] * 40, [str(i // 2) for i in range(40)]], ids=["images", "patients"])
def test_seed_of_any_size_divides_and_each_differently(groups):
    labels = [i // 2 % 2 for i in range(40)]
    splits = [assign_validation(labels, groups, 0.25, seed) for seed in SEEDS]
    assert [split.count("val") for split in splits] == [10] * len(SEEDS)
    assert len({tuple(split) for split in splits}) == len(SEEDS)
