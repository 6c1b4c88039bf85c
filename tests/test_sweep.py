"""Sweeps through the public command: planned and checked together, finished jobs skipped, the same however launched."""

import csv
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import SCRIPT
from hydra import initialize_config_dir
from sklearn.metrics import roc_auc_score
from sweeping import FAILING, TINY, histories, run_jobs, states

from medcls.composition.run_name import register_resolvers
from medcls.errors import UserError
from medcls.process import usable_cores
from medcls.runs.folder import RunFolder
from medcls.sweep.ends import record_silent_end
from medcls.sweep.launch_settings import LaunchSettings, choose_launch_settings
from medcls.sweep.plan import plan_sweep
from medcls.sweep.sweep_folder import read_status
from medcls.sweep_report.family import family

# A callback that says when its run begins and ends, and on which GPU it may run.
NOTED = """import os
import time
import pytorch_lightning as pl

def note():
    print("noted", time.time(), os.environ.get("CUDA_VISIBLE_DEVICES", ""), flush=True)

class Callback(pl.Callback):
    def on_fit_start(self, trainer, pl_module):
        note()

    def on_fit_end(self, trainer, pl_module):
        note()
"""
EXPERIMENTS = sorted(path.stem for path in (SCRIPT.parent / "conf/experiment").glob("task*.yaml"))


@pytest.mark.one_in(7)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if "task4" in name else []) for name in EXPERIMENTS]
)
def test_experiment_is_a_grid_of_valid_jobs_with_three_seeds_and_claims_about_what_it_compares(name):
    register_resolvers()
    with initialize_config_dir(str(SCRIPT.parent / "conf"), version_base="1.3"):
        plan = plan_sweep([f"experiment={name}"])
    assert {job.seed for job in plan.jobs} == {0, 1, 2}
    assert len(plan.jobs) == 3 * len(plan.variants)
    assert plan.sweep.question
    variants = {variant["name"]: variant["values"] for variant in plan.variants}
    tested = family(plan.sweep.compare, variants)
    assert 0 < len(tested) <= 10
    assert {name for pair in tested for name in (*pair.of_a, *pair.of_b)} <= set(variants)
    assert plan.sweep.claims
    pairs = [{pair.a, pair.b} for pair in tested]
    for claim in plan.sweep.claims:
        of_two = claim.curve is None and claim.direction in ("higher", "lower", "no higher")
        assert set(claim.of) in pairs if of_two else set(claim.of) <= set(variants)
    assert plan.folder == Path("runs") / f"{name}_SIMULATED"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("sweep.metric=auroK", "sweep.metric: found 'auroK'. Did you mean auroc?"),
        ("sweep.compare='lr=1e-5'", "sweep.compare: found 'lr=1e-5'. Did you mean lr=1e-4?"),
        ("sweep.compare=[[lr,'lr=1e-3']]", "sweep.compare: found 'lr'. Expected one of lr=1e-3, lr=1e-4."),
        ("sweep.margin=2", "sweep.margin: found 2, expected less than 1."),
    ],
)
def test_what_is_to_be_tested_is_refused_where_it_cannot_be(wrong, message):
    register_resolvers()
    composed = initialize_config_dir(str(SCRIPT.parent / "conf"), version_base="1.3")
    with composed, pytest.raises(UserError, match=re.escape(message)):
        plan_sweep(["lr=1e-3,1e-4", wrong])


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiment_runs_two_epochs_on_tiny_simulated_data(sweep, name):
    counts = "1,1,1,1,1,1,1,1,1" if "xray" in name else "4,4"
    tiny = [o for o in TINY if not o.startswith(("model", "data=", "batch_size", "data.simulated"))]
    shrunk = ["batch_size=8", "model.dropout=0.0"] if "xray" in name else ["seed=0,1"]
    sizes = [f"data.simulated.counts.{split}=[{counts}]" for split in ("train", "val")]
    result = sweep(f"experiment={name}", *tiny, *shrunk, *sizes)
    assert result.status == 0, result.err
    assert set(states(result.folder).values()) == {"done"}
    assert (result.folder / "report.html").exists()


def test_command_line_replaces_or_fixes_what_the_experiment_sweeps():
    register_resolvers()
    with initialize_config_dir(str(SCRIPT.parent / "conf"), version_base="1.3"):
        plan = plan_sweep(["experiment=task2_bone", "lr=1e-2,1e-5", "model.n_base=8", "seed=5"])
    assert [variant["name"] for variant in plan.variants] == ["lr=0.01", "lr=1e-5"]
    assert [variant["values"] for variant in plan.variants] == [{"lr": 0.01}, {"lr": 1e-5}]
    assert [job.seed for job in plan.jobs] == [5, 5]
    assert {config.model.n_base for config in plan.configs.values()} == {8}


