import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import medcls.sources.cache
from medcls.sources import cache_files
from medcls.sources.cache import load_images

REPOSITORY = Path(__file__).parents[1]
SIZE = {"image_size": 24, "channels": 1}


@pytest.fixture
def root(tmp_path):
    """Seven images named out of order, four PNG and three JPEG."""
    folder = tmp_path / "images"
    for i in (3, 0, 6, 1, 5, 2, 4):
        write_image(folder / f"class {i % 2}" / f"é{i}.{('png', 'jpg')[i % 2]}", seed=i)
    return folder


@pytest.fixture
def decoded(monkeypatch):
    """Grows by one at every real call of the decoder."""
    calls = []
    real = medcls.sources.cache.decode
    monkeypatch.setattr(
        medcls.sources.cache, "decode", lambda *args, **kwargs: calls.append(1) or real(*args, **kwargs)
    )
    return calls


def write_image(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 4), dtype=np.uint8)
    Image.fromarray(cv2.resize(coarse, (200, 260), interpolation=cv2.INTER_CUBIC)).save(path)


def names_in(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


@pytest.fixture
def opened(monkeypatch):
    """Names of the images that are read."""
    names = []
    real = Path.read_bytes
    monkeypatch.setattr(
        Path, "read_bytes", lambda path: names.extend([path.name] * (path.suffix != ".json")) or real(path)
    )
    return names


def load(root, cache_dir, names=None):
    return load_images(root, names_in(root) if names is None else names, cache_dir=cache_dir, **SIZE)


def assert_same(loaded, expected):
    assert loaded.names == expected.names
    assert loaded.digests == expected.digests
    assert loaded.unreadable == expected.unreadable
    np.testing.assert_array_equal(loaded.images, expected.images)


def in_new_process(root, cache_dir, before=""):
    """Popen of a Python that runs ``before`` and then loads; it prints how many images it decoded."""
    code = f"""
        import os, signal, sys
        from medcls.sources import cache, cache_files
        from pathlib import Path
        real, calls = cache.decode, []
        def decode(*args, **kwargs):
            calls.append(1)
            return real(*args, **kwargs)
        cache.decode = decode
        def die(*args, **kwargs): os.kill(os.getpid(), signal.SIGKILL)
        {before}
        cache.load_images(Path({str(root)!r}), {names_in(root)!r}, cache_dir=Path({str(cache_dir)!r}), **{SIZE!r})
        print(len(calls))
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)


def files_of(cache_dir):
    [folder] = cache_dir.iterdir()
    return sorted(path.name.split("-")[0] for path in folder.iterdir() if path.name != "lock")


def test_rows_are_the_images_in_the_order_asked(root, tmp_path):
    names = names_in(root)[::-2]
    loaded = load(root, tmp_path / "cache", names)
    assert loaded.names == tuple(names)
    for name, image, digest in zip(names, loaded.images, loaded.digests, strict=True):
        sha256 = subprocess.run(["sha256sum", root / name], capture_output=True, text=True, check=True).stdout
        assert sha256.split()[0].lstrip("\\") == digest
        full = cv2.imdecode(np.fromfile(root / name, np.uint8), cv2.IMREAD_GRAYSCALE)
        expected = cv2.resize(full, (24, 24), interpolation=cv2.INTER_AREA)
        assert np.abs(image[..., 0].astype(int) - expected).mean() < 2


def test_second_start_opens_no_image(root, tmp_path, opened):
    first = load(root, tmp_path / "cache")
    assert len(opened) == len(names_in(root))
    opened.clear()
    assert_same(load(root, tmp_path / "cache"), first)
    assert not opened


def test_files_that_took_each_others_name_are_opened_though_their_size_and_date_are_the_same(tmp_path):
    for name, level in (("a.bmp", 30), ("b.bmp", 220)):
        Image.new("L", (24, 24), level).save(tmp_path / name)
        os.utime(tmp_path / name, ns=(1, 1))
    names = ["a.bmp", "b.bmp"]
    assert load(tmp_path, tmp_path / "cache", names).images[:, 0, 0, 0].tolist() == [30, 220]
    (tmp_path / "a.bmp").rename(tmp_path / "c")
    (tmp_path / "b.bmp").rename(tmp_path / "a.bmp")
    (tmp_path / "c").rename(tmp_path / "b.bmp")
    assert load(tmp_path, tmp_path / "cache", names).images[:, 0, 0, 0].tolist() == [220, 30]


def test_only_changed_and_added_files_are_opened_and_removed_ones_are_gone(root, tmp_path, opened):
    first = load(root, tmp_path / "cache")
    changed, removed, *unchanged = first.names
    write_image(root / changed, seed=50)
    alone = load(root, tmp_path / "other cache", [changed])
    opened.clear()
    assert load(root, tmp_path / "cache").digests == (*alone.digests, *first.digests[1:])
    (root / removed).unlink()
    write_image(root / "class 0/added.png", seed=51)
    second = load(root, tmp_path / "cache")
    assert opened == [Path(changed).name, "added.png"]
    assert set(second.names) == {changed, "class 0/added.png", *unchanged}
    assert second.unreadable == {}
    alone = load(root, tmp_path / "other cache", [changed, "class 0/added.png"])
    for name, image in zip(second.names, second.images, strict=True):
        source = first if name in unchanged else alone
        np.testing.assert_array_equal(image, source.images[source.names.index(name)])
    assert load(root, tmp_path / "cache", [removed]).unreadable == {removed: "no such file"}


def test_touched_or_renamed_files_are_not_decoded_again(root, tmp_path, decoded):
    first = load(root, tmp_path / "cache")
    touched, renamed, *_ = first.names
    os.utime(root / touched, ns=(1, 1))
    (root / renamed).rename(root / "another name.png")
    decoded.clear()
    second = load(root, tmp_path / "cache")
    assert not decoded
    row = second.names.index("another name.png")
    np.testing.assert_array_equal(second.images[row], first.images[1])
    assert set(second.digests) == set(first.digests)


def test_two_selections_of_one_folder_do_not_evict_each_other(root, tmp_path, decoded):
    names = names_in(root)
    for part in (names[:3], names[2:], names[:3], names[::-1]):
        assert load(root, tmp_path / "cache", part).names == tuple(part)
    assert len(decoded) == len(names)


def test_other_settings_have_a_cache_of_their_own(root, tmp_path):
    gray = load(root, tmp_path / "cache")
    colour = load_images(root, names_in(root), image_size=30, channels=3, cache_dir=tmp_path / "cache")
    assert colour.images.shape == (7, 30, 30, 3)
    assert_same(load(root, tmp_path / "cache"), gray)


def test_unreadable_files_are_listed_with_their_reason_and_remembered(root, tmp_path, decoded):
    names = names_in(root)
    whole = (root / names[4]).read_bytes()
    (root / names[4]).write_bytes(whole[: len(whole) // 2])
    (root / names[1]).write_bytes(b"")
    for _ in range(2):
        loaded = load(root, tmp_path / "cache", [*names, "gone.png"])
        assert loaded.unreadable == {
            names[4]: f"truncated after {len(whole) // 2:,} bytes",
            names[1]: "empty file",
            "gone.png": "no such file",
        }
        assert loaded.names == tuple(name for name in names if name not in loaded.unreadable)
        assert len(loaded.images) == len(loaded.digests) == 5
    assert len(decoded) == len(names)


def test_folder_without_one_readable_image_is_no_error(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.png").write_bytes(b"no")
    for _ in range(2):
        assert load(tmp_path / "images", tmp_path / "cache").images.shape == (0, 24, 24, 1)


def test_processes_that_start_at_once_decode_each_image_once(root, tmp_path):
    for seed in range(60):
        write_image(root / f"more/{seed}.png", seed)
    processes = [in_new_process(root, tmp_path / "cache") for _ in range(3)]
    numbers = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert sorted(numbers) == [0, 0, 67]
    assert_same(load(root, tmp_path / "cache"), load(root, tmp_path / "other cache"))


@pytest.mark.parametrize("earlier", [False, True], ids=["no cache before", "a cache before"])
@pytest.mark.parametrize(
    "moment",
    ["cache.decode = die", "os.fsync = die", "cache_files.write_text = die", "Path.iterdir = die"],
    ids=["while decoding", "before the images have their name", "before the index", "before the clean-up"],
)
def test_start_after_a_kill_completes_the_cache(root, tmp_path, moment, earlier):
    if earlier:
        load(root, tmp_path / "cache")
        write_image(root / "added.png", seed=9)
    killed = in_new_process(root, tmp_path / "cache", before=moment)
    killed.communicate(timeout=60)
    assert killed.returncode == -9
    assert_same(load(root, tmp_path / "cache"), load(root, tmp_path / "other cache"))
    write_image(root / "one more.png", seed=10)  # what the killed process left goes with the next change
    load(root, tmp_path / "cache")
    assert files_of(tmp_path / "cache") == ["images", "index.json"]


def flip_pixel(index, images):
    content = bytearray(images.read_bytes())
    content[-1000] ^= 4
    images.write_bytes(content)


def swap_rows(index, images):
    content = json.loads(index.read_text())
    rows = list(content["files"].values())
    rows[0][4], rows[1][4] = rows[1][4], rows[0][4]
    index.write_text(json.dumps(content))


def without_times_of_change(index, images):
    content = json.loads(index.read_text())
    content["files"] = {name: [*file[:2], *file[3:]] for name, file in content["files"].items()}
    content["checksum"] = cache_files.checksum_of(content["files"], np.load(images))
    index.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "damage",
    [
        flip_pixel,
        swap_rows,
        lambda index, images: os.truncate(images, 900),
        lambda index, images: images.write_bytes(b""),
        lambda index, images: images.unlink(),
        lambda index, images: os.truncate(index, 100),
        lambda index, images: index.write_text("[]"),
        without_times_of_change,
    ],
)
def test_damaged_cache_is_made_again(root, tmp_path, damage, caplog):
    first = load(root, tmp_path / "cache")
    [index] = tmp_path.glob("cache/*/index.json")
    [images] = tmp_path.glob("cache/*/images-*.npy")
    damage(index, images)
    damaged_files = {path.name for path in (index, images) if path.exists()}
    assert_same(load(root, tmp_path / "cache"), first)
    if len(damaged_files) == 2:
        assert [record.levelname for record in caplog.records] == ["WARNING"]
    caplog.clear()
    assert_same(load(root, tmp_path / "cache"), first)
    assert not caplog.records


def test_images_file_opens_in_numpy(root, tmp_path):
    loaded = load(root, tmp_path / "cache")
    [images] = tmp_path.glob("cache/*/images-*.npy")
    np.testing.assert_array_equal(np.load(images), loaded.images)


def test_cache_folder_that_cannot_be_written_is_logged_and_done_without(root, tmp_path, caplog):
    expected = load(root, tmp_path / "cache")
    (tmp_path / "file").touch()
    assert_same(load(root, tmp_path / "file/cache"), expected)
    assert "continuing without it" in caplog.text


def test_images_folder_is_left_as_it_was(root, tmp_path):
    def state():
        return {path: path.stat().st_mtime_ns for path in [root, *root.rglob("*")]}

    before = state()
    load(root, tmp_path / "cache")
    assert state() == before
