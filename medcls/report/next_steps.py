"""What a finished run says last: where its pictures are, and what to type next."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from medcls.config import Config
from medcls.runs.folder import RunFolder
from medcls.terminal import command_line


def print_next_steps(metrics: Mapping[str, Any], config: Config, folder: RunFolder) -> None:
    """Print them for a run whose metrics.json has this content."""
    console = Console(markup=False, highlight=False, emoji=False)
    console.print("\nNext:", style="bold")
    for what, how in next_steps(bool(metrics["simulated"]), config, folder):
        console.print(f"  {what:<12} {how}", soft_wrap=True)  # a line however long, so that it can be copied


def next_steps(simulated: bool, config: Config, folder: RunFolder) -> Iterator[tuple[str, str]]:
    """What to do, and how."""
    if folder.path.is_relative_to(Path.cwd()):  # shorter, and as it was named
        folder = RunFolder(folder.path.relative_to(Path.cwd()))
    pictures = [file.name for file in folder.path.glob("*.png")]
    yield "pictures", f"{', '.join(sorted(pictures))} in that folder"
    if config.logger.tensorboard:
        yield "TensorBoard", f"tensorboard --logdir {shlex.quote(str(folder.path.parent))}"
    train = command_line("train")
    if simulated:
        yield "real images", f"put them in {config.data.default_root}/train and /test, or name their folder:"
        yield "", f"{train} model={config.model.family} data={config.data.name} data.root=/path/to/images"
        yield "", f"{train} model={config.model.family} data=folder data.root=/path/to/images  (a folder per class)"
    else:
        yield "other images", f"{train} data=folder data.root=/path/to/images  (a folder per class)"
    if config.scheduler.name != "cosine":
        yield "longer", f"{train} {folder.resume_override} epochs={2 * config.epochs}"
