"""The typed schema behind conf/: what every key is called, its type and its range."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import Discriminator, Field, Tag, ValidationError, model_validator

from medcls.config.data import DataConfig
from medcls.config.messages import explain_interpolation, explain_invalid
from medcls.config.section import Above0, AtLeast0, AtLeast1, Count, Flag, Fraction, Rate, Section


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


class AuditConfig(Section):
    """What is looked for in the data before training, and what follows from it; see docs/audit.md."""

    enabled: Flag
    on_leak: Literal["stop", "warn", "drop"]
    hash_distance_low: Annotated[int, Field(ge=0, le=64, strict=True)]
    hash_distance: Annotated[int, Field(ge=0, le=256, strict=True)]
    similarity_small: Fraction
    similarity: Fraction
    similarity_fine: Fraction
    similarity_moved: Fraction
    shortcut_auroc: Annotated[float, Field(ge=0.5, lt=1)]


Metric = Literal["train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_auroc"]


class ReachConfig(Section):
    """A question of convergence: in which epoch does each variant reach a value, or the last one of another variant."""

    metric: Metric
    value: float | None = None
    final_of: str | None = None

    @model_validator(mode="after")
    def one_goal(self) -> "ReachConfig":
        if (self.value is None) == (self.final_of is None):
            raise ValueError("either value or final_of, and not both")
        return self


class SweepConfig(Section):
    """What sweep.py varies and what the report answers; train.py has no use for it.

    grid: key -> its values; variants: name -> key -> value, for sets that are no grid; compare: pairs of variants.
    """

    question: str | None
    grid: dict[str, list[Any]]
    variants: dict[str, dict[str, Any]]
    compare: Literal["all"] | list[tuple[str, str]]
    reach: list[ReachConfig]


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
    audit: AuditConfig
    # No part of what a run is: the same run alone and in a sweep has the same configuration.
    sweep: SweepConfig | None = Field(default=None, exclude=True)

    def plain(self) -> dict[str, Any]:
        """The configuration as nested plain values, fit for YAML, JSON and checkpoints."""
        return self.model_dump(mode="json")


Checked = TypeVar("Checked", bound=Config)


def check_config(composed: DictConfig | dict[str, Any]) -> Config:
    """Typed configuration of what Hydra composed. Raises UserError as ``check_against`` does."""
    return check_against(Config, composed)


def check_against(schema: type[Checked], composed: DictConfig | dict[str, Any]) -> Checked:
    """What Hydra composed, typed by ``schema``.

    Raises UserError that names each wrong key with what was found and expected, and the nearest right name.
    """
    try:
        values = OmegaConf.to_container(OmegaConf.create(composed), resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise explain_interpolation(error) from error
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise explain_invalid(error, schema) from error


class _SweepOnly(Section):
    """The one section, so that messages name its keys in full."""

    sweep: SweepConfig


def check_sweep(composed: DictConfig) -> SweepConfig:
    """Typed ``sweep`` section of what Hydra composed. Raises UserError as ``check_config`` does."""
    try:
        return _SweepOnly.model_validate({"sweep": OmegaConf.to_container(composed, resolve=True)}).sweep
    except ValidationError as error:
        raise explain_invalid(error, Config) from error
