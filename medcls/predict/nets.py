"""The nets that a command names: of a run, of all seeds and folds of a sweep's variant, or checkpoints."""

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from medcls.config import Config
from medcls.config.stored import HOW, check_stored
from medcls.config.targets import check_allowed, targets_in
from medcls.data.listing import listing
from medcls.errors import UserError
from medcls.evaluation.constant import says_nothing
from medcls.predict.trained import Preprocessing, preprocessing_of
from medcls.quoting import typed
from medcls.runs.checkpoint import read_checkpoint
from medcls.runs.folder import RunFolder
from medcls.runs.predictions import positive_index
from medcls.runs.reading import digest_of, read_yaml
from medcls.runs.run import Run, read_run, seed_and_fold
from medcls.sweep_report.design import read_sweep
from medcls.sweep_report.silent import Silent, count_silent
from medcls.training.classifier import Classifier, load_classifier

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Net:
    """A trained net; ``run``: the run that it is of, at any epoch, None of a checkpoint that lies elsewhere."""

    checkpoint: Path
    module: Classifier
    how: Preprocessing
    run: Run | None

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the checkpoint."""
        return digest_of(self.checkpoint)

    @property
    def unjudged(self) -> str:
        """Why predictions, metrics and decision of its run are not this net's, as only the best epoch's are; or ""."""
        if self.run is None or not self.run.done:
            return "a net is of no finished run"
        folder, metrics = RunFolder(self.run.folder), self.run.metrics
        files = [folder.best, *([folder.last] if metrics["last"]["epoch"] == metrics["best"]["epoch"] else [])]
        same = self.checkpoint.resolve() in [file.resolve() for file in files]
        return "" if same else f"{self.checkpoint} is not the net of its run's best epoch"

    @property
    def images(self) -> dict[str, Any]:
        """What data.json of its run says about the images; empty where there is none that can be read."""
        return {} if self.run is None else self.run.images

    @property
    def judged_run(self) -> Run | None:
        """The finished run whose predictions, metrics and decision are this net's; None where ``unjudged`` says why."""
        return None if self.unjudged else self.run

    def config(self, allowed: Collection[str]) -> Config | None:
        """The configuration of its run, of which nothing that it names is run; None where there is no run.

        Raises UserError where it is damaged, or its data come from code that is not allowed.
        """
        if self.run is None:
            return None
        file, values = RunFolder(self.run.folder).config, dict(self.run.config)
        check_allowed(values.get("data"), allowed, str(file), HOW)
        return check_stored(values, file, targets_in(values))


