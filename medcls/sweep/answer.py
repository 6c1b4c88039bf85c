"""The end of a sweep: its report written, and its answer on the terminal."""

from collections.abc import Sequence
from pathlib import Path

from medcls.config.targets import Target
from medcls.errors import UserError


def report(folder: Path, columns: Sequence[Target] = ()) -> None:
    """Write the report on a folder of runs, print its answer and where it lies; columns: of the user's own.

    Raises UserError where there is no folder or nothing to report on.
    """
    if not folder.is_dir():
        raise UserError(f"report: no folder {folder}. Expected the folder of a sweep or of other runs.")
    from medcls.sweep_report import write_report  # matplotlib takes seconds to import

    written = write_report(folder, columns)
    print("\n".join(["", *written.answers, f"report: {written.page}"]))
