"""medcls predict at a threshold and a temperature: fixed on the runs' validation images, whatever is judged."""

import csv
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import SWEEP, TINY, write_noise
from scipy.special import softmax
from sklearn.metrics import roc_auc_score
from test_decisions import permute, rule

from medcls.decision.temperature import fit_temperature
from medcls.decision.threshold import Threshold, choose_threshold
from medcls.errors import UserError
from medcls.predict.deciding import Deciding, common_prevalence, validation_of
from medcls.predict.elsewhere import compared
from medcls.runs.folder import RunFolder
from medcls.runs.predictions import Predictions
from medcls.runs.run import Run, read_run

PREDICT = "medcls.predict"
FOLDER = [*TINY, "data=folder", "logger=none", "audit=none", "epochs=4", "lr=3e-3"]


@pytest.fixture
def external(tmp_path):
    """Ten images of each class, unlike enough those of training to be no copies."""
    return write_noise(tmp_path / "external", {"a": 110, "b": 140}, 10, seed=9)


@pytest.fixture
def trained(make_folder, train):
    """Runs whose validation images are in part of the wrong class, so that a temperature is to be found."""

    def make(*overrides, counts=None, **options):
        root = make_folder(counts=counts or {"train": 12, "val": 12}, **options)
        mislabel(root)
        done = train(*FOLDER, f"data.root={root}", *overrides)
        assert done.status == 0, done.err
        return done.folder

    return make


@pytest.fixture(scope="module")
def shared():
    """What the refusals share, since they change nothing: filled by the first of them."""
    return {}


def mislabel(root):
    """Exchange the classes of three validation images of each."""
    for name in ("0.jpg", "4.jpg", "5.png"):
        one, other = root / "val/a" / name, root / "val/b" / name
        one.rename(root / "moved")
        other.rename(one)
        (root / "moved").rename(other)


def rows_of(file):
    with file.open(newline="") as text:
        return list(csv.DictReader(text))


def validation(folder):
    return read_run(folder, "run", "run", 0, {}).predictions["val"]


@pytest.mark.slow
def test_threshold_and_temperature_of_a_run_are_used_whatever_the_labels_of_the_images(trained, command, external):
    run = trained("threshold.sensitivity=0.8")
    stored = json.loads((run / "decision.json").read_text())
    decided = []
    for output in ("one", "other"):
        done = command(
            PREDICT, f"run={run}", f"data.root={external}", f"output={output}", "calibrate=true", "audit=none"
        )
        assert done.status == 0, done.err
        decided.append({pixels_of(row, external): row for row in rows_of(done.folder / output / "predictions.csv")})
        metrics = json.loads((done.folder / output / "metrics.json").read_text())
        permute(external, np.random.default_rng(0))
    one, other = decided
    for digest, row in one.items():
        assert {key: row[key] for key in ("p_b", "predicted", "threshold")} == {
            key: other[digest][key] for key in ("p_b", "predicted", "threshold")
        }
        # As the net has it, at the stored temperature; the decision is that of the stored threshold.
        odds = np.log(float(row["p_b"]) / float(row["p_a"])) * stored["temperature"]["value"]
        assert row["predicted"] == ("b" if 1 / (1 + np.exp(-odds)) >= stored["threshold"]["value"] else "a")
        assert row["predicted"] == ("b" if float(row["p_b"]) >= float(row["threshold"]) else "a")
    called = [row["predicted"] == row["label"] for row in other.values() if row["label"] == "b"]
    assert metrics["external"]["sensitivity"]["value"] == pytest.approx(np.mean(called))
    assert metrics["deciding"]["rule"] == {"sensitivity": 0.8}
    assert (done.folder / "one/decision_curve.png").is_file()


def pixels_of(row, root):
    """The pixels behind a row, since permuting renames files."""
    return (root / row["sample"]).read_bytes()