@pytest.mark.parametrize(
    ("swept", "names"),
    [
        ("lr=1e-3,0.0010000001", ["lr=1e-3", "lr=0.0010000001"]),
        (
            'data.columns.label="befünd","befönd","a b","a-b"',
            [f"label={x}" for x in ("befünd", "befönd", "a b", "a-b")],
        ),
    ],
)
def test_variants_that_are_written_almost_alike_have_names_and_folders_of_their_own(swept, names):
    register_resolvers()
    with initialize_config_dir(str(SCRIPT.parent / "conf"), version_base="1.3"):
        plan = plan_sweep([*TINY, swept])
    assert [variant["name"] for variant in plan.variants] == names
    assert len(plan.configs) == len({job.name.casefold() for job in plan.jobs}) == len(plan.jobs) == len(names)


@pytest.mark.parametrize(
    ("overrides", "folds"),
    [
        (["data.split.folds=3"], [(0, 3), (1, 3), (2, 3)]),
        (["data.split.folds=3", "data.split.fold=0,2"], [(0, 3), (2, 3)]),
        (["data.split.folds=3", "data.split.fold=1"], [(1, 3)]),
        (["data.split.folds=null"], [(None, None)]),
    ],
)
def test_cross_validation_runs_all_folds_unless_some_are_chosen(overrides, folds):
    register_resolvers()
    with initialize_config_dir(str(SCRIPT.parent / "conf"), version_base="1.3"):
        line = [*TINY, *overrides, "lr=1e-3,1e-4", "seed=0,1"]
        plan = plan_sweep(line)
    assert [variant["name"] for variant in plan.variants] == ["lr=1e-3", "lr=1e-4"]
    assert plan.keys == ["lr"]
    expected = [(seed, *fold) for seed in (0, 1) for fold in folds]
    assert [(job.seed, job.fold, job.folds) for job in plan.jobs] == expected * 2
    assert [(c.data.split.folds, c.data.split.fold) for c in plan.configs.values()] == [
        (n_folds, fold or 0) for _, fold, n_folds in expected
    ] * 2


def test_cross_validation_ends_in_one_result_of_all_images_and_a_missing_fold_is_reported_and_rerun(sweep, make_folder):
    root = make_folder(counts={"": 8})
    images = ["data=folder", f"data.root={root}", r"data.group_pattern='/([0-9])'", "audit.on_leak=warn"]
    grid = [*(o for o in TINY if not o.startswith("data")), *images, "data.split.folds=2"]
    result = sweep(*grid)
    assert result.status == 0, result.err
    judged = [
        row["sample"]
        for fold in (0, 1)
        for row in csv.DictReader((result.folder / f"lenet-on-images_seed-0_fold-{fold}/predictions.csv").open())
        if row["split"] == "test"
    ]
    assert sorted(judged) == sorted(f"{name}/{i}.{'png' if i % 2 else 'jpg'}" for name in "ab" for i in range(8))
    pooled = list(csv.DictReader((result.folder / "pooled.csv").open()))
    assert [(row["variant"], row["images"], row["patients"]) for row in pooled] == [("lenet on images", "16", "8")]
    shutil.rmtree(result.folder / "lenet-on-images_seed-0_fold-1")
    assert sweep(f"report={result.folder}").status == 0
    assert "missing: fold 1 not finished" in (result.folder / "report.md").read_text()
    assert sweep(*grid).status == 0
    assert list(csv.DictReader((result.folder / "pooled.csv").open())) == pooled


@pytest.mark.slow
def test_choice_made_again_in_each_fold_is_what_the_report_quotes(sweep, make_folder):
    root = make_folder(counts={"": 24})
    grid = [*(o for o in TINY if not o.startswith("data")), "data=folder", f"data.root={root}", "lr=1e-2,1e-3"]
    result = sweep(*grid, "data.split.folds=2", "audit=none")
    assert result.status == 0, result.err

    def auroc(lr, fold, split):
        folder = result.folder / f"lr-{lr}_seed-0_fold-{fold}"
        rows = [row for row in csv.DictReader((folder / "predictions.csv").open()) if row["split"] == split]
        return roc_auc_score([row["label"] == "b" for row in rows], [float(row["p_b"]) for row in rows])

    better = [max(("0.01", "1e-3"), key=lambda lr: auroc(lr, fold, "val")) for fold in range(2)]
    honest = np.mean([auroc(lr, fold, "test") for fold, lr in enumerate(better)])
    *_, row = csv.DictReader((result.folder / "pooled.csv").open())
    assert row["variant"] == "chosen in each fold"
    assert float(row["auroc"]) == pytest.approx(honest)
    interval = f"{honest:.3f} [{float(row['auroc_low']):.2f}, {float(row['auroc_high']):.2f}]"
    report = (result.folder / "report.md").read_text().replace("\\", "")
    assert f"{interval} when the choice is repeated in each fold" in report


