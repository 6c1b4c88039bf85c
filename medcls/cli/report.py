"""medcls report: only the report, on any folder of runs."""

import logging
from pathlib import Path

from medcls.cli.page import Page
from medcls.cli.words import Words
from medcls.errors import UserError
from medcls.quoting import unquoted

PAGE = Page(
    about=(
        "Write the report on a sweep or any folder of runs.\n"
        "Writes report.html, report.md and results.csv, and prints the answer. Trains nothing."
    ),
    words="<folder> [columns=...]",
    keys=("columns",),
    bare_words=True,
    examples=[
        ("runs/<sweep>", "the report of a sweep, from what its jobs have left so far"),
        ("runs/<sweep> 'columns=[{_target_: mycolumns.epochs_after_best}]'", "with a column of your own"),
        ("runs/<sweep>,runs/<another>", "several sweeps side by side in one report"),
        ("runs/<predicted>", "from medcls predict: other images beside the nets' own; several with commas"),
        ("runs", "all runs below runs/, compared where they can be"),
    ],
)


def run(given: Words) -> int:
    """Exit status 0. Raises UserError where the folder cannot be reported on."""
    folders = [word for word in given.others if "=" not in word or word.startswith("report=") or Path(word).is_dir()]
    overrides = [word for word in given.others if word not in folders]
    if len(folders) != 1 or any(not word.startswith("columns=") for word in overrides):
        raise UserError(
            f"report: found {' '.join(given.others) or 'nothing'}, expected one folder, such as runs/<sweep>, and "
            "optionally columns=[...]"
        )
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    from medcls.composition.compose import composed
    from medcls.config import check_config
    from medcls.predict.folder import is_predict_folder
    from medcls.sweep.answer import report, report_side_by_side

    named = folders[0].removeprefix("report=")
    whole = Path(unquoted(named))
    several = [whole] if whole.is_dir() else [Path(unquoted(one)) for one in named.split(",")]
    if is_predict_folder(several[0]):
        if overrides:
            raise UserError("columns: found with a folder of medcls predict, expected with a sweep only. Leave it out.")
        from medcls.predict.report import report_elsewhere

        report_elsewhere(several)
        return 0
    if len(several) > 1:
        if overrides:
            raise UserError(f"columns: found with {len(several)} sweeps, expected with one sweep only. Leave it out.")
        report_side_by_side(several)
        return 0
    columns = check_config(composed("report", overrides)).columns if overrides else []
    report(several[0], columns)
    return 0
