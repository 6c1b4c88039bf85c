"""Where the jobs of a sweep run: on this machine, some at a time, or through a launcher of Hydra's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra import compose
from hydra.errors import MissingConfigException
from omegaconf import DictConfig, OmegaConf

from medcls.composition.compose import readable_composition
from medcls.composition.hydra_private import parse
from medcls.config import Config
from medcls.errors import UserError
from medcls.process import usable_cores
from medcls.sweep.checks import visible_gpus
from medcls.sweep.child import call

EXTRAS = {"submitit_slurm": "slurm", "ray": "ray"}
LOCAL = ("basic", "joblib", "submitit_local")  # launchers of Hydra's whose work medcls does itself
N_JOBS = "hydra.launcher.n_jobs"
MOST_ON_A_GPU = 8


@dataclass(frozen=True)
class LaunchSettings:
    """How jobs are launched.

    launcher: of Hydra's, with its overrides, None on this machine; allowed: code of the user's own that the jobs may
    run, since the command names it; slots: jobs at a time on this machine, at most; threads: per job; gpus: values for
    CUDA_VISIBLE_DEVICES and how nvidia-smi calls them; measured: a GPU takes as many jobs as its memory holds.
    """

    launcher: str | None
    allowed: list[str]
    threads: int
    overrides: list[str] = field(default_factory=list)
    slots: int = 0
    gpus: Mapping[str, str] = field(default_factory=dict)
    measured: bool = False


def choose_launch_settings(
    overrides: Sequence[str], at_a_time: int | None, configs: Mapping[str, Config]
) -> LaunchSettings:
    """What the command line says about where jobs run; overrides: those of Hydra's section; at_a_time: sweep.jobs.

    Raises UserError for a launcher that is not installed or settings that it does not have.
    """
    allowed = sorted(set().union(*(config.own_code for config in configs.values())))
    given = {o.key_or_group: o.value() for o in parse(overrides) if o.key_or_group != "hydra.sweep.dir"}
    launcher = str(given.pop("hydra/launcher", "basic"))
    if launcher not in LOCAL:
        return elsewhere(launcher, [o for o in overrides if not o.startswith("hydra.sweep.dir=")], allowed)
    gpus = {} if all(config.trainer.accelerator == "cpu" for config in configs.values()) else call(visible_gpus)
    if launcher != "basic" and at_a_time is None and (not gpus or N_JOBS in given):
        at_a_time = jobs_of_joblib(given.pop(N_JOBS, -1))
    if given:
        raise UserError(
            f"{next(iter(given))}: found in a sweep on this machine, whose jobs medcls runs itself.\n"
            f"  Expected the number of jobs at a time: sweep.jobs=2, or as hydra/launcher=joblib {N_JOBS}=2"
        )
    slots = min(at_a_time or max(1, MOST_ON_A_GPU * len(gpus)), len(configs))
    threads = max(1, usable_cores() // slots)
    return LaunchSettings(None, allowed, threads, slots=slots, gpus=gpus, measured=bool(gpus) and at_a_time is None)


def jobs_of_joblib(number: Any) -> int:
    """How many jobs at a time joblib's ``n_jobs`` means: -1 one per core, -2 one less. Raises UserError for others."""
    meant = number if not isinstance(number, int) or number > 0 else usable_cores() + 1 + number
    if not isinstance(meant, int) or isinstance(number, bool) or number == 0:
        raise UserError(f"{N_JOBS}: found {number!r}, expected the number of jobs at a time; -1: one per core.")
    return max(1, meant)


def elsewhere(launcher: str, overrides: list[str], allowed: list[str]) -> LaunchSettings:
    """Jobs that a launcher of Hydra's runs on other machines."""
    composed = compose_launch(launcher, overrides)
    if launcher == "ray" and "object_store_memory" not in composed.ray.init:
        # If it is absent, the launcher inserts a number, with which Ray refuses to join an existing cluster.
        overrides = [*overrides, "+hydra.launcher.ray.init.object_store_memory=null"]
    cpus = OmegaConf.select(composed, "cpus_per_task") or OmegaConf.select(composed, "ray.remote.num_cpus")
    return LaunchSettings(launcher, allowed, int(cpus or 1), overrides)


def compose_launch(launcher: str, overrides: list[str]) -> DictConfig:
    """The launcher's section of the composed conf/launch.yaml. Raises UserError where it is not installed."""
    try:
        with readable_composition(overrides, "launch"):
            section: DictConfig = compose("launch", overrides=overrides, return_hydra_config=True).hydra.launcher
            return section
    except UserError as error:
        if isinstance(error.__cause__, MissingConfigException) and launcher in EXTRAS:
            raise UserError(
                f"hydra/launcher={launcher}: not installed. Install it: pip install 'medcls[{EXTRAS[launcher]}]'"
            ) from error
        raise
