"""What the commands on trained nets share: words about runs, read into a typed configuration."""

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from medcls.errors import Stopped, UserError
from medcls.quoting import in_grammar, unquoted

if TYPE_CHECKING:
    from medcls.config import Config

log = logging.getLogger(__name__)

AnyConfig = TypeVar("AnyConfig", bound="Config")


def typed_config(
    overrides: Sequence[str],
    config_name: str,
    schema: type[AnyConfig],
    check_keys: Callable[[Sequence[str]], set[str]],
) -> tuple[AnyConfig, set[str]]:
    """Configuration of a command and the keys that its words name; from now on its log goes to the terminal.

    Raises UserError for a wrong value, and for a key that ``check_keys`` refuses since it would have no effect.
    """
    from medcls.composition.compose import checked

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    keys = check_keys(overrides)
    return checked(schema, config_name, overrides, config_name), keys


@contextmanager
def all_or_nothing() -> Iterator[None]:
    """End the block in order on Ctrl-C and SIGTERM, so that what it writes is left as a whole or not at all."""
    from medcls.host.stop import stopping_in_order

    try:
        with stopping_in_order():
            yield
    except Stopped:
        log.info("stopped; re-run the same command")
        raise


def overrides_of(words: Sequence[str]) -> list[str]:
    """The words for Hydra, which would take runs with commas between for a sweep. Raises UserError without a run."""
    runs = [word.partition("=")[2] for word in words if word.startswith("run=")]
    if len(runs) != 1:
        raise UserError(f"run: found {' '.join(runs) or 'none'}, expected one: run=runs/<run>, or run=runs/a,runs/b")
    if not runs[0].startswith("["):
        whole = unquoted(runs[0])  # a name may hold a comma
        named = [whole] if Path(whole).expanduser().exists() else [unquoted(path) for path in runs[0].split(",")]
        runs = [f"run={in_grammar(named)}"]
    else:
        runs = [f"run={runs[0]}"]
    return [*runs, *(word for word in words if not word.startswith("run="))]
