"""A rule that a threshold is chosen by, in words, and whether it can be used. Imports nothing slow."""

from collections.abc import Mapping, Sequence

from medcls.config.schema import ThresholdConfig
from medcls.errors import UserError


def rule_of(threshold: ThresholdConfig) -> dict[str, float | str]:
    """The one key that is a rule, with its value; empty for the more probable class."""
    rule: dict[str, float | str] = threshold.model_dump(exclude={"prevalence"}, exclude_none=True)
    return {} if rule == {"rule": "argmax"} else rule


def in_words(rule: Mapping[str, float | str]) -> str:
    """A rule as it is typed."""
    return (
        ", ".join(
            f"threshold.{key}={value:g}" if isinstance(value, float) else f"threshold.{key}={value}"
            for key, value in rule.items()
        )
        or "threshold.rule=argmax"
    )


def on_images(rule: Mapping[str, float | str], images: str) -> str:
    """A rule as it is typed, and the images that it was met on; a value needs none."""
    return in_words(rule) + (f" on {images}" if images and "value" not in rule else "")


def check_classes(threshold: ThresholdConfig, classes: Sequence[str], *, trained: bool = False) -> None:
    """Raise UserError where a rule or a prevalence of the positive class is given for other than two classes.

    trained: whether the classes are those of a net, which data.classes cannot change.
    """
    given = threshold.model_dump(exclude_none=True)
    if given and given != {"rule": "argmax"} and len(classes) != 2:
        raise UserError(
            f"threshold.{next(iter(given))}: found {len(classes)} classes, expected two, of which one is positive. "
            "Leave it out: the most probable class is chosen"
            f"{'' if trained else '; or merge the classes into two by data.classes'}."
        )
