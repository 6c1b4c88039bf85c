"""medcls baseline: what a net must beat to be worth its while."""

import logging
import sys

from medcls.cli.of_runs import overrides_of
from medcls.cli.page import Page
from medcls.cli.words import Words

TAKEN = ("run", "variant", "allow", "data.cache_dir")
PAGE = Page(
    about=(
        "Compare the net of a run, or those of a sweep, with logistic regressions that cost\n"
        "seconds. They are fitted to the same training images and judged on the test images,\n"
        "else on those of validation. Leaves baseline.json in the folder, which reports show."
    ),
    config="predict",
    words="run=<run or sweep>",
    keys=TAKEN,
    examples=[
        ("run=runs/<run>", "a finished run whose images are still there"),
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
