"""The configuration: conf/ composed by Hydra, checked by a typed schema, its mistakes told in words."""

from medcls.config.data import DataConfig
from medcls.config.schema import Config, check_config

__all__ = ["Config", "DataConfig", "check_config"]
