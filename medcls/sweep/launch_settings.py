"""What one of Hydra's launchers means for the jobs: how many at a time, on which GPUs, with how many threads."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hydra import compose
from hydra.errors import MissingConfigException
from omegaconf import DictConfig, OmegaConf

from medcls.composition.compose import readable_composition
from medcls.config import Config
from medcls.errors import UserError
from medcls.process import usable_cores

EXTRAS = {"joblib": "parallel", "submitit_local": "slurm", "submitit_slurm": "slurm", "ray": "ray"}
LOCAL = ("joblib", "submitit_local")  # several jobs on this machine, sharing its cores and GPUs


@dataclass(frozen=True)
class LaunchSettings:
    """How jobs are launched.

    ``overrides``: for Hydra; ``slots``: jobs at a time on this machine, 0 if they run elsewhere; ``gpus``: values for
    CUDA_VISIBLE_DEVICES; ``threads``: per job; ``allowed``: code of the user's own that the jobs may run, since the
    command names it.
    """

    launcher: str
    overrides: list[str]
    slots: int
    gpus: list[str]
    threads: int
    allowed: list[str]

    @property
    def isolated(self) -> bool:
        return self.launcher != "basic"

    @property
    def local(self) -> bool:
        return self.slots > 0


def choose_launch_settings(overrides: Sequence[str], configs: Mapping[str, Config]) -> LaunchSettings:
    """What the launcher named on the command line means for the jobs.

    Raises UserError for a launcher that is not installed or settings that it does not have.
    """
    kept = [override for override in overrides if not override.startswith("hydra.sweep.dir=")]
    composed = compose_launch(kept)
    allowed = sorted(set().union(*(config.own_code for config in configs.values())))
    launcher = str(composed.hydra.runtime.choices["hydra/launcher"])
    settings = composed.hydra.launcher
    if launcher == "basic":
        return LaunchSettings(launcher, kept, 1, [], usable_cores(), allowed)
    if launcher == "ray" and "object_store_memory" not in settings.ray.init:
        # If it is absent, the launcher inserts a number, with which Ray refuses to join an existing cluster.
        kept = [*kept, "+hydra.launcher.ray.init.object_store_memory=null"]
    if launcher not in LOCAL:
        cpus = OmegaConf.select(settings, "cpus_per_task") or OmegaConf.select(settings, "ray.remote.num_cpus")
        return LaunchSettings(launcher, kept, 0, [], int(cpus or 1), allowed)
    gpus = visible_gpus(configs)
    slots = len(gpus) or usable_cores()
    if any(override.startswith("hydra.launcher.n_jobs=") for override in kept):
        wanted = int(settings.n_jobs)
        slots = wanted if wanted > 0 else max(1, usable_cores() + 1 + wanted)
    slots = min(slots, len(configs))
    if launcher == "joblib":
        kept = [o for o in kept if not o.startswith("hydra.launcher.n_jobs=")] + [f"hydra.launcher.n_jobs={slots}"]
    return LaunchSettings(launcher, kept, slots, gpus, max(1, usable_cores() // slots), allowed)


def compose_launch(overrides: list[str]) -> DictConfig:
    """Composed conf/launch.yaml."""
    try:
        with readable_composition(overrides, "launch"):
            return compose("launch", overrides=overrides, return_hydra_config=True)
    except UserError as error:
        named = next((o.partition("=")[2] for o in overrides if o.startswith("hydra/launcher=")), "")
        if isinstance(error.__cause__, MissingConfigException) and named in EXTRAS:
            raise UserError(
                f"hydra/launcher={named}: not installed. Install it: pip install 'medcls[{EXTRAS[named]}]'"
            ) from error
        raise


def visible_gpus(configs: Mapping[str, Config]) -> list[str]:
    """Names of the GPUs for CUDA_VISIBLE_DEVICES; none if all jobs run on the CPU."""
    import torch  # takes seconds to import

    if all(config.trainer.accelerator == "cpu" for config in configs.values()):
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    return named if named != [""] else [str(index) for index in range(torch.cuda.device_count())]
