"""Files of runs and sweeps that are damaged, foreign or hostile: named in one message, and nothing else is lost."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from conftest import TINY
from sweeping import results
from test_old_runs import OLD, SWEEP

import medcls
from medcls.atomic import remove_partial
from medcls.errors import UserError
from medcls.evaluation.metrics import METRICS
from medcls.predict.nets import find_nets
from medcls.runs.history import read_history
from medcls.runs.reading import read_yaml
from medcls.runs.run import SHARES, read_run

FAST = [*TINY, "epochs=1", "logger=none", "audit=none"]
SPOILT = {"truncated": lambda text: text[: len(text) // 2], "emptied": lambda text: "", "a list": lambda text: "[]"}


@pytest.fixture
def old(tmp_path):
    """A copy of one of the folders, to be worked in."""
    return lambda name: Path(shutil.copytree(OLD / name, tmp_path / name))


def spoil(file, how):
    file.write_text(SPOILT[how](file.read_text()))


@pytest.mark.one_in(4)
@pytest.mark.parametrize("how", SPOILT)
@pytest.mark.parametrize("name", ["config.yaml", "data.json", "environment.json", "status.json"])
def test_resuming_names_a_damaged_file(train, old, name, how):
    folder = old("finished")
    spoil(folder / name, how)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".log"}
    result = train(f"resume={folder}", "epochs=4")
    assert result.status == 2
    assert f"{folder / name}: " in result.err
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    ("name", "how", "told"),
    [
        ("predictions.csv", lambda text: text + text.splitlines()[-1].replace(",val,", ",test,") + "\n", "1 of 0"),
        ("metrics.json", lambda text: text.replace('"test": null', '"test": {"n": 12}'), "0 of 12"),
    ],
)
def test_predictions_of_other_test_images_than_the_metrics_are_damaged(old, name, how, told):
    file = old("finished") / name
    file.write_text(how(file.read_text()))
    run = read_run(file.parent, "run", "run", 0, {})
    assert (run.state, f"predictions.csv has {told} images of test" in run.reason) == ("failed", True), run.reason


@pytest.mark.one_in(4)
@pytest.mark.parametrize(
    ("name", "how"),
    [
        pytest.param(name, how, marks=[] if i % len(SPOILT) == j else pytest.mark.slow)
        for i, name in enumerate(["sweep.json", "jobs/*.yaml", "*/status.json", "*/history.csv"])
        for j, how in enumerate(SPOILT)
    ],
)
def test_relaunching_a_sweep_names_a_damaged_file_before_a_job_starts(command, old, name, how):
    folder = old("sweep")
    file = sorted(folder.glob(name))[0]
    spoil(file, how)
    result = command("medcls", "sweep", *SWEEP.split(), f"hydra.sweep.dir={folder}")
    assert result.status == 2
    assert f"{file}: " in result.err
    assert "jobs" not in result.out


DAMAGES = [
    ("predictions.csv", lambda text: ""),
    ("predictions.csv", lambda text: text.partition("\n")[0] + "\n"),
    ("predictions.csv", lambda text: text.replace(",0.", ",-0.", 1)),
    ("predictions.csv", lambda text: text[:-9]),
    ("history.csv", lambda text: text.replace("\n2,", "\n7,")),
    ("metrics.json", lambda text: json.dumps(with_accuracy(json.loads(text), 5))),
    ("metrics.json", lambda text: "{}"),
    ("metrics.json", lambda text: "[" * 99_999),
    ("status.json", lambda text: text[:9]),
    ("config.yaml", lambda text: text[:99]),
    ("config.yaml", lambda text: text.replace("seed: ", "seed: x")),
]


@pytest.mark.slow
def test_damaged_runs_do_not_cost_the_report_of_the_others(command, old):
    folder = old("sweep")
    command("medcls", "report", str(folder))
    before = {row["run"]: row for row in results(folder) if row["state"] == "done"}
    assert len(before) == 3
    (folder / "sweep.json").unlink()  # a folder of runs
    for number, (name, change) in enumerate(DAMAGES):
        copy = Path(shutil.copytree(folder / min(before), folder / f"damaged{number}"))
        config = copy / "config.yaml"
        config.write_text(config.read_text().replace("\nseed: 0", f"\nseed: {10 + number}"))  # no repetition
        (copy / name).write_text(change((copy / name).read_text()))
    assert command("medcls", "report", str(folder)).status == 0
    after = {row["run"]: row for row in results(folder) if row["state"] == "done"}
    for run in before:
        assert [after[run][key] for key in ("best_val_accuracy", "seed")] == [
            before[run][key] for key in ("best_val_accuracy", "seed")
        ]
    report = (folder / "report.md").read_text()
    for number, (name, _) in enumerate(DAMAGES):
        if name != "config.yaml":
            assert f"damaged{number}" not in after
            (line,) = [line for line in report.splitlines() if f"| damaged{number} |" in line]
            assert name in line


def test_damaged_run_of_a_sweep_does_not_cost_its_report(command, old):
    folder = old("sweep")
    spoilt = sorted(folder.glob("*/predictions.csv"))[0]
    spoilt.write_text(spoilt.read_text()[:-9])
    assert command("medcls", "report", str(folder)).status == 0
    done = [row["run"] for row in results(folder) if row["state"] == "done"]
    assert len(done) == 2
    assert spoilt.parent.name not in done
    assert "predictions.csv" in (folder / "report.md").read_text()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"data": [1]}, "data: "),
        ({"data": {"split": [1]}}, "data.split: "),
        ({"data": {"split": {"folds": "abc"}}}, "data.split.folds: "),
        ({"data": {"split": {"folds": 3, "fold": 3}}}, "found data.split.fold=3, expected 0 to 2"),
        ({"seed": "abc"}, "seed: "),
        ({"seed": None}, "seed: "),
    ],
)
def test_configuration_that_says_no_seed_or_fold_is_named_by_whoever_needs_them(command, old, change, told):
    folder = old("finished")
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(read_yaml(file) | change))
    for read in (medcls.read_run, lambda folder: find_nets([folder], None, ())):
        with pytest.raises(UserError, match=f"{re.escape(str(file))}: .*{re.escape(told)}"):
            read(folder)
    packed = command("medcls", "pack", f"run={folder}", "output=x.zip")
    assert (packed.status, f"{file}: " in packed.err, told in packed.err) == (2, True, True), packed.err
    assert [row["variant"] for row in medcls.read_sweep(folder)] == ["unknown"]


AUDITED = {
    "images": 28,
    "files": {"sizes": {"9x9": 28}, "n_sizes": 1, "modes": {"L": 28}, "formats": {"PNG": 28}},
    "unreadable": {},
    "flat": [],
    "copies": dict.fromkeys(
        ["pairs", "across_splits", "conflicting", "doubtful", "doubtful_across_splits", "pictures", "largest_group"], 0
    )
    | {"groups": [], "search": "quick"},
    "oddities": {"companions": {}, "several_labels": [], "small_classes": {}, "of_one_kind": {}},
    "patients": {"known": 0, "with_several_images": 0, "in_several_splits": {}},
    "shortcut": None,
    "leaks": {"training": [], "by_copy": 0, "by_patient": 0, "validation_in_test": 0},
}


@pytest.mark.parametrize(
    ("words", "name", "keys", "value"),
    [
        ("sheet output=x", "audit.json", "oddities", "x"),
        ("sheet output=x", "audit.json", "oddities several_labels", -1),
        ("sheet output=x", "audit.json", "files modes", 1.5),
        ("sheet output=x", "audit.json", "leaks training", 1),
        ("sheet output=x", "metrics.json", "per_class", {"val": [1]}),
        ("pack output=x.zip", "data.json", "audit files modes", 1.5),
        ("pack output=x.zip", "data.json", "audit", "x"),
    ],
)
def test_damaged_part_of_a_file_is_named_by_the_command_that_tells_of_it(command, old, words, name, keys, value):
    folder = old("finished")
    (folder / "audit.json").write_text(json.dumps(AUDITED))
    data = json.loads((folder / "data.json").read_text())
    (folder / "data.json").write_text(json.dumps(data | {"audit": AUDITED}))
    command_name, output = words.split()
    sound = command("medcls", command_name, f"run={folder}", f"{output.replace('x', 'sound')}")
    assert sound.status == 0, sound.err
    content = json.loads((folder / name).read_text())
    *path, last = keys.split()
    part = content
    for key in path:
        part = part[key]
    part[last] = value
    (folder / name).write_text(json.dumps(content))
    done = command("medcls", command_name, f"run={folder}", output)
    assert (done.status, f"{folder / name}: " in done.err, ".".join(keys.split()) in done.err) == (2, True, True), (
        done.err
    )


def with_accuracy(metrics, value):
    metrics["best"]["val"]["accuracy"]["value"] = value
    return metrics


def test_metrics_that_are_shares_are_those_of_the_registry():
    assert set(SHARES) == set(METRICS)


def test_stored_interpolation_stays_text_and_tells_no_secret(train, old, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "hunter2")
    folder = old("finished")
    values = yaml.safe_load((folder / "config.yaml").read_text())
    values["data"]["group_pattern"] = "${oc.env:MY_TOKEN}(x)"
    values["model"]["init"] = "${oc.env:MY_TOKEN}"
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    result = train(f"resume={folder}", "epochs=4")
    assert result.status == 2
    assert "model.init: found '${oc.env:MY_TOKEN}'" in result.err
    values["model"]["init"] = "glorot"
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    train(f"resume={folder}", "epochs=4")
    texts = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert not any(b"hunter2" in text for text in texts)


def test_values_that_refer_to_others_are_not_expanded(tmp_path):
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    (tmp_path / "config.yaml").write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"config.yaml: cannot be read as YAML \(a value refers to another\)"):
        read_yaml(tmp_path / "config.yaml")


def test_sweep_that_names_a_folder_elsewhere_is_refused(command, old):
    folder = old("sweep")
    content = json.loads((folder / "sweep.json").read_text())
    content["jobs"][0]["name"] = "../killed"
    (folder / "sweep.json").write_text(json.dumps(content))
    result = command("medcls", "report", str(folder))
    assert result.status == 2
    assert "sweep.json: damaged or written by another program (jobs.0.name: " in result.err


def test_fewer_epochs_than_are_done_are_refused(train, old):
    folder = old("finished")
    before = (folder / "config.yaml").read_bytes()
    result = train(f"resume={folder}", "epochs=1")
    assert result.status == 2
    assert "epochs: found 1, but 3 epochs of" in result.err
    assert (folder / "config.yaml").read_bytes() == before


def test_folder_of_any_name_is_trained_on_and_resumed(train, make_folder, tmp_path):
    root = make_folder().rename(tmp_path / "a${b} (1), ü='x'")
    quoted = str(root).replace("${", r"\${")
    result = train(*FAST, "data=folder", f'data.root="{quoted}"')
    assert result.status == 0, result.err
    assert yaml.safe_load((result.folder / "config.yaml").read_text())["data"]["root"] == str(root)
    assert train(f"resume={result.folder}", "epochs=2").status == 0
    assert len(read_history(result.folder / "history.csv")) == 2


def test_names_of_classes_are_text_in_pictures_and_tables(train, make_folder):
    names = [r"$\bad{x$", "<b>|é 骨", "_under", "a\\_b"]
    result = train(*FAST, "logger.pictures=true", "data=folder", f"data.root={make_folder(classes=names)}")
    assert result.status == 0, result.err
    with (result.folder / "predictions.csv").open(encoding="utf-8") as file:
        assert {row["label"] for row in csv.DictReader(file)} == set(names)
    assert all((result.folder / name).stat().st_size for name in ("confusion.png", "roc.png"))


def test_half_written_files_of_a_killed_process_are_removed_by_the_next(train, old, tmp_path):
    folder = old("finished")
    for inner in (folder, folder / "checkpoints"):
        (inner / ".x.json.12345.partial").write_text("half")
    assert train(f"resume={folder}", "epochs=4").status == 0
    assert not list(folder.rglob("*.partial"))
    remove_partial(tmp_path / "nowhere")


def test_edited_history_of_a_run_is_none_of_medcls(old):
    folder = old("finished")
    text = (folder / "history.csv").read_text()
    for wrong in (text.replace("\n1,", "\n2,"), text[:-20], text.replace("val_auroc", "auroc")):
        (folder / "history.csv").write_text(wrong)
        assert read_run(folder, "x", "x", 0, {}).state == "failed"


@pytest.mark.one_in(4)
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("loss.class_weights=[1]", "loss.class_weights: found 1 weights, expected one for each of 2 classes"),
        ("trainer.accelerator=cpu trainer.precision=16-mixed", "trainer.precision: found '16-mixed'"),
        ("optimizer=sgd optimizer.momentum=0", "optimizer.nesterov: found True"),
        ("data.manifest=bad.csv data.root={root}", "1 of 1 rows are wrong"),
        ("data.positive=neither", "data.positive: found 'neither'"),
        ("data.classes={{AFF:x}}", "data.simulated.counts: train: 2 counts for the 1 classes"),
        ("batch_size=1 model=torchvision ~model.n_base image_size=28", "batch_size: found 1, but resnet18"),
    ],
)
def test_sweep_is_refused_while_it_is_planned_where_every_job_would_be(sweep, tmp_path, overrides, message):
    (tmp_path / "bad.csv").write_text("path,label\nnowhere.png,a\n")
    words = overrides.format(root=tmp_path).split()
    fixed = [word for word in FAST if not any(word.partition("=")[0] == of.partition("=")[0] for of in words)]
    fixed = [word for word in fixed if "torchvision" not in overrides or not word.startswith("model.n_base")]
    words = [word for word in words if word != "~model.n_base"]
    result = sweep(*fixed, "data=bone", "seed=0,1", *words)
    assert result.status == 2, result.out
    assert message in result.err
    assert not result.folder.exists()
