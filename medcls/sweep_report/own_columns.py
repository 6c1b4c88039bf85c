"""Columns of the user's own: functions of a run, named by their dotted path in the command that asks for the report."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real

from medcls.config.targets import Target, check_arguments, locate
from medcls.errors import UserError
from medcls.runs.run import Run
from medcls.sweep_report.design import Sweep
from medcls.sweep_report.over_seeds import over_trials, show_spread

KEY = "columns"
Value = int | float | str


@dataclass(frozen=True)
class OwnColumn:
    """A number, NaN where there is none, or text for each finished run, by the run's name."""

    name: str
    values: Mapping[str, Value]

    @property
    def title(self) -> str:
        return self.name.replace("_", " ")

    def cell(self, sweep: Sweep, variant: str) -> str:
        """Mean and deviation of a variant's numbers over its seeds, folds averaged first; or each text that occurs."""
        values = [self.values[run.name] for run in sweep.done(variant)]
        if any(isinstance(value, str) for value in values):
            return ", ".join(dict.fromkeys(value if isinstance(value, str) else f"{value:g}" for value in values))
        digits = 0 if len(set(values)) == 1 and isinstance(values[0], int) else 3
        return show_spread(over_trials(sweep, variant, lambda run: float(self.values[run.name])), digits)


def own_columns(sweep: Sweep, targets: Sequence[Target]) -> list[OwnColumn]:
    """Results of the functions (run, **arguments) -> number or text that ``targets`` name, for every finished run.

    run: a ``medcls.runs.run.Run``. An argument ``name`` is the column's name, by default the function's. None, and a
    number that is not finite, leave a cell empty.
    Raises UserError for a function that cannot be found or called so, fails, or returns anything else, and for two
    columns of one name.
    """
    found: list[OwnColumn] = []
    for target in targets:
        column = _column(sweep, target)
        if column.name in {other.name for other in found}:
            raise UserError(
                f"{KEY}: found {column.name} twice. Give one another name: {{_target_: ..., name: my_{column.name}}}"
            )
        found.append(column)
    return found


def _column(sweep: Sweep, target: Target) -> OwnColumn:
    arguments = target.arguments
    name = str(arguments.pop("name", target.name))
    function = locate(target.target, KEY)
    if not callable(function):
        raise UserError(f"{KEY}: found {target.target}, {type(function).__name__}. Expected a function.")
    check_arguments(function, arguments, KEY, None)
    values: dict[str, Value] = {}
    for run in sweep.runs:
        if run.done:
            try:
                value = function(run, **arguments)
            except Exception as error:  # a function of the user's may raise anything
                reason = f"{type(error).__name__}: {error}"
                raise UserError(f"{KEY}: {target.target} failed on the run {run.name}: {reason}") from error
            values[run.name] = _number_or_text(value, target, run)
    return OwnColumn(name, values)


def _number_or_text(value: object, target: Target, run: Run) -> Value:
    if value is None:
        return math.nan
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else math.nan
    raise UserError(
        f"{KEY}: {target.target} returned {type(value).__name__} for the run {run.name}, expected a number or text."
    )
