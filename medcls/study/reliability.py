"""How far a result of task 3 can be trusted: what the audit found, the intervals, and the same in folds."""

import math

from medcls.errors import UserError
from medcls.evaluation.interval import LEVEL
from medcls.evaluation.metrics import title_of
from medcls.pack.collect import checks_of
from medcls.runs.folder import RunFolder
from medcls.runs.reading import read_json
from medcls.runs.run import Run, value_of
from medcls.sweep_report.crossvalidation import CHOSEN, cross_validate
from medcls.sweep_report.design import Sweep
from medcls.sweep_report.over_seeds import over_trials, show_spread
from medcls.sweep_report.ranking import rank, show_interval
from medcls.sweep_report.verdicts import Verdicts, images_of, judge

QUESTION = "How do you make sure that the results are reliable?"


def reliability(sweep: Sweep, verdicts: Verdicts, folds: Sweep | None, missing: str) -> list[str]:
    """Items of a list; folds: the same in a cross-validation, None where it was not run: then ``missing`` says what it
    would take.
    """
    items = [f"**Audit.** {found}" for found in _audits(sweep)]
    items += [f"**Intervals.** {_intervals(sweep, verdicts)}"]
    items += [f"**Folds.** {_in_folds(folds) if folds else f'Not run: {missing}.'}"]
    return items


def _audits(sweep: Sweep) -> list[str]:
    """What was found in each data set, in a sentence for each check that there is."""
    found = {}
    for run in sweep.runs:
        if run.done and run.variant not in found:
            found[run.variant] = f"{run.variant}: {_audit(run)}"
    return list(found.values())


def _audit(run: Run) -> str:
    try:
        said = checks_of(read_json(RunFolder(run.folder).data, dict))
    except (OSError, UserError):
        said = []
    if not said:
        return "not audited (simulated, or audit=none)."
    notice = f" In these runs: {run.metrics['notice']}." if run.metrics.get("notice") else ""
    return f"{'; '.join(said)}.{notice}"


def _intervals(sweep: Sweep, verdicts: Verdicts) -> str:
    """The metric of each variant with its interval, and its spread over seeds alone."""
    said = []
    for one in rank(sweep, verdicts).variants:
        if math.isfinite(one.value.value):
            spread = over_trials(sweep, one.name, lambda run: value_of(run.metrics["best"]["val"], sweep.metric))
            said.append(f"{one.name} {show_interval(one.value)} (seeds: {show_spread(spread, 3)})")
    what = f"{title_of(sweep.metric)} on {images_of(sweep, verdicts.split)}, {LEVEL:.0%} interval"
    return f"{what} over other seeds and images: {'; '.join(said) or 'no run is finished'}."


def _in_folds(sweep: Sweep) -> str:
    """The metric of each cross-validation, and of each fold alone."""
    said = []
    for one in cross_validate(sweep, judge(sweep).split):
        name = one.trial.variant
        if name == CHOSEN:
            continue
        if interval := one.intervals.get(sweep.metric):
            each = ", ".join(f"{value:.3f}" for value in one.per_fold(sweep.metric))
            said.append(f"{name} {show_interval(interval)} (folds: {each})")
        else:
            said.append(f"{name}: {one.why}")
    what = f"{title_of(sweep.metric)} within folds, every image judged by a net that was not trained on it"
    return f"{what}: {'; '.join(said)}."