@pytest.mark.slow
def test_rule_of_the_command_is_kept_on_validation_images_of_old_runs_and_of_several_nets(
    make_folder, train, command, external, caplog
):
    root = make_folder(counts={"train": 12, "val": 12})
    mislabel(root)
    runs = [train(*FOLDER, f"data.root={root}", f"seed={seed}").folder for seed in (0, 1)]
    (runs[0] / "decision.json").unlink()
    both = [validation(run) for run in runs]
    mean = Predictions(
        both[0].data, both[0].names, both[0].labels, np.mean([one.probabilities for one in both], axis=0), 1
    )
    for named, of in ((f"{runs[0]}", both[0]), (f"{runs[0]},{runs[1]}", mean)):
        words = [f"run={named}", f"data.root={external}", "labelled=false", f"output=o{len(named)}"]
        done = command(PREDICT, *words, "threshold.rule=youden")
        assert done.status == 0, done.err
        threshold = choose_threshold(of, rule(rule="youden"))
        rows = rows_of(done.folder / f"o{len(named)}/predictions.csv")
        assert {float(row["threshold"]) for row in rows} == {threshold.value}
        assert all((row["predicted"] == "b") == (float(row["p_b"]) >= threshold.value) for row in rows)
    other = command(PREDICT, *words, "threshold.rule=argmax")
    assert (other.status, "holds predictions of other threshold" in other.err) == (2, True), other.err
    other = command(PREDICT, *words, "threshold.rule=youden", "data.max_pixels=99999")
    assert (other.status, "holds predictions of other max pixels" in other.err) == (2, True), other.err
    with caplog.at_level("INFO"):
        done = command(PREDICT, *words[:-1], "output=calibrated", "calibrate=true")
    assert done.status == 0, done.err
    assert f"temperature {fit_temperature(mean).value:.4g}, fitted on 24 validation images" in caplog.text


def test_folds_are_fixed_on_what_each_net_had_as_validation():
    """Inner validation of folds overlaps; of each image only the nets count that it was a validation image of."""

    def run(names, p, labels):
        p = np.array(p)
        found = Predictions("d", tuple(names), np.array(labels), np.stack([1 - p, p], 1), 1)
        return Run("r", Path("r"), "v", 0, {}, None, "done", "", predictions={"val": found})

    runs = [run("xy", [0.2, 0.6], [0, 1]), run("yz", [0.8, 0.4], [1, 0])]
    pooled = validation_of(runs)
    assert common_prevalence(runs, "") == pytest.approx(1 / 3)
    assert pooled.names == ("x", "y", "z")
    np.testing.assert_allclose(pooled.probabilities[:, 1], [0.2, 0.7, 0.4])
    np.testing.assert_array_equal(pooled.labels, [0, 1, 0])
    with pytest.raises(UserError, match="different data"):
        validation_of([run("xy", [0.2, 0.6], [0, 1]), run("yz", [0.8, 0.4], [0, 0])])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("run={run} threshold.sensitivity=null", "threshold.sensitivity: found null, expected a value"),
        ("run={alone} threshold.sensitivity=0.9", "threshold.sensitivity=0.9: a net is of no finished run"),
        ("run={alone} calibrate=true", "calibrate=true: a net is of no finished run"),
        ("run={run} threshold.cost=2 threshold.value=0.2", "expected one of sensitivity, specificity, rule, cost"),
        ("run={other}", "threshold.cost=3: no threshold, as planted. Choose another rule"),
        ("run={run},{other} calibrate=true", "have different thresholds (threshold.rule=argmax and threshold.cost=3)"),
        ("run={run},{stopped} threshold.value=0.3", ""),
        ("run={stopped}", "threshold.cost=3: a net is of no finished run"),
        ("run={other}/checkpoints/last.ckpt", "last.ckpt is not the net of its run's best epoch"),
        ("run={other}/checkpoints/last.ckpt threshold.rule=argmax calibrate=true", "calibrate=true: {other}"),
        (
            "run={run},{others} calibrate=true",
            "The images changed between runs: others had other images, labels or splits than",
        ),
        ("run={wrong}", "config.yaml: a wrong value.\nthreshold.sensitivity: found 9, expected"),
        ("run={empty}", "config.yaml: found NoneType, expected a mapping"),
    ],
)
def test_what_cannot_be_decided_is_refused_before_anything_is_written(
    trained, command, external, tmp_path, shared, words, told
):
    if not shared:
        run, other, alone = trained(), trained("threshold.cost=3", "seed=3"), tmp_path / "alone.ckpt"
        set_best_epoch(other, 1)
        copies = {name: Path(shutil.copytree(other, tmp_path / name)) for name in ("stopped", "wrong", "empty")}
        RunFolder(copies["stopped"]).write_status("stopped", 2)
        copies["others"] = Path(shutil.copytree(run, tmp_path / "others"))
        data = json.loads((run / "data.json").read_text()) | {"fingerprint": "of others"}
        (copies["others"] / "data.json").write_text(json.dumps(data))
        stored = (other / "config.yaml").read_text()
        (copies["wrong"] / "config.yaml").write_text(stored.replace("sensitivity: null", "sensitivity: 9"))
        (copies["empty"] / "config.yaml").write_text("")
        stored = json.loads((other / "decision.json").read_text())
        stored["threshold"] |= {"value": None, "why": "as planted"}
        (other / "decision.json").write_text(json.dumps(stored))
        alone.write_bytes((run / "checkpoints/best.ckpt").read_bytes())
        shared.update(run=run, other=other, alone=alone, **copies)
    words = words.format(**shared).split()
    done = command(PREDICT, *words, f"data.root={external}", "output=out", "labelled=false")
    assert (done.status, told.format(**shared) in done.err) == (2 if told else 0, True), done.err
    assert (done.folder / "out").exists() == (not told)