def test_sweep_leaves_the_contract_and_its_report(sweep):
    result = sweep(*TINY, "lr=1e-3,1e-4", "model.dropout=0.0,0.2")
    assert result.status == 0, result.err
    content = json.loads((result.folder / "sweep.json").read_text())
    assert content["keys"] == ["lr", "model.dropout"]
    assert content["simulated"] is True
    assert len(content["jobs"]) == 4
    assert {job["variant"] for job in content["jobs"]} == {variant["name"] for variant in content["variants"]}
    assert content["variants"][0] == {"name": "lr=1e-3, dropout=0", "values": {"lr": 1e-3, "model.dropout": 0.0}}
    assert all(not {"=", ","} & set(job["name"]) and "SIMULATED" in job["name"] for job in content["jobs"])
    assert (result.folder / "report.html").exists()
    assert sweep(f"report={result.folder}").status == 0


def test_all_bad_values_are_reported_before_anything_starts(sweep, folder):
    result = sweep(*TINY, "lr=1e-3,-1", "model.dropout=0.1,2", "seed=0,1")
    assert result.status == 2
    assert "lr: found -1" in result.err
    assert "model.dropout: found 2" in result.err
    assert "4 of 8 jobs" in result.err
    assert not folder.exists()


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("lr=1e-3,0.001", "twice"),
        ("lrr=1e-3,1e-4", "Did you mean lr"),
        ("model.nme=1,2", "Did you mean model.n_base"),
        ("lr=interval(1e-5,1e-3)", "hydra/sweeper=search"),
        ("model=lenet,resnet", "no such choice"),
        ("image_size=2,32", "image_size=2"),
        ("hydra/sweeper=basic", "train.py -m"),
        ("data.root=nowhere", "nowhere"),
        ("experiment=task2_bone,task1b_learning_rate", "of the whole sweep"),
        ("sweep.metric=auroc,accuracy", "of the whole sweep"),
        ("sweep.compare=[['lr=1e-3','lr=1e-3']]", "lr=1e-3 compared with itself"),
        ("resume=runs/a", "To resume a sweep, re-run the same command"),
        ("report=runs/a", "expected one folder, such as runs/<sweep>, and"),
        ("sweep.jobs=0", "sweep.jobs: found 0"),
        ("hydra.launcher.verbose=10", "hydra.launcher.verbose: found in a sweep on this machine"),
        ("hydra/launcher=submitit_slurm", "not installed. Install it: pip install 'medcls[slurm]'"),
    ],
)
def test_mistake_ends_the_sweep_before_anything_is_written(sweep, folder, override, message):
    result = sweep(*TINY, override)
    assert (result.status, message in result.err) == (2, True), result.err
    assert "Traceback" not in result.err
    assert not folder.exists()


