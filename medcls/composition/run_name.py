"""Names of run folders: model, data and the changed knobs, without the = and , that break Hydra's overrides."""

import hashlib
import re
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from medcls.config.data import data_title, is_simulated
from medcls.config.knobs import keys_that
from medcls.config.targets import KEY

LONGEST = 120  # characters; file systems allow 255 bytes, and TensorBoard shows the whole name


def run_name(*, _root_: DictConfig) -> str:
    """Name such as vgg16_bone_lr-1e-5_n_base-16, or ..._SIMULATED where simulated images stand in for the data."""
    overrides = dict(override.lstrip("+~").partition("=")[::2] for override in _root_.hydra.overrides.task)
    choices = _root_.hydra.runtime.choices
    skipped = {"model", "data", f"model.{KEY}", *keys_that(lambda knob: not knob.in_name)}
    knobs = [in_name(key, value) for key, value in overrides.items() if key not in skipped]
    model = str(_root_.model.get(KEY, choices.model)).rpartition(".")[2]
    name = "_".join([model, folder_name(_root_.data), *knobs])
    name = shortened(re.sub(r"[^A-Za-z0-9._-]+", "-", name))
    return f"{name}_SIMULATED" if is_simulated(_root_.data) else name


def in_name(key: str, value: str) -> str:
    """A setting as part of a name: n_base-16; of a user's own code only what it is called."""
    last = key.rpartition(".")[2]
    return value.rpartition(".")[2] if last == KEY else f"{last}-{value}"


def shortened(name: str) -> str:
    """The name, or its beginning and a digest if it is too long for file systems and TensorBoard."""
    return name if len(name) <= LONGEST else f"{name[:LONGEST]}-{short_digest(name)}"


def short_digest(text: str) -> str:
    """Eight hexadecimal digits that another text is unlikely to share."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def run_folder(parent: str, now: str, *, _root_: DictConfig) -> str:
    """Folder of a single run: a new one below ``parent``, or the one to resume."""
    return str(_root_.resume) if _root_.resume is not None else f"{parent}/{run_name(_root_=_root_)}_{now}"


def folder_name(data: DictConfig) -> str:
    """What the data set is called: its name, with those of its folder and manifest where these are not the usual."""
    name = name_of_root(data)
    return name if data.manifest is None else f"{name}-{Path(str(data.manifest)).stem}"


def name_of_root(data: DictConfig) -> str:
    """The data set's name, with that of its folder where it is not the usual one."""
    name = data_title(data.name, data.get("_target_"))
    if data.root is None:
        return name
    folder = Path(str(data.root)).resolve().name  # a root such as 2024 is a number so far
    if name == "folder":
        return folder
    return name if folder == Path(str(data.default_root)).name else f"{name}-{folder}"


def if_class(name: str, *, _parent_: DictConfig) -> str | None:
    """The name where it is that of a class, which it no longer is once other classes are given; else None."""
    return name if name in (_parent_.classes or {}).values() else None


def register_resolvers() -> None:
    """Make ``${run_name:}``, ``${run_folder:parent,now}`` and ``${if_class:name}`` known to the configuration."""
    OmegaConf.register_new_resolver("run_name", run_name, replace=True)
    OmegaConf.register_new_resolver("run_folder", run_folder, replace=True)
    OmegaConf.register_new_resolver("if_class", if_class, replace=True)
