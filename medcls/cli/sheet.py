"""medcls sheet: the items of reporting checklists that a run can answer, and its model card."""

from medcls.cli.of_runs import all_or_nothing, overrides_of, typed_config
from medcls.cli.page import Page
from medcls.cli.words import Words

PAGE = Page(
    about=(
        "Fill in the items of CLAIM and TRIPOD+AI that a run can answer.\n"
        "Writes sheet.html and sheet.md, each item with the files that prove it, the others\n"
        "marked as yours to write; and model_card.md, in the format of Hugging Face."
    ),
    config="sheet",
    words="run=<run> [key=value ...]",
    keys=("run", "output", "external", "maps", "robustness"),
    examples=[
        ("run=runs/<run>", "a folder below runs/"),
        ("run=runs/<sweep> output=sheet", "all runs of a sweep, with what was compared"),
        ("run=runs/<run> 'external=[runs/predict_elsewhere]'", "with the metrics of the net on other images"),
    ],
)


def run(given: Words) -> int:
    """Write the folder; returns the exit status."""
    from medcls.sheet.schema import ConfigWithSheet, check_keys

    config, _ = typed_config(overrides_of(given.others), "sheet", ConfigWithSheet, check_keys)

    from medcls.sheet.command import sheet

    with all_or_nothing():
        print(f"page: {sheet(config)}")
    return 0
