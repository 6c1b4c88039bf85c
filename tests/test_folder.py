"""Folders of images as users have them: which layout, classes and splits are found."""

import csv
from collections import Counter

import pytest
from conftest import TINY, split_config

from medcls.errors import UserError
from medcls.sources.image_folder import natural_order, scan_folder


@pytest.fixture
def scan(tmp_path):
    """Scan a folder with empty files of these names; the content is nothing that scanning looks at."""

    def make_and_scan(names, classes=None, **options):
        for name in names:
            path = tmp_path / "scanned" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return scan_folder(tmp_path / "scanned", classes, **{"split": split_config(0.25), **options})

    return make_and_scan


def splits(table):
    return {sample.name: sample.split for sample in table.samples}


def labels(table):
    return {sample.name: table.classes[sample.label] for sample in table.samples}


@pytest.mark.parametrize("classes", [None, {"a": "a", "b": "b"}])
@pytest.mark.parametrize("layout", ["folders", "tokens"])
def test_both_layouts_give_the_same_classes_and_counts(make_folder, layout, classes):
    table = scan_folder(make_folder(layout), classes, split=split_config(0.2))
    assert table.classes == ("a", "b")
    assert table.counts() == {"train": {"a": 6, "b": 6}, "val": {"a": 4, "b": 4}}
    assert all(f"/{name}" in sample for sample, name in labels(table).items())
    assert not table.split_drawn


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (["train", "test"], ["train", "val"]),  # a test split alone serves as validation
        (["train", "val"], ["train", "val"]),
        (["train", "validation"], ["train", "val"]),
        (["Train", "VALIDATION"], ["train", "val"]),
        (["train", "val", "test"], ["train", "val", "test"]),
        (["train", "validation", "test"], ["train", "val", "test"]),
    ],
)
def test_split_folders_are_known_by_their_names(scan, folders, expected):
    table = scan([f"{folder}/{name}/1.png" for folder in folders for name in "ab"])
    assert splits(table) == {f"{f}/{name}/1.png": e for f, e in zip(folders, expected, strict=True) for name in "ab"}


@pytest.mark.parametrize("above", ["", "train/"])
def test_split_is_drawn_stratified_by_its_seed_where_there_is_none(scan, above):
    names = [f"{above}{name}/{i}.png" for name, count in (("a", 40), ("b", 8)) for i in range(count)]
    table = scan(names)
    assert table.split_drawn
    assert table.counts() == {"train": {"a": 30, "b": 6}, "val": {"a": 10, "b": 2}}
    assert scan(names) == table
    assert splits(scan(names, split=split_config(0.25, 1))) != splits(table)


def test_drawn_split_is_written_to_the_run_folder(train, make_folder):
    root = make_folder(counts={"": 6})
    result = train(*TINY, "epochs=1", "logger=none", "data=folder", f"data.root={root}", "data.split.val_fraction=0.5")
    with (result.folder / "split.csv").open() as file:
        rows = list(csv.DictReader(file))
    table = scan_folder(root, None, split=split_config(0.5))
    assert [(row["sample"], int(row["label"]), row["split"]) for row in rows] == [
        (sample.name, sample.label, sample.split) for sample in table.samples
    ]
    assert Counter(row["split"] for row in rows) == {"train": 6, "val": 6}


STUDY = {"C1": "C1", "C2": "C2", "C12": "C12"}


@pytest.mark.parametrize(
    ("stem", "classes", "expected"),
    [
        ("C1_0001", STUDY, "C1"),
        ("C12_0001", STUDY, "C12"),
        ("c2_0001", STUDY, "C2"),
        ("C12-left C1", STUDY, "C12"),
        ("Mel_01", {"Mel": "melanoma", "Nev": "nevus"}, "melanoma"),
        ("Mel01", {"Mel": "melanoma", "Nev": "nevus"}, "melanoma"),
        ("MEL 1 (copy)", {"Mel": "melanoma", "Nev": "nevus"}, "melanoma"),
        ("nev-3 melon", {"Mel": "melanoma", "Nev": "nevus"}, "nevus"),
        ("nev_3_Mel", {"Mel": "melanoma", "Nev": "nevus"}, "nevus"),
        ("non-Mel_1", {"Mel": "melanoma", "non-Mel": "other"}, "other"),
    ],
)
def test_token_at_the_beginning_of_a_file_name_decides_when_it_stands_alone(scan, stem, classes, expected):
    rest = [f"{split}/{token}_rest.png" for token in classes for split in ("train", "val")]
    assert labels(scan([f"train/{stem}.png", *rest], classes))[f"train/{stem}.png"] == expected


