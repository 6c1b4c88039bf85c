"""The figures and pictures of a finished run, computed from its checkpoints."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray

from medcls.atomic import write_json
from medcls.data.datamodule import ImageDataModule
from medcls.evaluation.bootstrap import bootstrap_intervals
from medcls.report.curves import plot_curves
from medcls.report.pictures import plot_confusion, plot_roc
from medcls.runs.checkpoint import read_checkpoint
from medcls.runs.folder import RunFolder, write_table
from medcls.runs.history import Row, best_row
from medcls.training.classifier import Classifier
from medcls.training.losses import probabilities

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What a net says of a split's images: names, patients, labels (N,), probabilities (N, C), and its mean loss."""

    split: str
    names: list[str]
    groups: list[str]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    loss: float


def score_run(
    trainer: pl.Trainer, classifier: Classifier, data: ImageDataModule, folder: RunFolder, rows: list[Row]
) -> dict[str, Any]:
    """Score the best and the last epoch on validation images and write metrics.json, predictions.csv and pictures.

    The test split, where there is one, is looked at here, once, with the weights of the best epoch.
    Returns the content of metrics.json.
    """
    last = predict(trainer, classifier, data, folder.last, "val")
    best = predict(trainer, classifier, data, folder.best, "val")
    outcomes = [best]
    if len(data.image_set.indices("test")):
        outcomes.append(predict(trainer, classifier, data, folder.best, "test"))
    table, config = data.image_set.table, data.config
    positive = positive_index(classifier)
    metrics = {
        "simulated": table.simulated,
        "notice": data.image_set.notice,
        "data": config.data.title,
        "model": config.model.title,
        "classes": list(table.classes),
        "positive": classifier.hparams["positive"],
        "n_train": len(data.image_set.indices("train")),
        "n_val": len(best.labels),
        "n_val_patients": len(set(best.groups)) if table.grouped else None,
        "parameters": sum(parameter.numel() for parameter in classifier.net.parameters()),
        "seconds": round(sum(row["seconds"] for row in rows), 3),
        "best": {"epoch": best_row(rows)["epoch"], "val": figures(best, positive)},
        "last": {"epoch": rows[-1]["epoch"], "val": figures(last, positive)},
        "test": {"n": len(outcomes[1].labels), **figures(outcomes[1], positive)} if len(outcomes) > 1 else None,
    }
    if config.data.medmnist is not None and config.data.split.folds is None:
        metrics["medmnist"] = medmnist_scores(data, outcomes[-1])
    write_table(folder.predictions, [row for outcome in outcomes for row in prediction_rows(outcome, table.classes)])
    draw(outcomes, metrics, rows, folder.path)
    write_json(folder.metrics, metrics)
    return metrics


def predict(
    trainer: pl.Trainer, classifier: Classifier, data: ImageDataModule, checkpoint: Path, split: str
) -> Outcome:
    """Outcome of a split under the weights of a checkpoint, which stay in the classifier."""
    classifier.load_state_dict(read_checkpoint(checkpoint)["state_dict"])
    batches = trainer.predict(classifier, data.loader(split))
    assert batches is not None
    logits = torch.cat([batch for batch in batches if isinstance(batch, torch.Tensor)]).cpu()
    labels = torch.from_numpy(data.image_set.labels(split))
    samples = [sample for sample in data.image_set.table.samples if sample.split == split]
    loss = float(classifier.cpu().compute_loss(logits, labels))
    names, groups = [sample.name for sample in samples], [sample.group for sample in samples]
    return Outcome(split, names, groups, labels.numpy(), probabilities(logits, classifier.loss).numpy(), loss)


def positive_index(classifier: Classifier) -> int:
    """Index of the positive class; the last where there are more than two."""
    classes, positive = list(classifier.hparams["classes"]), classifier.hparams["positive"]
    return len(classes) - 1 if positive is None else classes.index(positive)


def figures(outcome: Outcome, positive: int) -> dict[str, Any]:
    """Loss, and every metric with its interval, over patients where these are known."""
    intervals = bootstrap_intervals(outcome.labels, outcome.probabilities, positive, groups=outcome.groups)
    return {"loss": outcome.loss, **{name: asdict(interval) for name, interval in intervals.items()}}


def medmnist_scores(data: ImageDataModule, outcome: Outcome) -> dict[str, float] | None:
    """AUC and ACC of the test split as MedMNIST's tables have them; None where its file has vanished meanwhile."""
    from medcls.sources.medmnist import official_scores

    config, root = data.config.data, data.image_set.table.root
    assert config.medmnist is not None
    assert root is not None
    try:
        return official_scores(config.name, root, config.medmnist.size, outcome.probabilities)
    except (OSError, ValueError, AssertionError, RuntimeError) as error:
        log.warning("MedMNIST's evaluator cannot read its file any more (%s)", error)
        return None


def prediction_rows(outcome: Outcome, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """One row per image for predictions.csv: a column p_<class> for each class, and group where patients are known."""
    grouped = any(outcome.groups)
    return [
        {"sample": name, "split": outcome.split, "label": classes[label]}
        | ({"group": group} if grouped else {})
        | {f"p_{of}": float(value) for of, value in zip(classes, row, strict=True)}
        for name, group, label, row in zip(
            outcome.names, outcome.groups, outcome.labels, outcome.probabilities, strict=True
        )
    ]


def draw(outcomes: list[Outcome], metrics: dict[str, Any], rows: list[Row], folder: Path) -> None:
    """Write curves.png, and confusion matrix and ROC of each outcome."""
    epoch, classes = metrics["best"]["epoch"], metrics["classes"]
    title = f"{'SIMULATED ' if metrics['simulated'] else ''}{metrics['data']}, {metrics['model']}"
    title += f" ({metrics['notice']})" if metrics["notice"] else ""
    plot_curves(rows, int(epoch), title, folder / "curves.png")
    positive = len(classes) - 1 if metrics["positive"] is None else classes.index(metrics["positive"])
    for outcome in outcomes:
        ending = "_test.png" if outcome.split == "test" else ".png"
        of = f"{title}: {'test' if outcome.split == 'test' else 'validation'}, epoch {epoch}"
        plot_confusion(outcome.labels, outcome.probabilities, classes, of, folder / f"confusion{ending}")
        plot_roc(outcome.labels, outcome.probabilities, classes, positive, of, folder / f"roc{ending}")
