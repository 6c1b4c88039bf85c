"""Whether a run, from this machine or in a pack, is what its status.json says."""

from medcls.errors import UserError
from medcls.runs.folder import RunFolder
from medcls.runs.reading import read_yaml
from medcls.runs.run import Run, seed_and_fold

_WHAT_TO_DO = "  Get the files of the run again from where they came from."


def check_ended(run: Run) -> None:
    """Raise UserError for a run that is done by its status.json alone, or has no configuration that can be read."""
    folder = RunFolder(run.folder)
    status = folder.read_status()
    if not run.done and status is not None and status["state"] == "done":
        raise UserError(f"{run.folder}: done by its status.json, but {run.reason}.\n{_WHAT_TO_DO}")
    if run.done and not folder.config.is_file():
        raise UserError(f"{folder.config}: missing.\n{_WHAT_TO_DO}")
    if run.done:
        seed_and_fold(read_yaml(folder.config), folder.config)
