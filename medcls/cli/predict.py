"""medcls predict: what trained nets say of any images, and what they are worth there."""

import logging
import sys
from collections.abc import Sequence

from medcls.cli.page import Page
from medcls.cli.words import Words
from medcls.errors import UserError
from medcls.quoting import in_grammar, unquoted

PAGE = Page(
    about=(
        "Judge images by trained nets: a class and probabilities for each.\n"
        "Leaves predictions.csv; of labelled images also the metrics, beside the nets' own.\n"
        "Interrupted, the same command finishes what is missing. Exit status: 0, 1 where files\n"
        "cannot be read (the others are judged), 2 for a mistake in the command."
    ),
    config="predict",
    words="run=<run> data.root=<images> [key=value ...]",
    keys=(
        *("run", "variant", "data.root", "output", "labelled", "calibrate"),
        *("threshold.sensitivity", "threshold.specificity", "threshold.rule", "threshold.cost", "threshold.value"),
        *("threshold.prevalence", "data", "data.classes", "data.manifest"),
        *("data.columns.path", "data.columns.label", "data.columns.group", "data.group_pattern"),
        *("data.allow_outside_root", "data.max_pixels", "data.cache_dir", "audit", "audit.on_leak", "audit.search"),
        *("trainer.accelerator", "trainer.threads", "allow"),
    ),
    examples=[
        ("run=runs/<run> data.root=images", "a folder of images, with or without classes"),
        ("run=runs/<run> data.root=photo.png", "one file"),
        ("run=runs/<sweep> data.root=images output=judged", "all seeds and folds of a sweep, together"),
        ("run=runs/<run> data.root=images threshold.sensitivity=0.95", "at a threshold fixed on validation images"),
        ("run=runs/a,runs/b data.root=images", "two runs, together"),
        ("run=runs/<run> data.root=images 'data.classes={benign: nevus}'", "what is called otherwise there"),
    ],
)


def run(given: Words) -> int:
    """Judge the images; returns the exit status."""
    from medcls.composition.compose import checked
    from medcls.predict.schema import ConfigWithPredict, check_keys

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    overrides = overrides_of(given.others)
    config = checked(ConfigWithPredict, "predict", overrides, "predict")
    keys = check_keys(overrides)

    from medcls.host.stop import stopping_in_order
    from medcls.predict.command import predict

    with stopping_in_order():
        return predict(config, keys)


def overrides_of(words: Sequence[str]) -> list[str]:
    """The words for Hydra, to which runs with commas between them would be a sweep. Raises UserError without a run."""
    runs = [word.partition("=")[2] for word in words if word.startswith("run=")]
    if len(runs) != 1:
        raise UserError(f"run: found {' '.join(runs) or 'none'}, expected one: run=runs/<run>, or run=runs/a,runs/b")
    if not runs[0].startswith("["):
        runs = [f"run={in_grammar([unquoted(path) for path in runs[0].split(',')])}"]
    else:
        runs = [f"run={runs[0]}"]
    return [*runs, *(word for word in words if not word.startswith("run="))]
