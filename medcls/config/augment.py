"""The part of the schema that says how training images are changed, and how its transforms are listed and named."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import field_validator

from medcls.config.section import Section
from medcls.config.targets import KEY
from medcls.errors import UserError

# name -> arguments, or a list of such mappings, each with one name or with a _target_ and its arguments
Transforms = Mapping[str, Mapping[str, Any]] | Sequence[Mapping[str, Any]]
NESTED = "transforms"  # argument of a transform that chooses among, or groups, others


class Step(NamedTuple):
    """One transform: its ``key`` in the configuration, its name in albumentations or dotted path, its arguments."""

    key: str
    name: str
    own: bool
    arguments: dict[str, Any]


def steps(transforms: Any, key: str = "augment.transforms") -> list[Step]:
    """The transforms of a configuration in the order they are applied, not those nested in them.

    Raises UserError for anything that is neither a mapping nor a list of transforms.
    """
    if isinstance(transforms, Mapping):
        return [_step(f"{key}.{name}", name, arguments) for name, arguments in transforms.items()]
    if isinstance(transforms, str) or not isinstance(transforms, Sequence):
        raise UserError(
            f"{key}: found {transforms!r}, expected transforms: {{name: {{arguments}}}}, or a list of such."
        )
    found = []
    for i, item in enumerate(transforms):
        if not isinstance(item, Mapping) or (KEY not in item and len(item) != 1):
            raise UserError(
                f"{key}.{i}: found {item!r}, expected one transform: {{HorizontalFlip: {{p: 0.5}}}} or "
                f"{{{KEY}: mine.Elastic, alpha: 3}}."
            )
        if KEY in item:
            found.append(_step(f"{key}.{i}", "", item))
        else:
            (name, arguments), *_ = item.items()
            found.append(_step(f"{key}.{i}.{name}", name, arguments))
    return found


def _step(key: str, name: Any, arguments: Any) -> Step:
    if not isinstance(arguments, Mapping):
        raise UserError(f"{key}: found {arguments!r}, expected arguments: {{p: 0.5}}, or {{}} for none.")
    own = KEY in arguments
    if own and not (isinstance(arguments[KEY], str) and "." in arguments[KEY]):
        raise UserError(f"{key}.{KEY}: found {arguments[KEY]!r}, expected a dotted path: mine.Elastic.")
    plain = {str(argument): value for argument, value in arguments.items() if argument != KEY}
    return Step(key, arguments[KEY] if own else str(name), own, plain)


class AugmentConfig(Section):
    """Transforms, of albumentations or the user's own, in the order they are applied; nested ones are lists too."""

    transforms: dict[str, dict[str, Any]] | list[dict[str, Any]]

    @field_validator("transforms", mode="before")
    @classmethod
    def are_transforms(cls, transforms: Any) -> Any:
        check_steps(transforms)
        return transforms

    @property
    def title(self) -> str:
        """The names of the transforms for tables: Affine+OneOf(GaussNoise, Blur), or none."""
        return title_of(self.transforms)


def check_steps(transforms: Any, key: str = "augment.transforms") -> None:
    """Raise UserError as ``steps`` does, at any depth."""
    for step in steps(transforms, key):
        if NESTED in step.arguments:
            check_steps(step.arguments[NESTED], f"{step.key}.{NESTED}")


def title_of(transforms: Transforms) -> str:
    """The names of transforms for tables."""
    return "+".join(map(_title, steps(transforms))) or "none"


def _title(step: Step) -> str:
    name = step.name.rpartition(".")[2]
    if NESTED not in step.arguments:
        return name
    return f"{name}({', '.join(map(_title, steps(step.arguments[NESTED])))})"
