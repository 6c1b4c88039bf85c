"""medcls robustness: how well nets do under graded noise, blur, contrast, JPEG and rotation."""

from medcls.cli.of_runs import all_or_nothing, overrides_of, typed_config
from medcls.cli.page import Page
from medcls.cli.words import Words

PAGE = Page(
    about=(
        "Evaluate nets on their test images, else their validation images, under graded edits.\n"
        "Writes robustness.html, .csv and .json: metrics at each grade with intervals, and how\n"
        "much they differ from those on the unchanged images."
    ),
    config="robustness",
    words="run=<run> [data.root=<labelled images>] [key=value ...]",
    keys=(
        *("run", "variant", "data.root", "output", "robustness.metric", "robustness.noise", "robustness.blur"),
        *("robustness.contrast", "robustness.jpeg", "robustness.rotation", "data.classes", "data.manifest"),
        *("data.columns.path", "data.columns.label", "data.columns.group", "data.group_pattern"),
        *("data.cache_dir", "data.max_pixels", "audit", "audit.on_leak", "batch_size", "seed"),
        *("trainer.accelerator", "trainer.threads", "allow"),
    ),
    examples=[
        ("run=runs/<run>", "the run's own images, where they were during training"),
        ("run=runs/<run> robustness.noise=[5,10,20] robustness.jpeg=[]", "grades of your own; [] leaves an edit out"),
        ("run=runs/<sweep> data.root=images", "all seeds of a sweep; other labelled images"),
    ],
)


def run(given: Words) -> int:
    """Exit status 0. Raises UserError for a mistake in the command."""
    from medcls.robustness.schema import ConfigWithRobustness, check_keys

    config, keys = typed_config(overrides_of(given.others), "robustness", ConfigWithRobustness, check_keys)

    from medcls.robustness.command import robustness

    with all_or_nothing():
        print(f"page: {robustness(config, keys)}")
    return 0
