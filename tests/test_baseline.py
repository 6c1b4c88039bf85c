"""medcls baseline: simple models fitted to a run's training images alone, beside its net on the same images."""

import csv
import json

import numpy as np
import pytest
from conftest import TINY
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medcls.baseline.features import FEATURES
from medcls.baseline.fitted import STRENGTHS, fit
from medcls.report.baselines import of_earlier_nets

FOLDER = [*TINY, "data=folder", "logger=none", "audit=none", "epochs=1"]


@pytest.mark.slow
def test_net_that_has_learnt_nothing_is_not_shown_to_beat_the_baselines(make_folder, train, command):
    root = make_folder(counts={"train": 12, "val": 8, "test": 12})
    run = train(*FOLDER, f"data.root={root}", "lr=1e-9").folder
    done = command("medcls", "baseline", f"run={run}")
    assert done.status == 0, done.err
    told = json.loads((run / "baseline.json").read_text())
    own = json.loads((run / "metrics.json").read_text())["test"]
    assert (told["n"], told["images"], told["chosen_on_them"]) == (24, "test images", False)
    assert told["net"] == {name: own[name] for name in ("auroc", "accuracy")}
    for one in told["baselines"].values():
        assert one["auroc"]["value"] == 1
        assert one["net_minus_baseline"]["value"] == pytest.approx(own["auroc"]["value"] - 1)
        assert "the net is shown to beat it" not in one["verdict"]
    assert command("medcls", "baseline", f"run={run}").out.splitlines()[-1] == str(run / "baseline.json")
    assert of_earlier_nets(run, told) == ""
    best = run / "checkpoints/best.ckpt"
    best.write_bytes(best.read_bytes() + b"of a run that was resumed")
    assert (
        f"baseline.json is of earlier nets. Make it again: medcls baseline run={run}"
        in command("medcls", "report", f"{run}").out + (run / "report.md").read_text()
    )


def test_images_that_moved_or_were_simulated_are_refused(make_folder, train, command):
    root = make_folder(counts={"train": 6, "val": 6})
    run = train(*FOLDER, f"data.root={root}").folder
    root.rename(root.with_name("moved"))
    drawn = train(
        *TINY, "data=skin", "data.simulated.counts.train=[6,6]", "data.simulated.counts.val=[4,4]", "epochs=1"
    )
    for folder, why in ((run, "there is no folder"), (drawn.folder, "they were simulated")):
        done = command("medcls", "baseline", f"run={folder}")
        assert (done.status, why in done.err) == (2, True), done.err
        assert not (folder / "baseline.json").exists()
    assert "lr: not for baseline" in command("medcls", "baseline", f"run={run}", "lr=1").err
    (run / "config.yaml").write_text("[]")
    done = command("medcls", "baseline", f"run={run}")
    assert (done.status, "config.yaml: found list, expected a mapping" in done.err) == (2, True), done.err


@pytest.mark.parametrize("name", FEATURES)
def test_baseline_finds_what_is_there_and_nothing_in_noise(name):
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 2
    patterns = rng.normal(110, 30, (120, 32, 32, 1))
    patterns[labels == 1] = 110 + (patterns[labels == 1] - 110) * 1.3  # more contrast
    patterns[labels == 1, :16] += 12  # brighter above
    marked, noise = (of.clip(0, 255).astype(np.uint8) for of in (patterns, rng.normal(110, 30, (120, 32, 32, 1))))
    for images, low, high in ((marked, 0.95, 1.0), (noise, 0.25, 0.75)):
        features = FEATURES[name](images)
        model = fit(features[:80], labels[:80], ("",) * 80)
        assert low <= roc_auc_score(labels[80:], model.predict_proba(features[80:])[:, 1]) <= high


def test_penalty_is_chosen_in_folds_that_divide_no_patient():
    """Features that name the patient are worth nothing for another one, so a strong penalty is chosen."""
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(20), 8)
    features = rng.normal(0, 1, (20, 30))[patient] + rng.normal(0, 0.01, (160, 30))
    model = fit(features, (patient % 2).astype(np.int64), tuple(map(str, patient)))
    assert strength_of(model) <= 1e-3
    assert strength_of(fit(features, (patient % 2).astype(np.int64), ("",) * 160)) == 1.0


