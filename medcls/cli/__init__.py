"""The commands, called as ``medcls train`` or as ``python train.py``.

A command is a word in ``COMMANDS`` and a module of this package with ``PAGE``, its --help text, and ``run``.
"""

import sys
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from medcls.cli.ending import readable_end
from medcls.cli.page import Page
from medcls.cli.words import take_apart
from medcls.conf_folder import name_folders
from medcls.errors import UserError
from medcls.process import reach_working_folder, tune_process

COMMANDS = (
    *("train", "sweep", "study", "audit"),
    *("predict", "explain", "robustness", "errors", "baseline", "sheet"),
    *("export", "pack", "verify", "preview", "report", "completion"),
)


def main() -> None:
    """The console command ``medcls``: its first word names the command, which ends the process with its status."""
    words = sys.argv[1:]
    with readable_end():
        if words[:1] == ["--version"]:
            from importlib.metadata import version

            print(f"medcls {version('medcls')}")
            return
        if words[:1] in ([], ["help"], ["-h"], ["--help"]):
            print(page_of(words[1]).text(f"medcls {words[1]}") if words[1:] else overview())
            return
        page_of(words[0])
    command(words[0], words[1:], f"medcls {words[0]}")


def command(name: str, words: list[str], called: str) -> None:
    """Run a command and end the process with its status; ``called``: what was typed before ``words``."""
    with readable_end():
        page = page_of(name)
        given = take_apart(words, page, called)
        if given is None:
            print(page.text(called))
            return
        name_folders(given.config_dirs)
        if page.imports_torch and not given.asks_hydra:
            print("loading PyTorch ...", file=sys.stderr, flush=True)  # it takes seconds, with an empty terminal
        reach_working_folder()
        tune_process()
        sys.exit(module_of(name).run(given))


def module_of(name: str) -> Any:
    """Module of a command."""
    return import_module(f"medcls.cli.{name}")


def page_of(name: str) -> Page:
    """Help page of a command. Raises UserError for one that does not exist."""
    if name in COMMANDS:
        page: Page = module_of(name).PAGE
        return page
    if "=" in name:
        raise UserError(f"medcls {name}: found no command. Did you mean medcls train {name}?")
    nearest = get_close_matches(name, COMMANDS, n=1)
    hint = f" Did you mean medcls {nearest[0]}?" if nearest else ""
    raise UserError(f"medcls {name}: no such command.{hint} Commands: {', '.join(COMMANDS)}.")


def overview() -> str:
    """What medcls --help says."""
    lines = [f"  medcls {name:<11} {page_of(name).about.splitlines()[0]}" for name in COMMANDS]
    return "\n".join(
        [
            "usage: medcls <command> [key=value ...]",
            "",
            "Train, compare and trust small convolutional networks on medical images.",
            "",
            *lines,
            "",
            "medcls <command> --help explains its keys, with examples. A first run, on simulated radiographs:",
            "  medcls train model=vgg16 data=bone lr=1e-5 epochs=30",
        ]
    )
