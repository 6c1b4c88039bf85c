"""A CSV file that lists the images: what it can say, and that it can name nothing but images below the root."""

import csv
import os
import re
import shutil
import unicodedata

import pytest
from conftest import TINY, split_config

from medcls.composition.compose import composed
from medcls.config import check_config
from medcls.config.data import ColumnsConfig
from medcls.errors import UserError
from medcls.sources.load import read_table
from medcls.sources.location import Manifest, find_root
from medcls.sources.manifest import read_manifest

FAST = [*TINY, "epochs=1", "logger=none"]
COLUMNS = {"path": "path", "label": "label", "split": "split", "group": "group"}
ODD = ["with space.PNG", "a=b,c.jpg", "Fraktur_Übergröße.png", "骨折.png", "it's [1] & <b>.tif", 'quoted "x".png', "²"]


@pytest.fixture
def read(tmp_path):
    """Read a manifest of these rows (a list of cells each), beside empty files of the names that they give."""
    root = tmp_path / "images"
    root.mkdir()

    def write_and_read(rows, header=("path", "label"), files=None, classes=None, text=None, manifests=None, **options):
        for name in [row[0] for row in rows] if files is None else files:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
        with (root / "labels.csv").open("w", encoding="utf-8", newline="") as file:
            file.write(text) if text is not None else csv.writer(file).writerows([header, *rows])
        columns = ColumnsConfig(**{**COLUMNS, **options.pop("columns", {})})
        given = {"allow_outside_root": False, "group_pattern": None, "split": split_config(0.25, 0), **options}
        return read_manifest(manifests or [Manifest(root / "labels.csv")], root, classes, columns=columns, **given)

    return write_and_read


