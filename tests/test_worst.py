"""medcls errors: a planted wrong label leads the list, and nothing is judged by a net that was trained on it."""

import csv

import numpy as np
import pytest
from conftest import TINY
from PIL import Image

from medcls.worst.ranked import doubtful_labels, worst_errors

RUN = [*TINY, "data=folder", "audit=none", "logger=none", "lr=1e-2", "epochs=8"]


@pytest.fixture
def mislabelled(tmp_path):
    """Dark images are a, bright ones b, but for one bright image that is called a."""

    def make(splits):
        rng = np.random.default_rng(3)
        for split, count in splits.items():
            for i in range(2 * count):
                wrong = split == list(splits)[-1] and i == 1
                file = tmp_path / "images" / split / ("a" if wrong else "ab"[i % 2]) / f"{i}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                pixels = rng.normal((60, 200)[i % 2], 20, (40, 40)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(file)
        return tmp_path / "images", f"{list(splits)[-1]}/a/1.png"

    return make


def rows_of(folder, name):
    with (folder / "errors.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["list"] == name]


def test_planted_wrong_label_is_the_worst_error_and_the_most_doubtful_label(train, command, mislabelled):
    images, name = mislabelled({"train": 12, "val": 10})
    result = train(*RUN, f"data.root={images}")
    assert result.status == 0, result.err
    done = command("medcls", "errors", f"run={result.folder}", "output=errors")
    assert done.status == 0, done.err
    for kind in ("error", "doubtful label"):
        first = rows_of(done.folder / "errors", kind)[0]
        assert (first["sample"], first["label"], first["rather"]) == (name, "a", "b")
    page = (done.folder / "errors/errors.html").read_text()
    assert name in page
    assert "cannot be judged by nets that were trained on them" in page
    assert not [row for row in rows_of(done.folder / "errors", "doubtful label") if "train/" in row["sample"]]


@pytest.mark.slow
def test_folds_find_a_wrong_label_among_all_images(sweep, command, mislabelled):
    images, name = mislabelled({"train": 15})
    result = sweep(*RUN, f"data.root={images}", "data.split.folds=3", "seed=0,1")
    assert result.status == 0, result.err
    moved = images.rename(images.with_name("moved"))
    done = command("medcls", "errors", f"run={result.folder}", "output=errors", f"data.root={moved}")
    assert done.status == 0, done.err
    first = rows_of(done.folder / "errors", "doubtful label")[0]
    assert first["sample"] == name
    by_net = [value for key, value in first.items() if key.startswith("p_label,")]
    assert (len(by_net), sum(value != "" for value in by_net)) == (6, 2)  # of each seed the one net that held it out
    assert "of 30 (held out by a fold)" in (done.folder / "errors/errors.html").read_text()
    refused = command("medcls", "errors", f"run={result.folder}", "output=again")
    assert (refused.status, "there is no folder" in refused.err) == (2, True), refused.err


def test_doubtful_labels_are_those_of_confident_learning_done_by_hand():
    rng = np.random.default_rng(0)
    labels, probabilities = rng.integers(0, 3, 200), rng.dirichlet([1, 1, 1], 200)
    of_class = [[p[k] for p, label in zip(probabilities, labels, strict=True) if label == k] for k in range(3)]
    usual = [min(np.mean(of), 0.9) for of in of_class]
    expected = {}
    for i, (p, label) in enumerate(zip(probabilities, labels, strict=True)):
        likely = [k for k in range(3) if p[k] >= usual[k]]
        best = max(likely, key=lambda k: p[k]) if likely else label
        if best != label:
            expected[i] = p[label] - p[best]
    found, _ = doubtful_labels(labels, probabilities)
    assert list(found) == sorted(expected, key=expected.__getitem__)
    assert 0 < len(found) < 200
    saturated = np.array([[0.999, 0.001], [0.001, 0.999], [0.005, 0.995]])  # above 0.9, if not as sure as usual
    assert list(doubtful_labels(np.array([0, 1, 0]), saturated)[0]) == [2]


def test_errors_are_ordered_by_loss():
    labels, probabilities = np.array([0, 1, 0, 1]), np.array([[0.4, 0.6], [0.9, 0.1], [0.7, 0.3], [0.2, 0.8]])
    assert list(worst_errors(labels, probabilities, np.array([1, 0, 1, 1]))) == [1, 0, 2]


def test_key_that_would_have_no_effect_is_refused(command):
    result = command("medcls", "errors", "run=nowhere", "batch_size=4")
    assert (result.status, "not for errors" in result.err) == (2, True), result.err


def test_run_folder_without_its_configuration_is_not_taken_for_a_sweep(command, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/status.json").write_text('{"state": "done", "epoch": 1, "reason": null}')
    for words in (["errors", f"run={tmp_path / 'run'}"], ["report", f"{tmp_path / 'run'}"]):
        done = command("medcls", *words)
        assert (done.status, f"{tmp_path / 'run/config.yaml'}: missing. Restore it" in done.err) == (2, True), done.err
