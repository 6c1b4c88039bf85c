"""The typed schema behind conf/: what every key is called, its type and its range."""

from pathlib import Path
from typing import Annotated, Any, Literal

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from medcls.config.messages import explain_interpolation, explain_invalid

# Strict, since pydantic would take true for 1 and "8" for 8.
AtLeast1 = Annotated[int, Field(ge=1, strict=True)]
Count = Annotated[int, Field(ge=0, strict=True)]
Above0 = Annotated[float, Field(gt=0, strict=True)]
AtLeast0 = Annotated[float, Field(ge=0, strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values cannot change after the check."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())


class ScratchNetwork(Section):
    """A network of medcls/models; ``family`` is its key there."""

    family: str
    n_base: AtLeast1
    dense: list[AtLeast1] | None
    dropout: Rate
    batch_norm: Flag
    spatial_dropout: Rate
    init: Literal["glorot", "pytorch"]


class TorchvisionNetwork(Section):
    """A classification net of torchvision by name."""

    family: Literal["torchvision"]
    name: str
    weights: str | None


def network_kind(value: Any) -> str:
    """Which of the two kinds of network a configuration describes."""
    family = value.get("family") if isinstance(value, dict) else value.family
    return "torchvision" if family == "torchvision" else "scratch"


NetworkConfig = Annotated[
    Annotated[ScratchNetwork, Tag("scratch")] | Annotated[TorchvisionNetwork, Tag("torchvision")],
    Discriminator(network_kind),
]


class SplitConfig(Section):
    """How to split a folder that has no split folders."""

    val_fraction: Fraction
    seed: Count


class SimulatedConfig(Section):
    """The simulated images that stand in for a missing default folder; ``counts``: split -> images per class."""

    kind: Literal["skin", "bone", "xray"]
    counts: dict[str, list[AtLeast1]]


class DataConfig(Section):
    """A data set."""

    name: str
    root: Path | None
    default_root: Path | None
    classes: dict[str, str] | None
    positive: str | None
    channels: Literal[1, 3]
    on_unreadable: Literal["error", "skip"]
    split: SplitConfig
    cache_dir: Path
    simulated: SimulatedConfig | None

    @property
    def title(self) -> str:
        """What reports call the data set: the folder's own name says more than "folder"."""
        return self.root.name if self.name == "folder" and self.root is not None else self.name


class AugmentConfig(Section):
    """Transforms of albumentations, name -> arguments, in the order they are applied."""

    transforms: dict[str, dict[str, Any]]


class LossConfig(Section):
    """What training minimises."""

    name: Literal["default", "one_vs_rest"]
    class_weights: Literal["balanced"] | list[Above0] | None


class AdamConfig(Section):
    """Adam, or AdamW."""

    name: Literal["adam", "adamw"]
    betas: tuple[Rate, Rate]
    eps: Above0
    weight_decay: AtLeast0


class SGDConfig(Section):
    """Stochastic gradient descent."""

    name: Literal["sgd"]
    momentum: Rate
    nesterov: Flag
    weight_decay: AtLeast0


class ConstantConfig(Section):
    """No schedule."""

    name: Literal["none"]


class CosineConfig(Section):
    """Half a cosine over all epochs."""

    name: Literal["cosine"]
    min_lr: AtLeast0


class PlateauConfig(Section):
    """Lower rate when the validation loss stops falling."""

    name: Literal["plateau"]
    factor: Fraction
    patience: Count


class TrainerConfig(Section):
    """Where and how precisely to compute."""

    accelerator: Literal["auto", "cpu", "gpu", "mps"]
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "64-true"]
    deterministic: Flag
    threads: AtLeast1 | None
    patience: AtLeast1 | None


class LoggerConfig(Section):
    """What TensorBoard gets."""

    tensorboard: Flag
    images: Count


class Config(Section):
    """The whole configuration of a run."""

    lr: Above0
    epochs: AtLeast1
    batch_size: AtLeast1
    seed: Count
    image_size: AtLeast1
    num_workers: Count
    resume: Path | None
    model: NetworkConfig
    data: DataConfig
    augment: AugmentConfig
    loss: LossConfig
    optimizer: Annotated[AdamConfig | SGDConfig, Discriminator("name")]
    scheduler: Annotated[ConstantConfig | CosineConfig | PlateauConfig, Discriminator("name")]
    trainer: TrainerConfig
    logger: LoggerConfig

    def plain(self) -> dict[str, Any]:
        """The configuration as nested plain values, fit for YAML, JSON and checkpoints."""
        return self.model_dump(mode="json")


def check_config(composed: DictConfig | dict[str, Any]) -> Config:
    """Typed configuration of what Hydra composed.

    Raises UserError that names each wrong key with what was found and expected, and the nearest right name.
    """
    try:
        values = OmegaConf.to_container(OmegaConf.create(composed), resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise explain_interpolation(error) from error
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise explain_invalid(error, Config) from error
