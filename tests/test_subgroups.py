"""Who is it wrong for: subgroups by the columns of a manifest, with tests that hold."""

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY
from scipy.optimize import brentq
from scipy.stats import binom, norm
from sklearn.metrics import roc_auc_score

from medcls.evaluation.areas import measure_auroc
from medcls.runs.predictions import Predictions
from medcls.subgroups.against_rest import against_rest, selected
from medcls.subgroups.columns import subgroup_columns
from medcls.subgroups.compared import compared_to_rest, find_subgroups

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import subgroup_levels

FOLDER = [*TINY, "data=folder", "logger=none", "audit=none", "epochs=1"]


def drawn(rng, aurocs):
    """Images of two classes whose scores have these AUROCs, one for each image."""
    labels = rng.integers(0, 2, len(aurocs))
    p = norm.cdf(rng.normal(np.sqrt(2) * norm.ppf(aurocs) * (labels - 0.5), 1))
    return Predictions("data", tuple(map(str, range(len(p)))), labels, np.stack([1 - p, p], axis=1), 1)


def masks_of(*columns):
    """Subgroups of at least ten images of each column."""
    return [one for values in columns for k in np.unique(values) if (one := values == k).sum() >= 10]


@pytest.mark.slow
@pytest.mark.parametrize(("n", "auroc"), [(300, 0.9), (80, 0.97)])
def test_random_subgroups_are_seldom_flagged(n, auroc):
    flagged = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        predictions = drawn(rng, np.full(n, auroc))
        masks = masks_of(*(rng.integers(0, count, n) for count in (2, 4, 5)))
        flagged += any(test.shown for test in compared_to_rest(predictions, masks))
    assert flagged <= 16


@pytest.mark.slow
def test_planted_subgroup_of_thirty_patients_is_mostly_flagged():
    flagged = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        site = np.repeat([0, 1, 2, 3], [30, 90, 90, 90])
        predictions = drawn(rng, np.where(site == 0, 0.75, 0.95))
        flagged += compared_to_rest(predictions, masks_of(site, rng.integers(0, 2, 300)))[0].shown
    assert flagged > 25


def test_the_difference_is_scikit_learns_and_p_is_where_limits_of_two_independent_samples_reach_0():
    predictions = drawn(np.random.default_rng(3), np.full(120, 0.8))
    inside = np.arange(120) % 3 == 0
    score, labels = predictions.probabilities[:, 1], predictions.labels
    test = compared_to_rest(predictions, [inside])[0]
    of_both = [roc_auc_score(labels[side], score[side]) for side in (inside, ~inside)]
    assert test.difference.value == pytest.approx(of_both[0] - of_both[1])
    lower, upper = sorted(
        (measure_auroc(selected(predictions, one)) for one in (inside, ~inside)), key=lambda m: m.value
    )

    def beyond(level):  # Zou & Donner (2008)
        reach = np.hypot(upper.value - upper.limits(level)[0], lower.limits(level)[1] - lower.value)
        return upper.value - lower.value - reach

    assert test.p == pytest.approx(1 - brentq(beyond, 0.01, 0.99999), abs=1e-4)
    assert test.difference.low < 0 < test.difference.high


LEVEL_KINDS = {
    "equal, small": 100,
    "hidden": 150,
    "hidden, few misplaced": 150,
    "wide": 200,
    "patients of 4 images, hidden": 100,
    "three classes, hidden": 100,
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "n"), LEVEL_KINDS.items())
def test_subgroups_of_equal_auroc_are_seldom_declared_different_whatever_the_shape_of_scores(name, n):
    kind = next(kind for kind in subgroup_levels.KINDS if kind.name == name)
    rng = np.random.default_rng(7)
    assert sum(against_rest(*kind.draw(rng)).p < 0.05 for _ in range(n)) <= binom.ppf(0.999, n, 0.05)


def test_each_others_rest_is_one_test_and_few_patients_are_not_shown():
    predictions = drawn(np.random.default_rng(0), np.full(100, 0.8))
    columns = {"sex": ("f",) * 40 + ("m",) * 60, "site": ("a",) * 55 + ("b",) * 36 + ("c",) * 9}
    found = find_subgroups(predictions, columns)
    assert [(one.column, one.value, one.n) for one in found.found] == [
        *(("sex", "f", 40), ("sex", "m", 60), ("site", "a", 55), ("site", "b", 36))
    ]
    assert (found.small, found.tests) == ({"sex": 0, "site": 1}, 3)
    women, men = (one.test for one in found.found[:2])
    assert (women.p, women.difference.value) == (men.p, -men.difference.value)
    assert women.adjusted >= women.p
    # Nine patients with many images are nine.
    few = replace(predictions, groups=tuple(f"{i % 9}" for i in range(40)) + tuple(map(str, range(40, 100))))
    assert [one.value for one in find_subgroups(few, {"sex": columns["sex"]}).found] == ["m"]