@dataclass(frozen=True)
class Ensemble:
    """One net or several that judge together: of the same classes, for the same images."""

    nets: tuple[Net, ...]

    @property
    def judged_runs(self) -> list[Run]:
        """Of each net the run whose predictions are the net's; fewer than the nets where ``unjudged`` says why."""
        return [run for net in self.nets if (run := net.judged_run) is not None]

    @property
    def unjudged(self) -> str:
        """Why predictions of a net are not available; "" where those of all are."""
        return next(filter(None, (net.unjudged for net in self.nets)), "")

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs that they are of."""
        return tuple(net.run for net in self.nets if net.run is not None)

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.nets[0].module.hparams["classes"])

    @property
    def positive(self) -> str | None:
        """Of two classes the positive one."""
        name: str | None = self.nets[0].module.hparams["positive"]
        return name

    @property
    def positive_index(self) -> int:
        return positive_index(self.classes, self.positive)

    @property
    def how(self) -> Preprocessing:
        """What images must go through for all of them."""
        return self.nets[0].how

    @property
    def simulated(self) -> bool:
        """Whether a net was trained on simulated images."""
        return any(run.simulated for run in self.runs)

    @property
    def notices(self) -> tuple[str, ...]:
        """What must be said wherever metrics of the nets are shown: of training images that leak."""
        return tuple(sorted({str(of) for run in self.runs if (of := run.metrics.get("notice"))}))

    @property
    def doubts(self) -> tuple[str, ...]:
        """How many nets do not tell validation images apart."""
        found = [Silent(run, says_nothing(run.predictions["val"], self.classes)) for run in self.judged_runs]
        notice = count_silent([one for one in found if one.does], len(self.nets))
        return (notice,) if notice else ()

    @property
    def title(self) -> str:
        """A name for folders."""
        first = self.nets[0]
        name = first.checkpoint.stem
        if first.run is not None:
            folder = first.run.folder.resolve().name
            name = folder if name == "best" else f"{folder}_{name}"
        name = name if len(self.nets) == 1 else f"{len(self.nets)}_nets_of_{name}"
        return name + "_SIMULATED" * (self.simulated and "SIMULATED" not in name)


def find_nets(paths: Sequence[Path], variant: str | None, allowed: Collection[str]) -> Ensemble:
    """The nets that ``paths`` name, run folders, sweeps or checkpoints, on the CPU.

    variant: the one to take of a sweep that has several; allowed: code of the user's own that they may run.
    Raises UserError where there is no net, or several variants, or nets that cannot judge the same images.
    """
    found = [one for path in paths for one in _checkpoints(path.expanduser(), variant)]
    if variant is not None and not any(is_sweep(path.expanduser()) for path in paths):
        raise UserError(f"variant: found {variant!r}, but run names no sweep. Leave it out.")
    files = [checkpoint.resolve() for checkpoint, _ in found]
    if twice := [str(file) for file in files if files.count(file) > 1]:
        raise UserError(f"run: {twice[0]} is named twice, and would count twice. Name each run once.")
    nets = tuple(_load(checkpoint, run, allowed) for checkpoint, run in found)
    for net in nets[1:]:
        for what, one, other in (
            ("classes", nets[0].module.hparams["classes"], net.module.hparams["classes"]),
            ("positive class", nets[0].module.hparams["positive"], net.module.hparams["positive"]),
            ("image size, channels and window", tuple(nets[0].how), tuple(net.how)),
        ):
            if one != other:
                raise UserError(
                    f"run: {nets[0].checkpoint} and {net.checkpoint} cannot judge together: their {what} differ "
                    f"({one} and {other}).\n  Name runs on the same data, read in the same way."
                )
    return Ensemble(nets)


def is_sweep(path: Path) -> bool:
    """Whether a folder holds runs and is none itself. Raises UserError for a run without config.yaml."""
    RunFolder(path).check_config()
    return path.is_dir() and not RunFolder(path).config.is_file()


def _checkpoints(path: Path, variant: str | None) -> Iterator[tuple[Path, Run | None]]:
    if path.is_file():
        folder = path.absolute().parent.parent
        yield path, _run(folder) if RunFolder(folder).config.is_file() else None
    elif not path.is_dir():
        raise UserError(f"run: no folder {path}. Name the folder of a run or of a sweep, such as one below runs/.")
    elif is_sweep(path):
        for run in _of_variant(path, variant):
            yield RunFolder(run.folder).best, run
    else:
        run = _run(path)
        if not run.done:
            log.warning("%s: not finished (%s); the net is that of its best epoch so far", path, run.reason)
        yield RunFolder(path).best, run


def _run(folder: Path) -> Run:
    file = RunFolder(folder).config
    seed, fold = seed_and_fold(read_yaml(file), file)
    return read_run(folder, folder.name, folder.name, seed, {}, fold)


def _of_variant(path: Path, variant: str | None) -> list[Run]:
    """Finished runs of a variant of a sweep, or of any folder of runs."""
    if not (path / "sweep.json").is_file() and not any(path.rglob("status.json")):
        raise UserError(f"run: {path} is not a run folder, and there is none below it. Name one, such as runs/<run>.")
    sweep = read_sweep(path)
    names = [name for name in sweep.variants if sweep.done(name)]
    if not names:
        raise UserError(f"run: no run below {path} is finished.")
    if variant is None and len(names) > 1:
        raise UserError(
            f"run: {path} has {len(names)} variants, expected the name of one:\n{listing(names, len(names))}\n"
            f"  Name it: {typed('variant', names[0])}"
        )
    chosen = names[0] if variant is None else variant
    if chosen not in names:
        nearest = get_close_matches(chosen, names, n=1)
        hint = f" Did you mean {typed('variant', nearest[0])}?" if nearest else ""
        raise UserError(
            f"variant: found {chosen!r}, not a variant of {path}.{hint} Variants:\n{listing(names, len(names))}"
        )
    runs = sweep.done(chosen)
    if missing := [run.name for run in sweep.runs if run.variant == chosen and not run.done]:
        text = "%s: %d runs of %s are not finished and are left out:\n%s"
        log.warning(text, path, len(missing), chosen, listing(missing))
    return runs


def _load(checkpoint: Path, run: Run | None, allowed: Collection[str]) -> Net:
    if not checkpoint.is_file():
        raise UserError(f"run: no checkpoint {checkpoint}. Expected a run with a complete epoch.")
    content = read_checkpoint(checkpoint)
    check_allowed([content.get("classifier", {}), content["hyper_parameters"]], allowed, str(checkpoint), HOW)
    module = load_classifier(checkpoint, allowed)
    return Net(checkpoint, module, preprocessing_of(module, checkpoint), run)


def mean_and_spread(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (N, C) over nets (K, N, C), in float64, and the standard deviation (N, C) between them, NaN of one net.

    The mean over a single net is its probabilities, bit for bit.
    """
    values = probabilities.astype(np.float64)
    spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.full(values.shape[1:], np.nan)
    return values.mean(axis=0), spread