@pytest.mark.slow
def test_second_run_finishes_only_what_is_missing(sweep):
    first = sweep(*TINY, "lr=1e-3,1e-4", "seed=0,1")
    before = histories(first.folder)
    gone, kept = sorted(before)[0], sorted(before)[1:]
    for file in sorted((first.folder / gone).rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    written = {name: (first.folder / name / "metrics.json").stat().st_mtime_ns for name in kept}
    again = sweep(*TINY, "lr=1e-3,1e-4", "seed=0,1")
    assert again.status == 0, again.err
    assert "3 of them done" in again.out
    assert {name: (first.folder / name / "metrics.json").stat().st_mtime_ns for name in kept} == written
    assert histories(first.folder) == before


@pytest.mark.slow
def test_jobs_that_a_callback_ended_are_done_until_more_epochs_are_asked_for(sweep):
    callback = "{_target_: pytorch_lightning.callbacks.EarlyStopping, monitor: val_loss, patience: 1, min_delta: 10.0}"
    line = [*TINY, "seed=0,1", f"callbacks=[{callback}]"]
    first = sweep(*line, "epochs=20")
    assert [len(history) for history in histories(first.folder).values()] == [3, 3]
    assert "2 of them done" in sweep(*line, "epochs=20").out
    assert "0 of them done" in sweep(*line, "epochs=21").out


@pytest.mark.slow
def test_more_epochs_resume_the_sweep_and_another_configuration_is_refused(sweep, tmp_path):
    short = sweep(*TINY, "lr=1e-3,1e-4")
    refused = sweep(*TINY, "lr=1e-3,1e-4", "augment=study", "model.dropout=0.3")
    assert refused.status == 2
    assert "model.dropout: 0.0 when the sweep began, now 0.3" in refused.err
    longer = [override.replace("epochs=2", "epochs=4") for override in TINY]
    assert sweep(*longer, "lr=1e-3,1e-4").status == 0
    assert sweep(*longer, "lr=1e-3,1e-4", f"hydra.sweep.dir={tmp_path / 'alone'}").status == 0
    assert histories(short.folder) == histories(tmp_path / "alone")
    assert sweep(*TINY, "lr=1e-3,1e-4").status == 2


def test_failing_job_leaves_the_others_alone_and_is_listed(sweep, tmp_path):
    (tmp_path / "working/failing.py").write_text(FAILING)
    result = sweep(*TINY, "callbacks=[],[{_target_: failing.Callback}]", "seed=0,1")
    assert result.status == 1
    assert sorted(states(result.folder).values()) == ["done", "done", "failed", "failed"]
    assert "2 of 4 jobs failed" in result.err
    assert "it broke" in result.err
    assert "train.log" in result.err


def test_run_that_an_earlier_version_marked_for_resuming_counts_as_not_started(tmp_path):
    run = RunFolder(tmp_path)
    run.write_status("stopped", 3, "to be gone on with")
    record_silent_end(run)
    assert read_status(run) == {"state": "failed", "epoch": 3, "reason": "was not started"}


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("line", "slots"),
    [
        ("", 1),
        ("sweep.jobs=2", 2),
        ("sweep.jobs=9", 4),
        ("hydra/launcher=basic", 1),
        ("hydra/launcher=joblib hydra.launcher.n_jobs=3", 3),
        ("hydra/launcher=joblib hydra.launcher.n_jobs=-1", min(4, usable_cores())),
        ("hydra/launcher=joblib", min(4, usable_cores())),
        ("hydra/launcher=joblib hydra.launcher.n_jobs=many", None),
        ("hydra/launcher=joblib hydra.launcher.n_jobs=2 sweep.jobs=3", None),
        ("hydra/launcher=joblib hydra.launcher.backend=loky", None),
        ("hydra.job.chdir=true", None),
    ],
)
def test_jobs_at_a_time_share_the_cores_and_joblibs_words_are_understood_or_refused(line, slots):
    register_resolvers()
    with initialize_config_dir(str(SCRIPT.parent / "conf"), version_base="1.3"):
        plan = plan_sweep([*TINY, "lr=1e-3,1e-4", "seed=0,1", *line.split()])
        if slots is None:
            with pytest.raises(UserError, match=r"^hydra\.(launcher\.(n_jobs|backend)|job\.chdir): found"):
                choose_launch_settings(plan.launch, plan.sweep.jobs, plan.configs)
            return
        settings = choose_launch_settings(plan.launch, plan.sweep.jobs, plan.configs)
    assert (settings.launcher, settings.slots, settings.gpus) == (None, slots, {})
    assert settings.threads == max(1, usable_cores() // slots)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gpus", "answer", "most"),
    [
        ("0", "1000, 3500", 4),
        ("0", "100, 80000", 6),
        ("0", "1000, 900", 1),
        ("0", "No devices were found", 1),
        ("0,1", "1000, 0", 2),
        ("0,1", "1000, 1000", 4),
    ],
)
def test_gpu_takes_as_many_jobs_as_its_memory_holds_once_the_first_has_shown_what_it_needs(
    tmp_path, monkeypatch, gpus, answer, most
):
    """With a stand-in for nvidia-smi, and jobs that run on the CPU."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/nvidia-smi").write_text(f"#!/bin/sh\necho '{answer}'\n")
    (tmp_path / "bin/nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    (tmp_path / "noted.py").write_text(NOTED)
    monkeypatch.syspath_prepend(str(tmp_path))
    words = [*TINY, "epochs=40", "seed=0,1,2,3,4,5", "callbacks=[{_target_: noted.Callback}]"]
    uuids = {gpu: f"GPU-{gpu}" for gpu in gpus.split(",")}
    settings = LaunchSettings(None, ["noted.Callback"], 1, slots=16, gpus=uuids, measured=True)
    folder = run_jobs(tmp_path / "sweep", words, settings)
    assert set(states(folder.path).values()) == {"done"}
    spans, devices = [], set()
    for log in folder.path.glob("*/train.log"):
        (start, device), (end, _) = re.findall(r"^noted ([\d.]+) (\w*)$", log.read_text(), re.MULTILINE)
        spans.append((float(start), float(end)))
        devices.add(device)
    assert max(sum(start <= moment < end for start, end in spans) for moment, _ in spans) == most
    assert devices == (set(uuids) if len(uuids) > 1 else {""})


@pytest.mark.slow
def test_parallel_jobs_with_one_thread_each_give_the_numbers_of_jobs_run_one_after_another(sweep, tmp_path):
    grid = [*TINY, "lr=1e-3,1e-4", "augment=study", "model.dropout=0.2"]
    assert sweep(*grid).status == 0
    assert sweep(*grid, "sweep.jobs=2", f"hydra.sweep.dir={tmp_path / 'parallel'}").status == 0
    assert histories(tmp_path / "parallel") == histories(tmp_path / "sweep")
