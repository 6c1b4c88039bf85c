"""Folders, files and disks that misbehave: nothing of the user's is changed, and what went wrong is said."""

import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import SCRIPT, SWEEP, TINY, split_config
from PIL import Image
from test_errors import can_mount, on_small_disk
from test_old_runs import OLD
from test_sweep_report import write_sweep

import medcls.run
import medcls.sheet.command
from medcls.errors import Stopped, UserError
from medcls.formats.decode import decode
from medcls.predict.new_folder import writing_folder
from medcls.sources import cache, load
from medcls.sources.image_folder import find_files, scan_folder
from medcls.sources.paths import ImagePaths

FAST = [*TINY, "epochs=1", "logger=none", "data=folder"]


def state_of(folder):
    return {path: (path.lstat().st_mtime_ns, path.lstat().st_size) for path in [folder, *folder.rglob("*")]}


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def whole_png_bomb(side):
    """A whole PNG of all-black pixels, a thousandth of the memory that it takes."""
    row, deflate = bytes(1 + side), zlib.compressobj(9)
    pixels = b"".join(deflate.compress(row) for _ in range(side)) + deflate.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_image_bomb_is_named_and_the_limit_can_be_raised_and_lowered(train, make_folder):
    root = make_folder()
    (root / "train/a/bomb.png").write_bytes(whole_png_bomb(11_000))
    result = train(*FAST, f"data.root={root}")
    assert result.status == 2
    assert "train/a/bomb.png   too many pixels, 11,000 x 11,000 (data.max_pixels=100,000,000)" in result.err
    bomb = (root / "train/a/bomb.png").read_bytes()
    assert decode(bomb, image_size=24, channels=1, max_pixels=11_000**2).max() == 0


def test_file_larger_than_any_image_of_so_many_pixels_is_not_read(train, make_folder):
    root = make_folder()
    with (root / "train/a/film.tif").open("wb") as file:
        file.truncate(2**40)  # a terabyte of nothing
    result = train(*FAST, f"data.root={root}")
    assert result.status == 2
    assert "train/a/film.tif   too large, 1,099,511,627,776 bytes" in result.err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no named pipes")
def test_pipe_and_folder_and_dangling_link_named_like_images_are_named(train, make_folder):
    root = make_folder()
    os.mkfifo(root / "train/a/pipe.png")
    (root / "train/a/link.png").symlink_to(root / "gone.png")
    (root / "train/a/folder.png").mkdir()
    result = train(*FAST, f"data.root={root}")
    assert result.status == 2
    assert "2 of 22 images cannot be read" in result.err
    assert "train/a/pipe.png   not a file" in result.err
    assert "train/a/link.png   no such file" in result.err


@pytest.fixture
def without_rights(tmp_path, monkeypatch):
    """Give up root's rights, to which nothing is closed, from now to the end of the test; in the folder of the test."""
    if not hasattr(os, "geteuid"):
        pytest.skip("has no rights of a user")
    user = os.geteuid()
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    yield lambda: user or os.seteuid(65534)
    os.seteuid(user)


def test_folders_that_may_not_be_read_are_named(make_folder, without_rights):
    root = Path(make_folder().name)
    (root / "train/a/patient9").mkdir()
    (root / "train/a/patient9").chmod(0)
    (root / "test/lost+found").mkdir(mode=0)
    (root / "train/b").chmod(0o744)  # its names may be read, its files not
    without_rights()
    with pytest.raises(UserError, match=r"folder images/train/a/patient9 cannot be read \(Permission denied\)"):
        scan_folder(root, None, split=split_config(0.2))
    assert len(find_files(root / "test").names) == 8
    denied = "cannot be opened (Permission denied)"
    names = ["train/b/0.jpg", "train/b/99.jpg"]
    loaded = cache.load_images(root, names, image_size=24, channels=1, cache_dir=Path("cache"))
    assert loaded.unreadable == dict.fromkeys(names, denied)
    with pytest.raises(ValueError, match=re.escape(f"{names[0]}: {denied}")):
        ImagePaths(root, False).check(names[0], "line 2")


def test_links_to_files_and_folders_are_followed_and_circles_are_not(make_folder, tmp_path):
    elsewhere, root = make_folder(), tmp_path / "linked"
    (root / "train").mkdir(parents=True)
    (root / "train/a").symlink_to(elsewhere / "train/a")
    (root / "train/b").mkdir()
    for path in (elsewhere / "train/b").iterdir():
        (root / "train/b" / path.name.upper()).symlink_to(path)
    (root / "test").symlink_to(elsewhere / "test")
    (elsewhere / "train/a/up").symlink_to(root)
    (root / "train/b/round").symlink_to(root / "train")
    assert scan_folder(root, None, split=split_config(0.2)).counts() == {
        "train": {"a": 6, "b": 6},
        "val": {"a": 4, "b": 4},
    }
    assert all("round" not in name for name in find_files(root).names)