@pytest.mark.parametrize("stem", ["Melon_01", "Melß_1", "non-Mel_01", "0001_C1", "caramel_01", "C13", "XC1_1", "1"])
def test_token_within_a_word_or_number_or_behind_another_is_none(scan, stem):
    classes = {**STUDY, "Mel": "melanoma"}
    with pytest.raises(UserError, match="1 of 9 images fit no class"):
        scan(
            [f"train/{stem}.png", *(f"{split}/{token}_x.png" for token in classes for split in ("train", "val"))],
            classes,
        )


def test_file_name_that_begins_with_the_tokens_of_two_classes_is_refused(scan):
    with pytest.raises(UserError, match=r"(?s)1 of 3 images fit more than one class .*train/1_5_x.png"):
        scan(["train/1_5_x.png", "train/1-x.png", "val/1.png"], {"1": "one", "1_5": "five"})


def test_folder_may_bear_the_token_or_the_name_of_its_class(scan):
    names = ["train/Mel/1.png", "train/nevus/1.png", "val/melanoma/Nev_1.png", "val/NEV/1.png"]
    table = scan(names, {"Mel": "melanoma", "Nev": "nevus"})
    assert labels(table) == dict(zip(names, ["melanoma", "nevus", "melanoma", "nevus"], strict=True))


def test_folder_whose_name_only_holds_a_token_is_of_no_class(scan):
    names = [f"{split}/{name}/1.png" for split in ("train", "val") for name in ("melanoma", "non-melanoma", "Nevus ")]
    classes = {"melanoma": "malignant", "nevus": "benign"}
    with pytest.raises(UserError, match=r"(?s)2 of 6 images fit no class .*train/non-melanoma/1.png"):
        scan(names, classes)
    assert [*labels(scan(names, classes | {"non-melanoma": "other"})).values()] == ["benign", "malignant", "other"] * 2


def test_every_ending_counts_in_either_case_and_other_files_do_not(scan):
    images = [
        f"{i}.{e}" for i, e in enumerate(["jpg", "JPG", "jpeg", "JPEG", "png", "PNG", "tif", "TIFF", "bmp", "Bmp"])
    ]
    names = [f"{split}/{name}/{image}" for split in ("train", "val") for name in "ab" for image in images]
    others = ["train/a/Thumbs.db", "train/a/._1.jpg", "train/.trash/1.jpg", "notes.txt", "train/a/1.jpg.part"]
    assert set(splits(scan([*names, *others]))) == set(names)


def test_numbered_classes_are_in_the_order_of_their_numbers(scan):
    table = scan([f"{split}/C{i}/1.png" for split in ("train", "val") for i in (10, 9, 2, 1, 11)])
    assert table.classes == ("C1", "C2", "C9", "C10", "C11")


def test_labels_are_in_the_order_of_their_values_however_long():
    long = ["9" * 5000, "1" + "0" * 5000]
    assert natural_order([*reversed(long), "C2", "10", "-1", "1", "-20", "C-1", "٣", "0"]) == [
        *("-20", "-1", "0", "1", "٣", "10"),
        *(*long, "C2", "C-1"),
    ]


ODD = ["with space", "a=b,c", "Fraktur_Übergröße", "骨折", "it's [1]", "²"]


def test_odd_names_are_kept_as_they_are(scan):
    names = [f"{split}/{name}/{name}.png" for split in ("train", "val") for name in ODD]
    table = scan(names)
    assert set(table.classes) == set(ODD)
    assert set(labels(table)) == set(names)


@pytest.mark.parametrize("name", ["with space", "a=b,c", "骨折 Übergröße"])
def test_folder_with_an_odd_name_can_be_trained_on(train, make_folder, tmp_path, monkeypatch, name):
    classes = [f"{name} 1", f"{name} 2"]
    root = make_folder(classes=classes).rename(tmp_path / name)
    result = train(*TINY, "epochs=1", "data=folder", f"data.root='{root}'", "hydra.run.dir='${run_folder:runs,now}'")
    assert result.status == 0, result.err
    (folder,) = (tmp_path / "working" / "runs").iterdir()
    assert not set("=, ") & set(folder.name)
    header = (folder / "predictions.csv").read_text(encoding="utf-8").splitlines()[0]
    assert all(f"p_{of}" in header for of in classes)


def test_split_folders_without_training_images_are_refused(make_folder):
    root = make_folder(counts={"test": 4})
    with pytest.raises(UserError, match="no train folder"):
        scan_folder(root, None, split=split_config(0.2))
