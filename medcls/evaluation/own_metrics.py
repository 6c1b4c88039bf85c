"""Metrics of the user's own: functions named by their dotted path in ``metrics`` of the configuration."""

import math
import re
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

from numpy.typing import NDArray

from medcls.config.targets import Target, accepts, check_arguments, locate
from medcls.errors import UserError
from medcls.evaluation.metrics import METRICS, Metric

KEY = "metrics"
Function = Callable[[NDArray[Any], NDArray[Any]], float]
# Other keys beside metrics in metrics.json, or beside their tags in TensorBoard.
_TAKEN = ("loss", "n", "epoch")


def own_metrics(targets: Sequence[Target]) -> list[Metric]:
    """A record of each function (labels, probabilities, **arguments) -> number that ``targets`` name.

    labels: (N,) integers in [0, C); probabilities: (N, C). A function with a parameter ``positive`` gets the index of
    the positive class. An argument ``name`` is the metric's name, by default the function's; its title is that name
    with spaces for underscores. A value that is not finite counts as undefined.
    Raises UserError for a function that cannot be found or called so, and for a name that is taken or cannot be one;
    the formulas raise it where their function fails or returns something else than a number.
    """
    found = [_record(target) for target in targets]
    names = [metric.name for metric in found]
    for name in names:
        if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII):
            raise UserError(f"{KEY}: found {name!r}, expected a name of letters, digits and underscores.")
        if name in METRICS or name in _TAKEN or names.count(name) > 1:
            raise UserError(
                f"{KEY}: the name {name} is taken. Give yours another name: {{_target_: ..., name: my_{name}}}\n"
                f"  Taken: {', '.join([*METRICS, *_TAKEN])}, and any other name of yours that is used twice."
            )
    return found


def as_functions(metrics: Sequence[Metric], positive: int) -> dict[str, Function]:
    """Each metric by name as a function of labels and probabilities alone."""

    def of(metric: Metric) -> Function:
        return lambda labels, probabilities: metric.formula(labels, probabilities, positive)

    return {metric.name: of(metric) for metric in metrics}


def _record(target: Target) -> Metric:
    arguments = target.arguments
    name = str(arguments.pop("name", target.name))
    function = locate(target.target, KEY)
    if not callable(function):
        raise UserError(f"{KEY}: found {target.target}, {type(function).__name__}. Expected a function.")
    takes_positive = accepts(function, "positive")
    check_arguments(function, arguments, KEY, None, None, **({"positive": 0} if takes_positive else {}))

    def formula(labels: NDArray[Any], probabilities: NDArray[Any], positive: int) -> float:
        context = {"positive": positive} if takes_positive else {}
        try:
            value = function(labels, probabilities, **context, **arguments)
        except Exception as error:  # a function of the user's may raise anything
            raise UserError(f"{KEY}: {target.target} failed: {type(error).__name__}: {error}") from error
        if not isinstance(value, Real):
            raise UserError(f"{KEY}: {target.target} returned {type(value).__name__}, expected a number.")
        return float(value) if math.isfinite(value) else math.nan

    return Metric(name, name.replace("_", " "), formula, in_report=True, in_hparams=True)