def test_tests_are_counted_whatever_their_p_values():
    """Two sites with the same images, a third, and a scanner: two of the four tests have one p-value."""
    one, other = (drawn(np.random.default_rng(seed), np.full(100, 0.8)) for seed in (0, 1))
    predictions = Predictions(
        "data",
        tuple(map(str, range(300))),
        np.r_[one.labels, one.labels, other.labels],
        np.concatenate([one.probabilities, one.probabilities, other.probabilities]),
        1,
    )
    columns = {"site": ("a",) * 100 + ("b",) * 100 + ("c",) * 100, "scanner": ("x", "y", "y") * 100}
    found = find_subgroups(predictions, columns)
    assert len({round(one.test.p, 12) for one in found.found}) == 3
    assert found.tests == 4


def test_patients_are_drawn_whole():
    """Twice the same images of each patient are no more than one: p stays, where images alone would make it small."""
    once = drawn(np.random.default_rng(1), np.r_[np.full(40, 0.7), np.full(80, 0.9)])
    inside = np.arange(120) < 40
    twice = Predictions(
        "data",
        tuple(map(str, range(240))),
        np.tile(once.labels, 2),
        np.tile(once.probabilities, (2, 1)),
        1,
        tuple(map(str, range(120))) * 2,
    )
    p = compared_to_rest(once, [inside])[0].p
    assert compared_to_rest(twice, [np.tile(inside, 2)])[0].p == pytest.approx(p, rel=0.3)
    split = np.arange(240) < 130  # ten patients on both sides
    assert compared_to_rest(twice, [split])[0].difference.why == "patients with images on both sides"


def test_columns_of_many_values_become_bands_or_are_left_out():
    names = [str(i) for i in range(40)]
    further = {
        name: {"age": str(20 + int(name) // 2), "id": name, "note": f"n{int(name) // 2}", "hospital": "x", "sex": ""}
        for name in names
    }
    further["0"]["sex"] = "f"
    columns, left_out = subgroup_columns(further, names)
    assert set(left_out) == {"id", "note", "hospital"}
    assert sorted(set(columns["age"])) == ["20 to 24", "25 to 29", "30 to 34", "35 to 39"]
    assert set(columns["sex"]) == {"f", "unknown"}


@pytest.fixture
def listed(make_folder, tmp_path):
    """Images of a folder and of another one, in lists with sex and site, the second with a site that is one class."""
    for name, counts in (("own", {"train": 12, "val": 12}), ("other", {"": 24})):
        root = make_folder(counts=counts, size=41 if name == "other" else 40)
        rows = []
        for i, path in enumerate(sorted(root.rglob("*.*"))):
            file = path.relative_to(root).as_posix()
            split = file.split("/")[0] if name == "own" else "test"
            rows.append([file, path.parent.name, split, str(i), "fm"[i % 2], f"site {path.parent.name}"])
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["path", "label", "split", "group", "sex", "site"], *rows])
        root.rename(tmp_path / name)
    return tmp_path


@pytest.mark.slow
def test_predict_and_the_report_of_a_run_have_a_table_of_subgroups(listed, train, command):
    of_own = [f"data.root={listed / 'own'}", f"data.manifest={listed / 'own.csv'}"]
    run = train(*FOLDER, *of_own)
    assert run.status == 0, run.err
    words = [f"data.root={listed / 'other'}", f"data.manifest={listed / 'other.csv'}", "output=out"]
    done = command("medcls", "predict", f"run={run.folder}", *words, "audit=none")
    assert done.status == 0, done.err
    told = json.loads((done.folder / "out/metrics.json").read_text())["subgroups"]
    assert [(one["column"], one["value"], one["n"], one["n_patients"]) for one in told["found"]] == [
        *(("sex", "f", 24, 24), ("sex", "m", 24, 24), ("site", "site a", 24, 24), ("site", "site b", 24, 24))
    ]
    assert told["found"][0]["p_adjusted"] <= 1
    assert told["found"][2]["auroc_difference"]["why"] == "no images of a class in the rest"
    assert "sex: f" in done.out
    report = command("medcls", "report", str(run.folder))
    assert report.status == 0, report.err
    page = (run.folder / "report.md").read_text()
    assert "Subgroups" in page
    assert "sex: m" in page
