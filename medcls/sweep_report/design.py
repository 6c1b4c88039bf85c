"""What a sweep asked: its variants, seeds, comparisons; from sweep.json, or from the runs themselves."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medcls.config.stored import with_defaults
from medcls.errors import UserError
from medcls.evaluation.metrics import METRICS
from medcls.runs.history import COLUMNS
from medcls.runs.run import Fold, Run, read_config, read_run, seed_and_fold, validation_images
from medcls.sweep_report.contract import read_contract
from medcls.sweep_report.family import Pair, family
from medcls.sweep_report.knobs import derive_knobs, name_variant, show_value, sort_key

# What convergence is measured by where nothing was asked.
USUAL_REACH = ({"metric": "train_accuracy", "value": 0.9},)
USUAL_METRIC = "auroc"


@dataclass(frozen=True)
class Sweep:
    """A sweep with its runs, ordered by variant, seed and fold.

    variants: name -> value of each swept key; compare: the comparisons that are tested, by ``metric``; margin: the
    difference from which on one matters; None where none was named. reach: what convergence is measured by, each
    {"metric", "value"} or {"metric", "final_of"}; remark: what was decided where there is no sweep.json.
    """

    folder: Path
    name: str
    question: str | None
    command: str | None
    simulated: bool
    keys: tuple[str, ...]
    variants: Mapping[str, Mapping[str, Any]]
    runs: tuple[Run, ...]
    compare: tuple[Pair, ...]
    metric: str
    margin: float | None
    reach: tuple[Mapping[str, Any], ...]
    remark: str
    reference: str = ""  # the variant that was named to compare with

    @property
    def cross_validated(self) -> bool:
        """Whether its runs validate on several folds; one fold alone is a split like any other."""
        return len({run.fold for run in self.runs if run.fold}) > 1

    @property
    def comparator(self) -> str:
        """The variant that the best one is compared with: the one that was named, else the first."""
        return self.reference or next(iter(self.variants), "")

    @property
    def varied(self) -> str:
        """The settings that were varied, with their values, and the seeds, in words."""
        settings = []
        for key in self.keys:
            values = dict.fromkeys(show_value(of.get(key)) for of in self.variants.values())
            settings.append(f"{key} ({', '.join(values)})")
        seeds = sorted({run.seed for run in self.runs})
        repeated = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
        if self.cross_validated:
            folds = sorted({run.fold.of for run in self.runs if run.fold})
            repeated += f", in {' or '.join(map(str, folds))} folds"
        return f"{'; '.join(settings) or 'nothing'}. Each with {repeated}."

    @property
    def replications(self) -> str:
        """What the runs of a variant differ in."""
        if not self.cross_validated:
            return "seeds"
        return "seeds and folds" if len({run.seed for run in self.runs}) > 1 else "folds"

    @property
    def notices(self) -> list[str]:
        """What must be said wherever metrics are shown: about leaks, and test images that served as validation."""
        found = {str(run.metrics["notice"]) for run in self.runs if run.metrics.get("notice")}
        if any(run.metrics.get("test_validates") for run in self.runs):
            found.add("no validation split: the test images served as one, and validation here means these")
        return sorted(found)

    @property
    def validation_images(self) -> str:
        """What the images are called that the best epochs were chosen on."""
        called = {validation_images(run.metrics) for run in self.runs if run.done}
        return called.pop() if len(called) == 1 else "validation images"

    def done(self, variant: str) -> list[Run]:
        """Finished runs of a variant, by seed and fold."""
        return [run for run in self.runs if run.variant == variant and run.done]


def read_sweep(folder: Path) -> Sweep:
    """The sweep in ``folder``. Raises UserError when there is none: no sweep.json, and no run folder below."""
    if not folder.is_dir():
        raise UserError(f"report: no folder {folder}.\n  Name a folder of runs, such as one below runs/.")
    return _from_file(folder) if (folder / "sweep.json").is_file() else _from_runs(folder)


def _from_file(folder: Path) -> Sweep:
    path = folder / "sweep.json"
    try:
        content = read_contract(path)
        variants = {entry["name"]: entry["values"] for entry in content["variants"]}
        jobs = [(job["name"], job["variant"], int(job["seed"]), _fold(job)) for job in content["jobs"]]
        order = {name: i for i, name in enumerate(variants)}
        jobs.sort(key=lambda job: (order[job[1]], job[2], job[3] or (), job[0]))
        keys, reach = tuple(content["keys"]), tuple(content.get("reach") or USUAL_REACH)
        compare, metric = family(requested := content.get("compare"), variants), content.get("metric") or USUAL_METRIC
        absent = {name for pair in compare for name in (*pair.of_a, *pair.of_b) if name not in variants}
        absent |= {str(target["final_of"]) for target in reach if target.get("final_of", "") not in {"", *variants}}
        runs = tuple(read_run(folder / name, name, of, seed, variants[of], fold) for name, of, seed, fold in jobs)
        own = (name for run in runs for row in run.history[-1:] for name in row if name.startswith("val_"))
        reachable = dict.fromkeys([*COLUMNS, *own])
        wrong = [str(target.get("metric")) for target in reach if target.get("metric") not in reachable]
        wrong += [] if metric in (compared := [one.name for one in METRICS.values() if one.measure]) else [metric]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: damaged or of another version ({type(error).__name__}: {error}).") from error
    if absent or wrong:
        raise UserError(
            f"{path}: found {', '.join(sorted(absent) + wrong)} in compare, metric or reach.\n  Expected variants "
            f"({', '.join(variants)}), metrics ({', '.join(compared)}) and what is reached ({', '.join(reachable)})."
        )
    simulated = bool(content.get("simulated")) or _any_simulated(runs)
    command, title = _typed(content.get("command")), str(content.get("name") or folder.name)
    question, margin = content.get("question"), content.get("margin")
    reference = requested if isinstance(requested, str) and requested in variants else ""
    return Sweep(
        *(folder, title, question, command, simulated, keys, variants, runs, compare, metric, margin, reach, ""),
        reference=reference,
    )


def _from_runs(folder: Path) -> Sweep:
    folders = sorted(_run_folders(folder))
    if not folders:
        raise UserError(
            f"report: no run below {folder} (no folder with a config.yaml and a status.json).\n  Name the folder of a "
            "sweep or multirun, such as one below runs/."
        )
    # Runs made before a key existed are those of its default.
    configs = {path: config for path in folders if (config := _usable(path)) is not None}
    keys, knobs = derive_knobs(configs)
    names = {path: name_variant(values) for path, values in knobs.items()}
    variants = {names[path]: knobs[path] for path in sorted(knobs, key=lambda path: sort_key(knobs[path]))}
    runs = []
    for path in folders:
        seed, fold = seed_and_fold(configs.get(path, {}), path)
        where = str(path.relative_to(folder)) if path != folder else folder.resolve().name
        runs.append(read_run(path, where, names.get(path, "unknown"), seed, knobs.get(path, {}), fold))
    order = {name: i for i, name in enumerate(variants)}
    runs.sort(key=lambda run: (order.get(run.variant, len(order)), run.seed, run.fold or (), run.name))
    runs, remark = _without_repetitions(runs)
    name, simulated, compare = folder.resolve().name, _any_simulated(tuple(runs)), family(None, variants)
    unasked = (USUAL_METRIC, None, USUAL_REACH)
    return Sweep(folder, name, None, None, simulated, keys, variants, tuple(runs), compare, *unasked, remark)


def _usable(path: Path) -> dict[str, Any] | None:
    """Configuration of a run with conf/'s defaults; None where there is none that says its seed and fold."""
    if (config := read_config(path)) is None:
        return None
    config = with_defaults(config)
    try:
        seed_and_fold(config, path)
    except UserError:
        return None
    return config if "split" in config.get("data", {}) else None


