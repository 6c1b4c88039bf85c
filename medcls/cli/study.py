"""medcls study: all experiments of the study, and a verdict on each of its claims."""

import logging
import shlex
from pathlib import Path

from medcls.cli.page import Page
from medcls.cli.words import Words
from medcls.conf_folder import CONF
from medcls.errors import UserError
from medcls.quoting import unquoted

OWN = "study."
REPORT = "report="
PAGE = Page(
    about=(
        "Run the study's fifteen experiments and judge its claims.\n"
        "Runs that tasks share are trained once. Re-run the same command to resume; what is\n"
        "finished is skipped. All other keys apply to every experiment."
    ),
    config="study",
    keys=(
        *(
            f"study.{name}"
            for name in ("skin", "bone", "xray", "tasks", "classes.bone", "claimed", "folder", "page", "packs", "also")
        ),
        *("seed", "epochs", "image_size", "trainer.accelerator", "trainer.precision", "audit.on_leak", "sweep.jobs"),
    ),
    examples=[
        ("study.skin=/path/to/Skin study.bone=/path/to/Bone study.xray=/path/to/X_ray", "all of it: days on two cores"),
        (
            "study.skin=/path/to/Skin study.tasks=[5a,5b] audit.on_leak=drop sweep.jobs=2",
            "two tasks",
        ),
        ("epochs=3 'study.also.task1b=[\"image_size=64\"]'", "shorter, and one task on smaller images"),
        ("report=runs/study study.page=docs/study.md", "only the page, from the runs finished so far"),
        ("report=docs/study study.page=docs/study.md", "the same from the packs of a study, without its runs"),
    ],
)


def run(given: Words) -> int:
    """Exit status: 0 all done, 1 a job failed. Raises UserError for a mistake, Stopped when stopped by a signal."""
    from hydra import initialize_config_dir

    from medcls.composition.compose import VERSION, checked, prepare_hydra, readable_composition
    from medcls.host.terminal import command_line
    from medcls.study.schema import ConfigWithStudy

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    own = [word for word in given.others if word.lstrip("+~").startswith(OWN)]
    others = [word for word in given.others if word not in own]
    config = checked(ConfigWithStudy, "study", own, "study").study
    if named := [word for word in others if word.startswith(REPORT)]:
        check_report(given.others, named[0])
        return report(Path(unquoted(named[0].removeprefix(REPORT))), config.page)
    prepare_hydra()
    with readable_composition(others), initialize_config_dir(str(CONF), job_name="study", version_base=VERSION):
        from medcls.study.run_study import study

        started = "medcls study" if (called := command_line("sweep")).startswith("medcls") else f"{called} study"
        return study(config, others, f"{started} {shlex.join(given.others)}")


def check_report(words: list[str], named: str) -> None:
    """Raise UserError for words that have no meaning where only the page is written."""
    if wrong := [word for word in words if word != named and not word.startswith("study.page=")]:
        raise UserError(f"{wrong[0]}: found with {named}, expected at most study.page=<file> there. Leave it out.")


def report(folder: Path, page: Path | None) -> int:
    """Only the page."""
    from medcls.study.run_study import answer

    answer(folder, page)
    return 0
