"""medcls explain: maps that lie where a planted mark is, and a stamp on those that say nothing of their net."""

import json
import re

import numpy as np
import pytest
import torch
from conftest import SCRIPT, TINY
from PIL import Image
from torch import nn

from medcls.explain.checks import check_labels, check_worth, shuffled_layer_by_layer, similarity
from medcls.explain.maps import draw_maps
from medcls.runs.predictions import Predictions

SIDE = 64
FAST = [*(word for word in TINY if "image_size" not in word and "epochs" not in word), f"image_size={SIDE}"]
RUN = [*FAST, "data=folder", "audit=none", "logger=none", "model.n_base=4", "lr=1e-3", "epochs=12"]


@pytest.fixture
def marked(tmp_path):
    """Noise in which the brightness of a square in the lower right corner is all that tells the classes apart."""

    def make(name, *, shuffled=False):
        rng = np.random.default_rng(5)
        for split, count in (("train", 40), ("val", 30)):
            for i in range(2 * count):
                pixels = rng.normal(60, 25, (SIDE, SIDE))
                pixels[46:58, 46:58] = 250 if i % 2 else 130
                label = rng.integers(2) if shuffled else i % 2
                file = tmp_path / name / split / "ab"[label] / f"{i}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file)
        return tmp_path / name

    return make


@pytest.fixture
def learnt(marked, train, monkeypatch):
    """A run that learnt the mark: LeNet, or a net that pools before its logits."""

    def make(kind):
        monkeypatch.syspath_prepend(str(SCRIPT.parent / "examples"))
        own = ["model=own", "model._target_=mynet.SmallResNet", "lr=1e-2"]
        words = RUN if kind == "lenet" else [*(word for word in RUN if not word.startswith("model")), *own]
        result = train(*words, f"data.root={marked('mark')}")
        assert result.status == 0, result.err
        return result.folder

    return make


@pytest.mark.parametrize("method", ["hires_cam", pytest.param("integrated_gradients", marks=pytest.mark.slow)])
def test_maps_lie_where_the_planted_mark_is_and_carry_no_stamp(learnt, command, method):
    run = [f"run={learnt('lenet')}"]
    done = command("medcls", "explain", *run, "output=maps", f"explain.method={method}", "explain.images=60")
    assert done.status == 0, done.err
    found = json.loads((done.folder / "maps/explain.json").read_text())
    assert found["says_nothing"] is None, found["says_nothing"]
    peaks = np.array([image["peak"] for image in found["images"]])
    assert len(peaks) == 60
    assert (peaks >= SIDE // 2).all(axis=1).mean() >= 0.95
    assert "SAYS NOTHING" not in (done.folder / "maps/report.html").read_text()
    for output in ("maps", "maps/explain.json"):
        again = command("medcls", "explain", *run, f"output={output}")
        assert (again.status, "is a file or holds files already" in again.err) == (2, True)


@pytest.mark.slow
def test_net_of_the_users_own_that_pools_has_maps_of_grad_cam_with_a_stamp_just_where_a_check_fails(learnt, command):
    """Which checks Grad-CAM passes differs from seed to seed and between machines."""
    run = [f"run={learnt('pooled')}", "allow=[mynet.SmallResNet]"]
    done = command("medcls", "explain", *run, "output=maps", "explain.method=grad_cam", "explain.images=60")
    assert done.status == 0, done.err
    found = json.loads((done.folder / "maps/explain.json").read_text())
    assert len(found["images"]) == 60
    failed = [check["text"] for check in found["checks"] if check["failed"]]
    assert (found["says_nothing"] or []) == failed
    assert ("SAYS NOTHING" in (done.folder / "maps/report.html").read_text()) == bool(failed)


@pytest.mark.slow
def test_a_net_trained_again_on_shuffled_labels_looks_elsewhere(learnt, command):
    folder = learnt("lenet")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = command("medcls", "explain", f"run={folder}", "explain.retrain=true", "seed=3", "output=maps")
    assert done.status == 0, done.err
    checks = {check["name"]: check for check in json.loads((done.folder / "maps/explain.json").read_text())["checks"]}
    assert not checks["labels"]["failed"], checks["labels"]["text"]
    share = int(re.search(r"learnt (\d+)%", checks["labels"]["text"])[1])
    assert 50 < share < 100  # more than chance, less than of the labels that the mark tells
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_net_trained_on_shuffled_labels_that_looks_where_this_one_does_fails_it():
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 1))
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    maps = draw_maps(net, images, "integrated_gradients")
    assert check_labels(maps, images, "integrated_gradients", net, 1.0).failed


