"""medcls baseline: what a net must beat to be worth training."""

from functools import partial

from medcls.cli.of_runs import overrides_of, typed_config
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
    from medcls.predict.schema import ConfigWithPredict, check_taken

    check_keys = partial(check_taken, command="baseline", taken=TAKEN)
    config, _ = typed_config(overrides_of(given.others), "predict", ConfigWithPredict, check_keys)

    from medcls.baseline.command import baseline

    baseline(config)
    return 0
