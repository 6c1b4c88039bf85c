"""An opened pack, checked: every number of its runs beside the same recomputed."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from medcls.config.targets import targets_in
from medcls.errors import UserError
from medcls.evaluation.metrics import Metric
from medcls.pack.archive import Opened, check_checkpoint
from medcls.pack.compared import Number
from medcls.pack.ended import check_ended
from medcls.pack.last_epoch import packed_last
from medcls.pack.layout import VERDICTS
from medcls.pack.predict_again import Images, predicted_again
from medcls.pack.recompute import run_numbers, sweep_numbers
from medcls.pack.schema import ConfigWithPack, ConfigWithVerify
from medcls.predict.command import metrics_of_own
from medcls.predict.nets import Ensemble, find_nets, is_sweep
from medcls.runs.checkpoint import read_checkpoint
from medcls.runs.folder import RunFolder
from medcls.runs.run import Run
from medcls.sweep_report.design import read_sweep


@dataclass(frozen=True)
class Part:
    """A run or the report of a sweep: its name in the pack, its numbers, a remark on it."""

    name: str
    numbers: tuple[Number, ...]
    remark: str = ""


def check(pack: Opened, config: ConfigWithPack | ConfigWithVerify, root: Path | None) -> Iterator[Part]:
    """The parts of a pack, one after another; root: folder of the images, None: those in the pack, where it has some.

    No code that the pack names runs but what ``config`` allows. Raises UserError for a file that is damaged.
    """
    for file in sorted(pack.folder.rglob("*.ckpt")):
        check_checkpoint(file)
    allowed = {*config.own_code, *config.allow}
    for folder in sorted((pack.folder / "runs").glob("*")):
        sweep = read_sweep(folder)
        if is_sweep(folder):
            yield Part(folder.name, tuple(sweep_numbers(sweep, folder / VERDICTS)))
        for run in sweep.runs:
            name = folder.name if not is_sweep(folder) else f"{folder.name}/{run.name}"
            check_ended(run)
            if not run.done:
                yield Part(name, (), f"not finished: {run.reason}")
                continue
            inside = pack.manifest["images"].get(f"runs/{name}")
            images = root or (pack.folder / inside if inside else None)
            yield checked_run(name, run, Images(images, config, allowed) if images else None, allowed)


def checked_run(name: str, run: Run, images: Images | None, allowed: Collection[str]) -> Part:
    """The numbers of a finished run, those that need its images too where there are some.

    Raises UserError where there are images and no net that could judge them.
    """
    has_net = RunFolder(run.folder).best.is_file()
    if images and not has_net:
        raise UserError(f"{name}: packed without its nets, which judging images needs. Expected no data.root.")
    named = code_of_own(run) - set(allowed) if has_net else set[str]()
    if named and images:
        raise UserError(
            f"{name}: its net is code of its author's own: {', '.join(sorted(named))}.\n  A stored file runs no code "
            f"by itself. If you trust it and have it: allow=[{','.join(sorted(named))}]. Or leave the images out."
        )
    nets: Ensemble | None = find_nets([run.folder], None, allowed) if has_net and not named else None
    own: list[Metric] = metrics_of_own(nets, allowed) if nets else []
    net = nets.nets[0].module if nets else None
    numbers = list(run_numbers(run, packed_last(run), net, own))
    if images and nets:
        found = list(predicted_again(run, nets, images, own))
        judged = {number.where for number in found}
        of_last = any(where.startswith("last") for where in judged)
        numbers = [one for one in numbers if not (of_last and one.why and one.where.startswith("last val"))] + found
    remark = f"code of its author's own is not run: {', '.join(sorted(named))}" if named else ""
    return Part(name, tuple(numbers), remark or ("" if has_net else "packed without its nets"))


def code_of_own(run: Run) -> set[str]:
    """What a run's net names of code that is not medcls's."""
    content = read_checkpoint(RunFolder(run.folder).best)
    return targets_in([content.get("classifier", {}), content["hyper_parameters"]])