def test_penalty_is_that_of_the_lowest_log_loss_where_a_fold_lacks_a_class():
    """Four patients have all images of class 1, and one of the four folds gets none of them."""
    rng, of_patient = np.random.default_rng(0), [(3, 0)] * 20 + [(1, 15), (9, 22), (11, 28), (2, 2)]
    labels, patient = (np.concatenate(of) for of in zip(*(drawn(i, *n) for i, n in enumerate(of_patient)), strict=True))
    features = rng.normal(size=(len(labels), 3)) + 2 * labels[:, None]
    folds = list(StratifiedGroupKFold(4, shuffle=True, random_state=0).split(features, labels, patient))
    assert any(len(set(labels[judged])) < 2 for _, judged in folds)
    found = fit(features, labels, tuple(map(str, patient)))
    losses = [np.mean([loss_of(C, features, labels, *fold) for fold in folds]) for C in STRENGTHS]
    assert strength_of(found) == STRENGTHS[np.argmin(losses)] == 1.0


def drawn(patient, *n):
    """Labels and patient of so many images of each class."""
    return np.repeat(np.arange(len(n)), n), np.full(sum(n), patient)


def loss_of(strength, features, labels, rest, judged):
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=200))
    return log_loss(
        labels[judged], model.fit(features[rest], labels[rest]).predict_proba(features[judged]), labels=[0, 1]
    )


def strength_of(model):
    return model.named_steps["logisticregression"].C


def test_few_patients_of_a_class_need_no_folds():
    model = fit(np.array([[0.0], [1.0], [1.1]]), np.array([0, 1, 1]), ("a", "b", "b"))
    assert model.predict([[2.0]]) == [1]
    # Two patients of class 0, whom scikit-learn puts into one fold: nothing to train on beside it.
    labels, patient = (
        np.concatenate(of) for of in zip(drawn(0, 20, 2), drawn(1, 60, 60), drawn(2, 0, 60), strict=True)
    )
    model = fit(labels[:, None] * 2.0, labels, tuple(map(str, patient)))
    assert strength_of(model) == STRENGTHS[2]


@pytest.mark.slow
def test_sweep_is_compared_over_its_seeds_and_its_report_shows_it(make_folder, sweep, command):
    root = make_folder(counts={"train": 12, "val": 8, "test": 12})
    folder = sweep(*FOLDER, f"data.root={root}", "lr=1e-9,1e-3", "seed=0,1").folder
    assert command("medcls", "baseline", f"run={folder}").status == 0
    told = json.loads((folder / "baseline.json").read_text())
    assert list(told["variants"]) == ["lr=1e-9", "lr=1e-3"]
    for name, variant in told["variants"].items():
        rows = [row for row in csv.DictReader((folder / "results.csv").open()) if row["variant"] == name]
        own = [float(row["test_auroc"]) for row in rows]
        assert (variant["seeds"], len(own)) == (2, 2)
        assert variant["net"]["auroc"]["value"] == pytest.approx(np.mean(own))
        for one in variant["baselines"].values():
            assert one["auroc"]["value"] == 1
            assert one["net_minus_baseline"]["value"] == pytest.approx(np.mean(own) - 1)
    assert sweep(f"report={folder}").status == 0
    page = (folder / "report.md").read_text()
    assert page.count("## Against baselines") == 1
    assert all(
        one["verdict"].removeprefix("the net is ") in page for one in told["variants"]["lr=1e-9"]["baselines"].values()
    )
    for damaged in ("[]", "{}", '{"variants": {"a": 3}}', (folder / "baseline.json").read_text()[:300]):
        (folder / "baseline.json").write_text(damaged)
        done = sweep(f"report={folder}")
        assert (done.status, "baseline.json: damaged" in done.err) == (2, True), done.err
