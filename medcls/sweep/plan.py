"""All jobs of a sweep, composed and checked before the first starts."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from medcls.composition.hydra_private import parse
from medcls.composition.run_name import folder_name, short_digest, shortened
from medcls.config import Config, check_config
from medcls.config.data import is_simulated
from medcls.config.knobs import keys_that
from medcls.config.messages import no_such_choice
from medcls.config.schema import SweepConfig, check_sweep
from medcls.errors import UserError
from medcls.host.terminal import command_line
from medcls.sweep.checks import check_metric, mistakes_of
from medcls.sweep.child import call
from medcls.sweep.compose import Composer, folds_left_open, with_overrides
from medcls.sweep.mistakes import Mistakes
from medcls.sweep.sweep_folder import Job
from medcls.sweep.variants import (
    Values,
    Variant,
    folder_part,
    in_overrides,
    readable,
    short_names,
    slug,
    swept_values,
    vary,
)

# Keys that do not define a job.
OF_THE_WHOLE = {"experiment", *(name for name, field in Config.model_fields.items() if field.exclude)}


@dataclass
class Plan:
    """Jobs with their configurations, and what the report is to compare."""

    name: str
    folder: Path
    sweep: SweepConfig
    keys: list[str]
    variants: list[dict[str, Any]] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    configs: dict[str, Config] = field(default_factory=dict)
    simulated: bool = False
    launch: list[str] = field(default_factory=list)

    def contract(self, command: list[str]) -> dict[str, Any]:
        """Content of sweep.json."""
        return {
            "name": self.name,
            "question": self.sweep.question,
            "command": command,
            "simulated": self.simulated,
            "keys": [key.lstrip("+") for key in self.keys],
            "variants": self.variants,
            "jobs": [vars(job) for job in self.jobs],
            "compare": self.sweep.compare,
            "metric": self.sweep.metric,
            "margin": self.sweep.margin,
            "reach": [reach.model_dump(exclude_none=True) for reach in self.sweep.reach],
        }


def plan_sweep(arguments: Sequence[str]) -> Plan:
    """Every job of a command line. Raises UserError that lists all mistakes of all jobs."""
    composer = Composer()
    parsed = parse(arguments)
    check_hydra_overrides(parsed)
    launch = [str(o.input_line) for o in parsed if o.is_hydra_override()]
    task = [o for o in parsed if not o.is_hydra_override()]
    fixed = [str(o.input_line) for o in task if not o.is_sweep_override()]
    chosen = in_overrides({o.get_key_element(): swept_values(o)[0] for o in task if o.is_sweep_override()})
    base = composer.compose(fixed + chosen + [o for o in launch if o.startswith("hydra.sweep.dir=")])
    sweep = check_sweep(base.sweep)
    variants, repetitions, keys = vary(sweep, task)
    plan = Plan("", Path(), sweep, keys, launch=launch)
    add_jobs(plan, composer, fixed, itertools.product(variants, repetitions))
    name_sweep(plan, base, task)
    check_names_of_variants(plan, task)
    return plan


def add_jobs(plan: Plan, composer: Composer, fixed: list[str], requested: Iterable[tuple[Variant, Values]]) -> None:
    """Add the jobs of every variant and repetition. Raises UserError that lists the mistakes of all."""
    mistakes = Mistakes()
    distinguishing: dict[str, list[str]] = {}  # overrides that distinguish a job from the others
    for variant, repetition in requested:
        own = in_overrides(variant.values | repetition)
        with mistakes.collected(own):
            composed = composer.compose(fixed + own)
            for fold in folds_left_open(composed, fixed + own):
                with mistakes.collected(own + fold):
                    job = add_job(plan, with_overrides(composed, fold), variant, fixed + own + fold)
                    distinguishing[job] = own + fold
    found = call(mistakes_of, plan.configs)
    for job, message in found.items():
        mistakes.add(distinguishing[job], message)
    mistakes.check(len(plan.jobs) - len(found))


def check_hydra_overrides(parsed: Sequence[Override]) -> None:
    """Raise UserError for Hydra settings that do not apply to a sweep."""
    for override in parsed:
        if override.key_or_group.startswith("hydra/sweeper"):
            raise UserError(
                f"hydra/sweeper: a sweep is a grid. To search: {command_line('train')} -m hydra/sweeper=search ..."
            )
        if override.key_or_group in ("hydra.run.dir", "hydra.sweep.subdir"):
            raise UserError(f"{override.key_or_group}: found in a sweep, expected hydra.sweep.dir=<folder>.")
        if override.is_hydra_override() and override.is_sweep_override():
            raise UserError(f"{override.input_line}: Hydra's settings cannot be swept.")
        if override.key_or_group == "resume":
            raise UserError("resume: found in a sweep. To resume a sweep, re-run the same command without it.")
        if override.is_sweep_override() and override.key_or_group.partition(".")[0] in OF_THE_WHOLE:
            raise UserError(f"{override.input_line}: a key of the whole sweep, not of its jobs. Expected one value.")


def add_job(plan: Plan, composed: DictConfig, variant: Variant, overrides: list[str]) -> str:
    """Check one job and add it; returns its name. Raises UserError for a wrong configuration or a job twice."""
    choices, simulated = composed.hydra.runtime.choices, is_simulated(composed.data)
    with open_dict(composed):
        del composed["hydra"]
    config = check_config(composed)
    if twin := next((name for name, other in plan.configs.items() if other == config), None):
        raise UserError(f"the same job twice: {twin} has the same configuration. Remove one of the values.")
    name = variant.name or f"{choices.model} on {folder_name(composed.data)}"
    values = {key.lstrip("+"): value_of(key, composed, choices) for key in plan.keys}
    known = next((one["values"] for one in plan.variants if one["name"] == name), None)
    if known is None:
        plan.variants.append({"name": name, "values": values})
    elif known != values:
        raise UserError(f"two variants are called {name}. Give each its own name: sweep.variants.<name>.<key>=...")
    full = Variant(name, {key: values[key.lstrip("+")] for key in plan.keys})
    part = folder_part(full, plan.keys, bool(plan.sweep.variants)) or slug(name)
    split = config.data.split
    numbers = [f"seed-{config.seed}"] + ([] if split.folds is None else [f"fold-{split.fold}"])
    folder = shortened("_".join([part, *numbers])) + ("_SIMULATED" if simulated else "")
    if folder.casefold() in map(str.casefold, plan.configs):  # names lose accents, and some file systems case
        folder = f"{folder}_{short_digest(repr(full))}"
    plan.jobs.append(
        Job(folder, name, config.seed, None if split.folds is None else split.fold, split.folds, overrides)
    )
    plan.configs[folder] = config
    plan.simulated = plan.simulated or simulated
    return folder


def value_of(key: str, composed: DictConfig, choices: DictConfig) -> Any:
    """Value of a key in a composed configuration; for a group, the name of its choice."""
    bare = key.lstrip("+")
    value = choices[bare] if bare in choices else OmegaConf.select(composed, bare)
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def name_sweep(plan: Plan, base: DictConfig, task: Sequence[Override]) -> None:
    """Set name and folder, which the same command finds again; keys that may change on resuming are left out."""
    given = {o.key_or_group: "-".join(map(readable, swept_values(o))) for o in task if not o.is_delete()}
    experiment = base.hydra.runtime.choices.get("experiment")
    head = experiment or f"{given.get('model', base.hydra.runtime.choices.model)}_{given.get('data', base.data.name)}"
    root = folder_name(base.data) if base.data.root is not None else ""
    head = head if root in ("", base.data.name) else f"{head}_{root}"
    skipped = {"experiment", *keys_that(lambda knob: knob.on_resume or not knob.in_name)}
    skipped |= set() if experiment else {"model", "data"}
    knobs = {key: value for key, value in sorted(given.items()) if key not in skipped and not key.startswith("sweep.")}
    knobs |= {f"no_{o.key_or_group}": "" for o in task if o.is_delete()}
    short = short_names(knobs)
    parts = [f"{short[key]}-{value}".rstrip("-") for key, value in knobs.items()]
    plan.name = shortened(slug("_".join([head, *parts]))) + ("_SIMULATED" if plan.simulated else "")
    moved = any(override.startswith("hydra.sweep.dir=") for override in plan.launch)
    plan.folder = Path(str(base.hydra.sweep.dir)) if moved else Path("runs") / plan.name


def check_names_of_variants(plan: Plan, task: Sequence[Override]) -> None:
    """Drop comparisons with variants that the command line removed.

    Raises UserError for variants that never existed, and for a metric that is not compared.
    """
    sweep, known = plan.sweep, {variant["name"] for variant in plan.variants}
    call(check_metric, sweep.metric)
    pairs = sweep.compare if isinstance(sweep.compare, list) else []
    reference = {sweep.compare} - {"all"} if isinstance(sweep.compare, str) else set()
    if twice := next((a for a, b in pairs if a == b), None):
        raise UserError(f"sweep.compare: found {twice} compared with itself, expected two variants.")
    wanted = {name for pair in pairs for name in pair} | {r.final_of for r in sweep.reach if r.final_of is not None}
    missing = sorted((wanted | reference) - known)
    swept = {key.lstrip("+") for key in [*sweep.grid, *(key for values in sweep.variants.values() for key in values)]}
    given = {override.key_or_group for override in task}
    if missing and ("sweep.compare" in given or not swept & given):
        key = "sweep.compare" if missing[0] not in {r.final_of for r in sweep.reach} else "sweep.reach"
        raise UserError(no_such_choice(key, missing[0], sorted(known)))
    kept = [pair for pair in pairs if known.issuperset(pair)] if pairs else sweep.compare
    kept = None if reference - known else kept
    reach = [goal for goal in sweep.reach if goal.final_of is None or goal.final_of in known]
    plan.sweep = sweep.model_copy(update={"compare": kept or None, "reach": reach})
