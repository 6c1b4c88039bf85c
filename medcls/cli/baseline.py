"""medcls baseline: what a net must beat to be worth its while."""

import logging
import sys

from medcls.cli.of_runs import overrides_of
from medcls.cli.page import Page
from medcls.cli.words import Words

TAKEN = ("run", "allow", "data.cache_dir")
PAGE = Page(
    about=(
        "Compare a run's net with logistic regressions that cost seconds.\n"
        "They are fitted to its training images and judged on its test images, else on those\n"
        "of validation. Leaves baseline.json in the run folder."
    ),
    config="predict",
    words="run=<run>",
    keys=TAKEN,
    examples=[("run=runs/<run>", "a finished run whose images are still there")],
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
