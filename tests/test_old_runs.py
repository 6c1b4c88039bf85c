"""Runs and sweeps that the code before user's own parts left (tests/old_runs) are read, reported and resumed."""

import csv
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from conftest import SCRIPT
from sweeping import histories, results, states

from medcls.config.stored import check_stored
from medcls.training.classifier import load_classifier

OLD = Path(__file__).with_name("old_runs")
SWEEP = "model=lenet data=skin model.n_base=2 image_size=16 batch_size=4 trainer.accelerator=cpu trainer.threads=1 "
SWEEP += "logger=none data.simulated.counts.train=[8,8] data.simulated.counts.val=[6,6] epochs=3 lr=1e-2,1e-3 seed=0,1"


@pytest.fixture
def old(tmp_path):
    """A copy of one of the folders, to be worked in."""
    return lambda name: Path(shutil.copytree(OLD / name, tmp_path / name))


def rows(path):
    with path.open() as file:
        return [{key: float(value) for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def test_old_configuration_gets_the_defaults_of_the_keys_that_came_since():
    values = yaml.safe_load((OLD / "finished/config.yaml").read_text())
    config = check_stored(values, OLD)
    assert "accumulate" not in values["trainer"]
    assert (config.trainer.accumulate, config.trainer.gradient_clip, config.callbacks) == (1, None, [])
    assert config.scheduler.patience == 10


def test_old_checkpoint_is_loaded_and_judges_images():
    classifier = load_classifier(OLD / "finished/checkpoints/best.ckpt")
    assert classifier.hparams["classes"] == ["melanoma", "nevus"]
    assert classifier(torch.zeros(2, 16, 16, 1, dtype=torch.uint8)).shape == (2, 1)


def test_old_killed_run_is_resumed_to_the_numbers_of_one_never_stopped(train, old):
    folder = old("killed")
    trained = rows(folder / "history.csv")
    assert train(f"resume={folder}", "epochs=12").status == 0
    resumed = rows(folder / "history.csv")
    assert resumed[: len(trained)] == trained
    # The reference is from another processor, where sums may round differently.
    for row, expected in zip(resumed, rows(OLD / "killed_reference.csv"), strict=True):
        assert row == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_old_finished_run_is_made_longer(train, old):
    folder = old("finished")
    trained = rows(folder / "history.csv")
    assert train(f"resume={folder}", "epochs=4").status == 0
    assert rows(folder / "history.csv")[:3] == trained


def test_old_sweep_is_reported_with_the_same_numbers(sweep, old):
    folder = old("sweep")
    before = results(folder)
    assert sweep(f"report={folder}").status == 0
    after = results(folder)
    finished = [row for row in before if row["run"] != "lr-1e-3_seed-1_SIMULATED"]
    assert [row for row in after if row["state"] == "done"] == finished
    assert (folder / "report.html").is_file()


@pytest.mark.slow
def test_old_sweep_is_resumed_by_its_command(command, old):
    folder = old("sweep")
    before = histories(folder)
    assert command(SCRIPT.with_name("sweep.py"), *SWEEP.split(), f"hydra.sweep.dir={folder}").status == 0
    assert set(states(folder).values()) == {"done"}
    assert len(states(folder)) == 4
    after = histories(folder)
    assert {name: after[name] for name in before} == before
