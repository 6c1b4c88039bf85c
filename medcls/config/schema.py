"""The typed schema behind conf/: what every key is called, its type and its range."""

from typing import Annotated, Any, Literal, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator, model_validator

from medcls.config.augment import AugmentConfig
from medcls.config.data import DataConfig
from medcls.config.messages import explain_interpolation, explain_invalid, no_such_choice
from medcls.config.parts import LOGGERS, LossConfig, NetConfig, OptimizerConfig, ScheduleConfig
from medcls.config.section import (
    MACHINERY,
    REPETITION,
    UNNAMED,
    UNSEEN,
    Above0,
    AtLeast1,
    Count,
    Flag,
    Fraction,
    Knob,
    Location,
    Number,
    Section,
    Seed,
    Share,
)
from medcls.config.targets import DottedPath, Target, targets_in
from medcls.errors import UserError
from medcls.runs.history import COLUMNS


class TrainerConfig(Section):
    """Where and how precisely to compute."""

    accelerator: Annotated[Literal["auto", "cpu", "gpu", "mps"], Knob(tunes=False, on_page=False, on_resume=True)]
    precision: Literal["32-true", "tf32", "bf16-mixed", "16-mixed", "64-true"]
    deterministic: Flag
    threads: Annotated[Annotated[AtLeast1, Field(le=1024)] | None, Knob(tunes=False)]
    steps: Annotated[Literal["auto", "eager", "single"], UNSEEN]
    patience: AtLeast1 | None
    gradient_clip: Above0 | None
    accumulate: AtLeast1


class LoggerConfig(Section):
    """What a run draws, and what TensorBoard gets."""

    tensorboard: Flag
    images: Count
    pictures: Annotated[Flag, UNSEEN]


class AuditConfig(Section):
    """What is looked for in the data before training, and what follows from it; see docs/audit.md."""

    enabled: Flag
    on_leak: Literal["stop", "warn", "drop"]
    search: Literal["thorough", "quick"]
    shortcut_auroc: Annotated[float, Field(ge=0.5, lt=1, strict=True)]


class ThresholdConfig(Section):
    """At most one rule, which fixes the threshold on validation images alone.

    prevalence: of the population that rule and values are for.
    """

    sensitivity: Share | None
    specificity: Share | None
    rule: Literal["argmax", "youden"] | None
    cost: Above0 | None
    value: Fraction | None
    prevalence: Fraction | None

    @model_validator(mode="after")
    def one_rule(self) -> "ThresholdConfig":
        if len(self.model_dump(exclude={"prevalence"}, exclude_none=True)) > 1:
            raise ValueError("one of sensitivity, specificity, rule, cost and value, the others null")
        return self


class ReachConfig(Section):
    """A question of convergence: in which epoch does each variant reach a value, or the last one of another variant."""

    metric: str  # a column of history.csv
    value: Number | None = None
    final_of: str | None = None

    @model_validator(mode="after")
    def one_goal(self) -> "ReachConfig":
        if (self.value is None) == (self.final_of is None):
            raise ValueError("either value or final_of, and not both")
        return self


class ClaimConfig(Section):
    """What was claimed of an experiment; ``medcls/study/claims.py`` judges it.

    of: variants, or values of a setting; of two, the second is said to be higher, lower or sooner than the first.
    curve: a column of history.csv, or loss_gap, in the last epoch; null: the sweep's metric, as tested.
    """

    said: str
    direction: Literal["higher", "lower", "no higher", "rises", "stays", "reached", "sooner"]
    of: Annotated[list[str], Field(min_length=1)]
    curve: Literal[("loss_gap", *COLUMNS)] | None = None  # type: ignore[valid-type]
    value: Number | None = None

    @model_validator(mode="after")
    def complete(self) -> "ClaimConfig":
        given = {name for name in ("curve", "value") if getattr(self, name) is not None}
        possible: dict[str, list[set[str]]] = {
            "higher": [set(), {"curve"}, {"curve", "value"}],
            "lower": [set(), {"curve"}, {"curve", "value"}],
            "reached": [{"curve", "value"}],
            "sooner": [{"curve"}, {"curve", "value"}],
        }
        if given not in possible.get(self.direction, [set()]):
            raise ValueError(f"other keys with direction={self.direction} than {sorted(given) or 'none'}")
        alone = self.direction in ("rises", "stays", "reached") or (self.direction != "sooner" and "value" in given)
        if not alone and len(self.of) != 2:
            raise ValueError(f"two names in of, which direction={self.direction} compares")
        if self.curve == "loss_gap" and self.direction not in ("higher", "lower"):
            raise ValueError("a column of history.csv as curve")
        return self


