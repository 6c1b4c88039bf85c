"""What a user can get wrong ends with status 2 and one message that says where, what was found and what to do."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import SCRIPT, TINY
from PIL import Image

from medcls.composition.compose import FOLDERS
from medcls.conf_folder import CONF

FAST = [*TINY, "epochs=1", "logger=none"]


def check_message(result, *fragments):
    assert result.status == 2, result.out + result.err
    for fragment in fragments:
        assert fragment in result.err
    assert "Traceback" not in result.out + result.err
    assert "Error executing" not in result.out + result.err
    assert fragments[0] not in result.out  # told once


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("overrides", "fragments"),
    [
        # Unknown keys and choices: the nearest right name
        ("modle=lenet", ["modle: unknown key", "Did you mean model?"]),
        ("lrr=1", ["lrr: unknown key", "Did you mean lr?", "epochs"]),
        ("+lrr=1", ["lrr: unknown key", "Did you mean lr?"]),
        ("n_base=8", ["n_base: unknown key", "Did you mean model.n_base?"]),
        ("model.n_bse=4", ["model.n_bse: unknown key", "Did you mean model.n_base?", "Keys of model: "]),
        ("data.chanels=3", ["data.chanels: unknown key", "Did you mean data.channels?"]),
        ("optimizer.momentum=0.9", ["optimizer.momentum", "another choice of optimizer"]),
        (
            "model=lenett",
            ["model=lenett", "Did you mean model=lenet?", "alexnet, frozen, lenet, own"],
        ),
        (
            "trainer.accumulate=99999999999999999999",
            ["trainer.accumulate: found 99", "than or equal to 2147483647"],
        ),
        ("trainer.threads=100000", ["trainer.threads: found 100000, expected less than or equal to 1024."]),
        ("model.n_base=1000000000", ["model: medcls.models.lenet.LeNet failed", "overflow"]),
        ("optimizer=adma", ["optimizer=adma", "Did you mean optimizer=adam?"]),
        ("loss=focal", ["loss=focal", "default, one_vs_rest"]),
        ("model@net=lenet", ["model: unknown key"]),
        ("scheduler=null", ["cannot be null", "scheduler=none"]),
        ("augment.transforms.Blur={p:0.5}", ["augment.transforms.Blur", "+augment.transforms.Blur="]),
        ("augment.transforms=[{Blur:{p:0.5}}]", ["augment.transforms", "augment=own", "+augment.transforms."]),
        ("augment=own", ["augment.transforms: Missing"]),
        ("augment=own augment.transforms=[Blur]", ["augment.transforms.0: found 'Blur'", "{HorizontalFlip: {p: 0.5}}"]),
        (
            "augment=own augment.transforms=[{OneOf:{transforms:[{Blur:3}]}}]",
            ["augment.transforms.0.OneOf.transforms.0.Blur"],
        ),
        ("+data.args.path=x.npz", ["data.args", "data._target_"]),
        ("data=bone data.classes={A:a,A:n}", ["data.classes: 'A' is given twice"]),
        ("data.classes={}", ["data.classes: found {}, expected at least 1 item."]),
        ("data.classes={A:'',B:b}", ["data.classes.A: found '', expected at least 1 character."]),
        ("callbacks=[{_target_:Note}]", ["callbacks.0._target_: found 'Note', expected a dotted path, such as my"]),
        ("data.classes={A:a,B:A}", ["data.classes: classes 'a' and 'A' differ in case only"]),
        (
            "data.classes={A:true,B:b}",
            ["data.classes.A: found True, expected a string; put NO, off", "'data.classes.A=\"true\"'"],
        ),
        ("data.classes={true:a,B:b}", ["data.classes: found True, expected a string; put NO, off", "since YAML reads"]),
        ("data.root=", ["data.root: found no value", "shell variable"]),
        ("data.cache_dir=''", ["data.cache_dir: found no value"]),
        ("data.root=/archive(1)", ["data.root: /archive(1) cannot be read", "'data.root=\"/archive(1)\"'"]),
        (r"data.group_pattern=(\d+)[LR]\.png", [r"""'data.group_pattern="(\d+)[LR]\.png"'"""]),
        ("data.root=/a,b", ["data.root: /a,b contains a comma", "'data.root=\"/a,b\"'"]),
        ("data.positive=true", ["data.positive: found True, expected a string", "'data.positive=\"true\"'"]),
        ("optimizer=sgd optimizer.momentum=0", ["optimizer.nesterov: found True", "optimizer.momentum=0"]),
        ("trainer.accelerator=cpu trainer.precision=16-mixed", ["trainer.precision: found '16-mixed'", "bf16-mixed"]),
        ("trainer.accelerator=cpu trainer.precision=tf32", ["trainer.precision: found 'tf32'", "32-true"]),
        ("image_size=100000", ["model: lenet needs"]),
        # Missing
        ("~lr", ["lr: missing"]),
        ("lr=???", ["lr: Missing"]),
        ("data.root=${nowhere}", ["data.root", "'nowhere' not found", "'data.root="]),
        ("data.root=${oc.env:NOT_SET} hydra.run.dir='${run_folder:runs,now}'", ["run.dir", "'NOT_SET' not found"]),
        # Malformed
        ("lr", ["lr: found no value, expected lr=1e-5"]),
        ("lenet", ["lenet: found a word alone", "Did you mean model=lenet?"]),
        ("--lr 1e-4", ["--lr: keys are set without dashes", "lr=1e-4"]),
        ("--batch-size=4", ["--batch-size=4: keys are set without dashes", "batch_size=4"]),
        ("--fast", ["--fast: unknown option", "--config-dir"]),
        ("lr=[1", ["lr: [1 cannot be read"]),
        # Wrong types
        ("lr=fast", ["lr: found 'fast', expected a number"]),
        ("lr=true", ["lr: found True, expected a number"]),
        ("model.dropout=false", ["model.dropout: found False, expected a number"]),
        ("data.train_fraction=true", ["data.train_fraction: found True, expected a number"]),
        ("epochs=1.5", ["epochs: found 1.5, expected an integer"]),
        ("model.batch_norm=1", ["model.batch_norm: found 1, expected a boolean"]),
        ("model.dense=64", ["model.dense: found 64, expected a list"]),
        ("data.root=2024", ["data.root: found 2024, expected a path"]),
        ("data.split=3", ["data.split: found 3, expected a dictionary."]),
        ("trainer.precision=16", ["trainer.precision: found 16, expected '32-true'"]),
        ("loss.class_weights=even", ["loss.class_weights: found 'even', expected 'balanced' or a list"]),
        ("loss.class_weights=[1,0]", ["loss.class_weights.1: found 0, expected greater than 0"]),
        # Out of range
        ("lr=0", ["lr: found 0, expected greater than 0"]),
        ("lr=-1", ["lr: found -1, expected greater than 0"]),
        ("lr=nan", ["lr: found nan, expected a finite number"]),
        ("epochs=0", ["epochs: found 0, expected greater than or equal to 1"]),
        ("batch_size=0", ["batch_size: found 0, expected greater than or equal to 1"]),
        ("seed=-1", ["seed: found -1, expected greater than or equal to 0"]),
        ("model.dropout=1", ["model.dropout: found 1, expected less than 1"]),
        ("model.n_base=0", ["model.n_base: found 0, expected greater than or equal to 1"]),
        ("data.channels=2", ["data.channels: found 2, expected 1 or 3"]),
        ("data.window=[0.5,0.5]", ["data.window.1: found 0.5, expected greater than or equal to 1"]),
        ("data.split.val_fraction=1", ["data.split.val_fraction: found 1, expected less than 1"]),
        ("lr=0 epochs=0", ["lr: found 0", "epochs: found 0"]),
        # A net that cannot be
        ("image_size=3", ["image_size=3", "lenet", "at least 4 pixels"]),
        ("model=vgg16 image_size=31", ["image_size=31", "vgg16", "at least 32 pixels"]),
        # Data that cannot be
        ("data.root=null", ["data.root: missing", "data.root=/path/to/images"]),
        ("data.root=/nowhere/Bone", ["data.root: no folder /nowhere/Bone", "data.root=/path/to/images"]),
        ("data=bone data.root=/nowhere/Bone", ["data.root: no folder /nowhere/Bone"]),
        ("resume=/nowhere/run", ["resume: /nowhere/run is not a run folder", "config.yaml"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_override_is_explained_and_leaves_nothing(train, tmp_path, overrides, fragments):
    result = train(*FAST, "data=folder", f"data.root={tmp_path}", *overrides.split())
    check_message(result, *fragments)
    assert not result.folder.exists()
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("name", FOLDERS)
def test_empty_variable_is_refused_and_not_taken_for_a_folder(train, monkeypatch, name):
    monkeypatch.setenv(name, "")
    check_message(train(*FAST, "data=bone"), f"{name}: found an empty environment variable", f"unset {name}")


@pytest.mark.parametrize("name", ["MEDCLS_DATA", "MEDCLS_BONE"])
def test_no_images_are_simulated_for_a_folder_that_a_variable_names(train, monkeypatch, name):
    monkeypatch.setenv(name, "/nowhere/radiographs")
    result = train(*FAST, "data=bone")
    check_message(result, f"{name}: found /nowhere/radiographs, which is not a folder", f"unset {name}")
    assert not result.folder.exists()


def test_variables_that_may_not_be_empty_are_those_that_the_configuration_reads():
    texts = [path.read_text() for path in CONF.rglob("*.yaml")]
    assert {name for text in texts for name in re.findall(r"oc\.env:(MEDCLS_\w+)", text)} == set(FOLDERS)


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("overrides", "fragments"),
    [
        ("model.name=resnet81", ["resnet81", "resnet"]),
        ("model.name=alexnet", ["image size 32 does not fit alexnet"]),
        ("model.weights=BEST", ["no weights BEST of resnet18", "expected IMAGENET1K_V1, DEFAULT or a .pth file"]),
        ("model.weights=no.pth", ["model.weights: there is no file no.pth"]),
        ("model=frozen model.weights=null", ["a frozen net needs pretrained weights, found model.weights=null"]),
        ("model.n_base=4", ["model.n_base", "another choice of model"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_torchvision_net_is_explained_and_leaves_nothing(train, make_folder, overrides, fragments):
    result = train(
        "model=torchvision", "image_size=32", "data=folder", f"data.root={make_folder()}", *overrides.split()
    )
    check_message(result, *fragments)
    assert not result.folder.exists()


@pytest.mark.parametrize(
    ("overrides", "fragments"),
    [
        ("data.positive=c", ["data.positive: found 'c', expected one of the classes: a, b"]),
        ("loss.class_weights=[1]", ["loss.class_weights: found 1 weights", "each of 2 classes"]),
        ("loss.class_weights=[1,2,3]", ["loss.class_weights: found 3 weights", "each of 2 classes"]),
        (
            "+data.classes={c:c,d:d}",
            ["20 of 20 images fit no class", "folders called one of c, d", "test/a/0.jpg", "and 10 more"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_override_that_does_not_fit_the_images_is_explained_and_leaves_no_run(train, make_folder, overrides, fragments):
    result = train(*FAST, "data=folder", f"data.root={make_folder()}", overrides)
    check_message(result, *fragments)
    assert not result.folder.exists()


TRANSFORMS = [
    ("HorizontalFlp={p:0.5}", ["augment.transforms.HorizontalFlp", "Did you mean HorizontalFlip?"]),
    ("HorizontalFlip={q:0.5}", ["augment.transforms.HorizontalFlip.q: unknown argument", "Arguments: p"]),
    ("HorizontalFlip={p:2}", ["augment.transforms.HorizontalFlip", "p", "less than or equal to 1"]),
]


@pytest.mark.one_in(3)
@pytest.mark.parametrize(("transform", "fragments"), TRANSFORMS)
def test_wrong_transform_is_explained(train, make_folder, transform, fragments):
    result = train(*FAST, "data=folder", f"data.root={make_folder()}", f"+augment.transforms.{transform}")
    check_message(result, *fragments)


def test_wrong_transform_leaves_no_run(train, make_folder):
    result = train(*FAST, "data=folder", f"data.root={make_folder()}", "+augment.transforms.Nope={p:0.5}")
    assert result.status == 2
    assert not result.folder.exists()


@pytest.mark.skipif(
    torch.cuda.is_available() or torch.backends.mps.is_available(), reason="needs a machine without GPU"
)
def test_gpu_where_there_is_none_is_explained_and_leaves_no_run(train, make_folder):
    result = train(*FAST, "data=folder", f"data.root={make_folder()}", "trainer.accelerator=gpu")
    check_message(result, "trainer.accelerator")
    assert not result.folder.exists()


def empty(root):
    shutil.rmtree(root)
    (root / "train").mkdir(parents=True)


def keep_only(*names):
    return lambda root: [path.unlink() for path in root.rglob("*.*") if path.parent.name not in names]


def remove(folder):
    return lambda root: shutil.rmtree(root / folder)


def rename(old, new):
    return lambda root: (root / old).rename(root / new)


@pytest.mark.parametrize(
    ("data", "layout", "spoil", "fragments"),
    [
        ("folder", "folders", empty, ["data.root: no images below", ".jpg"]),
        ("folder", "folders", keep_only("AFF"), ["data.root: only one class (AFF)", "at least two"]),
        ("folder", "folders", remove("train/NFF"), ["class NFF has no images in train", "AFF 6, NFF 0"]),
        ("folder", "folders", remove("test/AFF"), ["class AFF has no images in val", "AFF 0, NFF 4"]),
        ("folder", "folders", rename("train/AFF/0.jpg", "train/0.jpg"), ["train/0.jpg", "Use one layout"]),
        ("bone", "folders", rename("train/AFF", "train/Atypical"), ["6 of 20 images fit no class", "AFF, NFF"]),
        ("bone", "tokens", rename("train/AFF_0.jpg", "train/left.jpg"), ["1 of 20 images fit no class", "left.jpg"]),
    ],
)
def test_folder_that_cannot_be_trained_on_is_explained_and_leaves_nothing(
    train, make_folder, tmp_path, data, layout, spoil, fragments
):
    root = make_folder(layout, ("AFF", "NFF"))
    spoil(root)
    result = train(*FAST, f"data={data}", f"data.root={root}")
    check_message(result, *fragments)
    assert not result.folder.exists()
    assert not (tmp_path / "cache").exists()


def test_file_names_without_classes_are_explained(train, make_folder):
    root = make_folder("tokens")
    for i, path in enumerate(sorted(root.rglob("*.*"))):
        path.rename(path.with_stem(f"image{i}"))
    result = train(*FAST, "data=folder", f"data.root={root}")
    check_message(result, "no classes found in 20 file names", "image0, image1", "Mel_0001.jpg")
    assert not result.folder.exists()


def test_folder_too_small_to_split_is_explained(train, make_folder):
    result = train(*FAST, "data=folder", f"data.root={make_folder(counts={'': 1})}")
    check_message(result, "data.split: 2 images", "data.split.val_fraction=0.2")
    assert not result.folder.exists()


@pytest.fixture
def partly_unreadable(make_folder):
    """Folder with 12 of 20 images cut, and their names."""
    root = make_folder(counts={"train": 7, "test": 3})
    names = [f"train/{name}/{i}.{'png' if i % 2 else 'jpg'}" for name in "ab" for i in range(6)]
    for name in names:
        content = (root / name).read_bytes()
        (root / name).write_bytes(content[: len(content) // 2])
    return root, names


def test_unreadable_images_are_listed_all_at_once(train, partly_unreadable):
    root, names = partly_unreadable
    result = train(*FAST, "data=folder", f"data.root={root}")
    check_message(result, "12 of 20 images cannot be read", "data.on_unreadable=skip", "truncated after", *names)
    assert not result.folder.exists()


def test_unreadable_images_can_be_left_out_and_are_then_counted(train, partly_unreadable):
    root, names = partly_unreadable
    result = train(*FAST, "data=folder", f"data.root={root}", "data.on_unreadable=skip")
    assert result.status == 0
    assert "12 images cannot be read and are left out" in result.out
    assert all(name in result.out for name in names)
    assert "2 train, 6 test (as validation)" in result.out


def test_leaving_out_all_images_of_a_class_is_explained(train, make_folder):
    root = make_folder()
    for path in (root / "train" / "b").iterdir():
        path.write_bytes(b"")
    result = train(*FAST, "data=folder", f"data.root={root}", "data.on_unreadable=skip")
    check_message(result, "data.on_unreadable=skip: class b has no images in train", "a 6, b 0", "repair or replace")
    assert not result.folder.exists()


def test_diverging_training_names_epoch_and_learning_rate(train, make_folder):
    result = train(*FAST, "data=folder", f"data.root={make_folder()}", "lr=1e30")
    check_message(result, "training diverged in epoch 1", "lower lr (now 1e+30)")
    assert '"failed"' in (result.folder / "status.json").read_text()


@pytest.fixture
def finished(train, make_folder):
    """A run of one epoch, and its images."""
    root = make_folder()
    result = train(*FAST, "data=folder", f"data.root={root}")
    assert result.status == 0
    return result.folder, root


def test_folder_that_holds_a_run_is_not_written_to(train, finished):
    folder, root = finished
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "train.log"}
    result = train(*FAST, "data=folder", f"data.root={root}", f"hydra.run.dir={folder}", "seed=1")
    check_message(result, "already holds a run", f"resume={folder}", "hydra.run.dir=")
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.slow
def test_resuming_with_another_setting_is_refused_by_name(train, finished):
    folder, _ = finished
    for override in ("lr=1", "model=vgg16", "data.channels=3", "seed=1"):
        key = override.partition("=")[0]
        check_message(train(f"resume={folder}", override), f"{key}: cannot change", "start a new run", "epochs")


def test_resuming_a_folder_without_run_leaves_it_as_it_is(train, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "train.log").write_text("of another program\n")
    check_message(train(f"resume={folder}"), f"resume: {folder} is not a run folder", "config.yaml")
    assert (folder / "train.log").read_text().startswith("of another program\n")


def test_resuming_after_the_images_changed_is_refused(train, finished):
    folder, root = finished
    Image.new("L", (41, 41), 7).save(root / "train" / "a" / "0.jpg")
    check_message(train(f"resume={folder}", "epochs=2"), "resume: the images", str(root), "have changed")


class Intruder:
    """Unpickling it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_checkpoint_of_somebody_else_is_refused_and_runs_no_code(train, finished, tmp_path):
    folder, _ = finished
    last = folder / "checkpoints" / "last.ckpt"
    whole, ours = last.read_bytes(), torch.load(last, weights_only=True)
    made = tmp_path / "made by the checkpoint"
    for content in (ours | {"extra": Intruder(made)}, {"state_dict": {}}, [1, 2], "text"):
        torch.save(content, last)
        check_message(train(f"resume={folder}", "epochs=2"), f"{last}: not a checkpoint of medcls")
    for content in (b"", b"garbage", b"PK\3\4 cut", whole.replace(b"features.0", b"features.5", 1)):
        last.write_bytes(content)
        check_message(train(f"resume={folder}", "epochs=2"), f"{last}: not a checkpoint of medcls")
    other = {key.replace("features.0", "features.5"): value for key, value in ours["state_dict"].items()}
    torch.save(ours | {"state_dict": other}, last)
    check_message(train(f"resume={folder}", "epochs=2"), "the checkpoint is of another net than this run's")
    assert not made.exists()


