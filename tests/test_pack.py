"""medcls pack and verify: a table recomputed elsewhere, nothing of this machine inside, no code of a pack run."""

import csv
import hashlib
import io
import json
import os
import pickle
import re
import shutil
import socket
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SCRIPT, TINY
from PIL import Image

from medcls.composition.compose import checked
from medcls.errors import UserError
from medcls.pack.archive import opened
from medcls.pack.collect import checkpoint
from medcls.pack.command import check_names_nothing, pack
from medcls.pack.layout import CHECKPOINTS, OF_RUN
from medcls.pack.schema import ConfigWithPack
from medcls.pack.strip import Machine, Stripper
from medcls.runs.checkpoint import read_checkpoint

OLD = Path(__file__).parent / "old_runs"
RUN = [*TINY, "data=folder", "logger=none", "audit=none", "threshold.rule=youden"]
# So high a rate that the last epoch is not the best one, and the columns of the table are of different nets.
WORSE_LAST = ["lr=0.3", "epochs=3"]


@pytest.fixture
def root(tmp_path):
    """Images of two classes that overlap, two of each patient, with a list of them."""
    rng = np.random.default_rng(0)
    rows = []
    for split, count in (("train", 8), ("val", 12), ("test", 10)):
        for name, level in (("a", 100), ("b", 130)):
            for i in range(count):
                path = tmp_path / "images" / split / f"{name} {i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = rng.normal(level + rng.normal(0, 20), 25, (40, 40)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(path)
                rows.append([f"{split}/{path.name}", name, split, f"Smith-{split}{name}{i // 2}"])
    with (tmp_path / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "split", "group"], *rows])
    return tmp_path / "images"


def contents(file):
    """Name -> bytes of every file of a zip file, those of zip files within it too."""
    with zipfile.ZipFile(file) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    for name, content in list(found.items()):
        if name.endswith(".ckpt"):
            found |= {f"{name}/{inner}": one for inner, one in contents(io.BytesIO(content)).items()}
    return found


def doctored(source, target, changes, *, checksums=True, **attributes):
    """A copy of a pack with other contents by name, None to leave one out; with right checksums, or those of before."""
    with zipfile.ZipFile(source) as archive:
        found = {name: archive.read(name) for name in archive.namelist()} | changes
    manifest = json.loads(found.pop("manifest.json"))
    found = {name: content for name, content in found.items() if content is not None}
    if checksums:
        manifest["files"] = {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in found.items()
        }
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in (found | {"manifest.json": json.dumps(manifest).encode()}).items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_STORED if name.endswith((".ckpt", ".png")) else zipfile.ZIP_DEFLATED
            info.external_attr = attributes.get("external_attr", 0o644 << 16) if name in changes else 0o644 << 16
            archive.writestr(info, content)
    return target


def test_pack_reproduces_the_table_and_names_nothing_of_this_machine(
    root, tmp_path, train, command, monkeypatch, caplog
):
    caplog.set_level("INFO")
    home = tmp_path / "home of ada"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("LOGNAME", "adalovelace")
    words = [f"data.root={root}", f"data.manifest={tmp_path / 'list.csv'}", "hydra.run.dir=runs/adalovelace"]
    done = train(*RUN, *WORSE_LAST, *words)
    assert done.status == 0, done.err
    refused = command("medcls", "pack", "run=runs/adalovelace")
    assert (refused.status, "name this machine, its user" in refused.err) == (2, True), refused.err
    assert not list(refused.folder.rglob("*.zip"))
    done.folder.rename(done.folder.with_name("net"))
    packed = command("medcls", "pack", "run=runs/net", "output=one.zip", "images=true")
    assert packed.status == 0, packed.err
    found = contents(one := packed.folder / "one.zip")
    names = [str(tmp_path), str(home), os.getcwd(), str(SCRIPT.parent), "adalovelace", socket.gethostname(), "Smith"]
    for name, content in found.items():
        assert not [word for word in names if len(word) > 5 and word.encode() in content + name.encode()], name
    images = {name for name in found if name.startswith("images/")}
    assert len(images) == 44
    assert all(found[name] == (root / name.removeprefix("images/1/")).read_bytes() for name in images)
    caplog.clear()
    assert command("medcls", "verify", "one.zip").status == 0
    assert "same            best val auroc" in caplog.text
    assert "same            last val, predicted anew, auroc" in caplog.text
    assert "same            probabilities of 20 test images" in caplog.text
    assert "not recomputed" not in caplog.text
    metrics = json.loads(found["runs/net/metrics.json"])
    metrics["test"]["auroc"]["low"] += 0.002
    caplog.clear()
    doctored(one, packed.folder / "other.zip", {"runs/net/metrics.json": json.dumps(metrics).encode()})
    assert command("medcls", "verify", "other.zip").status == 1
    assert [line for line in caplog.text.splitlines() if "DIFFERS" in line and "test auroc" in line]
    assert "1 numbers differ" in caplog.text


