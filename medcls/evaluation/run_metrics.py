"""metrics.json of a run: the performance of its checkpoints."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pytorch_lightning as pl

from medcls.data.datamodule import ImageDataModule
from medcls.evaluation.bootstrap import RESAMPLES
from medcls.evaluation.intervals import as_json, class_table, intervals
from medcls.evaluation.metrics import METRICS, Metric, own_in
from medcls.evaluation.predict import Outcome, predict
from medcls.runs.folder import RunFolder
from medcls.runs.history import Row, best_row
from medcls.runs.predictions import Predictions, write_predictions
from medcls.runs.run import value_of
from medcls.training.classifier import Classifier


class Scored(NamedTuple):
    """Content of metrics.json, and the predictions of the best epoch by split, "val" and perhaps "test"."""

    metrics: dict[str, Any]
    predictions: dict[str, Predictions]


def score_run(
    trainer: pl.Trainer,
    classifier: Classifier,
    data: ImageDataModule,
    folder: RunFolder,
    rows: Sequence[Row],
    own: Sequence[Metric] = (),
) -> Scored:
    """Score the best and the last epoch on validation images and write predictions.csv; the caller writes metrics.json.

    The test split, where there is one, is used here, once, with the weights of the best epoch.
    own: metrics of the user's own. Raises UserError where one of them fails.
    """
    table, config = data.image_set.table, data.config
    last = predict(trainer, classifier, data, folder.last, "val")
    splits = [split for split in ("val", "test") if len(data.image_set.indices(split))]
    best = {split: predict(trainer, classifier, data, folder.best, split) for split in splits}
    predictions = {split: outcome.predictions for split, outcome in best.items()}
    metrics = {
        "simulated": table.simulated,
        "notice": data.image_set.notice,
        "test_validates": table.test_validates,
        "test_is_fold": config.data.split.folds is not None and config.data.split.inner_val,
        "data": config.data.title,
        "model": config.model.title,
        "classes": list(table.classes),
        "positive": classifier.hparams["positive"],
        "positive_guessed": config.data.positive is None and classifier.hparams["positive"] is not None,
        "n_train": len(data.image_set.indices("train")),
        "n_val": len(predictions["val"].labels),
        "n_val_patients": predictions["val"].n_patients if table.grouped else None,
        "parameters": sum(parameter.numel() for parameter in classifier.net.parameters()),
        "seconds": round(sum(row["seconds"] for row in rows), 3),
        "best": {"epoch": best_row(rows)["epoch"], "val": measure(best["val"], own)},
        "last": {"epoch": rows[-1]["epoch"], "val": measure(last, own)},
        "test": {"n": len(predictions["test"].labels), **measure(best["test"], own)} if "test" in best else None,
        # Of the best epoch, by split.
        "per_class": {split: class_table(found, table.classes) for split, found in predictions.items()},
    }
    write_predictions(folder.predictions, table.classes, predictions)
    return Scored(metrics, predictions)


def measure(outcome: Outcome, own: Sequence[Metric] = ()) -> dict[str, Any]:
    """Loss, and every metric with its interval, over patients where these are known.

    A metric of the user's own comes with the number of resamples of its interval.
    """
    found = intervals(outcome.predictions, [*METRICS.values(), *own])
    resamples = {metric.name: {"resamples": RESAMPLES} for metric in own}
    return {"loss": outcome.loss} | {name: as_json(one) | resamples.get(name, {}) for name, one in found.items()}


def headline(metrics: Mapping[str, Any]) -> dict[str, float]:
    """What TensorBoard's HPARAMS page shows of metrics.json: metrics and loss of the best epoch, and its number."""
    best = metrics["best"]
    names = [metric.name for metric in METRICS.values() if metric.in_hparams] + own_in(best["val"])
    return {name: value_of(best["val"], name) for name in [*names, "loss"]} | {"epoch": best["epoch"]}
