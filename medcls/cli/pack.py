"""medcls pack: runs as one file from which another machine recomputes their table."""

from medcls.cli.of_runs import all_or_nothing, overrides_of, typed_config
from medcls.cli.page import Page
from medcls.cli.words import Words
from medcls.pack.schema import PACK

PAGE = Page(
    about=(
        "Pack a run or a sweep as one zip file for another machine.\n"
        "Its table, predictions, configuration and nets; no image unless asked for, and no\n"
        "path or name of this machine. medcls verify recomputes the table from it."
    ),
    config="pack",
    words="run=<run> [key=value ...]",
    keys=PACK,
    examples=[
        ("run=runs/<run>", "a zip file below runs/"),
        ("run=runs/<sweep> output=sweep.zip", "all runs of a sweep, with what it compared"),
        ("run=runs/<run> images=true", "with its validation and test images, so that its nets can be re-evaluated"),
    ],
)


def run(given: Words) -> int:
    """Write the file; returns the exit status."""
    from medcls.pack.schema import ConfigWithPack, check_pack_keys

    config, _ = typed_config(overrides_of(given.others), "pack", ConfigWithPack, check_pack_keys)

    from medcls.pack.command import pack

    with all_or_nothing():
        pack(config)
    return 0