def _run_folders(folder: Path) -> set[Path]:
    """Folders of runs, also of those that failed before they wrote more than a log."""
    found = {path.parent for name in ("status.json", "train.log") for path in folder.rglob(name)}
    return {path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)}


def _fold(content: Mapping[str, Any]) -> Fold | None:
    """Fold of a job of sweep.json."""
    return Fold(int(content["fold"]), int(content["folds"])) if content.get("folds") else None


def _without_repetitions(runs: list[Run]) -> tuple[list[Run], str]:
    """One run of each configuration, seed and fold: repetitions are no new evidence. The last by name stays."""
    chosen: dict[tuple[str, int, Fold | None], Run] = {}
    for run in runs:
        before = chosen.get((run.variant, run.seed, run.fold))
        if before is None or run.done or not before.done:
            chosen[run.variant, run.seed, run.fold] = run
    # Runs without a configuration cannot be told apart, and so are not repetitions.
    kept = [run for run in runs if run.variant == "unknown" or run is chosen[run.variant, run.seed, run.fold]]
    left = len(runs) - len(kept)
    return kept, f"{left} repetitions of a configuration with the same seed were left out." if left else ""


def _any_simulated(runs: tuple[Run, ...]) -> bool:
    return any(bool(run.metrics.get("simulated")) for run in runs)


def _typed(command: Any) -> str | None:
    """A command as it can be typed again."""
    if not isinstance(command, list):
        return str(command) if command else None
    words = ["python"] if command and str(command[0]).endswith(".py") else []
    return shlex.join([*words, *map(str, command)])
