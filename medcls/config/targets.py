"""Code of the user's own, named by its dotted path as Hydra's ``_target_`` does: found, called, and never run unasked.

Only what the command at hand, or conf/ of this machine, names is imported. A run folder, a sweep or a checkpoint may
come from a stranger: what they name is refused unless it is also named here (see ``check_allowed``).
"""

import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable, Collection, Iterator, Mapping
from difflib import get_close_matches
from types import ModuleType
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from medcls.config.section import Section
from medcls.errors import UserError

DottedPath = Annotated[str, Field(pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)+$")]
KEY = "_target_"


class Target(Section):
    """``{_target_: package.name, argument: value, ...}``: what to call, and its arguments."""

    model_config = ConfigDict(extra="allow")

    target: DottedPath = Field(alias="_target_")  # KEY, which mypy wants spelled out

    @property
    def name(self) -> str:
        """Last part of the dotted path."""
        return self.target.rpartition(".")[2]

    @property
    def arguments(self) -> dict[str, Any]:
        """What stands beside ``_target_``."""
        return dict(self.model_extra or {})


def locate(target: str, key: str) -> Any:
    """What the dotted path ``target`` names; ``key``: of the configuration, for messages.

    Raises UserError for a module that cannot be imported or a name that it lacks, with the nearest right one.
    """
    parts = target.split(".")
    module = _import(parts[0], key, target)
    found: Any = module
    for position, part in enumerate(parts[1:], start=1):
        if not hasattr(found, part) and isinstance(found, ModuleType) and _is_submodule(found, part):
            _import(".".join(parts[: position + 1]), key, target)
        if not hasattr(found, part):
            where = ".".join(parts[:position])
            raise UserError(f"{key}: found {target}, but {where} has no {part}.{_hint(part, dir(found), where)}")
        found = getattr(found, part)
    return found


def call(target: str, arguments: Mapping[str, Any], key: str, *positional: Any, **context: Any) -> Any:
    """What ``target`` returns for ``positional``, ``context`` and the user's ``arguments``.

    Raises UserError for an unknown or a missing argument, and where the call fails.
    """
    function = locate(target, key)
    if not callable(function):
        raise UserError(f"{key}: found {target}, {type(function).__name__}. Expected a class or a function.")
    check_arguments(function, arguments, key, *positional, **context)
    try:
        return function(*positional, **context, **arguments)
    except UserError:
        raise
    except Exception as error:  # the user's code may raise anything
        raise UserError(f"{key}: {target} failed: {type(error).__name__}: {error}") from error


def check_arguments(
    function: Callable[..., Any], arguments: Mapping[str, Any], key: str, *positional: Any, **context: Any
) -> None:
    """Raise UserError when ``function`` cannot be called so: an unknown argument, or one missing."""
    if twice := sorted(set(arguments) & set(context)):
        raise UserError(f"{key}: the argument {twice[0]} is set by medcls itself. Leave it out.")
    try:
        signature = inspect.signature(function)
    except ValueError:  # some functions written in C have no signature to check
        return
    names = [p.name for p in signature.parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    for name in arguments:
        if name not in names and not takes_any:
            own = [known for known in names[len(positional) :] if known not in context and known != "self"]
            raise UserError(f"{key}.{name}: unknown argument.{_hint(name, own)} Arguments: {', '.join(own) or 'none'}.")
    try:
        signature.bind(*positional, **context, **arguments)
    except TypeError as error:
        called = getattr(function, "__name__", function)
        raise UserError(f"{key}: {called} cannot be called as medcls does with these arguments: {error}.") from error


def accepts(function: Callable[..., Any], argument: str) -> bool:
    """Whether ``function`` has a parameter of that name."""
    try:
        return argument in inspect.signature(function).parameters
    except ValueError:
        return False


def targets_in(values: Any) -> set[str]:
    """Every dotted path that nested plain ``values`` name as a ``_target_``."""
    return {value for key, value in _walk(values) if key == KEY and isinstance(value, str)}


def check_allowed(values: Any, allowed: Collection[str], where: str, how: str) -> None:
    """Raise UserError when stored ``values`` name code that is not among ``allowed``.

    where: the file; how: what to type that would allow it, {names} or, for Python, {listed} in place of the names.
    """
    if unknown := sorted(targets_in(values) - set(allowed)):
        raise UserError(
            f"{where}: names code that this command does not: {', '.join(unknown)}.\n"
            f"  A stored file runs no code by itself. If you trust it: "
            + how.format(names=",".join(unknown), listed=json.dumps(unknown))
        )


def _walk(values: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield key, value
            yield from _walk(value)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _walk(value)


def _import(name: str, key: str, target: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise UserError(f"{key}: {name} cannot be imported: {error}.") from error
        known = [module.name for module in pkgutil.iter_modules() if not module.name.startswith("_")]
        raise UserError(
            f"{key}: found {target}, but there is no module {name}.{_hint(name, known)}\n"
            f"  Looked in the working folder and on the Python path: put {name}.py there."
        ) from error
    except Exception as error:  # the user's module may raise anything
        raise UserError(f"{key}: {name} cannot be imported: {type(error).__name__}: {error}") from error


def _is_submodule(module: ModuleType, name: str) -> bool:
    paths = getattr(module, "__path__", None)
    return paths is not None and any(found.name == name for found in pkgutil.iter_modules(paths))


def _hint(name: str, known: Collection[str], above: str = "") -> str:
    public = [one for one in known if not one.startswith("_")]
    lower = {one.lower(): one for one in public}
    nearest = get_close_matches(name.lower(), lower, n=1)
    return f" Did you mean {above + '.' if above else ''}{lower[nearest[0]]}?" if nearest else ""