@pytest.mark.slow
def test_what_is_undefined_is_null_and_in_files_of_before_nan(make_folder, train, command):
    """Four images of a class: no interval of AUROC. JSON has no NaN, and other languages refuse to read it."""
    done = train(*TINY, "data=folder", f"data.root={make_folder()}", "logger=none", "threshold.rule=youden", "epochs=1")
    assert done.status == 0, done.err
    for file in sorted(done.folder.glob("*.json")):
        json.loads(file.read_text(), parse_constant=pytest.fail)
    metrics = (done.folder / "metrics.json").read_text()
    assert json.loads(metrics)["best"]["val"]["auroc"]["low"] is None
    for written in (metrics, re.sub(r'("(low|high)": )null', r"\1NaN", metrics)):
        (done.folder / "metrics.json").write_text(written)
        for words in (["sheet", "output=sheet"], ["baseline"], ["pack", "output=one.zip"]):
            told = command("medcls", words[0], f"run={done.folder}", *words[1:])
            assert told.status == 0, told.err
        for name, content in contents(told.folder / "one.zip").items():
            json.loads(content if name.endswith(".json") else b"0", parse_constant=pytest.fail)
        assert command("medcls", "verify", "one.zip").status == 0
        shutil.rmtree(told.folder / "sheet")
        (told.folder / "one.zip").unlink()


def pack_old(output):
    """A pack of a run of an older version."""
    return pack(checked(ConfigWithPack, "pack", [f"run=[{OLD / 'finished'}]", f"output={output}"], "pack"))


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    return pack_old(tmp_path_factory.mktemp("packed") / "old.zip")


def test_same_run_gives_the_same_bytes(packed, tmp_path):
    assert pack_old(tmp_path / "again.zip").read_bytes() == packed.read_bytes()


@pytest.mark.slow
def test_pack_without_nets_reproduces_the_table_and_judges_no_image(root, tmp_path, train, command, caplog):
    caplog.set_level("INFO")
    done = train(*RUN, *WORSE_LAST, f"data.root={root}", f"data.manifest={tmp_path / 'list.csv'}")
    assert done.status == 0, done.err
    told = command("medcls", "pack", f"run={done.folder}", "output=one.zip", "nets=false", "images=true")
    assert (told.status, "nets: found false beside images=true" in told.err) == (2, True), told.err
    packed = command("medcls", "pack", f"run={done.folder}", "output=one.zip", "nets=false")
    assert packed.status == 0, packed.err
    found = contents(one := packed.folder / "one.zip")
    assert f"runs/{done.folder.name}/last_predictions.csv" in found
    assert not [name for name in found if name.endswith(".ckpt")]
    assert one.stat().st_size < 20_000
    caplog.clear()
    assert command("medcls", "verify", "one.zip").status == 0
    assert "same            last val auroc" in caplog.text
    assert {line.split("(")[-1] for line in caplog.text.splitlines() if line.startswith("  not")} <= {
        "the loss needs the net, or its own code)",
        "nothing in the pack gives it)",
    }
    refused = command("medcls", "verify", "one.zip", f"data.root={root}")
    assert (refused.status, "packed without its nets" in refused.err) == (2, True), refused.err
    with opened(one) as unpacked:
        again = command(
            "medcls", "pack", f"run={unpacked.folder}/runs/{done.folder.name}", "nets=false", "output=2.zip"
        )
        sheet = command("medcls", "sheet", f"run={unpacked.folder}/runs/{done.folder.name}")
    assert (sheet.status, "Make the sheet of the run that was packed" in sheet.err) == (2, True), sheet.err
    assert again.status == 0, again.err
    assert (again.folder / "2.zip").read_bytes() == one.read_bytes()


CHECKPOINT = "runs/finished/checkpoints/best.ckpt"
METRICS = "runs/finished/metrics.json"
DOCTORED = {
    "leads out of the pack": {"runs/../../evil/metrics.json": b"{}"},
    "is no name of a file": {"/runs/finished/metrics.json": b"{}"},
    "has characters": {"runs/finished\\..\\x/metrics.json": b"{}"},
    "is not a file of a pack": {"runs/finished/sitecustomize.py": b"print()"},
    "expected at most": {METRICS: b" " * (64 * 2**20 + 1)},
    "is missing": None,
    "not a folder": {"runs/finished/metrics.json/metrics.json": b"{}"},
}


@pytest.mark.parametrize("told", DOCTORED)
def test_doctored_pack_is_refused(packed, tmp_path, told):
    changes = DOCTORED[told]
    if changes is None:
        doctored(packed, tmp_path / "x.zip", {METRICS: None}, checksums=False)
    else:
        doctored(packed, tmp_path / "x.zip", changes)
    message = "Is a directory|Not a directory|File exists|exists" if told == "not a folder" else told
    with pytest.raises(UserError, match=message), opened(tmp_path / "x.zip"):
        raise AssertionError("opened")
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


