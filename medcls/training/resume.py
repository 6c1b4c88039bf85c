"""Resuming a run as if it had never stopped."""

import logging
from typing import Any

from medcls.config import Config
from medcls.config.knobs import changeable
from medcls.config.parts import PARTS
from medcls.config.stored import check_stored
from medcls.data.image_set import ImageSet
from medcls.errors import UserError
from medcls.runs.checkpoint import read_checkpoint
from medcls.runs.folder import RunFolder
from medcls.training.history import History

log = logging.getLogger(__name__)


def continued_config(command: Config, folder: RunFolder, overrides: list[str]) -> Config:
    """The configuration that the run began with, with the changes of the command line that a resumed run may make.

    Raises UserError for a folder that holds no run, a change that would make it another run, or code of the user's own
    that the command does not name.
    """
    began_with = check_stored(folder.read_config(), folder.config, {*command.own_code, *command.allow})
    values, given = began_with.plain(), command.plain()
    for key in (override.partition("=")[0].lstrip("+") for override in overrides):
        top = key.partition(".")[0]
        stored = top in given and top != "resume"  # others, such as columns, are no part of what a run is
        if not stored or key.startswith("hydra") or _same(values, given, key):
            continue
        if key not in (known := changeable(began_with)):
            why = f" with scheduler={began_with.scheduler.name}, whose rates follow from epochs" * (key == "epochs")
            raise UserError(
                f"{key}: cannot change when a run is resumed{why}; {folder.config} sets it.\n"
                f"  Only these may change: {', '.join(known)}. For other values start a new run."
            )
        section, _, name = key.rpartition(".")
        (values[section] if section else values)[name] = (given[section] if section else given)[name]
    return Config.model_validate(values)


def _same(values: Any, given: Any, key: str) -> bool:
    """Whether the command line only repeats what the run has anyway."""
    for part in (f"{key}.{PARTS[key][0]}" if key in PARTS else key).split("."):
        if not (isinstance(values, dict) and isinstance(given, dict) and part in values and part in given):
            return False
        values, given = values[part], given[part]
    return bool(values == given)


def restore_history(history: History, folder: RunFolder, image_set: ImageSet, epochs: int) -> None:
    """Restore the rows of the epochs that the last checkpoint covers.

    Raises UserError when the images are not those that the run began with, more than ``epochs`` epochs are done, or
    one of its files is damaged or missing.
    """
    began_with = folder.read_data()
    folder.read_environment()  # which is needed once training is over
    if began_with["fingerprint"] != image_set.fingerprint:
        raise UserError(
            f"resume: the images of {began_with['root']} have changed since this run began (fingerprint "
            f"{image_set.fingerprint[:12]}, expected {began_with['fingerprint'][:12]}).\n"
            "  Restore them, name the folder that holds them with data.root, or start a new run."
        )
    if folder.last.exists():
        callbacks: dict[str, Any] = read_checkpoint(folder.last)["callbacks"]
        history.load_state_dict(callbacks[history.state_key])
        if not folder.best.exists():
            raise UserError(
                f"{folder.best}: missing, but scoring the best epoch so far needs it.\n"
                "  Restore it from a copy, or start a new run."
            )
    elif (status := folder.read_status()) is not None and status["epoch"] > 0:
        raise UserError(
            f"{folder.last}: missing, but resuming after {status['epoch']} epochs needs it.\n"
            "  Restore it from a copy, or start a new run."
        )
    if (done := len(history.rows)) > epochs:
        raise UserError(
            f"epochs: found {epochs}, but {done} epochs of {folder.path} are done. Expected at least {done}; for fewer "
            "start a new run."
        )
    log.info("resuming %s after %d epochs", folder.path, len(history.rows))
