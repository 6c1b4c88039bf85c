"""Performance of nets on images from elsewhere, beside that on their own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from medcls.decision.quality import quality
from medcls.evaluation.intervals import as_json, class_table, intervals
from medcls.evaluation.metrics import METRICS, Metric
from medcls.evaluation.pooled import pool
from medcls.predict.deciding import Deciding
from medcls.predict.nets import Ensemble
from medcls.runs.predictions import Predictions
from medcls.runs.run import validation_images
from medcls.subgroups.shown import subgroups_of
from medcls.sweep_report.changed_images import other_images


def compared(
    external: Predictions,
    ensemble: Ensemble,
    own: Sequence[Metric],
    notice: str | None,
    how: Deciding,
    further: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """Content of metrics.json: every metric with its interval, on the external images and on the nets' own.

    own: metrics of the user's own; further: name -> other columns of an external image. Raises UserError where
    a metric fails.
    """
    inside, why = internal(ensemble)
    sides = {"external": (external, "external images")} | ({} if inside is None else {"internal": inside})
    shown, predicted = how.applied(external)
    found = {name: measured(*of_side, own, how) for name, of_side in sides.items()}
    return {
        "simulated": ensemble.simulated,
        "notice": notice,
        "data": external.data,
        "classes": list(ensemble.classes),
        "positive": ensemble.positive,
        "nets": [str(net.checkpoint) for net in ensemble.nets],
        "deciding": how.described(),
        "external": found["external"][0],
        "internal": found["internal"][0] if inside else None,
        "quality": {name: worth for name, (_, worth) in found.items()},
        "no_internal": why,
        "subgroups": subgroups_of(shown, predicted, further),
        "per_class": class_table(shown, ensemble.classes),
    }


def measured(
    predictions: Predictions, images: str, own: Sequence[Metric], how: Deciding
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of some images: metrics with intervals, and how good probabilities and decisions are beyond these.

    With the metrics how many images there are, of how many patients (None where unknown).
    """
    patients = predictions.n_patients if any(predictions.groups) else None
    counts = {"images": images, "n": len(predictions.labels), "n_patients": patients}
    shown, predicted = how.applied(predictions)
    metrics = intervals(shown, [*METRICS.values(), *own], predicted=predicted)
    worth = quality(shown, predicted, how.prevalence)
    return counts | {name: as_json(one) for name, one in metrics.items()}, {
        name: as_json(one) for name, one in worth.items()
    }


def internal(ensemble: Ensemble) -> tuple[tuple[Predictions, str] | None, str]:
    """Predictions of the runs' own test images, else of validation, and what these are; or why there are none.

    Nets that judged the same images judge them together, as they do elsewhere; of the folds of a cross-validation each
    image is judged by the nets that have not seen its patient.
    """
    if ensemble.unjudged:
        return None, ensemble.unjudged
    runs = ensemble.judged_runs
    split = "test" if all("test" in run.predictions for run in runs) else "val"
    if why := other_images(runs):
        return None, f"the runs were judged on different images ({why.rstrip('.')})"
    groups: dict[tuple[Any, ...], list[Predictions]] = {}
    for found in (run.predictions[split] for run in runs):
        groups.setdefault((found.data, found.names, found.labels.tobytes()), []).append(found)
    together = [_together(group) for group in groups.values()]
    called = "test images" if split == "test" else validation_images(runs[0].metrics)
    if len(together) == 1:
        return (together[0], called), ""
    try:
        return (pool(together), f"{called if split == 'val' else 'images'} of {len(together)} folds"), ""
    except ValueError as error:
        return None, f"the runs were judged on different images ({error})"


def _together(group: Sequence[Predictions]) -> Predictions:
    return replace(group[0], probabilities=np.mean([one.probabilities for one in group], axis=0))
