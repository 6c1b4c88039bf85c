"""What nets fixed on their validation images, applied: the threshold, the temperature, the class of each image."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcls.config.schema import ThresholdConfig
from medcls.decision.of_run import NO_RULE, decision_of, rule_of_run
from medcls.decision.record import Decision, decide_on, prevalence_of
from medcls.decision.rule import check_classes, in_words, rule_of
from medcls.decision.temperature import Temperature
from medcls.decision.threshold import Threshold
from medcls.errors import UserError
from medcls.predict.nets import Ensemble
from medcls.runs.predictions import Predictions
from medcls.runs.run import Run, validation_images
from medcls.sweep_report.changed_images import other_images

log = logging.getLogger(__name__)

ARGMAX = "Or take the more probable class: threshold.rule=argmax"


@dataclass(frozen=True)
class Deciding:
    """How the nets' mean probabilities are shown and what is decided by them, all fixed on validation images.

    temperature: None where probabilities are left as they are; prevalence: of the positive of two classes, ``stated``
    or as in validation, None where unknown; fixed_on: what the images are called, "" where nothing is fixed on any.
    """

    positive: int
    threshold: Threshold
    temperature: Temperature | None
    prevalence: float | None
    stated: bool
    fixed_on: str

    def shown(self, probabilities: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """Probabilities (..., C) as they are written and measured."""
        return probabilities if self.temperature is None else self.temperature.calibrate(probabilities)

    def decide(self, mean: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
        """The class (N,) by the nets' own mean probabilities (N, C)."""
        return self.threshold.decide(mean, self.positive)

    def applied(self, predictions: Predictions) -> tuple[Predictions, NDArray[np.int64]]:
        """Predictions with probabilities as shown, and the classes (N,) decided by their own."""
        own = predictions.probabilities
        return replace(predictions, probabilities=self.shown(own)), self.decide(own)

    @property
    def shown_threshold(self) -> float | None:
        """From which shown probability on the positive class is chosen; None: the most probable class is."""
        if self.threshold.value is None:
            return None
        pair = np.full(2, 1 - self.threshold.value)
        pair[self.positive] = self.threshold.value
        return float(self.shown(pair)[self.positive])

    def described(self) -> dict[str, Any]:
        """What metrics.json says about it."""
        return {
            "threshold": self.shown_threshold,
            "rule": self.threshold.rule,
            "temperature": None if self.temperature is None else self.temperature.value,
            "fixed_on": self.fixed_on or None,
            "prevalence": self.prevalence,
            "prevalence_stated": self.stated,
        }


def deciding(ensemble: Ensemble, command: ThresholdConfig, given: Collection[str], calibrate: bool) -> Deciding:
    """What the command's rule, else that of the runs, gives on the runs' validation images; stored by a single run.

    given: keys of the command. Raises UserError where no threshold or temperature can be determined.
    """
    check_classes(command, ensemble.classes, trained=True)
    check_given(command, given)
    runs = ensemble.judged_runs
    wanted = common_rule([net.run for net in ensemble.nets if net.run is not None], command)
    needed = bool(rule_of(wanted)) and wanted.value is None
    if ensemble.unjudged and (needed or calibrate):
        what, instead = (in_words(rule_of(wanted)), ARGMAX) if needed else ("calibrate=true", "Or leave it out.")
        raise UserError(
            f"{what}: {ensemble.unjudged}, and only the best epoch of a finished run has predictions of validation "
            f"images to fix it on. Name such a run: run=runs/<run>. {instead}"
        )
    if not needed and not calibrate:
        prevalence = wanted.prevalence or common_prevalence(runs, ensemble.unjudged)
        threshold, stated = Threshold(rule_of(wanted), wanted.value), wanted.prevalence is not None
        return Deciding(ensemble.positive_index, threshold, None, prevalence, stated, "")
    if len(runs) == 1 and wanted == rule_of_run(runs[0]):
        fixed = decision_of(runs[0])
    else:
        fixed = decide_on(validation_of(runs), wanted, validation_images(runs[0].metrics))
    check_fixed(fixed, calibrate)
    return Deciding(
        ensemble.positive_index,
        fixed.threshold,
        fixed.temperature if calibrate else None,
        fixed.prevalence,
        fixed.prevalence_stated,
        fixed.chosen_on,
    )


