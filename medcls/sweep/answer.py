"""The end of a sweep: its report written, and its answer on the terminal."""

from pathlib import Path

from medcls.errors import UserError


def report(folder: Path) -> None:
    """Write the report on a folder of runs and say where it lies. Raises UserError where there is no such folder."""
    if not folder.is_dir():
        raise UserError(f"report: no folder {folder}. Expected the folder of a sweep or of other runs.")
    from medcls.report.sweep import write_report  # matplotlib takes seconds to import

    print(f"report: {write_report(folder)}")