UNSOUND = {
    "done by its status.json, but the run ended": {"predictions.csv": lambda text: text[: text[:-1].rfind("\n") + 1]},
    "metrics.json": {"metrics.json": None},
    "config.yaml: missing": {"config.yaml": None},
    "config.yaml: damaged": {"config.yaml": lambda text: f"{text}seed: abc\n".replace("\nseed: 0\n", "\n")},
    "found no number": dict.fromkeys([*OF_RUN, *CHECKPOINTS]),
    "images.runs/finished": {"../../manifest.json": lambda text: text.replace("{}", '{"runs/finished": "/home"}', 1)},
    "images.runs/other": {"../../manifest.json": lambda text: text.replace("{}", '{"runs/other": "images/1/.."}', 1)},
}


@pytest.mark.parametrize("told", UNSOUND)
def test_pack_whose_files_do_not_bear_out_what_it_says_is_refused_and_not_reproduced(
    packed, tmp_path, command, caplog, told
):
    caplog.set_level("INFO")
    with zipfile.ZipFile(packed) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    changes = {}
    for name, change in UNSOUND[told].items():
        inside = os.path.normpath(f"runs/finished/{name}")
        changes[inside] = None if change is None else change(found[inside].decode()).encode()
        assert changes[inside] != found.get(inside, b"")
    file = doctored(packed, tmp_path / "x.zip", changes)
    done = command("medcls", "verify", str(file))
    assert (done.status, told in done.err, f"{file}: " in done.err) == (2, True, told != "found no number"), done.err
    assert "medcls_verify" not in done.err
    assert "reproduced" not in caplog.text


def test_links_duplicates_wrong_checksums_and_wrong_sizes_are_refused(packed, tmp_path):
    file = tmp_path / "x.zip"

    def refused(told):
        with pytest.raises(UserError, match=told), opened(file):
            raise AssertionError("opened")

    doctored(packed, file, {METRICS: b"/etc/passwd"}, external_attr=(stat.S_IFLNK | 0o777) << 16)
    refused("is a link or a folder")
    doctored(packed, file, {METRICS: b"{}"}, checksums=False)
    refused("bytes, not")
    with zipfile.ZipFile(packed) as archive:
        same_size = archive.read(METRICS).replace(b'"accuracy"', b'"accuracz"')
    doctored(packed, file, {METRICS: same_size}, checksums=False)
    refused("another checksum")
    shutil.copy(packed, file)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(file, "a") as archive:
        archive.writestr(METRICS, b"{}")
    refused("is there twice")
    content = packed.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    refused("not a pack")
    # Sizes in the central directory that are smaller than what is there: a zip bomb that declares little.
    doctored(packed, file, {METRICS: b" " * 2**20})
    content = bytearray(file.read_bytes())
    at = content.rfind(METRICS.encode())
    content[at - 22 : at - 18] = (100).to_bytes(4, "little")
    file.write_bytes(content)
    refused("not a pack, or it was changed")