@pytest.mark.slow
def test_a_map_of_the_image_alone_is_stamped(learnt, command):
    """Grad-CAM of a net whose dense layers tell places apart: it hardly changes when all weights are shuffled."""
    done = command("medcls", "explain", f"run={learnt('lenet')}", "output=maps", "explain.method=grad_cam")
    found = json.loads((done.folder / "maps/explain.json").read_text())
    assert [why.partition(",")[0] for why in found["says_nothing"]] == ["with all weights shuffled"]


def test_a_net_trained_on_shuffled_labels_is_stamped(marked, train, command):
    result = train(*RUN, f"data.root={marked('shuffled', shuffled=True)}")
    done = command("medcls", "explain", f"run={result.folder}", "output=maps", "explain.images=12")
    assert done.status == 0, done.err
    found = json.loads((done.folder / "maps/explain.json").read_text())
    assert any(re.search(r"AUROC on its validation images", why) for why in found["says_nothing"])
    assert "SAYS NOTHING ABOUT THIS NET" in (done.folder / "maps/report.html").read_text()


@pytest.mark.slow
def test_seeds_that_learnt_the_mark_agree(marked, sweep, command):
    result = sweep(*RUN, f"data.root={marked('mark')}", "seed=0,1,2")
    assert result.status == 0, result.err
    done = command("medcls", "explain", f"run={result.folder}", "output=maps", "explain.images=20")
    assert done.status == 0, done.err
    (seeds,) = [
        check
        for check in json.loads((done.folder / "maps/explain.json").read_text())["checks"]
        if check["name"] == "seeds"
    ]
    assert not seeds["failed"], seeds["text"]


def test_integrated_gradients_of_a_linear_net_are_its_weights_times_the_images():
    class Linear(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.rand(3, 40, 40))

        def forward(self, images):
            return (images * self.weight).sum(dim=(1, 2, 3))[:, None] - 5

    net = Linear()
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3), np.uint8)
    drawn = draw_maps(net, images, "integrated_gradients")
    # From black w x, from white w (x - 1): of their sizes the mean is that of the weights, halved.
    expected = np.abs(net.weight.detach().numpy()).sum(axis=0)[None].repeat(2, axis=0) / 2
    from scipy.ndimage import gaussian_filter

    np.testing.assert_allclose(drawn, gaussian_filter(expected, (0, 1, 1)), rtol=1e-3)


def test_similarity_is_a_rank_correlation_and_flat_maps_are_like_none():
    maps = np.random.default_rng(0).random((3, 64, 64), np.float32)
    assert similarity(maps, np.exp(3 * maps.repeat(1, axis=0))) == pytest.approx(similarity(maps, maps), abs=0.2)
    np.testing.assert_allclose(similarity(maps, maps), 1)
    np.testing.assert_allclose(similarity(maps, -maps), -1)
    np.testing.assert_array_equal(similarity(maps, np.ones_like(maps)), 0)


def test_shuffling_goes_from_the_logits_down_and_leaves_the_net_itself_alone():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 8), nn.Linear(8, 2))
    before = [weight.clone() for weight in net.parameters()]
    seen = []
    for name, changed in shuffled_layer_by_layer(net, 0):
        pairs = [pair for pair in zip(changed.parameters(), before, strict=True) if pair[1].dim() > 1]
        seen.append((name, sum(not torch.equal(a, b) for a, b in pairs)))
        for a, b in zip(changed.parameters(), before, strict=True):
            assert torch.equal(a.flatten().sort()[0], b.flatten().sort()[0])
    assert [name for name, _ in seen] == ["3", "2", "0"]
    assert [count for _, count in seen] == [1, 2, 3]
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), before, strict=True))


def test_net_with_too_few_images_for_an_interval_is_not_shown_to_tell_classes_apart():
    found = Predictions("", tuple("abcd"), np.array([0, 0, 1, 1]), np.eye(2)[[0, 0, 1, 1]], 1)
    check = check_worth(found)
    assert check.failed
    assert check.text == "AUROC on its validation images 1.00 (fewer than five images of a class) (above 0.5 expected)"
