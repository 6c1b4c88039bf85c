"""Every file of conf/ gives a configuration that passes the schema, and every key of the schema has its line there."""

import itertools
import re
from typing import Literal

import pytest
import torch
from conftest import SCRIPT
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, ListConfig

from medcls.composition.run_name import register_resolvers, run_name
from medcls.config import Config, check_config
from medcls.config.messages import all_fields
from medcls.config.parts import PARTS, choices
from medcls.config.parts.losses import Loss
from medcls.training.losses import build_loss

CONF = SCRIPT.parent / "conf"
FILES = sorted(path.relative_to(CONF).as_posix() for path in CONF.rglob("*.yaml"))
# data/base.yaml is no choice but what the other data sets are built on; Hydra's own groups are no part of the schema.
CHOICES = [name for name in FILES if "/" in name and name != "data/base.yaml" and not name.startswith("hydra/")]


@pytest.fixture
def composed():
    """What Hydra composes of overrides, with its own section."""
    register_resolvers()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield lambda *overrides: compose("config", list(overrides), return_hydra_config=True)


def checked(config):
    return check_config({key: value for key, value in config.items() if key != "hydra"})


def override_of(name):
    """Override that chooses a file of a group, one that config.yaml names or another."""
    group, _, choice = name.removesuffix(".yaml").rpartition("/")
    in_defaults = re.search(rf"^  - {group}:", (CONF / "config.yaml").read_text(), re.MULTILINE)
    return f"{'' if in_defaults else '+'}{group}={choice}"


def overrides_of(name):
    """Overrides that choose a file of a group; the choice ``own`` must say whose code it names."""
    group, _, choice = name.removesuffix(".yaml").rpartition("/")
    own = "augment.transforms=[{_target_: mine.Part}]" if group == "augment" else f"{group}._target_=mine.Part"
    return [override_of(name), *([own] if choice == "own" else [])]


@pytest.mark.parametrize("name", CHOICES)
def test_file_of_conf_passes_the_schema(composed, name):
    checked(composed(*overrides_of(name)))


@pytest.mark.parametrize("group", PARTS)
def test_choices_of_a_registry_are_the_files_of_its_group(group):
    assert sorted(choices(group)) == sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def test_loss_of_a_registry_is_built_by_its_target():
    class Squared(Loss):
        target = "test_configs.squared"
        name: Literal["squared"]

    loss = build_loss(Squared(name="squared", class_weights=None), "bce", 2, None)
    assert loss(torch.tensor([[3.0]]), torch.tensor([1]), None) == 4


def squared(outputs, class_weights):
    """Loss as one of the house: made for what the outputs mean and for class weights."""
    return lambda logits, labels: ((logits[:, 0] - labels) ** 2).mean()


@pytest.mark.parametrize("name", FILES)
def test_file_of_conf_begins_by_saying_what_it_is(name):
    assert re.match(r"(# @package _global_\n)?# \w.{8,}", (CONF / name).read_text(encoding="utf-8"))


# The experiments are too many for a line.
@pytest.mark.parametrize("group", sorted({name.partition("/")[0] for name in CHOICES} - {"experiment"}))
def test_choices_of_a_group_are_listed_beside_its_default(group):
    line = re.search(rf"^  - {group}: *(\w+) *(?:# (.*))?$", (CONF / "config.yaml").read_text(), re.MULTILINE)
    if line is not None:
        listed = (line[2] or line[1]).split(", ")
        assert sorted(listed) == [
            name.split("/")[1].removesuffix(".yaml") for name in CHOICES if name.startswith(f"{group}/")
        ]


@pytest.mark.slow
def test_every_key_of_the_schema_can_be_set_and_there_are_no_others(composed):
    keys = {key for name in CHOICES for key in dotted(composed(*overrides_of(name)))}
    items = [f"{name}._target_" for name in ("callbacks", "loggers", "metrics", "columns")]  # of lists, empty in conf/
    free = ("data.classes.", "data.simulated.counts.", "augment.transforms.", "sweep.grid.", "sweep.variants.")
    assert {key for key in keys if not key.startswith(free)} == {
        name for name, _ in all_fields(Config) if name not in items
    }


def dotted(section, prefix=""):
    for key, value in section.items():
        if prefix or key != "hydra":
            yield prefix + key
            for section in value if isinstance(value, ListConfig) else [value]:
                if isinstance(section, DictConfig):
                    yield from dotted(section, f"{prefix}{key}.")


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    "sweep",
    [
        {"lr": ["1e-3", "1e-4"], "model.n_base": ["8", "16"]},
        {"model": ["lenet", "alexnet"], "data": ["bone", "skin"], "augment": ["none", "study"]},
        {"model.dense": ["[64,64]", "[64]", "[6464]", "null"]},
        {"data.root": ["/hospital1/Bone", "/hospital1/other", "/hospital2/third"]},
        {"num_workers": ["0", "2"], "trainer.deterministic": ["true", "false"]},
        {"seed": ["0", "1"], "data.split.seed": ["0", "1"]},
        {"data.positive": ["'a=b'", "'a,b,c'", "'a b c d'"]},
        {"+augment.transforms.Affine": ["{rotate:[-10,10]}", "{rotate:[10,10]}", "{scale:[0.9,1.1]}"]},
        {
            "+augment.transforms.Affine": [
                f"{{rotate:[-10,10],scale:[0.9,1.1],shear:[-{i},{i}],p:0.{'3' * 60}}}" for i in range(3)
            ]
        },
    ],
    ids=lambda sweep: " ".join(sweep),
)
def test_run_names_of_a_multirun_differ_and_need_no_quotes(composed, sweep):
    names = [
        run_name(_root_=composed(*(f"{key}={value}" for key, value in zip(sweep, values, strict=True))))
        for values in itertools.product(*sweep.values())
    ]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,200}", name) for name in names)


def test_run_name_says_model_data_and_changed_knobs(composed, tmp_path):
    (tmp_path / "Bone").mkdir()
    config = composed("model=lenet", "lr=1e-3", "model.n_base=16", f"data.root={tmp_path}/Bone")
    assert run_name(_root_=config) == "lenet_bone_lr-1e-3_n_base-16"
    assert run_name(_root_=composed("lr=1e-3")) == "vgg16_bone_lr-1e-3_SIMULATED"
    assert run_name(_root_=composed("data=folder", "data.root=my images")) == "vgg16_my-images"
