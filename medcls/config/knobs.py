"""What each key of the configuration means for a run, gathered from the fields of the schema."""

from collections.abc import Callable, Iterator
from functools import cache

from pydantic import BaseModel

from medcls.config.messages import sections
from medcls.config.schema import Config
from medcls.config.section import Knob


def knob(key: str) -> Knob:
    """Meaning of a dotted key: its own, else that of the section that it is a part of."""
    known = _knobs()
    parts = key.split(".")
    above = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((known[name] for name in above if name in known), Knob())


def keys_that(hold: Callable[[Knob], bool]) -> list[str]:
    """Keys of the schema, with a meaning of their own, for which ``hold`` is true."""
    return [key for key, meaning in _knobs().items() if hold(meaning)]


def changeable(config: Config) -> list[str]:
    """Keys that may change when a run of ``config`` is resumed: those without effect on the numbers, and its length."""
    keys = keys_that(lambda meaning: meaning.on_resume)
    return [key for key in keys if not (key == "epochs" and config.scheduler.fixed_length)]


@cache
def _knobs() -> dict[str, Knob]:
    return dict(_declared(Config))


def _declared(schema: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Knob]]:
    for name, field in schema.model_fields.items():
        key = prefix + (field.alias or name)
        yield from ((key, meaning) for meaning in field.metadata if isinstance(meaning, Knob))
        for section in sections(field.annotation):
            yield from _declared(section, f"{key}.")
