"""medcls baseline: what a net must beat to be worth training."""

import logging
import sys

from medcls.cli.of_runs import overrides_of
from medcls.cli.page import Page
from medcls.cli.words import Words

TAKEN = ("run", "variant", "allow", "data.cache_dir")
PAGE = Page(
    about=(
        "Compare nets with logistic regressions that take seconds to fit.\n"
        "They are fitted to the training images of the run or sweep and evaluated on its test\n"
        "images, else on its validation images. Writes baseline.json to its folder; reports\n"
        "show it."
    ),
    config="predict",
    words="run=<run or sweep>",
    keys=TAKEN,
    examples=[
        ("run=runs/<run>", "a finished run whose images are still in place"),
        ("run=runs/<sweep>", "each of its variants, over all seeds and folds"),
    ],
)


def run(given: Words) -> int:
    """Fit and compare; returns the exit status."""
    from medcls.composition.compose import checked
    from medcls.predict.schema import ConfigWithPredict, check_taken

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    overrides = overrides_of(given.others)
    check_taken(overrides, "baseline", TAKEN)
    config = checked(ConfigWithPredict, "baseline", overrides, "predict")

    from medcls.baseline.command import baseline

    baseline(config)
    return 0