def set_best_epoch(run, epoch):
    """As if that epoch had been the best; its checkpoint is not the last one's any more."""
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["best"]["epoch"] = epoch
    (run / "metrics.json").write_text(json.dumps(metrics))


@pytest.mark.slow
def test_net_of_another_epoch_than_the_best_has_nothing_of_what_its_run_keeps(trained, command, external):
    run = trained()
    last = f"run={run}/checkpoints/last.ckpt"
    for best, known in ((4, True), (1, False)):
        set_best_epoch(run, best)
        done = command(PREDICT, last, f"data.root={external}", "audit=none", f"output=of_{best}")
        assert done.status == 0, done.err
        metrics = json.loads((done.folder / f"of_{best}/metrics.json").read_text())
        assert (metrics["internal"] is not None, metrics["deciding"]["prevalence"] is not None) == (known, known)
    for refused in ("errors", "baseline"):
        done = command("medcls", refused, last)
        assert (done.status, "is not the net of its run's best epoch" in done.err) == (2, True), done.err
    assert not (run / "baseline.json").exists()


def test_several_classes_have_a_temperature_and_no_threshold(trained, command, external):
    run = trained("loss=one_vs_rest", classes=("a", "b", "c"), counts={"train": 8, "val": 8})
    words = [f"run={run}", f"data.root={external}", "labelled=false"]
    done = command(PREDICT, *words, "output=calibrated", "calibrate=true")
    assert done.status == 0, done.err
    stored = json.loads((run / "decision.json").read_text())
    assert stored["temperature"]["independent"]
    assert {row["threshold"] for row in rows_of(done.folder / "calibrated/predictions.csv")} == {"argmax"}
    refused = command(PREDICT, *words, "output=refused", "threshold.rule=youden")
    assert (refused.status, "expected two, of which one is positive" in refused.err) == (2, True)


def test_table_of_classes_is_of_the_same_calibrated_probabilities_as_the_metrics():
    """Of more than two classes a temperature changes the order of images, and so AUROC."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    p = softmax(6 * rng.normal(size=(300, 3)) + 6 * np.eye(3)[labels], axis=1)
    found = Predictions("d", tuple(map(str, range(300))), labels, p, 2)
    how = Deciding(2, Threshold(), fit_temperature(found), None, False, "validation images")
    nets = SimpleNamespace(
        nets=[SimpleNamespace(run=None, checkpoint="x")],
        unjudged="of no finished run",
        simulated=False,
        classes="abc",
        positive=None,
    )
    metrics = compared(found, nets, (), None, how, {})
    auroc = np.mean([row["auroc"]["value"] for row in metrics["per_class"]])
    assert metrics["external"]["auroc"]["value"] == pytest.approx(auroc, abs=1e-12)
    assert auroc != pytest.approx(roc_auc_score(labels, p, multi_class="ovr"), abs=1e-4)
    calibrated = softmax(np.log(p) / how.temperature.value, axis=1)
    assert auroc == pytest.approx(roc_auc_score(labels, calibrated, multi_class="ovr"), abs=1e-9)


@pytest.mark.slow
def test_report_of_a_run_shows_what_its_probabilities_and_its_threshold_are_worth(trained, command):
    run = trained("threshold.sensitivity=0.8", counts={"train": 8, "val": 12, "test": 12})
    done = command(SWEEP, f"report={run}")
    assert done.status == 0, done.err
    text = (run / "report.md").read_text()
    threshold = json.loads((run / "decision.json").read_text())["threshold"]["value"]
    assert f"Threshold {threshold:.4g}, by threshold.sensitivity=0.8 on validation images." in text
    for title in ("Brier score", "calibration slope", "PPV", "sensitivity at specificity 0.9", "average precision"):
        assert f"| {title} |" in text
    names = ("reliability", "reliability_test", "decision_curve_test", "precision_recall")
    assert all((run / f"pictures/{name}.svg").is_file() for name in names)
