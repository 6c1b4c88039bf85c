"""The end of a sweep: its report written, and its answer on the terminal."""

from collections.abc import Sequence
from pathlib import Path

from medcls.composition.run_name import shortened
from medcls.config.targets import Target
from medcls.errors import UserError
from medcls.runs.folder import RunFolder


def report_side_by_side(folders: Sequence[Path]) -> None:
    """Write one report on several sweeps into a folder of its own beside the first; print their answers and its path.

    Raises UserError for a folder that cannot be reported on, or is named twice.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UserError(f"report: found a folder twice in {', '.join(map(str, folders))}. Name each sweep once.")
    from medcls.sweep_report.side_by_side import write_side_by_side  # matplotlib takes seconds to import

    names = [folder.resolve().name for folder in folders]
    target = folders[0].resolve().parent / shortened(f"report_{'_'.join(names)}")
    page, answers = write_side_by_side(folders, target)
    print("\n".join(["", *answers, f"report: {page}"]))


def report(folder: Path, columns: Sequence[Target] = ()) -> None:
    """Write the report on a folder of runs, print its answers and its path; columns: the user's own.

    Raises UserError where there is no folder or nothing to report on.
    """
    if not folder.is_dir():
        raise UserError(f"report: no folder {folder}. Expected the folder of a sweep or of other runs.")
    RunFolder(folder).check_config()
    from medcls.sweep_report.report import write_report  # matplotlib takes seconds to import

    written = write_report(folder, columns)
    print("\n".join(["", *written.answers, f"report: {written.page}"]))
