"""medcls explain: where nets look, and whether such maps can be trusted."""

from medcls.cli.of_runs import all_or_nothing, overrides_of, typed_config
from medcls.cli.page import Page
from medcls.cli.words import Words

PAGE = Page(
    about=(
        "Draw where nets look, and check whether such maps can be trusted.\n"
        "Writes overlays, explain.json and report.html; a map that fails a check is stamped."
    ),
    config="explain",
    words="run=<run> [data.root=<images>] [key=value ...]",
    keys=(
        *(
            "run",
            "variant",
            "data.root",
            "output",
            "explain.method",
            "explain.images",
            "explain.retrain",
            "data.cache_dir",
            "data.max_pixels",
        ),
        *("seed", "trainer.accelerator", "trainer.threads", "allow"),
    ),
    examples=[
        ("run=runs/<run>", "on some of the run's validation images"),
        ("run=runs/<run> data.root=images explain.method=integrated_gradients", "on other images, with finer maps"),
        ("run=runs/<sweep>", "all seeds of a sweep: do they look at the same places?"),
    ],
)


def run(given: Words) -> int:
    """Exit status 0. Raises UserError for a mistake in the command."""
    from medcls.explain.schema import ConfigWithExplain, check_keys

    config, keys = typed_config(overrides_of(given.others), "explain", ConfigWithExplain, check_keys)

    from medcls.explain.command import explain
    from medcls.predict.schema import names_images

    with all_or_nothing():
        print(f"page: {explain(config, given_images=names_images(keys))}")
    return 0