def rows_of(count=8, split=False):
    return [
        [f"{i}.png", "ab"[i % 2], *((["train", "Train", "VALIDATION", "val"][i // 2 % 4],) if split else ())]
        for i in range(count)
    ]


def test_all_columns_are_read(read):
    rows = [[*row, f"P{i // 2}"] for i, row in enumerate(rows_of(split=True))]
    table = read(rows, ("path", "label", "split", "group"))
    assert table.classes == ("a", "b")
    assert not table.split_drawn
    assert [(s.name, s.label, s.split, s.group) for s in table.samples] == [
        (f"{i}.png", i % 2, "train" if i < 4 else "val", f"P{i // 2}") for i in range(8)
    ]


def test_columns_may_have_other_names_and_separators_and_a_byte_order_mark(read):
    text = "﻿side;File Name;finding;patient\nL;0.png;a;P1\nR;1.png;b;P1\nL;2.png;a;P2\nR;3.png;b;P2\n"
    columns = {"path": "File Name", "label": "finding", "group": "patient"}
    table = read([], text=text, files=[f"{i}.png" for i in range(4)], columns=columns, split=split_config(0.5, 0))
    assert [s.group for s in table.samples] == ["P1", "P1", "P2", "P2"]
    assert {frozenset(s.split for s in table.samples if s.group == p) for p in ("P1", "P2")} == {
        frozenset({"train"}),
        frozenset({"val"}),
    }


def test_labels_are_tokens_or_names_of_the_classes_given(read):
    rows = [["0.png", "Mel"], ["1.png", "nevus"], ["2.png", "melanoma"], ["3.png", "Nev"]]
    table = read(rows, classes={"Mel": "melanoma", "Nev": "nevus"}, split=split_config(0.5, 0))
    assert table.classes == ("melanoma", "nevus")
    assert [s.label for s in table.samples] == [0, 1, 0, 1]


def test_odd_names_are_kept_as_they_are(read):
    rows = [[f"{label}/{name}", label] for name in ODD for label in "ab"]
    assert [s.name for s in read(rows).samples] == [row[0] for row in rows]


def test_patients_may_come_from_the_names(read):
    rows = [[f"P{i // 4}_{i}.png", "ab"[i % 2]] for i in range(16)]
    assert [s.group for s in read(rows, group_pattern=r"^(P\d+)").samples] == [f"P{i // 4}" for i in range(16)]
    with pytest.raises(UserError, match=r"has a column of patients too \(group\)"):
        read([[*row, "P"] for row in rows], ("path", "label", "group"), group_pattern=r"^(P\d+)")


def test_every_wrong_row_is_listed_with_its_line_at_once(read, tmp_path):
    rows = rows_of(8, split=True)
    rows[1][0] = "gone.png"
    rows[2][1] = "aa"
    rows[3][2] = "holdout"
    rows[5] = ["./0.png", "b", "val"]
    rows[6][0] = ""
    rows[7][0] = "../outside.png"
    (tmp_path / "outside.png").touch()
    with pytest.raises(UserError) as caught:
        read(rows, ("path", "label", "split"), files=[f"{i}.png" for i in range(8)], classes={"a": "a", "b": "b"})
    message = str(caught.value)
    assert "labels.csv: 6 of 8 rows are wrong" in message
    for line in (
        "line 3: gone.png: no such file",
        "line 4: label 'aa' is not a class; did you mean a?",
        "line 5: split 'holdout', expected train (or training), val",
        "line 7: ./0.png: the same file as on line 2",
        "line 8: no path",
        "line 9: ../outside.png lies outside of data.root",
    ):
        assert line in message


@pytest.mark.parametrize("word", [" ", "NA", "nan", "None", "Unknown", "?", "-"])
def test_row_without_patient_is_wrong_where_others_have_one(read, word):
    rows = [[*row, f"P{i}"] for i, row in enumerate(rows_of())]
    rows[4][2] = word
    with pytest.raises(UserError, match=re.escape(f"line 6: no patient ({word.strip()!r}), but other rows have one")):
        read(rows, ("path", "label", "group"))
    assert not read([[*row, word] for row in rows_of()], ("path", "label", "group")).grouped


@pytest.mark.parametrize("pattern", [None, r"(.+)_"])
@pytest.mark.parametrize(
    ("pair", "found"),
    [
        (("P1", "p1"), "differ in case only"),
        (("001", "1"), "differ in number format only"),
        (("P 1", "P  1"), "differ in space only"),
        (("Müller", unicodedata.normalize("NFD", "Müller")), 1),
        (("12345678901234567", "12345678901234568"), 2),
    ],
)
def test_two_spellings_of_one_patient_are_refused_or_one_patient(read, pattern, pair, found):
    header = ("path", "label", "split", "group" if pattern is None else "site")
    rows = [[f"{pair[i > 3]}_{i}.png", "ab"[i % 2], ("train", "val")[i > 3], f"{pair[i > 3]} "] for i in range(8)]
    if isinstance(found, int):
        samples = read(rows, header, group_pattern=pattern).samples
        assert [len({s.group for s in samples}), *(s.group for s in samples[:1])] == [found, pair[0]]
    else:
        with pytest.raises(UserError, match=rf"patients '{pair[0]}' \(4 images\) and '{pair[1]}' \(4 .* {found}"):
            read(rows, header, group_pattern=pattern)


@pytest.mark.parametrize(
    ("text", "columns", "fragments"),
    [
        (
            "file,labels\n0.png,a\n",
            {},
            ["is missing columns", "path", "data.columns.label=labels", "Found 'file', 'labels'"],
        ),
        ("path,label\n0.png,a\n", {"group": "patient"}, ["is missing columns:\n  patient"]),
        (
            "path,label,Split,groups\n0.png,a,train,P\n",
            {},
            [
                "  split   did you mean data.columns.split=Split?   (data.columns.split=null where there is none)",
                "  group   did you mean data.columns.group=groups?   (data.columns.group=null where there is none)",
            ],
        ),
        ("File_Name,label\n0.png,a\n", {}, ["  path   did you mean data.columns.path=File_Name?"]),
        ("path,label,sex,sex\n0.png,a,f,m\n", {}, ["has 2 columns 'sex', expected one"]),
        ("", {}, ["is missing columns"]),
        ("path,label\n", {}, ["lists no images"]),
        ('path,label\n"0.png,a\n', {}, ["cannot be read (unexpected end of data"]),
        ("path,label\n" + "x" * 200_000 + ",a\n", {}, ["cannot be read (field larger than field limit"]),
    ],
)
def test_file_that_is_no_manifest_is_explained(read, text, columns, fragments):
    with pytest.raises(UserError) as caught:
        read([], text=text, columns=columns)
    assert all(fragment in str(caught.value) for fragment in fragments), str(caught.value)


def test_column_of_another_word_is_not_taken_for_one_of_ours(read):
    table = read([[*row, "x", "y"] for row in rows_of()], ("path", "label", "site", "grouping"))
    assert (table.split_drawn, table.grouped) == (True, False)
    assert table.further["0.png"] == {"site": "x", "grouping": "y"}


@pytest.mark.parametrize("key", ["split", "group"])
def test_manifests_of_which_only_some_name_splits_or_patients_are_refused(read, tmp_path, key):
    root, manifests = tmp_path / "images", []
    for folder, cell in (("train", ""), ("val", ""), ("test", "," + {"split": "test", "group": "P"}[key])):
        (root / folder).mkdir()
        for name in "01":
            (root / folder / name).touch()
        rows = [f"path,label{cell and ',' + key}", f"0,a{cell}", f"1,b{cell}"]
        (root / folder / "l.csv").write_text("\n".join(rows))
        manifests.append(Manifest(root / folder / "l.csv", folder))
    what = f"data.columns.{key}=null"
    with pytest.raises(UserError, match=rf"(?s)no column '{key}' in 2 of 3 .*train/l.csv\n.*val/l.csv\n.*{what}"):
        read([], manifests=manifests)
    table = read([], manifests=manifests, columns={key: None})
    assert (table.split_drawn, table.grouped) == (key == "split", False)


def test_binary_file_as_manifest_is_explained(train, make_folder):
    root = make_folder()
    result = train(*FAST, "data=folder", f"data.root={root}", "data.manifest=train/a/0.jpg")
    assert result.status == 2
    assert "data.manifest:" in result.err
    assert "cannot be read ('utf-8' codec" in result.err
    result = train(*FAST, "data=folder", f"data.root={root}", "data.manifest=nowhere.csv")
    assert (
        f"data.manifest: no file nowhere.csv (looked in {root}, its split folders and the working folder)" in result.err
    )


ESCAPES = {
    "dots": "../../../../../../../../../../etc/passwd",
    "dots inside": "sub/../../secret.png",
    "absolute": "/etc/passwd",
    "absolute below a folder of a similar name": "{root}-other/secret.png",
    "link to a file": "link.png",
    "link to a folder": "linked/secret.png",
}


@pytest.mark.parametrize("escape", ESCAPES)
def test_path_cannot_leave_the_root_unless_allowed(read, tmp_path, escape):
    root = tmp_path / "images"
    for folder in (tmp_path / "elsewhere", tmp_path / "images-other", root / "sub"):
        folder.mkdir()
        (folder / "secret.png").touch()
    (tmp_path / "secret.png").touch()
    (root / "link.png").symlink_to(tmp_path / "elsewhere" / "secret.png")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    path = ESCAPES[escape].format(root=root)
    rows = [*rows_of(), [path, "a"]]
    files = [row[0] for row in rows[:-1]]
    with pytest.raises(UserError, match=r"1 of 9 rows are wrong:\n  line 10: .* lies outside of data.root") as caught:
        read(rows, files=files)
    assert "root:" not in str(caught.value)  # the content of what was named
    allowed = read(rows, files=files, allow_outside_root=True)
    assert os.path.samefile(root / allowed.samples[-1].name, root / path)


def test_absolute_path_and_link_within_the_root_are_inside(read, tmp_path):
    root = tmp_path / "images"
    (tmp_path / "link to images").symlink_to(root)
    (root / "sub").mkdir()
    (root / "sub/x.png").touch()
    (root / "short").symlink_to(root / "sub")
    rows = [
        *rows_of(6),
        [str(root / "6.png"), "a"],
        [str(tmp_path / "link to images/7.png"), "b"],
        ["short/x.png", "a"],
    ]
    table = read(rows, files=[f"{i}.png" for i in range(8)])
    assert [s.name for s in table.samples[6:]] == ["6.png", "7.png", "short/x.png"]


def test_run_takes_its_images_from_a_manifest_and_leaves_the_data_folder_as_it_was(train, make_folder, tmp_path):
    root = make_folder(counts={"": 8})
    shutil.copy(root / "a/0.jpg", root / "not listed.jpg")
    with (root / "labels.csv").open("w", newline="") as file:
        rows = [[p.relative_to(root), p.parent.name, f"P{p.stem}"] for p in sorted(root.glob("?/*"))]
        csv.writer(file).writerows([["path", "label", "group"], *rows])
    before = {path: path.stat().st_mtime_ns for path in [root, *root.rglob("*")]}
    for path in (root, root / "a", root / "b"):
        path.chmod(0o555)
    result = train(
        *FAST, "data=folder", "data.manifest=labels.csv", f"data.root={root}", "data.split.val_fraction=0.25"
    )
    assert result.status == 0, result.err
    assert {path: path.stat().st_mtime_ns for path in [root, *root.rglob("*")]} == before
    with (result.folder / "predictions.csv").open() as file:
        predicted = list(csv.DictReader(file))
    assert len(predicted) == 4
    assert all(row["group"] == f"P{row['sample'][2]}" for row in predicted)
    assert "for other patients" in result.out


def table_of(*overrides):
    config = check_config(composed("test", list(overrides))).data
    return read_table(config, find_root(config))


@pytest.fixture
def described(tmp_path):
    """A folder whose file names begin with the side, and a metadata.csv in each split folder, with patients."""
    root = tmp_path / "described"
    for split in ("train", "val"):
        (root / split).mkdir(parents=True)
        rows = [(f"{'LR'[i // 2]}_{i}.png", "ab"[i % 2], f"Präp {i // 2}") for i in range(4)]
        for name, *_ in rows:
            (root / split / name).touch()
        lines = ["file_name,label,group", *(",".join(row) for row in rows)]
        (root / split / "metadata.csv").write_text("\n".join(lines), encoding="utf-8")
    return root


def rewrite(name="metadata.csv", encoding="utf-8", old="", new=""):
    def change(root):
        for file in sorted(root.glob("*/metadata.csv")):
            text = file.read_text(encoding="utf-8").replace(old, new)
            file.unlink()
            file.with_name(name).write_text(text, encoding=encoding)

    return change


def gather(root):
    """One metadata.csv in the root in place of those of the splits."""
    lines = ["file_name,label,group"]
    for file in sorted(root.glob("*/metadata.csv")):
        lines += [f"{file.parent.name}/{line}" for line in file.read_text(encoding="utf-8").splitlines()[1:]]
        file.unlink()
    (root / "metadata.csv").write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [
        rewrite(),
        rewrite("Metadata.CSV"),
        gather,
        lambda root: (root / "train/.ipynb_checkpoints").mkdir(),
        lambda root: (root / "val/cropped").mkdir(),
    ],
)
@pytest.mark.parametrize("data", [["data=folder"], ["data=bone", "data.classes={a: x, b: y}"]])
def test_metadata_that_is_there_says_classes_and_patients(described, change, data):
    change(described)
    table = table_of(*data, "data.positive=null", f"data.root={described}")
    assert table.classes == (("a", "b") if data == ["data=folder"] else ("x", "y"))
    assert {(s.name, s.label, s.group) for s in table.samples} == {
        (f"{split}/{'LR'[i // 2]}_{i}.png", i % 2, f"Präp {i // 2}") for split in ("train", "val") for i in range(4)
    }


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        (rewrite(encoding="latin-1"), "cannot be read ('utf-8' codec"),
        (rewrite(encoding="utf-16"), "cannot be read ('utf-8' codec"),
        (rewrite(old="file_name", new="File_Name"), "did you mean data.columns.path=File_Name?"),
        (rewrite(old=",", new="|"), "Found 'file_name|label|group'"),
        (rewrite(old="label", new="finding"), "is missing columns:\n  label"),
        (lambda root: (root / "val/metadata.csv").unlink(), "no metadata.csv in val. Expected one in each"),
        (lambda root: (root / "metadata.csv").touch(), "expected metadata.csv in one place: the root, or each"),
    ],
)
def test_metadata_that_cannot_be_used_is_not_passed_over(described, change, fragment):
    change(described)
    with pytest.raises(UserError) as caught:
        table_of("data=folder", f"data.root={described}")
    assert fragment in str(caught.value)
    assert "ename" in str(caught.value)  # how to do without it


def test_manifest_that_says_the_root_is_the_file_that_it_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder, labels in (("Bone", "abab"), ("Bone/Bone", "aabb")):
        (tmp_path / folder).mkdir()
        for i in range(4):
            (tmp_path / folder / f"{i}.png").touch()
        rows = [f"{i}.png,{label}" for i, label in enumerate(labels)]
        (tmp_path / folder / "labels.csv").write_text("\n".join(["path,label", *rows]))
    table = table_of("data=folder", "data.manifest=Bone/labels.csv", "data.split.val_fraction=0.5")
    assert [sample.label for sample in table.samples] == [0, 1, 0, 1]