class SweepConfig(Section):
    """What sweep.py varies and what the report answers; train.py has no use for it.

    grid: key -> its values; variants: name -> key -> value, for combinations that are not a grid; compare: pairs of
    variants, "all", or one that each other is compared with; None: the settings of a full grid, else each with the
    first.
    """

    question: str | None
    grid: dict[str, list[Any]]
    variants: dict[str, dict[str, Any]]
    compare: str | list[tuple[str, str]] | None
    metric: str = "auroc"
    margin: Fraction | None = None
    jobs: AtLeast1 | None = None
    reach: list[ReachConfig]
    claims: list[ClaimConfig] = Field(default_factory=list)


def known_logger(name: str) -> str:
    """The name of a logger of ``LOGGERS``. Raises ValueError for another."""
    if name not in LOGGERS:
        raise ValueError(f"one of {', '.join(LOGGERS)}, or {{_target_: package.Logger, ...}}")
    return name


LoggerName = Annotated[str, AfterValidator(known_logger)]


class ClassifierConfig(Section):
    """The LightningModule: medcls's own where ``target`` is null, else a subclass of it."""

    target: DottedPath | None = Field(alias="_target_")
    args: dict[str, Any]


class Config(Section):
    """The whole configuration of a run."""

    lr: Above0
    epochs: Annotated[AtLeast1, Knob(on_resume=True)]
    batch_size: AtLeast1
    seed: Annotated[Seed, REPETITION]
    image_size: AtLeast1
    num_workers: Annotated[Count, Knob(tunes=False, on_page=False, on_resume=True)]
    resume: Annotated[Location | None, UNNAMED]
    model: NetConfig
    data: DataConfig
    augment: AugmentConfig
    loss: LossConfig
    optimizer: OptimizerConfig
    scheduler: ScheduleConfig
    trainer: TrainerConfig
    threshold: Annotated[ThresholdConfig, MACHINERY]
    classifier: ClassifierConfig
    callbacks: Annotated[list[Target], Knob(on_page=False)]
    logger: Annotated[LoggerConfig, MACHINERY]
    loggers: Annotated[list[LoggerName | Target], UNNAMED]
    metrics: Annotated[list[Target], UNNAMED]
    audit: Annotated[AuditConfig, Knob(on_page=False)]
    # Excluded, so that a run has the same configuration alone and in a sweep.
    columns: Annotated[list[Target], UNNAMED] = Field(default_factory=list, exclude=True)
    allow: Annotated[list[DottedPath], UNNAMED] = Field(default_factory=list, exclude=True)
    sweep: Annotated[SweepConfig | None, MACHINERY] = Field(default=None, exclude=True)

    @property
    def own_code(self) -> set[str]:
        """Dotted paths of all code of the user's own that the configuration names."""
        return targets_in(self.plain()) | targets_in([column.model_dump(by_alias=True) for column in self.columns])

    @field_validator("sweep")
    @classmethod
    def columns_to_reach(cls, sweep: SweepConfig | None, others: ValidationInfo) -> SweepConfig | None:
        own = [f"val_{metric.arguments.get('name', metric.name)}" for metric in others.data.get("metrics", [])]
        for goal in sweep.reach if sweep else []:
            if goal.metric not in (known := [*COLUMNS, *own]):
                raise UserError(no_such_choice("sweep.reach", goal.metric, known))
        return sweep

    def plain(self) -> dict[str, Any]:
        """The configuration as nested plain values, fit for YAML, JSON and checkpoints."""
        return self.model_dump(mode="json", by_alias=True)


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
        raise explain_invalid(error, schema, values) from error


class _SweepOnly(Section):
    """The one section, so that messages name its keys in full."""

    sweep: SweepConfig


def check_sweep(composed: DictConfig) -> SweepConfig:
    """Typed ``sweep`` section of what Hydra composed. Raises UserError as ``check_config`` does."""
    values = {"sweep": OmegaConf.to_container(composed, resolve=True)}
    try:
        return _SweepOnly.model_validate(values).sweep
    except ValidationError as error:
        raise explain_invalid(error, Config, values) from error