def test_run_leaves_the_data_folder_as_it_was(train, make_folder):
    root = make_folder()
    (root / "train/a/bad.jpg").write_bytes(b"")
    for path in [root, *root.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = state_of(root)
    result = train(*FAST, f"data.root={root}", "data.on_unreadable=skip", "logger=tensorboard")
    assert result.status == 0, result.err
    assert state_of(root) == before


@pytest.mark.parametrize(("key", "inner"), [("hydra.run.dir", "runs/1"), ("data.cache_dir", "")])
def test_nothing_is_written_into_the_data_folder_even_where_asked_to(train, make_folder, key, inner):
    root = make_folder()
    result = train(*FAST, f"data.root={root}", f"{key}={root}/{inner}")
    assert result.status == 2
    assert f"{key}: {root}" in result.err
    assert f"lies in the folder of the images, {root}" in result.err
    assert not [path for path in root.rglob("*") if path.is_file() and path.suffix not in (".png", ".jpg")]


def test_no_command_on_a_trained_net_writes_among_its_images_or_those_that_it_judges(train, make_folder, command):
    root, other = make_folder(), make_folder(counts={"": 4})
    run = train(*FAST, f"data.root={root}").folder
    before = [state_of(root), state_of(other)]
    commands = {"predict": "out", "robustness": "out", "explain": "out", "errors": "out", "sheet": "out"}
    commands |= {"export": "x.onnx", "pack": "x.zip"}
    for name, written in commands.items():
        judged = [f"data.root={other}"] if name in ("predict", "robustness", "explain") else []
        for images in [root, *([other] if judged else [])]:
            refused = command("medcls", name, f"run={run}", *judged, f"output={images}/{written}")
            assert refused.status == 2, (name, refused.out)
            assert f"output: {images}/{written} lies in the folder of the images, {images}," in refused.err, refused.err
    assert [state_of(root), state_of(other)] == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_folder_of_a_stopped_command_is_left_as_it_was_and_the_same_command_succeeds(
    command, monkeypatch, caplog, number
):
    caplog.set_level("INFO")
    words = ["medcls", "sheet", f"run={OLD / 'finished'}", "output=new/sheet"]
    with monkeypatch.context() as patch:
        patch.setattr(medcls.sheet.command, "write_document", lambda *arguments: os.kill(os.getpid(), number))
        stopped = command(*words)
    assert (stopped.status, "stopped; re-run the same command" in caplog.text) == (128 + number, True), stopped.err
    assert not [path for path in stopped.folder.rglob("*") if path.is_file() or path.name == "sheet"]
    done = command(*words)
    assert done.status == 0, done.err
    assert "page: new/sheet/sheet.html" in done.out
    assert {path.name for path in (done.folder / "new").rglob("*")} == {
        *("sheet", "sheet.html", "sheet.md", "model_card.md")
    }


def write_page(folder, text, error=None, *, first=None):
    """Write a page into a new folder, into which another process writes ``first`` meanwhile; an error ends it."""
    with writing_folder(folder) as hidden:
        (hidden / "page.html").write_text(text)
        if first is not None:
            folder.mkdir(exist_ok=True)
            (folder / "page.html").write_text(first)
        if error is not None:
            raise error


@pytest.mark.parametrize("there", [False, True])
def test_new_folder_is_whole_or_left_as_it_was_and_anothers_files_are_kept(tmp_path, there):
    folder = tmp_path / "new"
    if there:
        folder.mkdir()
    for error in (Stopped(signal.SIGINT), ValueError("no")):
        with pytest.raises(type(error)):
            write_page(folder, "half", error)
        assert list(tmp_path.rglob("*")) == [folder] * there
    with pytest.raises(UserError, match="holds files already"):
        write_page(folder, "second", first="first")
    assert [path.read_text() for path in tmp_path.rglob("*.*")] == ["first"]
    (folder / "page.html").unlink()
    inode = folder.stat().st_ino
    with writing_folder(folder) as hidden:
        (hidden / "pictures").mkdir()
        (hidden / "pictures" / "1.png").touch()
    assert sorted(tmp_path.rglob("*")) == [folder, folder / "pictures", folder / "pictures/1.png"]
    assert folder.stat().st_ino == inode


def test_run_outlives_the_data_folder(train, make_folder, monkeypatch):
    root = make_folder()
    audited = medcls.run.audited

    def audit_and_lose(*arguments):
        kept = audited(*arguments)
        shutil.rmtree(root)
        return kept

    with monkeypatch.context() as patch:
        patch.setattr(medcls.run, "audited", audit_and_lose)
        result = train(*FAST, f"data.root={root}")
    assert result.status == 0, result.err
    assert (result.folder / "predictions.csv").exists()
    again = train(f"resume={result.folder}", "epochs=3")
    assert again.status == 2
    assert f"data.root: no folder {root}" in again.err


def test_folder_that_vanishes_while_it_is_read_is_explained(train, make_folder, monkeypatch):
    root = make_folder()
    scan = load.read_table

    def scan_and_lose(*arguments):
        table = scan(*arguments)
        shutil.rmtree(root)
        return table

    with monkeypatch.context() as patch:
        patch.setattr(load, "read_table", scan_and_lose)
        result = train(*FAST, f"data.root={root}")
    assert result.status == 2
    assert "20 of 20 images cannot be read" in result.err
    assert "no such file" in result.err
    assert not result.folder.exists()


def test_file_that_changes_while_it_is_read_is_read_again_next_time(make_folder, tmp_path, monkeypatch):
    root = make_folder(counts={"": 3})
    names, real = find_files(root).names, cache.decode
    changed = root / names[0]

    def decode_and_change(*arguments, **options):
        pixels = real(*arguments, **options)
        if changed.exists():
            Image.new("L", (40, 40), 9).save(changed)
        return pixels

    options = {"image_size": 24, "channels": 1, "cache_dir": tmp_path / "cache"}
    with monkeypatch.context() as patch:
        patch.setattr(cache, "decode", decode_and_change)
        cache.load_images(root, names, **options)
    later = cache.load_images(root, names, **options)
    assert np.abs(later.images[0].astype(int) - 9).max() <= 1


@pytest.mark.slow
def test_two_sweeps_share_a_cache_at_once(make_folder, tmp_path):
    root = make_folder(counts={"train": 40, "test": 10})
    shared = [*FAST, f"data.root={root}", f"data.cache_dir={tmp_path}/cache", "seed=0,1"]
    sweeps = [
        subprocess.Popen(
            [sys.executable, str(SWEEP), *shared, f"hydra.sweep.dir={tmp_path}/sweep{i}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for i in range(2)
    ]
    told = [sweep.communicate(timeout=500)[0] for sweep in sweeps]
    assert [sweep.returncode for sweep in sweeps] == [0, 0], told
    of_training, of_audit = (tmp_path / "cache").glob("*/images-*.npy")  # one each: nothing was decoded twice
    assert of_training.parent != of_audit.parent
    assert len(list((tmp_path / "cache/audit").glob("*/audit.json"))) == 1
    first, second = (
        {path.parent.name: path.read_bytes() for path in (tmp_path / f"sweep{i}").glob("*/predictions.csv")}
        for i in range(2)
    )
    assert len(first) == 2
    assert first == second


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="needs to mount a file system of its own")
def test_full_disk_at_the_report_is_explained_and_the_run_can_go_on(make_folder, tmp_path):
    """Room for all but the pictures at the end."""
    disk = tmp_path / "disk"
    disk.mkdir()
    where = [f"data.root={make_folder()}", f"hydra.run.dir={disk}", f"data.cache_dir={tmp_path}/cache", "audit=none"]
    command = [sys.executable, str(SCRIPT), *FAST, "logger.pictures=true", *where]
    status, output, files = on_small_disk(120, disk, command, tmp_path)
    assert status == 2
    assert "no space left on the disk" in output
    assert f"{disk}/curves.png" in output
    assert "Traceback" not in output
    assert {"best.ckpt", "last.ckpt", "history.csv", "predictions.csv"} <= set(files)
    assert not [name for name in files if name.endswith((".partial", ".png"))]


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="needs to mount a file system of its own")
def test_full_disk_at_the_report_of_a_sweep_is_explained(tmp_path):
    """Room for the runs, and not for the report's pictures."""
    runs, disk = tmp_path / "runs", tmp_path / "disk"
    disk.mkdir()
    write_sweep(runs, seeds=(0, 1))
    kilobytes = sum(-(-path.stat().st_size // 4096) * 4 for path in runs.rglob("*") if path.is_file()) + 60
    script = f"cp -r '{runs}'/. '{disk}' && '{sys.executable}' '{SWEEP}' report='{disk}'"
    status, output, files = on_small_disk(kilobytes, disk, ["sh", "-c", script], tmp_path)
    assert status == 2, output
    assert "no space left on the disk" in output
    assert "Traceback" not in output
    assert "report.html" not in files
    assert not [name for name in files if name.endswith(".partial")]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
def test_names_of_another_encoding_are_named(train, make_folder):
    root = make_folder()
    os.rename(root / "train/a/0.jpg", os.fsencode(root) + b"/train/a/M\xfcller.jpg")  # Latin-1, as old systems left it
    result = train(*FAST, f"data.root={root}")
    assert result.status == 2
    assert (
        "data.root: found file names that are not UTF-8:\n  train/a/M\\xfcller.jpg\n  Rename the files." in result.err
    )