def common_prevalence(runs: Sequence[Run], unjudged: str) -> float | None:
    """Share of the positive of two classes among the runs' validation images; None where these are not common to all.

    unjudged: why those of a net are not known, "" where they are.
    """
    if unjudged:
        return None
    try:
        return prevalence_of(validation_of(runs))
    except UserError as error:
        log.warning("PPV and NPV are left out, unless threshold.prevalence is given: %s", str(error).splitlines()[0])
        return None


def check_given(command: ThresholdConfig, given: Collection[str]) -> None:
    """Raise UserError for a rule that is set to null, which would leave that of the runs."""
    nothing = [key for key in given if key.startswith("threshold.") and key != "threshold.prevalence"]
    if nothing and not command.model_dump(exclude={"prevalence"}, exclude_none=True):
        raise UserError(f"{nothing[0]}: found null, expected a value. {ARGMAX}")


def check_fixed(fixed: Decision, calibrate: bool) -> None:
    """Say what was fixed. Raises UserError where the rule or the temperature could not be."""
    threshold, temperature = fixed.threshold, fixed.temperature
    if threshold.why:
        raise UserError(f"{threshold.by}: no threshold, {threshold.why}. Choose another rule. {ARGMAX}")
    if threshold.value is not None:
        log.info("threshold %.4g: %s", threshold.value, threshold.chosen_on(fixed.chosen_on))
    if not calibrate:
        return
    if temperature.value is None:
        raise UserError(f"calibrate: no temperature could be fitted: {temperature.why}. Leave it out.")
    log.info("temperature %.4g, fitted on %d %s", temperature.value, temperature.n, fixed.chosen_on)
    if temperature.saturated:
        log.warning(
            "calibrate: do not trust the temperature: %d of the %d images that it was fitted on have probabilities "
            "rounded to 0 and 1.",
            *(temperature.saturated, temperature.n),
        )


def merged(command: ThresholdConfig, stored: ThresholdConfig) -> ThresholdConfig:
    """The rule of the command, else the stored one; the same of the prevalence."""
    rule = command if command.model_dump(exclude={"prevalence"}, exclude_none=True) else stored
    prevalence = stored.prevalence if command.prevalence is None else command.prevalence
    return rule.model_copy(update={"prevalence": prevalence})


def common_rule(runs: Sequence[Run], command: ThresholdConfig) -> ThresholdConfig:
    """The rule of the command, else the one that all runs, finished or not, were trained with; so with the prevalence.

    Raises UserError where runs differ in what the command leaves open.
    """
    rules = [merged(command, rule_of_run(run)) for run in runs] or [merged(command, NO_RULE)]
    for run, rule in zip(runs, rules, strict=False):
        if (rule_of(rule), rule.prevalence) != (rule_of(rules[0]), rules[0].prevalence):
            first, other = (in_words(one.model_dump(exclude_none=True)) for one in (rules[0], rule))
            raise UserError(
                f"run: {runs[0].folder} and {run.folder} have different thresholds ({first} and {other}). "
                f"Name one for all, such as threshold.sensitivity=0.95. {ARGMAX}"
            )
    return rules[0]


def validation_of(runs: Sequence[Run]) -> Predictions:
    """Predictions of the runs on their validation images: for each the mean of the nets that validated on it.

    So no net judges an image that it was trained on, whether runs have the same images or each a fold's.
    Raises UserError for runs on different images.
    """
    found = [run.predictions["val"] for run in runs]
    if len(found) == 1:
        return found[0]
    rows: dict[str, list[tuple[Predictions, int]]] = {}
    for one in found:
        for i, name in enumerate(one.names):
            rows.setdefault(name, []).append((one, i))
    first = {name: of[0] for name, of in rows.items()}
    differ = len({one.data for one in found}) > 1 or any(
        one.labels[i] != first[name][0].labels[first[name][1]] for name, of in rows.items() for one, i in of
    )
    if (why := other_images(runs)) or differ:
        raise UserError(
            f"run: {runs[0].folder} and the others have validation images of different data, on which no common "
            f"threshold or temperature can be fixed.{f' {why}' * bool(why)} {ARGMAX}"
        )
    return replace(
        found[0],
        names=tuple(rows),
        labels=np.array([one.labels[i] for one, i in first.values()]),
        probabilities=np.array([np.mean([one.probabilities[i] for one, i in of], axis=0) for of in rows.values()]),
        groups=tuple(one.patients[i] for one, i in first.values()) if any(one.groups for one in found) else (),
    )
