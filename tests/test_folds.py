"""Cross-validation: folds that respect patients and classes, the same for every seed, and their pooled results."""

import csv
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from conftest import TINY, split_config
from scipy import stats
from sklearn.model_selection import StratifiedKFold

from medcls.data.table import Sample, SampleTable, check_counts
from medcls.errors import UserError
from medcls.evaluation.compare import compare
from medcls.evaluation.intervals import intervals
from medcls.evaluation.metrics import METRICS, scores
from medcls.evaluation.pooled import pool
from medcls.evaluation.resampled import Resamples, draw_group_counts
from medcls.runs.predictions import Predictions
from medcls.sources.image_folder import scan_folder
from medcls.sources.split import divide as divide_table

FAST = [*TINY, "epochs=1", "logger=none"]


def divide(samples, division):
    divided = divide_table(SampleTable(None, ("a", "b"), tuple(samples)), division)
    return divided.samples, divided.split_drawn


def patients(count=60, seed=0):
    """Images of patients with one to four images each, of two classes, some patients with both."""
    rng = np.random.default_rng(seed)
    samples = []
    for patient in range(count):
        usual = int(patient % 3 == 0)
        for i in range(rng.integers(1, 5)):
            label = usual if rng.random() < 0.9 else 1 - usual
            samples.append(Sample(f"{patient}_{i}.png", label, "train", f"P{patient}"))
    return samples


def members(samples, split):
    return {sample.name for sample in samples if sample.split == split}


@pytest.mark.parametrize("inner_val", [True, False])
def test_every_image_is_judged_in_one_fold_and_no_patient_is_in_two_splits(inner_val):
    samples = patients()
    judged = Counter()
    for fold in range(5):
        divided, drawn = divide(samples, split_config(0.2, 0, 5, fold, inner_val))
        assert drawn
        names = ("train", "val", "test") if inner_val else ("train", "val")
        patients_of = [{s.group for s in divided if s.split == split} for split in names]
        assert sum(map(len, patients_of)) == len(set.union(*patients_of)) == 60
        shares = [np.mean([s.label for s in divided if s.split == split]) for split in names]
        assert shares == pytest.approx([shares[0]] * len(names), abs=0.12)  # stratified, as far as whole patients allow
        judged.update(members(divided, names[-1]))
    assert judged == Counter(sample.name for sample in samples)


def test_folds_without_patients_are_stratified_exactly():
    samples = [Sample(f"{i}", int(i % 4 == 0), "train") for i in range(200)]
    labels = [s.label for s in samples]
    by_scikit_learn = StratifiedKFold(5, shuffle=True, random_state=3).split(labels, labels)
    for fold, (_, expected) in enumerate(by_scikit_learn):
        divided, _ = divide(samples, split_config(0.25, 3, 5, fold))
        assert members(divided, "test") == {samples[i].name for i in expected}
        assert Counter((s.split, s.label) for s in divided) == {
            ("train", 0): 90,
            ("train", 1): 30,
            ("val", 0): 30,
            ("val", 1): 10,
            ("test", 0): 30,
            ("test", 1): 10,
        }
        without, _ = divide(samples, split_config(0.25, 3, 5, fold, inner_val=False))
        assert members(without, "val") == members(divided, "test")


def test_folds_leave_the_test_images_alone_and_divide_all_others():
    samples = [Sample(f"{i}", i % 2, split) for split, n in (("train", 20), ("val", 6), ("test", 8)) for i in range(n)]
    divided, _ = divide(samples, split_config(0.3, 0, 2, 1))
    assert [s.split for s in divided[26:]] == ["aside"] * 8
    assert Counter(s.split for s in divided[:26]) == {"train": 9, "val": 4, "test": 13}
    divided, _ = divide(samples, split_config(0.3, 0, 2, 1, inner_val=False))
    assert [s.split for s in divided[26:]] == ["test"] * 8
    assert Counter(s.split for s in divided[:26]) == {"train": 13, "val": 13}


def test_split_drawn_without_patients_is_stratified_exactly_and_follows_from_the_seed():
    samples = [Sample(f"{i}", int(i % 4 == 0), "train") for i in range(200)]
    divided, drawn = divide(samples, split_config(0.2, 3))
    assert drawn
    assert Counter((s.split, s.label) for s in divided) == {
        ("train", 0): 120,
        ("train", 1): 40,
        ("val", 0): 30,
        ("val", 1): 10,
    }
    assert divide(samples, split_config(0.2, 3))[0] == divided != divide(samples, split_config(0.2, 4))[0]


