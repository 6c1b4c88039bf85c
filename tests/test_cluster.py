"""Sweeps on clusters that these tests start on this machine: SLURM (Debian's slurm-wlm and munge, as root) and Ray."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import SWEEP
from sweeping import TINY, histories, results

pytestmark = pytest.mark.cluster
SLURM = Path(__file__).parent / "slurm"
GRID = [*TINY, "lr=1e-3,1e-4", "seed=0,1,2", "augment=study", "model.dropout=0.2"]


def run_sweep(folder, *overrides, **environment):
    """Run sweep.py into a folder, with environment variables; all of its output where it does not end well."""
    command = [sys.executable, str(SWEEP), *overrides, f"hydra.sweep.dir={folder}"]
    given = os.environ | {"MEDCLS_CACHE": str(folder.parent / "cache")} | environment
    ended = subprocess.run(command, cwd=folder.parent, env=given, capture_output=True, text=True, timeout=900)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def in_turn(tmp_path_factory):
    """Folder of the grid, run in turn in one process."""
    folder = tmp_path_factory.mktemp("in_turn") / "sweep"
    run_sweep(folder, *GRID)
    return folder


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """Path of the configuration of a SLURM cluster of one node with two CPUs."""
    pytest.importorskip("submitit", reason="needs the extra slurm")
    if missing := [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if shutil.which(name) is None]:
        pytest.skip(f"needs Debian's packages slurm-wlm and munge: no {missing[0]}")
    if os.getuid() != 0:
        pytest.skip("the daemons of SLURM are started by root")
    folder = tmp_path_factory.mktemp("slurm")
    try:
        subprocess.run(["bash", SLURM / "start.sh", folder], check=True)
        yield folder / "slurm.conf"
    finally:
        subprocess.run(["bash", SLURM / "stop.sh", folder], check=True)


@pytest.fixture(scope="module")
def ray():
    """Address of a Ray cluster of two workers with a CPU each."""
    pytest.importorskip("hydra_plugins.hydra_ray_launcher", reason="needs the extra ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        yield cluster.address
    finally:
        cluster.shutdown()


def test_grid_on_slurm_gives_the_results_of_running_in_turn(slurm, in_turn, tmp_path):
    run_sweep(tmp_path / "sweep", *GRID, "hydra/launcher=submitit_slurm", SLURM_CONF=str(slurm))
    assert len(list((tmp_path / "sweep/.submitit").glob("*/*_result.pkl"))) == 6
    assert all_results(tmp_path / "sweep") == all_results(in_turn)


def test_grid_on_ray_gives_the_results_of_running_in_turn(ray, in_turn, tmp_path):
    run_sweep(tmp_path / "sweep", *GRID, "hydra/launcher=ray", f"hydra.launcher.ray.init.address='{ray}'")
    assert all_results(tmp_path / "sweep") == all_results(in_turn)


def all_results(folder):
    """All that a sweep of six jobs found out, without times."""
    metrics = {path.parent.name: json.loads(path.read_text()) for path in sorted(folder.glob("*/metrics.json"))}
    assert len(metrics) == 6
    for found in metrics.values():
        del found["seconds"]
    predictions = {path.parent.name: path.read_text() for path in sorted(folder.glob("*/predictions.csv"))}
    return results(folder), histories(folder), metrics, predictions
