"""medcls predict: apply trained nets to any images and, where labels are known, measure how well they do."""

from medcls.cli.of_runs import overrides_of, typed_config
from medcls.cli.page import Page
from medcls.cli.words import Words

PAGE = Page(
    about=(
        "Classify images with trained nets: a class and probabilities for each.\n"
        "Writes predictions.csv and, for labelled images, the metrics beside those of the runs.\n"
        "If interrupted, run the same command again to finish. Exit status: 0; 1 if files\n"
        "cannot be read (the others are classified); 2 for a mistake in the command."
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
        ("run=runs/<run> data.root=images 'data.classes={benign: nevus}'", "where the classes have other names"),
    ],
)


def run(given: Words) -> int:
    """Classify the images; returns the exit status."""
    from medcls.predict.schema import ConfigWithPredict, check_keys

    config, keys = typed_config(overrides_of(given.others), "predict", ConfigWithPredict, check_keys)

    from medcls.host.stop import stopping_in_order
    from medcls.predict.command import predict

    with stopping_in_order():
        return predict(config, keys)
