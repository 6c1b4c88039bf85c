"""Whether runs whose settings name the same images had the same ones: a folder may change between two commands."""

import json
from collections.abc import Iterable
from dataclasses import replace

from medcls.config.knobs import knob
from medcls.errors import UserError
from medcls.runs.folder import Data, RunFolder
from medcls.runs.reading import read_json
from medcls.runs.run import Run


def changed_images(runs: Iterable[Run]) -> str:
    """A sentence where finished runs had other images, labels or splits than earlier ones; empty where none had."""
    known = [(run, found) for run in runs if run.done and (found := _fingerprint(run)) is not None]
    if len({found for _, found in known}) < 2:  # as nearly always: no configuration has to be read
        return ""
    first: dict[str, tuple[str, Run]] = {}
    changed: list[tuple[Run, Run]] = []
    for run, found in known:
        expected, earlier = first.setdefault(_asked(run), (found, run))
        if found != expected:
            changed.append((run, earlier))
    if not changed:
        return ""
    others = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    run, earlier = changed[0]
    had = f"{run.name}{others} had other images, labels or splits than {earlier.name}"
    return f"The images changed between runs: {had}."


def other_images(runs: Iterable[Run]) -> str:
    """The same for runs that are to judge the same images, wherever these lie: one name must mean one image."""
    return changed_images(replace(run, values={}) for run in runs)


def _fingerprint(run: Run) -> str | None:
    """That of data.json; None where it cannot be read."""
    try:
        return read_json(RunFolder(run.folder).data, Data)["fingerprint"]
    except (OSError, UserError):
        return None


def _asked(run: Run) -> str:
    """What decides which images a run has, equal for runs that should have the same."""
    config = run.config
    # Where images lie, which a resumed run may change, does not say what they are; in a sweep over places it does.
    data = {key: value for key, value in config.get("data", {}).items() if not knob(f"data.{key}").on_resume}
    data["audit"], data["image_size"] = config.get("audit"), config.get("image_size")
    if data.get("train_fraction", 1) != 1:
        data["seed"] = run.seed  # which draws the part
    data["swept"] = {key: value for key, value in run.values.items() if key.startswith("data.")}
    return json.dumps(data, sort_keys=True, default=str)
