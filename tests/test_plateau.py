import json

import pytest
from conftest import TINY

SIMULATED = ["data=skin", "data.simulated.counts={train: [6, 6], val: [4, 4]}", "logger=none", "trainer.threads=1"]


def test_a_net_that_does_not_learn_is_said_to_while_it_trains_and_at_the_end(train):
    result = train(*TINY, *SIMULATED, "lr=1e-12", "epochs=6")
    printed = " ".join((result.out + result.err).split())
    assert "epoch 5: no better yet than a constant answer" in printed
    metrics = json.loads((result.folder / "metrics.json").read_text())
    assert metrics["constant_loss"] == pytest.approx(0.693147, abs=1e-5)  # of two classes of equal size
    assert metrics["best"]["val"]["loss"] >= metrics["constant_loss"]
    assert "the best, is no better than a constant answer" in printed
    assert "Try another lr, model.batch_norm=true or more epochs." in printed


def test_a_net_that_learns_hears_nothing_of_it(train):
    result = train(*TINY, *SIMULATED, "lr=1e-2", "epochs=8", "data.simulated.counts={train: [40, 40], val: [4, 4]}")
    metrics = json.loads((result.folder / "metrics.json").read_text())
    assert metrics["best"]["val"]["loss"] < 0.9 * metrics["constant_loss"]
    assert metrics["says_nothing"] is None
    assert "no better" not in result.out + result.err


def test_an_own_loss_has_no_constant_to_beat(train, tmp_path, monkeypatch):
    (tmp_path / "own_loss.py").write_text(
        "import torch.nn.functional as F\n\n"
        "def loss(logits, labels):\n    return F.softplus(-(2 * labels[:, None] - 1) * logits).mean() * 3\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    result = train(*TINY, *SIMULATED, "loss=own", "loss._target_=own_loss.loss", "epochs=1")
    assert json.loads((result.folder / "metrics.json").read_text())["constant_loss"] is None