@pytest.mark.parametrize("fold", [None, 0])
def test_division_of_patients_follows_from_the_seed(fold):
    folds = None if fold is None else 4
    first, again, other = (divide(patients(), split_config(0.25, seed, folds, fold or 0))[0] for seed in (3, 3, 4))
    assert first == again != other


def test_found_validation_images_hold_and_a_test_split_alone_serves_as_validation():
    samples = [Sample(f"{i}", i % 2, split) for split, n in (("train", 6), ("test", 4)) for i in range(n)]
    divided, drawn = divide(samples, split_config(0.5, 0))
    assert ([s.split for s in divided], drawn) == (["train"] * 6 + ["val"] * 4, False)
    assert [(s.name, s.label) for s in divided] == [(s.name, s.label) for s in samples]
    all_three = [*samples, Sample("v", 0, "val")]
    assert divide(all_three, split_config(0.5, 0)) == (tuple(all_three), False)


@pytest.mark.parametrize("known", [100, 2])
@pytest.mark.parametrize("fraction", [0.2, 0.25, 0.3, 0.01, 0.97])
def test_drawn_split_keeps_patients_together_and_meets_the_fraction(fraction, known):
    samples = patients(100)
    groups = {f"P{i}" for i in range(known)}
    samples = [replace(s, group=s.group if s.group in groups else "") for s in samples]
    divided, _ = divide(samples, split_config(fraction, 0))
    sides = [{s.group for s in divided if s.split == split} - {""} for split in ("train", "val")]
    assert (sides[0] & sides[1], sides[0] | sides[1]) == (set(), groups)
    assert len(members(divided, "val")) / len(divided) == pytest.approx(fraction, abs=0.01)


@pytest.mark.parametrize(
    ("patient", "advice"),
    [
        (lambda i: f"P{i % 4}", "Its 2 patients are each kept together: add some, or choose another data.split."),
        (lambda i: "P" if i % 2 else f"P{i}", "All its images are of one patient, kept together: add patients or"),
    ],
)
def test_class_whose_patients_are_too_few_to_divide_is_explained_as_that(patient, advice):
    samples = [Sample(f"{i}", i % 2, "train", patient(i)) for i in range(40)]
    divided, _ = divide(samples, split_config(0.2, 0))
    with pytest.raises(UserError, match=f"data.split: class b has no images in val .*\n.* {advice}"):
        check_counts(SampleTable(None, ("a", "b"), divided, split_drawn=True))


def test_images_of_unknown_patients_are_counted_as_patients_in_messages():
    samples = [Sample(f"{i}", int(i > 0), "train", "P" if i < 2 else "") for i in range(20)]
    with pytest.raises(UserError, match=r"class number 1 in 1 of 5 folds.*\(20 images of 19 patients\)"):
        divide(samples, split_config(0.2, 0, 5, 0))


def test_too_few_patients_for_the_folds_are_explained():
    samples = [Sample(f"{i}", i % 2, "train", f"P{i % 4}") for i in range(40)]
    with pytest.raises(UserError, match=r"40 images of 4 patients .*\n  Choose fewer folds"):
        divide(samples, split_config(0.2, 0, 5, 0))


def test_a_class_with_fewer_images_than_folds_is_named():
    samples = [Sample(f"{i}", int(i >= 20), "train") for i in range(23)]
    with pytest.raises(UserError, match=r"class number 2 in 3 of 5 folds.*\(23 images\)"):
        divide(samples, split_config(0.2, 0, 5, 0))
    with pytest.raises(UserError, match=r"data.split: 21 images cannot be split"):
        divide(samples[:21], split_config(0.2, 0))


def test_patient_is_found_in_the_file_name(make_folder):
    root = make_folder(counts={"": 12})
    table = scan_folder(root, None, split=split_config(0.25), group_pattern=r"/(\d)\d*\.")
    assert {s.name: s.group for s in table.samples}["a/11.png"] == "1"
    assert not {s.group for s in table.samples if s.split == "val"} & {
        s.group for s in table.samples if s.split == "train"
    }
    with pytest.raises(UserError, match=r"(?s)no patient in any of 24 names:\n  a/0\.jpg.*and 14 more"):
        scan_folder(root, None, split=split_config(0.25), group_pattern=r"(2\d)\.")


