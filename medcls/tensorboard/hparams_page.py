"""The HPARAMS page of TensorBoard: every knob of a run, those that matter first."""

import json
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo

from medcls.config import Config
from medcls.config.knobs import knob
from medcls.config.messages import all_fields, sections
from medcls.config.parts import PARTS

Value = bool | float | str

# Keys that name the choice of a group, which has a column of its own.
CHOICES = {"data.name", *(f"{group}.{by}" for group, (by, _) in PARTS.items()), "model.name"}
TYPES = {
    bool: ("bool_value", api_pb2.DATA_TYPE_BOOL),
    float: ("number_value", api_pb2.DATA_TYPE_FLOAT64),
    str: ("string_value", api_pb2.DATA_TYPE_STRING),
}


def hparams(config: Config, title: str) -> dict[str, Value]:
    """Every knob by the name of its key, and the choice of every group by the group's; ``title``: of the data.

    Keys and their types are the same for all runs: TensorBoard leaves a run out of its parallel coordinates that lacks
    a key, and reads a column of numbers and text as text. So a key that the chosen net or optimizer lacks is 0, false
    or "-", and one that may be null is always text.
    """
    plain = config.plain()
    choices: dict[str, Value] = {
        "model": config.model.title,
        "data": title,
        "augment": config.augment.title,
        "loss": config.loss.name,
        "optimizer": config.optimizer.name,
        "scheduler": config.scheduler.name,
    }
    return choices | {
        key: value_of(look_up(plain, key), type_of(annotation))
        for key, annotation in all_fields(Config)
        if knob(key).on_page and key not in CHOICES and not list(sections(annotation))
    }


def look_up(section: Any, key: str) -> Any:
    """Value of a dotted key, the empty tuple where the configuration has no such key."""
    for part in key.split("."):
        section = section.get(part, ()) if isinstance(section, Mapping) else ()
    return section


def type_of(annotation: object) -> type[Value]:
    """How TensorBoard is to take all values of a key: bool, float, or str where they may be anything else or null."""
    if annotation is bool:
        return bool
    choices = typing.get_args(annotation) if typing.get_origin(annotation) is typing.Literal else ()
    numbers = choices and all(isinstance(choice, int) for choice in choices)
    return float if numbers or annotation in (int, float) else str


def value_of(value: Any, kind: type[Value]) -> Value:
    """A setting as a value of ``kind``."""
    if value == ():
        return "-" if kind is str else kind(0)
    if kind is not str or isinstance(value, str):
        return kind(value)
    return json.dumps(value, ensure_ascii=False).replace('"', "")


def summaries(
    values: Mapping[str, Value], metrics: Iterable[str], first: Iterable[str], *, alone: bool = False
) -> list[Summary]:
    """An event file's content on a finished run; ``first``: keys, as an override names them, that the page begins with.

    alone: no other keys get a column, so that metrics follow at once: TensorBoard shows five keys before the metrics,
    whatever there are, in the order of the alphabet. It takes columns, their order and ``metrics`` from one of the runs
    that it is shown, no matter which.
    """
    start = SessionStartInfo()
    for key, value in values.items():
        setattr(start.hparams[key], TYPES[type(value)][0], value)
    shown = {column for key in first for column in columns_of(key, values)}
    experiment = api_pb2.Experiment(
        hparam_infos=[
            api_pb2.HParamInfo(name=key, type=TYPES[type(value)][1], differs=key in shown)
            for key, value in values.items()
            if key in shown or not (alone and shown)
        ],
        metric_infos=[api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag)) for tag in metrics],
    )
    # Without an end the run would count as unfinished.
    end = SessionEndInfo(status=api_pb2.STATUS_SUCCESS)
    return [
        summary(metadata.EXPERIMENT_TAG, HParamsPluginData(experiment=experiment)),
        summary(metadata.SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=start)),
        summary(metadata.SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=end)),
    ]


def columns_of(key: str, columns: Iterable[str]) -> list[str]:
    """Column that shows a key: its own, or that of what it is a part of, as a transform's argument or a net's name."""
    parts = key.split(".")
    above = [".".join(parts[: n + 1]) for n in range(len(parts))]
    return sorted((column for column in columns if column in above), key=len)[-1:]


def summary(tag: str, content: HParamsPluginData) -> Summary:
    """Carrier of the plugin's data in an event file."""
    described = metadata.create_summary_metadata(content)
    return Summary(value=[Summary.Value(tag=tag, metadata=described, tensor=metadata.NULL_TENSOR)])
