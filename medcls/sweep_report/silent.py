"""Nets of a sweep that carry no information about their images, and best epochs no better than a constant answer."""

from collections.abc import Sequence
from typing import NamedTuple

from medcls.evaluation.constant import beats, says_nothing
from medcls.runs.run import Run, value_of
from medcls.sweep_report.design import Sweep

ADVICE = "try model.batch_norm=true, or another lr"


class Silent(NamedTuple):
    """A finished run, and what its net does instead of telling the images apart."""

    run: Run
    does: str

    @property
    def variant(self) -> str:
        return self.run.variant

    @property
    def constant(self) -> bool:
        """Whether it answers the same for every image; calling all one class, it may still rank them rightly."""
        return self.does.startswith("answers")


def silent_nets(sweep: Sweep, split: str) -> list[Silent]:
    """The finished runs whose nets carry no information about the images of a split."""
    done = [run for run in sweep.runs if run.done and split in run.predictions]
    found = [Silent(run, says_nothing(run.predictions[split], run.metrics["classes"])) for run in done]
    return [one for one in found if one.does]


def count_silent(silent: Sequence[Silent], n_nets: int) -> str:
    """How many of so many nets do what, and what to try; empty where there are none."""
    constant = sum(one.constant for one in silent)
    counts = {"answer{} the same for every image": constant, "call{} every image one class": len(silent) - constant}
    says = [f"{n} of {n_nets} nets {does.format('s' if n == 1 else '')}" for does, n in counts.items() if n]
    return f"{', '.join(says)}: {ADVICE}." if says else ""


def no_better_than_constant(sweep: Sweep) -> list[Run]:
    """The finished runs whose best epoch has no lower validation loss than one answer for all images."""
    known = [run for run in sweep.runs if run.done and run.metrics.get("constant_loss")]
    return [
        run for run in known if not beats(value_of(run.metrics["best"]["val"], "loss"), run.metrics["constant_loss"])
    ]
