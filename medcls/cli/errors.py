"""medcls errors: pictures of the worst errors of nets, and of the most doubtful labels."""

from medcls.cli.of_runs import all_or_nothing, overrides_of, typed_config
from medcls.cli.page import Page
from medcls.cli.words import Words

PAGE = Page(
    about=(
        "Show the worst errors of nets, and the most doubtful labels, among images not trained on.\n"
        "Writes errors.html and errors.csv. A sweep over folds covers every image and its label."
    ),
    config="errors",
    words="run=<run> [key=value ...]",
    keys=(
        *("run", "variant", "data.root", "output", "errors.images", "threshold.sensitivity", "threshold.specificity"),
        *("threshold.rule", "threshold.cost", "threshold.value", "data.cache_dir", "allow"),
    ),
    examples=[
        ("run=runs/<run>", "on the run's test images, else on its validation images"),
        ("run=runs/<sweep> data.root=/path/to/images", "all seeds and folds; the images have moved since"),
    ],
)


def run(given: Words) -> int:
    """Exit status 0. Raises UserError for a mistake in the command."""
    from medcls.worst.schema import ConfigWithErrors, check_keys

    config, keys = typed_config(overrides_of(given.others), "errors", ConfigWithErrors, check_keys)

    from medcls.worst.command import errors

    with all_or_nothing():
        print(f"page: {errors(config, keys)}")
    return 0
