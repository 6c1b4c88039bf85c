"""medcls train: one run, or with -m every combination of values."""

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from medcls.cli.ending import ShownAlready
from medcls.cli.page import Option, Page
from medcls.cli.words import Words
from medcls.conf_folder import CONF
from medcls.errors import UserError
from medcls.process import forgiving_logs
from medcls.quoting import unquoted

KEYS = (
    *("model", "model.n_base", "model.dropout", "model.batch_norm", "data", "data.root", "data.channels"),
    *("data.split.folds", "image_size", "lr", "epochs", "batch_size", "seed", "augment", "loss"),
    *("loss.class_weights", "optimizer", "scheduler", "trainer.patience", "trainer.precision"),
    *("trainer.accelerator", "resume", "hydra.run.dir"),
)
PAGE = Page(
    about="Train one network.\nWrites a run folder with its weights, curves, table of metrics and predictions.",
    keys=KEYS,
    examples=[
        ("model=vgg16 data=bone lr=1e-5 epochs=30", "on simulated radiographs, without images of your own"),
        ("model=alexnet data=folder data.root=images lr=1e-4", "on your own images, a folder per class"),
        ("model=torchvision model.name=resnet18 data=folder data.root=images", "a net of torchvision"),
        ("resume=runs/<folder> epochs=200", "resume a run that was stopped, or train it for longer"),
        ("-m lr=1e-4,1e-5 seed=0,1", "every combination, without the report of medcls sweep"),
    ],
    own_options=[
        Option(("-c", "--cfg"), "job", "print the resulting configuration, train nothing"),
        Option(("-m", "--multirun"), None, "run every combination of comma-separated values"),
        Option(("--resolve",), None, "with --cfg: replace ${...} by their values"),
        Option(("-p", "--package"), "KEY", "with --cfg: only this part"),
        Option(("-cn", "--config-name"), "NAME", "another file than config.yaml to begin with"),
        Option(("--info",), "WHAT", "what Hydra knows: defaults, searchpath, plugins, config, all"),
        Option(("--hydra-help",), None, "options and keys of Hydra itself"),
        Option(("-sc", "--shell-completion"), "install=bash", "Hydra's completion; medcls completion is faster"),
    ],
)


def run(given: Words) -> int:
    """Train, score and report one run in its folder, or several with -m."""
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import DictConfig

    from medcls.composition.compose import VERSION, as_typed, prepare_hydra, readable_composition
    from medcls.config import check_config

    check_resumed(given.others, several="multirun" in given.options)
    typed = sys.argv

    @hydra.main(config_path=str(CONF), config_name="config", version_base=VERSION)
    def train(composed: DictConfig) -> float:
        """Lowest validation loss, for a search to minimize."""
        sys.argv = typed  # which environment.json records
        with job() as folder:
            config = check_config(composed)
            if config.resume is not None:
                check_place(Path(HydraConfig.get().runtime.cwd, config.resume), folder)
            from medcls.host.lean_import import import_lightning

            import_lightning()  # takes seconds: not before the configuration is right
            from medcls.run import run

            return run(config, folder, as_typed(HydraConfig.get().overrides.task))

    os.environ["HYDRA_FULL_ERROR"] = "1"  # without it Hydra prints its own account of an error and exits with status 1
    prepare_hydra()
    with readable_composition(given.others):
        try:
            sys.argv = [typed[0], *for_hydra(given)]  # where Hydra reads them
            train()
        finally:
            sys.argv = typed
    return 0


def check_resumed(words: Sequence[str], *, several: bool) -> None:
    """Raise UserError for a run to resume that is not there, before Hydra makes a folder of that name.

    several: with -m. An experiment is refused too: the configuration is the run's own.
    """
    from medcls.runs.folder import RunFolder

    given = {key: value for key, _, value in (word.partition("=") for word in words)}
    run = given.get("resume", "null")
    if run == "null":
        return
    if several:
        raise UserError(
            "resume: found with -m, expected one run. To resume several, use a command for each, or medcls sweep."
        )
    if "experiment" in given:
        raise UserError("experiment: cannot change when a run is resumed: its own config.yaml applies. Leave it out.")
    if "$" not in run:
        RunFolder(Path(unquoted(run))).read_config()


def check_place(resumed: Path, folder: Path) -> None:
    """Raise UserError where the run to resume is not in the folder that Hydra works in."""
    if resumed.resolve() != folder.resolve():
        raise UserError(
            f"resume: found {resumed}, but hydra.run.dir={folder}. Expected the same folder: leave out hydra.run.dir."
        )


def for_hydra(given: Words) -> list[str]:
    """The words in Hydra's order."""
    from medcls.composition.compose import replacing_classes

    flags = [(f"--{name.replace('_', '-')}", value) for name, value in given.options.items()]
    words = [word for flag, value in flags for word in ([flag] if value is True else [flag, str(value)])]
    return words + replacing_classes(given.others)


@contextmanager
def job() -> Iterator[Path]:
    """Folder of one job; a UserError in the block becomes a message.

    It ends a single run with status 2, and in a multirun only its job.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from medcls.runs.folder import RunFolder

    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    had_log = (folder / "train.log").exists()  # another program's, where the folder is not a run's
    try:
        with forgiving_logs():
            yield folder
    except UserError as error:
        with forgiving_logs():
            logging.getLogger(__name__).error("%s", error)
        if not had_log:
            RunFolder(folder).remove_if_not_begun()
        if hydra.mode == RunMode.MULTIRUN:
            raise ShownAlready(str(error)) from error  # Hydra goes on with the other jobs and fails at the end
        raise SystemExit(2) from error
