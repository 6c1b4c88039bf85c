"""The configuration: conf/ composed by Hydra and checked by a typed schema, with readable messages for mistakes."""

from medcls.config.data import DataConfig
from medcls.config.schema import Config, check_config

__all__ = ["Config", "DataConfig", "check_config"]