def test_command_itself_exits_with_status_2_and_leaves_nothing(tmp_path):
    command = [sys.executable, str(SCRIPT), "lr=-1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        "loading PyTorch ...\nlr: found -1, expected greater than 0.\n",
    )
    assert list((tmp_path / "runs").iterdir()) == []


def test_reader_who_leaves_early_is_no_error(tmp_path):
    command = subprocess.Popen(
        [sys.executable, str(SCRIPT), "--cfg", "job"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    command.stdout.close()
    assert command.stderr.read() == b""
    assert command.wait() == 141


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs a shell that closes streams")
def test_run_whose_output_is_closed_ends_as_any_other(tmp_path):
    words = [*TINY, "epochs=1", "audit=none", "logger=none", "data=skin", "hydra.run.dir=run"]
    counts = ["data.simulated.counts.train=[4,4]", "data.simulated.counts.val=[4,4]"]
    command = ["sh", "-c", '"$@" >&-', "sh", sys.executable, str(SCRIPT), *words, *counts]
    done = subprocess.run(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run/status.json").read_text())["state"] == "done"


def test_wrong_configuration_is_told_before_torch_is_imported(tmp_path):
    command = [sys.executable, "-X", "importtime", str(SCRIPT), "lr=-1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "torch" not in imported
    assert done.returncode == 2


def on_small_disk(kilobytes, disk, command, cwd):
    """Output and status of a command with an empty file system of that size at ``disk``, then what is left there."""
    script = (
        f"mount -t tmpfs -o size={kilobytes}k none '{disk}' && {{ \"$@\"; echo status $?; find '{disk}' -type f; }}"
    )
    inside = ["unshare", "-rm", "sh", "-c", script, "sh", *command]
    done = subprocess.run(inside, cwd=cwd, capture_output=True, text=True, check=False)
    output, _, left = done.stdout.partition("status ")
    status, *files = left.split()
    return int(status), output + done.stderr, [Path(file).name for file in files]


def can_mount():
    if shutil.which("unshare") is None:
        return False
    return (
        subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode == 0
    )


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="needs to mount a file system of its own")
@pytest.mark.parametrize(
    ("overrides", "kilobytes", "full", "left"),
    [
        ("data.cache_dir={disk} image_size=128", 64, "images-", {"lock"}),
        ("hydra.run.dir={disk} model.n_base=16 image_size=128", 1024, "best.ckpt", {"status.json", "config.yaml"}),
    ],
    ids=["cache", "checkpoint"],
)
def test_full_disk_is_explained_and_no_half_written_file_is_left(
    make_folder, tmp_path, overrides, kilobytes, full, left
):
    disk = tmp_path / "disk"
    disk.mkdir()
    where = [f"data.root={make_folder()}", f"hydra.run.dir={tmp_path}/run", *overrides.format(disk=disk).split()]
    command = [sys.executable, str(SCRIPT), *FAST, "data=folder", *where]
    status, output, files = on_small_disk(kilobytes, disk, command, tmp_path)
    assert status == 2
    assert "Traceback" not in output
    assert f"{disk}/" in output
    assert full in output
    assert "no space left on the disk" in output
    assert set(files) >= left
    assert not [name for name in files if name.endswith((".partial", ".ckpt", ".npy"))]


@pytest.mark.parametrize("inside", ["", "run"], ids=["is a file", "lies below a file"])
def test_run_folder_that_cannot_be_made_is_explained(train, tmp_path, inside):
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    result = train(*FAST, "data=skin", f"hydra.run.dir={file / inside}")
    check_message(result, str(file / inside), "hydra.run.dir")
    assert file.read_text() == "mine"
