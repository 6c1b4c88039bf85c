"""medcls predict: the numbers of training again, on other images with what they are worth there, or a refusal."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pydicom
import pytest
from conftest import SCRIPT, SWEEP, TINY, write_noise
from PIL import Image
from pydicom.data import get_testdata_file
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from medcls.composition.compose import composed
from medcls.config import check_config
from medcls.errors import UserError
from medcls.predict import judging
from medcls.predict.inputs import list_inputs
from medcls.predict.nets import find_nets
from medcls.predict.report import difference
from medcls.predict.training_images import TrainingImages, training_images

PREDICT = "medcls.predict"
FOLDER = [*TINY, "data=folder", "logger=none", "audit=none", "batch_size=4"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(SCRIPT.parent)}


def rows_of(file):
    with file.open(newline="") as text:
        return {row["sample"]: row for row in csv.DictReader(text)}


def probabilities(rows, prefix=""):
    """Name -> probabilities, of the names that begin so, without that beginning."""
    found = {name: [float(row[key]) for key in row if key.startswith("p_")] for name, row in rows.items()}
    return {name.removeprefix(prefix): of for name, of in found.items() if name.startswith(prefix)}


def to_dicom(root):
    """The images of a folder as DICOM of more than 8 bits, so that the window matters."""
    dicom = pydicom.dcmread(get_testdata_file("CT_small.dcm", download=False))
    for path in [path for path in root.rglob("*") if path.is_file()]:
        pixels = np.asarray(Image.open(path).convert("L")).astype(np.int16) * 4
        dicom.RescaleIntercept = 0
        dicom.Rows, dicom.Columns = pixels.shape
        dicom.PixelData = pixels.tobytes()
        dicom.save_as(path.with_suffix(".dcm"))
        path.unlink()


def to_colour(root):
    rng = np.random.default_rng(1)
    for path in [path for path in root.rglob("*") if path.is_file()]:
        gray = np.asarray(Image.open(path).convert("L")).astype(int)
        colour = np.stack([gray, gray // 2, gray + rng.integers(0, 30, gray.shape)], axis=2)
        Image.fromarray(colour.clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture
def trained(make_folder, train):
    """A run of two classes in train, val and test, with ten validation images of each: its folder and its images."""

    def make(*overrides, counts=None, **options):
        root = make_folder(counts={"train": 12, "val": 10, "test": 6} if counts is None else counts, **options)
        result = train(*FOLDER, f"data.root={root}", *overrides)
        assert result.status == 0, result.err
        return result.folder, root

    return make


@pytest.fixture(scope="module")
def shared():
    """What the refusals share, since they change nothing: filled by the first of them."""
    return {}


KINDS = {
    "gray": (lambda root: None, [], ("a", "b")),
    "colour": (to_colour, ["data.channels=3"], ("a", "b")),
    "DICOM with a window": (to_dicom, ["data.window=[500,600]"], ("a", "b")),
    "six classes, one against the rest": (
        lambda root: None,
        ["loss=one_vs_rest"],
        ("CT", "CXR", "Hand", "MR", "X", "Y"),
    ),
    "own net": (lambda root: None, ["model=own", "model._target_=mynet.SmallResNet"], ("a", "b")),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_own_images_get_the_probabilities_of_the_run_bit_for_bit(make_folder, train, command, monkeypatch, kind):
    change, overrides, classes = KINDS[kind]
    monkeypatch.syspath_prepend(str(SCRIPT.parent / "examples"))
    root = make_folder(counts={"train": 5, "val": 5, "test": 3}, classes=classes)
    change(root)
    words = [word for word in FOLDER if kind != "own net" or not word.startswith("model")]
    result = train(*words, f"data.root={root}", *overrides)
    assert result.status == 0, result.err
    allow = ["allow=[mynet.SmallResNet]"] if kind == "own net" else []
    run = [f"run={result.folder}", "trainer.accelerator=cpu", *allow]
    if allow:
        refused = command(PREDICT, *run[:-1], f"data.root={root}/val", "output=refused")
        assert (refused.status, "allow=[mynet.SmallResNet]" in refused.err) == (2, True)
    theirs = rows_of(result.folder / "predictions.csv")
    for split in ("val", "test"):
        same = command(PREDICT, *run, f"data.root={root / split}", f"output={split}")
        assert same.status == 0, same.err
        ours = probabilities(rows_of(same.folder / split / "predictions.csv"))
        assert ours == probabilities(theirs, f"{split}/")
        other = command(PREDICT, *run, f"data.root={root / split}", f"output={split}_3", "batch_size=3")
        close = probabilities(rows_of(other.folder / f"{split}_3" / "predictions.csv"))
        assert close.keys() == ours.keys()
        np.testing.assert_allclose([close[name] for name in ours], list(ours.values()), rtol=0, atol=1e-6)


def test_net_of_a_run_that_was_stopped_is_known_to_be_of_simulated_images(train):
    counts = "data.simulated.counts={train: [4, 4], val: [4, 4]}"
    done = train(*TINY, "data=bone", counts, "logger=none", "audit=none", "epochs=1")
    assert done.status == 0, done.err
    (done.folder / "metrics.json").unlink()
    (done.folder / "status.json").write_text(json.dumps({"state": "stopped", "epoch": 1, "reason": "a signal"}))
    ensemble = find_nets([done.folder / "checkpoints/last.ckpt"], None, ())
    assert (ensemble.simulated, ensemble.title.endswith("_SIMULATED")) == (True, True)


@pytest.mark.slow
def test_single_file_list_and_unlabelled_folder_are_judged_alike(trained, command, tmp_path):
    run, root = trained()
    whole = command(PREDICT, f"run={run}", f"data.root={root / 'test'}", "output=whole")
    expected = rows_of(whole.folder / "whole/predictions.csv")["a/0.jpg"]
    flat = tmp_path / "flat"
    flat.mkdir()
    (flat / "IM1.jpg").write_bytes((root / "test/a/0.jpg").read_bytes())
    (tmp_path / "list.csv").write_text("path\nIM1.jpg\n")
    for words in (
        [f"data.root={flat}"],
        [f"data.root={flat / 'IM1.jpg'}"],
        [f"data.root={flat}", f"data.manifest={tmp_path / 'list.csv'}"],
    ):
        output = f"output=o{len(words)}{words[0][-4]}"
        done = command(PREDICT, f"run={run}", *words, output)
        assert done.status == 0, done.err
        (row,) = rows_of(done.folder / output[7:] / "predictions.csv").values()
        assert "label" not in row
        assert row["predicted"] == max("ab", key=lambda name: float(row[f"p_{name}"]))
        assert float(row["p_a"]) == pytest.approx(float(expected["p_a"]), abs=1e-6)
        assert not (done.folder / output[7:] / "metrics.json").exists()


@pytest.mark.slow
def test_seeds_of_a_sweep_judge_together_and_variants_must_be_chosen(make_folder, sweep, command):
    root = make_folder(counts={"train": 6, "val": 5})
    result = sweep(*FOLDER, f"data.root={root}", "seed=0,1", "lr=1e-3,1e-4", "epochs=1")
    assert result.status == 0, result.err
    words = [f"run={result.folder}", f"data.root={root / 'val'}", "output=out"]
    refused = command(PREDICT, *words)
    assert (refused.status, "has 2 variants" in refused.err) == (2, True)
    assert not (refused.folder / "out").exists()
    sweep_file = json.loads((result.folder / "sweep.json").read_text())
    variant = sweep_file["variants"][0]["name"]
    assert "variant=" in refused.err
    assert variant in refused.err
    done = command(PREDICT, *words, f'variant="{variant}"')
    assert done.status == 0, done.err
    jobs = [job["name"] for job in sweep_file["jobs"] if job["variant"] == variant]
    each = [probabilities(rows_of(result.folder / job / "predictions.csv"), "val/") for job in jobs]
    rows = rows_of(done.folder / "out/predictions.csv")
    assert (len(each), len(rows)) == (2, 10)
    for name, row in rows.items():
        a, b = (np.array(net[name]) for net in each)
        np.testing.assert_allclose(probabilities(rows)[name], (a + b) / 2, atol=1e-12)
        assert float(row["sd"]) == pytest.approx(abs(a - b)[0] / 2**0.5, abs=1e-7)


@pytest.mark.slow
def test_folds_are_judged_beside_what_each_image_got_from_the_net_that_had_not_seen_it(
    make_folder, sweep, command, elsewhere
):
    root = make_folder(counts={"": 12})
    result = sweep(*FOLDER, f"data.root={root}", "data.split.folds=2", "seed=0", "epochs=1")
    assert result.status == 0, result.err
    words = [f"data.root={elsewhere}", "data.classes={dark: a, bright: b}", "output=out"]
    done = command(PREDICT, f"run={result.folder}", *words)
    assert done.status == 0, done.err
    internal = json.loads((done.folder / "out/metrics.json").read_text())["internal"]
    files = [rows_of(file) for file in result.folder.glob("*/predictions.csv")]
    unseen = [row for rows in files for row in rows.values() if row["split"] == "test"]
    assert len({row["sample"] for row in unseen}) == len(unseen) == internal["n"] == 24
    right = [(float(row["p_a"]) > 0.5) == (row["label"] == "a") for row in unseen]
    assert internal["accuracy"]["value"] == pytest.approx(np.mean(right))
    assert internal["images"] == "images of 2 folds"
    told = "judged by the mean of all 2 nets, each of the nets' own images only by those that have not seen it"
    assert told in " ".join(done.out.split())
    assert command(SWEEP, "report=out").status == 0
    assert told in (done.folder / "out/report.md").read_text().replace("\\", "")


@pytest.fixture
def elsewhere(tmp_path):
    """Images that no net has seen, under other names of the classes."""
    return write_noise(tmp_path / "elsewhere", {"dark": 60, "bright": 200}, 6, seed=7)


@pytest.mark.slow
def test_external_images_are_judged_beside_the_runs_own(trained, command, elsewhere):
    run, _ = trained()
    words = [f"run={run}", f"data.root={elsewhere}", "output=out", "data.classes={dark: a, bright: b}"]
    done = command(PREDICT, *words)
    assert done.status == 0, done.err
    rows = rows_of(done.folder / "out/predictions.csv")
    assert {name.split("/")[0]: row["label"] for name, row in rows.items()} == {"dark": "a", "bright": "b"}
    metrics = json.loads((done.folder / "out/metrics.json").read_text())
    right = sum(row["predicted"] == row["label"] for row in rows.values())
    assert metrics["external"]["accuracy"]["value"] == pytest.approx(right / 12)
    assert metrics["external"]["accuracy"]["low"] < metrics["external"]["accuracy"]["high"]
    own = json.loads((run / "metrics.json").read_text())["test"]
    for name in ("accuracy", "auroc", "sensitivity", "f1"):
        assert metrics["internal"][name] == own[name]
    assert metrics["notice"] is None
    assert "external" in done.out
    assert "internal" in done.out


@pytest.mark.slow
def test_report_shows_images_elsewhere_beside_the_runs_own_and_how_far_apart_they_are(
    trained, command, elsewhere, tmp_path
):
    run, _ = trained()
    far = write_noise(tmp_path / "<far>", {"a": 60, "b": 200}, 8, seed=8)
    mapped = "data.classes={dark: a, bright: b}"
    for words in ([f"data.root={elsewhere}", "output=out", mapped], [f"data.root='{far}'", "output=out2"]):
        assert command(PREDICT, f"run={run}", *words).status == 0
    done = command(SWEEP, "report=out,out2")
    assert done.status == 0, done.err
    page = (done.folder / "report_out_out2/report.md").read_text()
    metrics = json.loads((done.folder / "out/metrics.json").read_text())
    there, own = (metrics[side]["accuracy"] for side in ("external", "internal"))
    [row] = [line for line in page.splitlines() if line.startswith("| accuracy")][:1]
    cells = [cell.strip().replace("\\", "") for cell in row.split("|")[2:5]]
    assert cells[:2] == [shown(own), shown(there)]
    assert cells[2].startswith(f"{there['value'] - own['value']:.3f} [")
    assert (done.folder / "report_out_out2/report.html").read_text().count("<img") == 6
    assert "<far>" not in (done.folder / "report_out_out2/report.html").read_text()
    assert f"report: {run} was not left by medcls predict" in command(SWEEP, f"report=out,{run}").err


@pytest.mark.parametrize(("first", "second"), [((48, 60), (70, 96)), ((30, 30), (25, 40)), ((1, 12), (900, 1000))])
def test_difference_of_independent_shares_is_newcombes_from_wilsons_limits(first, second):
    sides = [
        {"value": k / n} | dict(zip(("low", "high"), proportion_confint(k, n, method="wilson"), strict=True))
        for k, n in (first, second)
    ]
    found = difference(*sides)
    low, high = confint_proportions_2indep(*first, *second, method="newcomb")
    assert (found["low"], found["high"]) == pytest.approx((low, high))


def shown(limits):
    return f"{limits['value']:.3f} [{limits['low']:.3f}, {limits['high']:.3f}]"


@pytest.mark.slow
def test_external_images_that_were_trained_on_are_stopped_left_out_or_told(trained, command, elsewhere):
    run, root = trained()
    picture = Image.open(root / "train/a/0.jpg")
    picture.resize((80, 80)).save(elsewhere / "dark/planted.png")
    words = [f"run={run}", f"data.root={elsewhere}", "data.classes={dark: a, bright: b}", "output=out"]
    stopped = command(PREDICT, *words)
    assert stopped.status == 2
    assert "dark/planted.png = " in stopped.err
    assert "train/a/0.jpg" in stopped.err
    assert not (stopped.folder / "out").exists()
    assert command(PREDICT, *words, "audit.on_leak=drop").status == 0
    assert "dark/planted.png" not in rows_of(stopped.folder / "out/predictions.csv")
    told = command(PREDICT, *words[:-1], "output=told", "audit.on_leak=warn")
    assert told.status == 0
    assert "do not trust" in json.loads((told.folder / "told/metrics.json").read_text())["notice"]


@pytest.mark.slow
def test_run_that_left_out_leaks_is_compared_by_what_it_was_trained_on(make_folder, train, command, elsewhere):
    root = make_folder(counts={"train": 6, "val": 5})
    Image.open(root / "train/a/0.jpg").save(root / "val/a/copy.png")
    run = train(*FOLDER, f"data.root={root}", "audit=default", "audit.on_leak=drop").folder
    Image.open(root / "train/a/1.png").rotate(90).save(elsewhere / "dark/planted.png")
    words = [f"run={run}", f"data.root={elsewhere}", "data.classes={dark: a, bright: b}", "output=out"]
    stopped = command(PREDICT, *words)
    assert (stopped.status, "dark/planted.png = " in stopped.err) == (2, True), stopped.err
    (elsewhere / "dark/planted.png").unlink()
    assert command(PREDICT, *words).status == 0


@pytest.mark.slow
def test_patient_that_was_trained_on_is_stopped(trained, command, elsewhere, tmp_path):
    run, _ = trained(r"data.group_pattern='train/\w/(\d+)'")
    lines = [f"dark/{i}.png,a,{i + 100}" for i in range(6)] + [f"bright/{i}.png,b,{i + 200}" for i in range(6)]
    for patient, status in (("300", 0), ("3", 2), ("003", 2)):
        (tmp_path / "list.csv").write_text("\n".join(["path,label,group", *lines[:-1], f"bright/5.png,b,{patient}\n"]))
        words = [f"data.root={elsewhere}", f"data.manifest={tmp_path / 'list.csv'}", f"output=o{patient}"]
        done = command(PREDICT, f"run={run}", *words)
        assert (done.status, f"bright/5.png   {patient}" in done.err) == (status, status == 2), done.err


@pytest.mark.parametrize(
    ("header", "words", "message"),
    [
        ("path,Label,group", [], "did you mean data.columns.label=Label?"),
        ("path,label,groups", [], "did you mean data.columns.group=groups?"),
        ("path,label,group", [r"data.group_pattern='(.)\.'"], "the manifest has a column of patients too (group)"),
        ("file,label,group", [], "is missing columns:\n  path"),
    ],
)
def test_list_that_may_mean_more_than_is_read_is_refused(elsewhere, header, words, message):
    (elsewhere / "metadata.csv").write_text(f"{header}\ndark/0.png,a,P1\n")
    config = check_config(composed("test", ["data=folder", f"data.root={elsewhere}", *words])).data
    with pytest.raises(UserError) as caught:
        list_inputs(config, ("a", "b"), None, None)
    assert message in str(caught.value)
    assert "rename metadata.csv" in str(caught.value)


def test_manifest_named_from_the_working_folder_is_found_from_elsewhere_and_where_the_images_moved(
    make_folder, train, tmp_path, monkeypatch
):
    root, cache = make_folder(counts={"train": 6, "val": 4}), tmp_path / "cache"
    files = [path.relative_to(root) for path in sorted(root.rglob("*.*"))]
    rows = [f"{file.as_posix()},{file.parts[1]},{file.parts[0]}" for file in files]
    (root / "list.csv").write_text("\n".join(["path,label,split", *rows, ""]))
    place = os.path.relpath(root, tmp_path / "working")
    words = [f"data.root={place}", f"data.manifest={place}/list.csv", "audit=none", "logger=none", "epochs=1"]
    run = train(*TINY, "data=folder", *words).folder
    monkeypatch.chdir(tmp_path)
    (net,) = find_nets([run], None, ()).nets
    stored = json.loads((run / "data.json").read_text())
    assert stored["manifest"] == str(root.resolve() / "list.csv")
    for content in (stored, {key: value for key, value in stored.items() if key != "manifest"}):  # as older runs
        (run / "data.json").write_text(json.dumps(content))
        assert isinstance(training_images(net, cache, ()), TrainingImages)
        moved = root.rename(tmp_path / "moved")
        assert isinstance(training_images(net, cache, (), moved), TrainingImages)
        moved.rename(root)


@pytest.mark.slow
def test_moved_training_images_are_told_and_nothing_is_compared(trained, command, elsewhere, caplog):
    run, root = trained()
    root.rename(root.with_name("moved"))
    done = command(PREDICT, f"run={run}", f"data.root={elsewhere}", "data.classes={dark: a, bright: b}", "output=out")
    assert done.status == 0, done.err
    assert "not compared with the training images: there is no folder" in done.out
    assert "no distance to the training images is given: there is no folder" in caplog.text
    assert {row["distance"] for row in rows_of(done.folder / "out/predictions.csv").values()} == {""}


@pytest.mark.slow
def test_what_is_out_of_the_ordinary_is_told(trained, command, tmp_path, caplog):
    run, _ = trained("audit=default")
    odd, rng = tmp_path / "odd", np.random.default_rng(3)
    odd.mkdir()
    usual = rng.normal(60, 25, (40, 40)).clip(0, 255).astype(np.uint8)
    Image.fromarray(usual).save(odd / "usual.png")
    Image.fromarray(np.stack([usual] * 3, axis=2)).save(odd / "colour.png")
    Image.fromarray(usual[:10, :10]).save(odd / "small.png")
    Image.fromarray(np.add.outer(np.arange(40), np.arange(40)).astype(np.uint8) * 3).save(odd / "smooth.png")
    (odd / "ct.dcm").write_bytes(Path(get_testdata_file("CT_small.dcm", download=False)).read_bytes())
    done = command(PREDICT, f"run={run}", f"data.root={odd}", "output=out")
    assert done.status == 0, done.err
    found = {name: row["out_of_range"].split() for name, row in rows_of(done.folder / "out/predictions.csv").items()}
    assert found["usual.png"] == []
    assert found["colour.png"] == ["mode"]
    assert found["smooth.png"] == ["unlike"]
    assert "size" in found["small.png"]
    assert {"format", "unlike"} <= set(found["ct.dcm"])
    assert "4 of 5 images are out of the ordinary" in caplog.text


@pytest.mark.slow
def test_unreadable_files_are_named_and_the_rest_is_judged(trained, command, caplog):
    caplog.set_level("INFO")
    run, root = trained()
    (root / "test/a/0.jpg").write_bytes((root / "test/a/0.jpg").read_bytes()[:300])
    (root / "test/b/1.png").write_text("nothing")
    for _ in range(2):  # the second start finds all done, and says the same
        done = command(PREDICT, f"run={run}", f"data.root={root / 'test'}", "output=out", "audit=none")
        assert (done.status, "10 of 12 images judged" in caplog.text) == (1, True)
        caplog.clear()
        unreadable = json.loads((done.folder / "out/summary.json").read_text())["unreadable"]
        assert set(unreadable) == {"a/0.jpg", "b/1.png"}
        assert len(rows_of(done.folder / "out/predictions.csv")) == 10


@pytest.mark.slow
def test_predicting_killed_and_started_again_equals_uninterrupted(trained, command, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    run, _ = trained()
    many, rng = tmp_path / "many", np.random.default_rng(5)
    many.mkdir()
    for i in range(60):
        Image.fromarray(rng.integers(0, 256, (900, 900), np.uint8)).save(many / f"{i}.png")
    monkeypatch.setattr(judging, "PART", 4)
    words = [f"run={run}", f"data.root={many}", "output=out"]
    uninterrupted = command(PREDICT, *words[:-1], "output=whole").folder
    start = "import sys; from medcls.predict import judging; from medcls.cli import command; judging.PART = 4; "
    start += "command('predict', sys.argv[1:], 'medcls predict')"
    out = uninterrupted / "out"
    for enough in (1, 4):
        process = subprocess.Popen([sys.executable, "-c", start, *words], cwd=uninterrupted, env=ENVIRONMENT)
        while process.poll() is None and len(list(out.glob(".parts/0*.npz"))) < enough:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not (out / "predictions.csv").exists()
    again = command(PREDICT, *words)
    assert again.status == 0, again.err
    assert "of 60 images were judged before" in caplog.text
    names = ["predictions.csv", "summary.json"]
    assert all((out / name).read_bytes() == (uninterrupted / "whole" / name).read_bytes() for name in names)
    assert sorted(path.name for path in out.iterdir()) == ["predict.json", *names]
    other = command(PREDICT, f"run={run}", f"data.root={many / '1.png'}", "output=out")
    assert (other.status, "holds predictions of other images" in other.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("data.root={images}", "run: found none, expected one"),
        ("run=nowhere data.root={images}", "run: no folder nowhere"),
        ("run={images} data.root={images}", "is not a run folder, and there is none below it"),
        ("run={run},{run} data.root={images}", "is named twice"),
        ("run={run}", "data.root: missing"),
        ("run={run} data.root=nowhere", "data.root: no folder or file nowhere"),
        ("run={run} data.root={run}/checkpoints", "no images below"),
        ("run={run} data.root={images}", "bright\n"),
        ("run={run} data.root={images} data.classes={{dark:a,bright:bb}}", "not a class of the run.   did you mean b?"),
        ("run={run} data.root={images} data.classes={{dark:a}}", "1 folders fit no class"),
        ("run={run} data.root={images} labelled=false variant=x", "run names no sweep"),
        ("run={run} data.root={images} labelled=false image_size=64", "image_size: not for predict"),
        ("run={run} data.root={images} labelled=false data.channels=3", "data.channels: not for predict"),
        ("run={run} data.root={images} labelled=false output={images}/out", "lies in the folder of the images"),
        ("run={run} data.root={images} labelled=false output={run}", "holds other files"),
        ("run={run} data.root={images} labelled=false outptu=x", "Did you mean output? Expected run, variant, output,"),
        ("run={run} data.root={images} labelled=false data.rot=x", "Did you mean data.root?"),
    ],
)
def test_mistake_gets_one_message_and_nothing_is_written(trained, command, elsewhere, shared, words, told):
    run = shared["run"] if shared else shared.setdefault("run", trained("epochs=1")[0])
    before = sorted(path for path in run.parent.rglob("*") if "cache" not in path.parts)
    done = command(PREDICT, *words.format(run=run, images=elsewhere).split())
    assert (done.status, told in done.err) == (2, True), done.err
    assert "Traceback" not in done.err
    assert sorted(path for path in run.parent.rglob("*") if "cache" not in path.parts) == before


def test_help_imports_nothing_slow():
    words = [sys.executable, "-X", "importtime", "-m", PREDICT, "--help"]
    done = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert not imported & {"hydra", "omegaconf", "pydantic", "numpy", "torch"}