class Evil:
    """Unpickled, it would make a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_doctored_net_and_configuration_run_no_code(packed, tmp_path, command, caplog):
    caplog.set_level("INFO")
    mark, file = tmp_path / "ran", tmp_path / "x.zip"
    written = io.BytesIO()
    torch.save({"state_dict": {}, "hyper_parameters": {"classes": Evil(str(mark))}}, written)
    for content in (written.getvalue(), pickle.dumps(Evil(str(mark)))):
        doctored(packed, file, {CHECKPOINT: content})
        done = command("medcls", "verify", str(file))
        assert (done.status, "not a checkpoint of medcls" in done.err, "Traceback" in done.err) == (2, True, False)
        assert str(file) in done.err
        assert "medcls_verify_" not in done.err
    with zipfile.ZipFile(packed) as archive:
        config = archive.read("runs/finished/config.yaml").decode()
        checkpoint = archive.read(CHECKPOINT)
    evil = f"metrics: [{{_target_: os.mkdir, path: {mark}}}]\ncallbacks: [{{_target_: os.mkdir, path: {mark}}}]\n"
    kept = [line for line in config.splitlines() if not line.startswith(("metrics:", "callbacks:"))]
    hparams = torch.load(io.BytesIO(checkpoint), weights_only=True)
    hparams["hyper_parameters"]["model"] = {"family": "own", "_target_": "os.mkdir", "path": str(mark)}
    written = io.BytesIO()
    torch.save(hparams, written)
    changes = {"runs/finished/config.yaml": ("\n".join(kept) + "\n" + evil).encode(), CHECKPOINT: written.getvalue()}
    doctored(packed, file, changes)
    assert command("medcls", "verify", str(file)).status == 1  # intervals of that version were other ones
    assert "code of its author's own is not run: os.mkdir" in caplog.text
    assert not mark.exists()


def test_checkpoint_larger_unpacked_than_it_is_is_refused(packed, tmp_path, command):
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(2**24))
    doctored(packed, tmp_path / "x.zip", {CHECKPOINT: bomb.getvalue()})
    done = command("medcls", "verify", str(tmp_path / "x.zip"))
    assert (done.status, "larger unpacked" in done.err) == (2, True), done.err


def test_path_in_a_checkpoint_is_stripped_and_a_name_that_stays_is_found(packed, tmp_path, monkeypatch):
    monkeypatch.setenv("LOGNAME", "adalovelace")
    machine = Machine([str(tmp_path / "data")])
    content = read_checkpoint(OLD / "finished/checkpoints/best.ckpt")
    content["hyper_parameters"]["model"]["weights"] = f"{tmp_path}/secret/net.pth"
    torch.save(content, tmp_path / "best.ckpt")
    stripped = checkpoint(tmp_path / "best.ckpt", Stripper(machine))
    again = checkpoint(tmp_path / "best.ckpt", Stripper(machine))
    assert stripped == again
    (tmp_path / "stripped.ckpt").write_bytes(stripped)
    found = read_checkpoint(tmp_path / "stripped.ckpt")
    assert found["hyper_parameters"]["model"]["weights"] == "/path/to/net.pth"
    assert all(torch.equal(found["state_dict"][name], of) for name, of in content["state_dict"].items())
    content["hyper_parameters"]["model"]["weights"] = "weights of AdaLovelace"
    written = io.BytesIO()
    torch.save(content, written)
    doctored(packed, tmp_path / "x.zip", {CHECKPOINT: written.getvalue()})
    with opened(tmp_path / "x.zip") as files, pytest.raises(UserError, match=rf"{CHECKPOINT}   AdaLovelace"):
        check_names_nothing(files, machine)


def test_paths_become_those_of_nobody_two_never_the_same(tmp_path):
    stripper = Stripper(Machine([str(tmp_path)]), [str(tmp_path / "images")])
    assert stripper.values(
        {
            "data.root=/a/b c/net.pth": ["'/a/b c/net.pth'", "/x/net.pth", "~/net.pth", r"C:\Users\Ada\x.png"],
            "told": f"there is no folder {tmp_path}/old any more; and/or 1/2, file:///opt/ada/x, https://a.org/b/c",
            "image": [f"{tmp_path}/images/train/1.png", str(tmp_path / "images"), "train/a/1.png", None, 0.5],
        }
    ) == {
        "data.root=/path/to/net.pth": [
            "'/path/to/net.pth'",
            "/path/to/2/net.pth",
            "/path/to/3/net.pth",
            "/path/to/x.png",
        ],
        "told": "there is no folder /path/to/old any more; and/or 1/2, /path/to/x, https://a.org/b/c",
        "image": ["/path/to/images/train/1.png", "/path/to/images", "train/a/1.png", None, 0.5],
    }


@pytest.mark.slow
@pytest.mark.parametrize("what", ["grid", "folds"])
def test_pack_of_a_sweep_reproduces_its_report_in_a_fresh_environment(root, tmp_path, sweep, command, what):
    words = ["lr=1e-2,1e-3", "seed=0,1,2"] if what == "grid" else ["data.split.folds=3", "lr=1e-2,1e-3"]
    done = sweep(*RUN, *words, f"data.root={root}", f"data.manifest={tmp_path / 'list.csv'}")
    assert done.status == 0, done.err
    packed = command("medcls", "pack", f"run={done.folder}", "output=sweep.zip")
    assert packed.status == 0, packed.err
    empty, home = tmp_path / "elsewhere", tmp_path / "another home"
    empty.mkdir()
    home.mkdir()
    shutil.move(packed.folder / "sweep.zip", empty / "sweep.zip")
    images = tmp_path / "other place"
    root.rename(images)
    shutil.rmtree(done.folder)
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LD_LIBRARY_PATH")}
    elsewhere = {"HOME": str(home), "MEDCLS_CACHE": str(home / "cache"), "PYTHONPATH": str(SCRIPT.parent)}
    code = "import sys; sys.argv[0] = 'medcls'; from medcls.cli import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", code, "verify", "sweep.zip", f"data.root='{images}'"],
        cwd=empty,
        env=kept | elsewhere,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "verdicts comparisons lr=1e-3 vs. lr=0.01, auroc difference" in ran.stdout
    assert ("pooled.csv" in ran.stdout) == (what == "folds")
    assert "reproduced, within 1e-06" in ran.stdout
    assert [path.name for path in empty.iterdir()] == ["sweep.zip"]
