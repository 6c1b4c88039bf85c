"""Search in place of a grid: python train.py -m hydra/sweeper=search."""

import json

import pytest
import yaml
from conftest import TINY

pytestmark = pytest.mark.optuna
SMALL = [
    "-m",
    *(override for override in TINY if not override.startswith("model.n_base")),
    "hydra/sweeper=search",
    "hydra.sweeper.n_trials=4",
    "lr=choice(1e-1,1e-2,1e-3)",
    "model.n_base=choice(2,4)",
    "data=skin",
    "data.simulated.counts.train=[6,6]",
    "data.simulated.counts.val=[4,4]",
    "epochs=4",
    "logger=none",
]


@pytest.fixture(autouse=True)
def optuna():
    pytest.importorskip("optuna", reason="needs the extra optuna")


def test_search_finds_the_lowest_validation_loss_of_all_best_epochs_and_the_same_line_tries_the_same(train, tmp_path):
    found = []
    for folder in (tmp_path / "first", tmp_path / "again"):
        result = train(*SMALL, f"hydra.sweep.dir={folder}")
        assert result.status == 0, result.err
        metrics = {path.parent.name: json.loads(path.read_text()) for path in folder.glob("*/metrics.json")}
        losses = {name: of["best"]["val"]["loss"] for name, of in metrics.items()}
        assert len(losses) == 4
        assert any(of["best"]["val"]["loss"] < of["last"]["val"]["loss"] for of in metrics.values())
        results = yaml.safe_load((folder / "optimization_results.yaml").read_text())
        best = min(losses, key=losses.get)
        config = yaml.safe_load((folder / best / "config.yaml").read_text())
        assert results["best_value"] == pytest.approx(losses[best], abs=1e-6)
        assert results["best_params"]["lr"] == config["lr"]
        assert results["best_params"]["model.dropout"] == config["model"]["dropout"]
        found.append(losses)
    assert found[0] == found[1]


def test_failing_trial_does_not_end_the_search_but_a_search_without_any_result_is_told(train, tmp_path):
    diverging = "lr=choice(1e-3,1e30)"
    result = train(*SMALL, diverging, "hydra.sweeper.n_trials=6", f"hydra.sweep.dir={tmp_path / 'search'}")
    states = [json.loads(path.read_text())["state"] for path in (tmp_path / "search").glob("*/status.json")]
    assert result.status == 0, result.err
    assert set(states) == {"done", "failed"}
    nowhere = train(*SMALL, "data.root=nowhere", f"hydra.sweep.dir={tmp_path / 'nowhere'}")
    assert nowhere.status == 2
    assert "no trial of the search finished" in nowhere.err
    assert "Traceback" not in nowhere.err
