"""The zip file: written with the same bytes for the same runs, and read as a file that anybody may have made."""

import hashlib
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from io import BytesIO
from json import dumps
from pathlib import Path
from typing import IO, NamedTuple

from medcls.data.listing import listing
from medcls.errors import UserError
from medcls.pack.layout import MANIFEST, File, Manifest, is_text, wrong_with
from medcls.runs.reading import LARGEST, read_json

_CHUNK = 2**20
MOST_FILES = 200_000
MOST_TEXT = 2**30  # bytes of all texts of a pack together, each of at most ``LARGEST``
_DAY = (1980, 1, 1, 0, 0, 0)  # the first that a zip file knows: when it was packed is no part of it


class Opened(NamedTuple):
    """A pack whose names, sizes and checksums are right, unpacked into a temporary ``folder``."""

    folder: Path
    manifest: Manifest


def write_archive(file: IO[bytes], entries: Mapping[str, bytes | Path], images: Mapping[str, str]) -> None:
    """Write the entries by name, files or their content, and manifest.json."""
    found: dict[str, File] = {}
    with zipfile.ZipFile(file, "w") as archive:
        for name in sorted(entries):
            found[name] = _add(archive, name, entries[name])
        manifest = Manifest(pack=1, medcls=version("medcls"), images=dict(images), files=found)
        _add(archive, MANIFEST, (dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode())


def _add(archive: zipfile.ZipFile, name: str, content: bytes | Path) -> File:
    info, digest, size = zipfile.ZipInfo(name, _DAY), hashlib.sha256(), 0
    info.create_system, info.external_attr = 3, (stat.S_IFREG | 0o644) << 16
    info.compress_type = zipfile.ZIP_DEFLATED if is_text(name) else zipfile.ZIP_STORED
    info.file_size = content.stat().st_size if isinstance(content, Path) else len(content)
    with content.open("rb") if isinstance(content, Path) else BytesIO(content) as source, archive.open(info, "w") as to:
        while chunk := source.read(_CHUNK):
            to.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    return File(bytes=size, sha256=digest.hexdigest())


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """The pack at ``path``, unpacked while the block runs; messages of UserErrors in it name the pack.

    Raises UserError for a file that is no pack or has been changed: names that lead elsewhere, links, duplicates,
    files that no pack has, sizes beyond those declared or bounded, wrong checksums.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file. Expected a pack, as medcls pack writes it.")
    with tempfile.TemporaryDirectory(prefix="medcls_verify_") as name:
        folder = Path(name).resolve()
        try:
            yield Opened(folder, _manifest_of_unpacked(path, folder))
        except UserError as error:
            raise UserError(str(error).replace(f"{folder}/", f"{path}: ")) from error


def _manifest_of_unpacked(path: Path, folder: Path) -> Manifest:
    try:
        return _unpacked(path, folder)
    # RuntimeError: encrypted, or a method that the standard library lacks; OSError: a file where another is a folder.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OSError) as error:
        raise _refused(path, str(error) or type(error).__name__) from error


def _unpacked(path: Path, folder: Path) -> Manifest:
    with zipfile.ZipFile(path) as archive:
        infos = {info.filename: info for info in archive.infolist()}
        _check_infos(path, archive.infolist(), shutil.disk_usage(folder).free)
        if MANIFEST not in infos:
            raise _refused(path, f"it has no {MANIFEST}")
        _extract(path, archive, infos.pop(MANIFEST), folder)
        manifest = read_json(folder / MANIFEST, Manifest)
        files = manifest["files"]
        if unlike := sorted(files.keys() ^ infos.keys()):
            raise _refused(path, f"{unlike[0]!r} is {'missing' if unlike[0] in files else f'not in {MANIFEST}'}")
        for name, info in infos.items():
            if info.file_size != files[name]["bytes"]:
                raise _refused(path, f"{name!r} has {info.file_size:,} bytes, not {files[name]['bytes']:,}")
        wrong = [name for name, info in infos.items() if _extract(path, archive, info, folder) != files[name]["sha256"]]
    if wrong:
        raise _refused(path, f"{len(wrong)} files have another checksum than {MANIFEST} says:\n{listing(wrong)}")
    return manifest


def _check_infos(path: Path, infos: Sequence[zipfile.ZipInfo], free: int) -> None:
    """Raise UserError for an entry that medcls pack does not write, before anything is unpacked."""
    if len(infos) > MOST_FILES:
        raise _refused(path, f"{len(infos):,} files, expected at most {MOST_FILES:,}")
    if twice := [name for name, count in Counter(info.filename for info in infos).items() if count > 1]:
        raise _refused(path, f"{twice[0]!r} is there twice")
    for info in infos:
        kind = stat.S_IFMT(info.external_attr >> 16)
        how = zipfile.ZIP_DEFLATED if is_text(info.filename) else zipfile.ZIP_STORED
        if why := wrong_with(info.orig_filename):
            raise _refused(path, f"{info.orig_filename!r} {why}")
        if kind not in (0, stat.S_IFREG) or info.is_dir():
            raise _refused(path, f"{info.filename!r} is a link or a folder")
        if info.flag_bits & 1 or info.compress_type != how:
            raise _refused(path, f"{info.filename!r} is encrypted, or compressed in another way")
        if is_text(info.filename) and info.file_size > LARGEST:
            raise _refused(path, f"{info.filename!r} has {info.file_size:,} bytes, expected at most {LARGEST:,}")
        if how == zipfile.ZIP_STORED and info.compress_size != info.file_size:
            raise _refused(path, f"{info.filename!r} has two sizes")
    text = sum(info.file_size for info in infos if is_text(info.filename))
    if text > MOST_TEXT or sum(info.compress_size for info in infos) > path.stat().st_size:
        raise _refused(path, f"{text:,} bytes of text, or more bytes than the file has")
    if (total := sum(info.file_size for info in infos)) > free:
        raise UserError(f"{path}: {total:,} bytes unpacked, and {tempfile.gettempdir()} has {free:,}. Free some space.")


def _extract(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, folder: Path) -> str:
    """Unpack one entry, of which no more is read than it declares; returns its SHA-256."""
    target, digest, left = folder / info.filename, hashlib.sha256(), info.file_size
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(info) as source, target.open("xb") as to:
        while chunk := source.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                break
            to.write(chunk)
            digest.update(chunk)
    if left:
        raise _refused(path, f"{info.filename!r} does not have the {info.file_size:,} bytes that it declares")
    return digest.hexdigest()


def check_checkpoint(path: Path) -> None:
    """Raise UserError for a checkpoint, itself a zip file, whose content is compressed or larger than the file."""
    try:
        with zipfile.ZipFile(path) as records:
            infos = records.infolist()
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise UserError(f"{path}: not a checkpoint of medcls ({error}).") from error
    if any(info.compress_type != zipfile.ZIP_STORED for info in infos) or (
        sum(info.file_size for info in infos) > path.stat().st_size
    ):
        raise UserError(
            f"{path}: not a checkpoint of medcls (it is compressed, or larger unpacked than the file itself)."
        )


def _refused(path: Path, why: str) -> UserError:
    return UserError(
        f"{path}: not a pack, or it was changed: {why}.\n  Nothing in it was used. Get the file again from where it "
        "came from, and compare its SHA-256."
    )
