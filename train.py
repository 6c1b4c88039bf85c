"""Train one network: python train.py model=vgg16 data=bone lr=1e-5 (conf/config.yaml lists every key)."""

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from medcls.command import job, readable_errors
from medcls.config import check_config
from medcls.config.run_name import register_resolvers
from medcls.process import tune_process


@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def train(composed: DictConfig) -> float:
    """Train, score and report one run in its folder; returns the lowest validation loss, for a search to minimise."""
    with job() as folder:
        config = check_config(composed)
        from medcls.run import run  # takes seconds to import: not before the configuration is right

        return run(config, folder, list(HydraConfig.get().overrides.task))


if __name__ == "__main__":
    tune_process()
    register_resolvers()
    with readable_errors():
        train()
