"""The face of ``import medcls``: its doctests, its notebook, and what it does to the program that uses it."""

import ast
import csv
import doctest
import importlib
import json
import logging
import os
import pkgutil
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
import torch
from conftest import SWEEP, TINY, loggers
from PIL import Image
from pydicom.data import get_testdata_file

import medcls
from medcls.errors import UserError
from medcls.library.host import as_a_guest

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "examples/medcls.ipynb"
HOMES = [f"medcls.library.{module.name}" for module in pkgutil.iter_modules([str(ROOT / "medcls/library")])]
FACE = [name for name in medcls.__all__ if getattr(medcls, name).__module__ in HOMES]


@pytest.fixture
def files(make_folder):
    """Folder of images, some gray, in colour, of 16 bits, partly transparent, lying on their side, and DICOM."""
    root = make_folder(counts={"train": 6, "val": 5})
    pixels = np.random.default_rng(1).integers(0, 256, (50, 40, 4), np.uint8)
    Image.fromarray(pixels[..., :3]).save(root / "val/a/colour.png")
    Image.fromarray(pixels).save(root / "val/b/transparent.png")
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 200).save(root / "val/a/deep.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(pixels[..., :3]).save(root / "val/b/turned.jpg", exif=turned)
    dicom = pydicom.dcmread(get_testdata_file("CT_small.dcm", download=False))
    dicom.WindowCenter, dicom.WindowWidth = 100, 50
    dicom.save_as(root / "val/b/ct.dcm")
    return root


@pytest.fixture
def config(make_folder):
    """Configuration of a tiny run on a folder of images."""
    return medcls.compose(*TINY, "logger=none", data__root=make_folder(), data="folder", lr=1e-3)


def predictions(folder):
    """Names, probabilities and classes of the validation images in predictions.csv."""
    classes = json.loads((folder / "metrics.json").read_text())["classes"]
    with (folder / "predictions.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "val"]
    return [row["sample"] for row in rows], np.array([[float(row[f"p_{c}"]) for c in classes] for row in rows])


def without_seconds(history):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


@pytest.mark.slow
@pytest.mark.parametrize("home", HOMES)
def test_doctests_of_the_face_are_true(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.testmod(importlib.import_module(home), optionflags=options).failed == 0


@pytest.mark.parametrize("name", FACE)
def test_every_function_of_the_face_has_a_doctest(name):
    (test,) = doctest.DocTestFinder(recurse=False).find(getattr(medcls, name), name)
    assert test.examples


def test_importing_medcls_imports_no_other_package_and_composing_no_torch():
    code = (
        "import sys; before = set(sys.modules); import medcls; medcls.__all__, dir(medcls);"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names);"
        "medcls.compose(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["medcls", "False"]


def test_type_checkers_see_the_names_that_can_be_imported():
    tree = ast.parse((ROOT / "medcls/__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.asname: node.module for node in block.body for alias in node.names}
    assert sorted(seen) == medcls.__all__
    for name, home in seen.items():
        assert getattr(medcls, name) is getattr(importlib.import_module(home), name)


def test_no_name_of_the_face_is_hidden_by_a_module():
    assert not {module.name for module in pkgutil.iter_modules(medcls.__path__)} & set(medcls.__all__)


def test_keywords_reach_the_configuration_as_they_are(tmp_path):
    odd = tmp_path / "a b, 'c' = {d}" / "e\\f"
    config = medcls.compose(
        "model=lenet",
        data="folder",
        data__root=odd,
        lr=np.float32(0.25),
        epochs=np.int64(3),
        loss__class_weights=[1, 2.5],
        model__batch_norm=True,
        trainer__patience=None,
        data__classes={"x": "the x", "y:y, {}": "y's, too", "z": "true"},
    )
    assert config.data.root == odd
    assert (config.lr, config.epochs, config.loss.class_weights) == (0.25, 3, [1, 2.5])
    assert (config.model.batch_norm, config.trainer.patience) == (True, None)
    assert config.data.classes == {"x": "the x", "y:y, {}": "y's, too", "z": "true"}
    for text in ("${lr}", r"\${lr}"):
        assert medcls.compose(data="folder", data__root=text).data.root == Path(text)


@pytest.mark.parametrize(
    ("arguments", "keys", "message"),
    [
        (["model=lenett"], {}, "model=lenett: no such choice. Did you mean model=lenet?"),
        ([], {"lr": -1.0}, "lr: found -1.0, expected greater than 0"),
        ([], {"lr": object()}, "lr: found a value of type object, expected a number"),
        ([], {"model__n_bse": 1}, "model.n_bse: unknown key"),
        ([{"lr": 1}], {}, "compose: found {'lr': 1}, expected overrides such as"),
        (
            [],
            {"data__root": "", "resume": ""},
            "resume: found '', expected a path.*data.root: found ''",
        ),
        (["data.root=${nowhere}", "data=folder"], {}, "nowhere"),
    ],
)
def test_wrong_overrides_are_readable_errors(arguments, keys, message):
    with pytest.raises(UserError, match="(?s)" + message.replace("?", r"\?").replace("{", r"\{")):
        medcls.compose(*arguments, **keys)


def test_run_folder_is_that_of_the_command(make_folder, train, tmp_path):
    root = make_folder(counts={"train": 6, "val": 5, "test": 4})
    overrides = [*TINY, "data=folder", f"data.root={root}", "trainer.threads=1", "augment=study", "seed=3"]
    ours, theirs = tmp_path / "ours", train(*overrides).folder
    run = medcls.train(medcls.compose(*overrides), ours, show=False)
    names = [
        {path.relative_to(f).as_posix() for path in f.rglob("*") if ".tfevents." not in path.name}
        for f in (ours, theirs)
    ]
    assert names[0] == names[1]
    for name in ("config.yaml", "data.json", "predictions.csv", "audit.json"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes()
    assert without_seconds(run.history) == without_seconds(medcls.read_run(theirs).history)
    recorded = json.loads((ours / "environment.json").read_text())["overrides"]
    assert recorded == overrides
    assert "epoch 2/2" in (ours / "train.log").read_text()


@pytest.mark.parametrize("channels", [1, 3])
def test_probabilities_of_image_files_equal_those_of_the_run_bit_for_bit(channels, files, tmp_path):
    window = "percentiles" if channels == 1 else [90.0, 70.0]
    config = medcls.compose(*TINY, data="folder", data__root=files, data__channels=channels, data__window=window)
    run = medcls.train(config, tmp_path / "run", show=False)
    names, expected = predictions(run.folder)
    paths = [files / name for name in names]
    assert {"val/a/deep.png", "val/b/transparent.png", "val/b/turned.jpg", "val/b/ct.dcm"} < set(names)
    classifier = medcls.load_classifier(run.folder / "checkpoints/best.ckpt")
    assert classifier.classes == ("a", "b")
    assert np.array_equal(classifier.predict(paths, batch_size=config.batch_size), expected.astype(np.float32))
    assert classifier.predict(map(str, paths), batch_size=64) == pytest.approx(expected, abs=1e-6)
    for wrong in ("8", 1.5, 0, True):
        with pytest.raises(UserError, match=f"batch_size: found {wrong!r}, expected an integer of 1 or more"):
            classifier.predict(paths, batch_size=wrong)
    with pytest.raises(UserError, match="allow: found None, expected a list of dotted paths"):
        medcls.load_classifier(run.folder, allow=None)
    assert classifier.predict(paths[0]) == pytest.approx(expected[:1], abs=1e-6)
    other_window = medcls.compose(*TINY, data="folder", data__root=files, data__channels=channels)
    images, table = (medcls.load_images(other_window), medcls.load_images(config)), medcls.load_images(config).table
    (ct,) = (i for i, sample in enumerate(table.samples) if sample.name == "val/b/ct.dcm")
    assert not np.array_equal(images[0].images[ct], images[1].images[ct])  # or the window would not have mattered


@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_of_any_size_are_judged_as_files_of_their_pixels(channels, make_folder, tmp_path):
    config = medcls.compose(*TINY, data="folder", data__root=make_folder(), data__channels=channels, model__n_base=8)
    classifier = medcls.load_classifier(medcls.train(config, tmp_path / "run", show=False).folder)
    rng = np.random.default_rng(0)
    brightest = {(33, 90): 50, (200, 150): 100, (32, 32): 150, (50, 60, 3): 200, (61, 20, 3): 256}
    arrays = [rng.integers(0, high, shape, np.uint8) for shape, high in brightest.items()]
    for i, pixels in enumerate(arrays):
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    expected = classifier.predict([tmp_path / f"{i}.png" for i in range(len(arrays))])
    assert len(np.unique(expected[:, 0])) == len(arrays)
    assert np.array_equal(classifier.predict(arrays), expected)
    for i in (1, 3):
        assert classifier.predict(np.stack([arrays[i]] * 2)) == pytest.approx(expected[[i, i]], abs=1e-6)
    assert classifier.predict(arrays[1][None, :, :, None]) == pytest.approx(expected[[1]], abs=1e-6)
    assert classifier.predict([]).shape == (0, 2)


GRAY = np.full((2, 40, 30), 100, np.uint8)
WRONG = {
    "floats from 0 to 1": (GRAY / 255, r"found float64 from .*expected uint8 .*\(255 \* images\).round"),
    "a list of floats": ([GRAY[0], GRAY[0] / 255], r"images\[1\]: found float64"),
    "16 bits": (GRAY.astype(np.uint16) * 256, "found uint16 from 25600 to 25600.*give their paths"),
    "one gray image": (GRAY[0], r"found shape \(40, 30\).*images\[None\]"),
    "one colour image": (np.zeros((40, 30, 3), np.uint8), r"found shape \(40, 30, 3\).*images\[None\]"),
    "channels first": (np.zeros((2, 3, 40, 30), np.uint8), r"found shape \(2, 3, 40, 30\).*transpose\(0, 2, 3, 1\)"),
    "two channels": (np.zeros((2, 40, 30, 2), np.uint8), r"found shape \(2, 40, 30, 2\)"),
    "no pixels": (np.zeros((2, 0, 30), np.uint8), r"found shape \(2, 0, 30\)"),
    "tensors": (torch.zeros(2, 40, 30), "found Tensor. Expected an array"),
    "an image of Pillow": (Image.new("L", (9, 9)), "found Image. Expected an array"),
    "arrays and files": ([GRAY[0], "a.png"], "found ndarray, str. Expected"),
    "no such file": (["nowhere.png", "nowhere.jpg"], "2 of 2 images cannot be read:\n  nowhere.png   no such file"),
    "no image": ([__file__], "not an image"),
    "a folder": ("/", "not a file"),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A classifier for the tests that only ask it."""
    folder = tmp_path_factory.mktemp("trained")
    counts = {"train": [8, 8], "val": [4, 4]}
    config = medcls.compose(*TINY, "logger=none", data__simulated__counts=counts, epochs=1)
    return medcls.load_classifier(medcls.train(config, folder / "run", show=False).folder)


@pytest.mark.parametrize("wrong", WRONG)
def test_images_that_would_be_misjudged_are_refused(wrong, trained):
    images, message = WRONG[wrong]
    with pytest.raises(UserError, match=f"(?s){message}"):
        trained.predict(images)


@pytest.mark.slow
@pytest.mark.parametrize("known", ["in the run folder", "nowhere"])
def test_checkpoint_from_before_the_window_was_kept_takes_that_of_its_run_or_refuses_dicom(known, files, tmp_path):
    config = medcls.compose(*TINY, data="folder", data__root=files, data__window="percentiles", epochs=1)
    folder = medcls.train(config, tmp_path / "run", show=False).folder
    names, expected = predictions(folder)
    content = torch.load(folder / "checkpoints/best.ckpt", weights_only=True)
    del content["hyper_parameters"]["window"]
    path = folder / "checkpoints/best.ckpt" if known == "in the run folder" else tmp_path / "moved.ckpt"
    torch.save(content, path)
    classifier, paths = medcls.load_classifier(path), [files / name for name in names]
    if known == "in the run folder":
        assert classifier.predict(paths, batch_size=config.batch_size) == pytest.approx(expected, abs=1e-6)
    else:
        with pytest.raises(UserError, match=r"ct\.dcm   a DICOM file, and the checkpoint does not say"):
            classifier.predict(paths)
        plain = [not name.endswith("dcm") for name in names]
        only = [path for path, is_plain in zip(paths, plain, strict=True) if is_plain]
        assert classifier.predict(only) == pytest.approx(expected[plain], abs=1e-6)


def test_own_net_is_loaded_only_where_the_caller_names_it(config, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "examples")
    own = ["model=own", "model._target_=mynet.SmallResNet", "+model.args.width=4"]
    tiny = [override for override in TINY if not override.startswith("model")]
    composed = medcls.compose(*tiny, *own, "logger=none", data="folder", data__root=config.data.root)
    folder = medcls.train(composed, tmp_path / "run", show=False).folder
    names, expected = predictions(folder)
    with pytest.raises(UserError, match=r"mynet\.SmallResNet"):
        medcls.load_classifier(folder)
    classifier = medcls.load_classifier(folder, allow=["mynet.SmallResNet"])
    assert classifier.predict([config.data.root / name for name in names]) == pytest.approx(expected, abs=1e-6)


def test_places_without_a_run_or_a_checkpoint_are_named(tmp_path, config):
    for read in (medcls.read_run, medcls.read_sweep, medcls.load_classifier):
        with pytest.raises(UserError, match="nowhere"):
            read(tmp_path / "nowhere")
    with pytest.raises(UserError, match="resume: found"):
        medcls.train(medcls.compose(resume=tmp_path), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(UserError, match=r"nowhere is not? (a )?run folder"):
        medcls.resume(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def state():
    """What a training may change in its process, and must give back."""
    return {
        "handlers": {name.name: list(name.handlers) for name in loggers()},
        "levels": {name.name: (name.level, name.propagate, name.disabled) for name in loggers()},
        "raised by handlers": logging.raiseExceptions,
        "warnings": list(warnings.filters),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "lost exceptions": sys.unraisablehook,
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "TF32": [torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32],
        "gradients": torch.is_grad_enabled(),
        "type": torch.get_default_dtype(),
        "environment": dict(os.environ),
        "random": [random.getstate(), str(np.random.get_state()), torch.random.get_rng_state().tolist()],
        "limit of Pillow": Image.MAX_IMAGE_PIXELS,
    }


@pytest.mark.one_in(3)
@pytest.mark.parametrize("how", ["trained", "diverged", "resumed"])
def test_process_is_left_as_it_was_found(how, config, tmp_path):
    medcls.train(config, tmp_path / "first", show=False)  # what importing libraries changes is not a training's doing
    torch.set_num_threads(2)
    changes = {"trainer__threads": 1, "num_workers": 1} | ({"lr": 1e30, "epochs": 9} if how == "diverged" else {})
    changed = medcls.compose(*TINY, data="folder", data__root=config.data.root, **changes)
    before = state()
    if how == "diverged":
        with pytest.raises(UserError, match="diverged"):
            medcls.train(changed, tmp_path / "run")
        assert medcls.read_run(tmp_path / "run").state == "failed"
        assert "diverged" in (tmp_path / "run/train.log").read_text()
    elif how == "resumed":
        assert len(medcls.resume(tmp_path / "first", epochs=3).history) == 3
    else:
        medcls.train(changed, tmp_path / "run")
    after = state()
    for key in ("handlers", "levels"):  # a library that is imported meanwhile adds loggers of its own
        after[key] = {name: found for name, found in after[key].items() if name in before[key]}
    assert {key: after[key] for key in after if after[key] != before[key]} == {}


@pytest.fixture
def interruptible():
    """Ctrl-C as in a program of one's own: commands that a shell starts in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
def test_interrupted_training_raises_keyboard_interrupt_and_resumes_to_the_same_numbers(
    config, tmp_path, interruptible
):
    longer = medcls.compose(*TINY, "logger=none", data="folder", data__root=config.data.root, epochs=40)
    folder, handler = tmp_path / "run", signal.getsignal(signal.SIGINT)

    def interrupt():
        while not (folder / "history.csv").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        medcls.train(longer, folder, show=False)
    thread.join()
    assert signal.getsignal(signal.SIGINT) is handler
    stopped = medcls.read_run(folder)
    assert stopped.state == "stopped"
    assert 0 < len(stopped.history) < 40
    resumed = medcls.resume(folder, show=False)
    whole = medcls.train(longer, tmp_path / "whole", show=False)
    assert without_seconds(resumed.history) == without_seconds(whole.history)


def test_training_works_in_another_thread_and_never_twice_at_a_time(config, tmp_path):
    found = []
    thread = threading.Thread(target=lambda: found.append(medcls.train(config, tmp_path / "thread", show=False)))
    thread.start()
    thread.join()
    here = medcls.train(config, tmp_path / "here", show=False)
    assert without_seconds(found[0].history) == without_seconds(here.history)
    with as_a_guest(), pytest.raises(UserError, match="Another training is running in this process"):
        medcls.train(config, tmp_path / "second", show=False)
    assert not (tmp_path / "second").exists()


def test_messages_are_printed_once_and_only_when_asked_for(config, tmp_path, capsys):
    seen = logging.StreamHandler(sys.stdout)
    logging.root.addHandler(seen)
    try:
        medcls.train(config, tmp_path / "shown")
    finally:
        logging.root.removeHandler(seen)
    assert capsys.readouterr().out.count("epoch 2/2") == 1
    medcls.train(config, tmp_path / "quiet", show=False)
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_sweep_reads_as_one_row_per_run_with_the_values_of_its_keys(make_folder, command, tmp_path):
    root = make_folder(counts={"train": 6, "val": 5})
    swept = [*(o for o in TINY if "n_base" not in o), "data=folder", f"data.root={root}", "logger=none"]
    command(SWEEP, *swept, "model.n_base=2,4", f"hydra.sweep.dir={tmp_path / 'sweep'}")
    rows = medcls.read_sweep(tmp_path / "sweep")
    assert [row["model.n_base"] for row in rows] == [2, 4]
    with (tmp_path / "sweep/results.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [row["best_val_loss"] for row in rows] == [float(row["best_val_loss"]) for row in written]
    runs = [medcls.read_run(tmp_path / "sweep" / row["run"]) for row in rows]
    assert [run.metrics["best"]["val"]["loss"] for run in runs] == [row["best_val_loss"] for row in rows]


def test_rows_of_predictions_are_those_of_predictions_csv(files, tmp_path):
    config = medcls.compose(*TINY, data="folder", data__root=files, data__group_pattern=r"(.+)\.", epochs=1)
    run = medcls.train(config, tmp_path / "run", show=False)
    with (run.folder / "predictions.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [{key: str(value) for key, value in row.items()} for row in medcls.prediction_rows(run)] == written


def test_runs_that_cannot_be_compared_are_readable_errors(config, tmp_path):
    run = medcls.train(config, tmp_path / "run", show=False)
    with pytest.raises(UserError, match="no predictions of split 'test'; the run has predictions of val"):
        medcls.compare_runs(run, run, "test")
    other = Path(shutil.copytree(run.folder, tmp_path / "other"))
    data = json.loads((other / "data.json").read_text())
    (other / "data.json").write_text(json.dumps(data | {"fingerprint": "of others"}))
    with pytest.raises(
        UserError, match="The images changed between runs: other had other images, labels or splits than run"
    ):
        medcls.compare_runs(run, medcls.read_run(other))
    (tmp_path / "run/metrics.json").unlink()
    with pytest.raises(UserError, match="the run is not done: the run ended, but its files are incomplete"):
        medcls.compare_runs(run, medcls.read_run(run.folder))


def executed(notebook, folder, **options):
    """A notebook after its cells have run in a kernel of their own."""
    from nbclient import NotebookClient

    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}, **options).execute()
    return notebook


@pytest.mark.slow
def test_notebook_runs_from_an_empty_folder_and_is_kept_without_outputs(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)
    executed(notebook, tmp_path)
    assert all(output.output_type != "error" for cell in cells for output in cell.outputs)
    assert {"image/png"} <= {kind for cell in cells for out in cell.outputs for kind in out.get("data", {})}


@pytest.mark.slow
def test_mistake_in_a_notebook_is_a_message_without_a_traceback(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    cell = nbformat.v4.new_code_cell("import medcls\nmedcls.compose(model__n_bse=2)")
    executed(nbformat.v4.new_notebook(cells=[cell]), tmp_path, allow_errors=True)
    (error,) = cell.outputs
    assert "\n".join(error.traceback).startswith("UserError: model.n_bse: unknown key. Did you mean model.n_base?")
    assert len(error.traceback) == 1
