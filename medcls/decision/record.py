"""decision.json: what a run fixes on its validation images for all others, and how well it does there and in test."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from medcls.atomic import write_json
from medcls.config.schema import ThresholdConfig
from medcls.decision.at_threshold import at_threshold
from medcls.decision.temperature import Temperature, fit_temperature
from medcls.decision.threshold import Threshold, choose_threshold
from medcls.evaluation.intervals import as_json
from medcls.runs.predictions import Predictions
from medcls.runs.reading import read_json


@dataclass(frozen=True)
class Decision:
    """A threshold and a temperature, which are fixed on validation images.

    prevalence: of the positive of two classes, as stated or as among these images; None of more classes.
    """

    threshold: Threshold
    temperature: Temperature
    prevalence: Annotated[float, Field(gt=0, lt=1)] | None
    prevalence_stated: bool
    chosen_on: str


def decide_on(validation: Predictions, config: ThresholdConfig, images: str) -> Decision:
    """What is fixed on these images and no others; ``images``: what they are called."""
    return Decision(
        choose_threshold(validation, config),
        fit_temperature(validation),
        config.prevalence or prevalence_of(validation),
        config.prevalence is not None,
        images,
    )


def prevalence_of(predictions: Predictions) -> float | None:
    """Share of the positive of two classes; None of more, or where a class has no image."""
    share = float((predictions.labels == predictions.positive).mean())
    return share if predictions.probabilities.shape[1] == 2 and 0 < share < 1 else None


def write_decision(path: Path, decision: Decision, by_split: Mapping[str, Predictions]) -> None:
    """Write decision.json."""
    write_json(path, content_of(decision, by_split))


def content_of(decision: Decision, by_split: Mapping[str, Predictions]) -> dict[str, Any]:
    """What decision.json says; with a threshold also its metrics on the images of each split."""
    content: dict[str, Any] = asdict(decision)
    if decision.threshold.value is not None:
        content["at_threshold"] = {split: _worth(found, decision) for split, found in by_split.items()}
    return content


def _worth(found: Predictions, decision: Decision) -> dict[str, Any]:
    predicted = decision.threshold.decide(found.probabilities, found.positive)
    return {name: as_json(one) for name, one in at_threshold(found, predicted, decision.prevalence).items()}


def read_decision(path: Path) -> Decision | None:
    """Content of decision.json; None where there is none. Raises UserError where it is damaged."""
    if not path.is_file():
        return None
    return TypeAdapter(Decision).validate_python(read_json(path, Decision))