def test_images_whose_name_says_no_patient_count_alone_and_are_counted(make_folder, caplog):
    root = make_folder(counts={"": 12})
    table = scan_folder(root, None, split=split_config(0.25), group_pattern=r"(1\d)\.")
    assert {s.name: s.group for s in table.samples if s.group} == {
        f"{c}/{name}": name[:2] for c in "ab" for name in ("10.jpg", "11.png")
    }
    assert "matches no patient in 20 of 24 names; each of these images counts as a patient of its own" in caplog.text


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.split.folds=1", "data.split.folds: found 1, expected greater than or equal to 2"),
        ("data.split.fold=1", "data.split.fold: found 1, expected 0 without data.split.folds"),
        ("data.split.folds=3 data.split.fold=3", "data.split.fold: found 3, expected 0 to 2 (data.split.folds=3)"),
        ("data.group_pattern='['", "data.group_pattern: found '[', expected a regular expression (unterminated"),
        ("data.group_pattern='[0-9]+'", "data.group_pattern: found '[0-9]+', expected a regular expression with one"),
    ],
)
def test_wrong_division_is_explained(train, tmp_path, override, message):
    result = train(*FAST, "data=folder", f"data.root={tmp_path}", *override.split())
    assert result.status == 2
    assert message in result.err
    assert "Traceback" not in result.err


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_run_of_a_fold_predicts_its_images_with_their_patients(train, make_folder):
    root = make_folder(counts={"train": 8, "test": 4})
    pattern = r"data.group_pattern='((?:train|test)/./[0-9])'"
    run = train(*FAST, "data=folder", f"data.root={root}", pattern, "data.split.folds=3", "data.split.fold=1")
    assert run.status == 0, run.err
    split, predicted = rows_of(run.folder / "split.csv"), rows_of(run.folder / "predictions.csv")
    assert all(row["group"] == re.match(r"(train|test)/./\d", row["sample"])[0] for row in split + predicted)
    for part in ("val", "test"):
        assert {row["sample"] for row in split if row["split"] == part} == {
            row["sample"] for row in predicted if row["split"] == part
        }
    assert Counter(row["split"] for row in split) == {"train": 8, "val": 3, "test": 5, "aside": 8}
    assert "8 test images are set aside" in run.out


def fold(names, groups=(), data="skin"):
    labels = np.arange(len(names)) % 2
    p = np.linspace(0.1, 0.9, len(names))
    return Predictions(data, tuple(names), labels, np.stack([1 - p, p], 1), 1, tuple(groups))


def test_pooled_folds_hold_every_image_once_with_its_own_prediction_whatever_the_folds():
    folds = [fold(["c", "a"], ["P1", ""]), fold(["d", "b"], ["", "P2"])]
    pooled = pool(folds)
    assert (pooled.data, pooled.positive) == ("skin", 1)
    assert (pooled.names, pooled.patients, pooled.n_patients) == (("a", "b", "c", "d"), ("", "P2", "P1", ""), 2)
    assert list(pooled.labels) == [1, 1, 0, 0]
    assert list(pooled.probabilities[:, 1]) == [0.9, 0.9, 0.1, 0.1]
    assert pool(folds[::-1]).names == pooled.names


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (fold(["a", "c"], ["P3", "P4"]), "the image a is in two folds"),
        (fold(["c", "d"], ["P3", "P2"]), "the patient P2 is in two folds"),
        (fold(["c", "d"]), "different data"),
        (fold(["c", "d"], ["P3", "P4"], data="bone"), "different data"),
    ],
)
def test_what_is_no_cross_validation_is_not_pooled(second, message):
    with pytest.raises(ValueError, match=message):
        pool([fold(["a", "b"], ["P1", "P2"]), second])


def test_resampled_patients_bring_all_their_images_and_every_class():
    samples = patients(30)
    labels, groups = np.array([s.label for s in samples]), [s.group for s in samples]
    (counts,) = draw_group_counts(labels, 50, np.random.default_rng(0), groups)
    classes = {group: {s.label for s in samples if s.group == group} for group in groups}
    for kind in ({0}, {1}, {0, 1}):  # patients of a kind are drawn from each other
        first = [groups.index(group) for group in classes if classes[group] == kind]
        assert len(first) > 0
        assert (counts[:, first].sum(axis=1) == len(first)).all()
    for group in set(groups):
        assert np.ptp(counts[:, [g == group for g in groups]], axis=1).max() == 0
    p = np.random.default_rng(1).random(len(labels))
    probabilities = np.stack([1 - p, p], 1)
    fast = {metric.name: metric.resampled(Resamples(labels, probabilities, 1, counts)) for metric in METRICS.values()}
    for r, count in enumerate(counts.astype(int)):
        drawn = np.repeat(np.arange(len(labels)), count)
        assert {name: v[r] for name, v in fast.items()} == pytest.approx(
            scores(labels[drawn], probabilities[drawn], 1), abs=1e-12
        )


