"""What medcls uses of Hydra beyond its documented interface still is what it takes it for."""

import re

import pytest
from conftest import SCRIPT
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf

from medcls.composition import hydra_private
from medcls.composition.compose import prepare_hydra
from medcls.sweep.compose import Composer

ROOT = SCRIPT.parent


@pytest.fixture(name="hydra")
def initialised():
    prepare_hydra()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield


def test_no_other_file_reaches_into_hydra():
    private = re.compile(r"hydra\._internal|GlobalHydra\.instance\(\)\.(?!is_initialized|clear)|config_loader_impl")
    files = [path for path in (ROOT / "medcls").rglob("*.py") if private.search(path.read_text())]
    assert [path.name for path in files] == ["hydra_private.py"]


@pytest.mark.parametrize(
    "overrides",
    [
        ["experiment=task4_tune_xray", "model=alexnet", "lr=1e-3", "model.dropout=0.4", "seed=2"],
        ["model=torchvision", "model.name=resnet34", "augment=study", "+data.classes={a:b}", "~scheduler.name"],
        ["hydra.sweep.dir=here", "data=folder", "data.root='/a, b=c'", "optimizer=sgd", "optimizer.momentum=0.5"],
    ],
)
def test_job_is_composed_as_hydra_composes_it(hydra, overrides):
    composer, alone = Composer(), compose("config", overrides=overrides, return_hydra_config=True)
    composer.compose([*overrides, "epochs=7"])  # which leaves no trace in what is kept
    composed = composer.compose(overrides)
    assert composed.hydra.runtime.choices == alone.hydra.runtime.choices
    assert composed.hydra.sweep.dir == alone.hydra.sweep.dir
    ours, hydras = (OmegaConf.to_container(each) | {"hydra": None} for each in (composed, alone))
    assert ours == hydras


@pytest.mark.parametrize(("key", "group"), [("model", True), ("hydra/launcher", True), ("lr", False), ("nope", False)])
def test_groups_are_told_from_keys(hydra, key, group):
    assert hydra_private.is_group(key) is group


def test_task_runs_once_for_each_value(hydra, tmp_path):
    seen = []
    overrides = ["job=a,b", f"folder={tmp_path}", "launch=x", "working=."]
    hydra_private.multirun("launch", lambda composed: seen.append(composed.job), overrides)
    assert seen == ["a", "b"]


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("modle=lenet", "modle"),
        ("~nothing", "nothing"),
        ("lr.of=1", "lr.of"),
        ("model@net=lenet", "model"),
        ("lr=[", None),
    ],
)
def test_refused_key_is_read_from_the_error(hydra, override, key):
    with pytest.raises(HydraException) as raised:
        compose("config", overrides=[override])
    assert hydra_private.refused_key(raised.value) == key


def test_null_for_a_group_is_known_by_its_error(hydra):
    with pytest.raises(ValueError, match="NoneType") as raised:
        compose("config", overrides=["model=null"])
    assert "Name one of its choices" in hydra_private.explain_value_error(raised.value)
    assert hydra_private.explain_value_error(ValueError("of something else")) is None
