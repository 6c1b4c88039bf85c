"""medcls report: the report alone, on any folder of runs."""

import logging
from pathlib import Path

from medcls.cli.page import Page
from medcls.cli.words import Words
from medcls.errors import UserError

PAGE = Page(
    about=(
        "Write the report on a sweep or any folder of runs.\n"
        "Leaves report.html, report.md and results.csv, and prints the answer. Trains nothing."
    ),
    words="<folder>",
    config=None,
    bare_words=True,
    examples=[
        ("runs/<sweep>", "the report of a sweep, from what its jobs have left so far"),
        ("runs", "all runs below runs/, compared where they can be"),
    ],
)


def run(given: Words) -> int:
    """Exit status 0. Raises UserError where the folder cannot be reported on."""
    if len(given.others) != 1:
        raise UserError(f"report: found {len(given.others)} words, expected the folder alone: report=runs/<sweep>")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    from medcls.sweep.answer import report

    report(Path(given.others[0].removeprefix("report=")))
    return 0