def test_interval_over_patients_covers_the_truth_where_that_over_images_does_not():
    """Every patient has six images that share most of their score: there are 40 independent ones, not 240."""
    truth = stats.norm.cdf(1 / np.sqrt(2))
    covered = Counter()
    labels = np.repeat(np.arange(40) % 2, 6)
    groups = [f"P{i}" for i in np.repeat(np.arange(40), 6)]
    for seed in range(60):
        rng = np.random.default_rng(seed)
        p = labels + np.repeat(rng.normal(0, np.sqrt(0.9), 40), 6) + rng.normal(0, np.sqrt(0.1), 240)
        for name, known in (("patients", tuple(groups)), ("images", ())):
            found = Predictions("skin", tuple(map(str, range(240))), labels, np.stack([1 - p, p], 1), 1, known)
            got = intervals(found)["auroc"]
            covered[name] += got.low <= truth <= got.high
    assert covered["patients"] >= 53  # of 60, 57 plus or minus 1.7 (one standard deviation)
    assert covered["images"] <= 42


def validated(offset, seed, n=100, k=5):
    """Predictions of five folds by a variant whose folds' scores are shifted by ``offset`` standard deviations."""
    rng, image = np.random.default_rng(seed), np.random.default_rng(1000 + seed // 2)
    labels = np.arange(n) % 2
    score = 1.2 * labels + image.normal(size=n) * 0.8 + rng.normal(size=n) * 0.6
    shifts = rng.normal(size=k) * offset
    folds = []
    for i in range(k):
        rows = np.flatnonzero(np.arange(n) // 2 % k == i)
        p = 1 / (1 + np.exp(-(score[rows] + shifts[i])))
        folds.append(Predictions("skin", tuple(f"{r:03}" for r in rows), labels[rows], np.stack([1 - p, p], 1), 1))
    return folds


def test_metrics_of_a_cross_validation_are_means_over_folds():
    folds = validated(2.0, 0)
    got = intervals(pool(folds))
    for name in METRICS:
        each = [scores(fold.labels, fold.probabilities, 1)[name] for fold in folds]
        assert got[name].value == pytest.approx(np.mean(each))
        assert got[name].low < got[name].value < got[name].high
    # LeDell et al. (2015), equation 3: the variance of a fold's AUROC is DeLong's, and folds are independent.
    influence = METRICS["auroc"].measure(pool(folds)).influence
    of_folds = [METRICS["auroc"].measure(fold).influence for fold in folds]
    assert influence @ influence == pytest.approx(sum(one @ one for one in of_folds) / 25)
    selected = pool(folds).select(pool(folds).names[::-1])
    assert intervals(selected)["auroc"].low == pytest.approx(got["auroc"].low)


@pytest.mark.slow
def test_equally_good_variants_whose_folds_are_scaled_differently_are_seldom_declared_different():
    differ = Counter()
    for seed in range(0, 120, 2):
        a, b = pool(validated(0.0, seed)), pool(validated(2.0, seed + 1))
        within = compare({0: a}, {0: b})[0]
        assert within.method.endswith(", within folds")
        differ["within"] += within.low > 0 or within.high < 0
        as_one = [Predictions(one.data, one.names, one.labels, one.probabilities, 1) for one in (a, b)]
        pooled = compare({0: as_one[0]}, {0: as_one[1]})[0]
        differ["pooled"] += pooled.low > 0 or pooled.high < 0
    assert differ["within"] <= 8  # of 60, 3 expected; more than 8 by chance in one of 200 such tests
    assert differ["pooled"] >= 16  # the error that is avoided


def test_folds_with_too_few_images_of_a_class_have_no_interval_and_no_test():
    folds = [fold([f"{i}{j}" for j in range(3 if i else 20)]) for i in range(5)]
    got = intervals(pool(folds))["auroc"]
    assert (got.why, np.isnan(got.low)) == ("fewer than two images of a class in a fold", True)
    (compared, _) = compare({0: pool(folds)}, {0: pool(folds)})
    assert (compared.why, compared.verdict()) == (got.why, "not judgeable")
