"""What a finished run says last: where its pictures are, and what to type next."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from medcls.config import Config
from medcls.host.terminal import command_line
from medcls.runs.folder import RunFolder


def print_next_steps(metrics: Mapping[str, Any], config: Config, folder: RunFolder, overrides: Sequence[str]) -> None:
    """Print them for a run whose metrics.json has this content; overrides: those of the command that asked for it."""
    console = Console(markup=False, highlight=False, emoji=False)
    console.print("\nNext:", style="bold")
    for what, how in next_steps(bool(metrics["simulated"]), config, folder, overrides):
        console.print(f"  {what:<12} {how}", soft_wrap=True)  # a line however long, so that it can be copied


def next_steps(
    simulated: bool, config: Config, folder: RunFolder, overrides: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """What to do, and how."""
    train, path = command_line("train"), folder.path
    if path.is_relative_to(Path.cwd()):  # shorter
        path = path.relative_to(Path.cwd())
    if config.logger.pictures:
        yield "pictures", f"{', '.join(sorted(file.name for file in path.glob('*.png')))} in that folder"
    if config.logger.tensorboard:
        yield "TensorBoard", f"tensorboard --logdir {shlex.quote(str(path.parent))}"
    if simulated:
        yield "real images", f"put them in {config.data.default_root}, below train and test, or name their folder:"
        resumed = any(override.startswith("resume=") for override in overrides)
        same = [f"data={config.data.name}"] if resumed else [o for o in overrides if not o.startswith("data.simulated")]
        yield "", f"{train} {shlex.join([*same, 'data.root=/path/to/images'])}"
    yield "other images", f"{train} data=folder data.root=/path/to/images  (a folder for each class)"
    if not config.scheduler.fixed_length:
        yield "longer", f"{train} {RunFolder(path).resume_override} epochs={2 * config.epochs}"
