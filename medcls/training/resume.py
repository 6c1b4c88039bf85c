"""Going on with a run as if it had never stopped."""

import json
import logging
from typing import Any

from medcls.config import Config
from medcls.config.stored import check_stored
from medcls.data.image_set import ImageSet
from medcls.errors import UserError
from medcls.runs.checkpoint import read_checkpoint
from medcls.runs.folder import RunFolder
from medcls.training.history import History

# What may differ without changing the numbers, and the length of the run.
CHANGEABLE = ("epochs", "num_workers", "data.root", "data.manifest", "data.cache_dir", "trainer.accelerator")
log = logging.getLogger(__name__)


def continued_config(command: Config, folder: RunFolder, overrides: list[str]) -> Config:
    """The configuration that the run began with, with those changes of the command line that it can bear.

    Raises UserError for a folder that holds no run or a change that would make it another run.
    """
    values, given = check_stored(folder.read_config(), folder.config).plain(), command.plain()
    for key in (override.partition("=")[0].lstrip("+") for override in overrides):
        if key == "resume" or key.startswith("hydra"):
            continue
        if key not in CHANGEABLE:
            raise UserError(
                f"{key}: cannot change when a run is resumed; {folder.config} holds.\n"
                f"  Expected at most {', '.join(CHANGEABLE)}. For other values start a new run."
            )
        section, _, name = key.rpartition(".")
        (values[section] if section else values)[name] = (given[section] if section else given)[name]
    if values["scheduler"]["name"] == "cosine" and "epochs" in {override.partition("=")[0] for override in overrides}:
        raise UserError(
            "epochs: cannot change when a run with scheduler=cosine is resumed: its rates follow from epochs."
        )
    return check_stored(values, folder.config)


def restore_history(history: History, folder: RunFolder, image_set: ImageSet) -> None:
    """Take up the rows of the epochs that the last checkpoint covers.

    Raises UserError when the images are not those that the run began with.
    """
    began_with = json.loads(folder.data.read_text(encoding="utf-8"))
    if began_with["fingerprint"] != image_set.fingerprint:
        raise UserError(
            f"resume: the images of {began_with['root']} have changed since this run began (fingerprint "
            f"{image_set.fingerprint[:12]}, expected {began_with['fingerprint'][:12]}).\n"
            "  Restore them, name the folder that holds them with data.root, or start a new run."
        )
    if folder.last.exists():
        callbacks: dict[str, Any] = read_checkpoint(folder.last)["callbacks"]
        history.load_state_dict(callbacks[history.state_key])
    log.info("going on with %s after %d epochs", folder.path, len(history.rows))
