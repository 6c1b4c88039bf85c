"""What predicting leaves in its folder: what was asked, and a row for each image."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcls.atomic import write_json
from medcls.config import DataConfig
from medcls.errors import UserError
from medcls.evaluation.metrics import Metric
from medcls.predict.deciding import Deciding
from medcls.predict.folder import PredictFolder
from medcls.predict.inputs import Inputs
from medcls.predict.judging import Judged
from medcls.predict.nets import Ensemble, mean_and_spread
from medcls.predict.ordinary import Ordinary
from medcls.quoting import typed
from medcls.runs.folder import write_table
from medcls.runs.reading import read_json
from medcls.sources.location import check_outside_images


def check_folder(folder: PredictFolder, request: Mapping[str, Any], inputs: Inputs, data: DataConfig) -> None:
    """Raise UserError for a folder among the images, or one that holds anything but the same predictions."""
    check_outside_images("output", folder.path, data)
    if folder.path.resolve() == inputs.root.resolve():
        raise UserError(f"output: {folder.path} holds the images; nothing is written beside them. Name another.")
    if folder.path.exists() and not folder.path.is_dir():
        raise UserError(f"output: {folder.path} is a file, expected a folder.")
    if not folder.path.is_dir():
        return
    if not folder.request.is_file():
        if any(not path.name.startswith(".") for path in folder.path.iterdir()):
            raise UserError(f"output: {folder.path} holds other files. Name a new folder: output=<folder>")
        return
    before = read_json(folder.request, dict[str, Any])
    if differ := [key for key in request if before.get(key) != request[key]]:
        raise UserError(
            f"output: {folder.path} holds predictions of other {', '.join(differ).replace('_', ' ')}.\n"
            f"  Name another folder: {typed('output', f'{folder.path}_2')}, or remove this one."
        )


def request_of(
    ensemble: Ensemble,
    inputs: Inputs,
    settings: Mapping[str, int],
    notice: str | None,
    how: Deciding,
    own: Sequence[Metric],
) -> dict[str, Any]:
    """What a second start must have in common with the first to finish it; plain values.

    settings: batch_size and max_pixels; own: metrics of the user's own.
    """
    return {
        "nets": [net.digest for net in ensemble.nets],
        "runs": [str(net.checkpoint) for net in ensemble.nets],
        "images": digest_of(inputs),
        "classes": list(ensemble.classes),
        "image_size_channels_and_window": json.loads(json.dumps(ensemble.how)),
        **settings,
        "notice": notice,
        "metrics_of_your_own": [metric.name for metric in own],
        "threshold": how.threshold.value,
        "rule": how.threshold.rule,
        "temperature": None if how.temperature is None else how.temperature.value,
        "prevalence": how.prevalence if how.stated else None,
    }


def digest_of(inputs: Inputs) -> str:
    """Changes with the name, size, dates, class and patient of any image."""
    lines = hashlib.sha256()
    for i, (path, group) in enumerate(zip(inputs.paths, inputs.groups, strict=True)):
        try:
            stat = path.stat()
            state = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
        except OSError:
            state = []
        label = None if inputs.labels is None else int(inputs.labels[i])
        further = inputs.further.get(inputs.names[i])
        lines.update(
            json.dumps([inputs.names[i], state, label, group, *([further] if further else [])]).encode() + b"\n"
        )
    return lines.hexdigest()


def write_table_of(
    path: Path, inputs: Inputs, judged: Judged, ensemble: Ensemble, ordinary: Ordinary, how: Deciding
) -> None:
    """Write predictions.csv, a row for each readable image; columns as docs/predict.md has them."""
    own = mean_and_spread(judged.probabilities)[0]
    chosen, two = how.decide(own), len(ensemble.classes) == 2
    limit = how.shown_threshold
    threshold: float | str = "argmax" if not two else 0.5 if limit is None else limit
    mean, spread = how.shown(own), mean_and_spread(how.shown(judged.probabilities))[1]
    rows = []
    for i, name in enumerate(inputs.names):
        row: dict[str, Any] = {"sample": name}
        row |= {} if inputs.labels is None else {"label": ensemble.classes[inputs.labels[i]]}
        row |= {"group": inputs.groups[i]} if any(inputs.groups) else {}
        row |= {f"p_{of}": float(value) for of, value in zip(ensemble.classes, mean[i], strict=True)}
        row |= {"predicted": ensemble.classes[chosen[i]], "threshold": threshold}
        row |= {"sd": float(spread[i, chosen[i]])} if len(ensemble.nets) > 1 else {}
        row |= {"distance": "" if ordinary.distances is None else float(ordinary.distances[i])}
        rows.append(row | {"out_of_range": " ".join(ordinary.remarks[i])})
    write_table(path, rows)


def write_summary(
    folder: PredictFolder, inputs: Inputs, ensemble: Ensemble, ordinary: Ordinary, unreadable: Mapping[str, str]
) -> dict[str, Any]:
    """Write summary.json, with which the folder is complete; returns its content."""
    content = {
        "simulated": ensemble.simulated,
        "root": str(inputs.root.absolute()),
        "images": len(inputs.names) + len(unreadable),
        "judged": len(inputs.names),
        "unreadable": dict(unreadable),
        "nets": len(ensemble.nets),
        "out_of_range": ordinary.counts(),
        "distance_limit": ordinary.limit,
        "no_distance": ordinary.unavailable,
    }
    write_json(folder.summary, content)
    return content


def chosen_counts(chosen: NDArray[np.int64], classes: Sequence[str]) -> str:
    """How many images each class was chosen for, in words."""
    counts = np.bincount(chosen, minlength=len(classes))
    return ", ".join(f"{count} {name}" for name, count in zip(classes, counts, strict=True))
