"""What a finished run fixed on its validation images, from its folder."""

from pydantic import ValidationError

from medcls.config.messages import explain_invalid
from medcls.config.schema import Config, ThresholdConfig
from medcls.config.section import Section
from medcls.decision.record import Decision, decide_on, read_decision
from medcls.errors import UserError
from medcls.runs.folder import RunFolder
from medcls.runs.reading import read_yaml
from medcls.runs.run import Run, validation_images


class _Stored(Section):
    threshold: ThresholdConfig


NO_RULE = ThresholdConfig.model_validate(dict.fromkeys(ThresholdConfig.model_fields))


def rule_of_run(run: Run) -> ThresholdConfig:
    """The section of the run's configuration; of an older run none.

    Raises UserError where it holds anything else, and where config.yaml is missing or cannot be read.
    """
    file = RunFolder(run.folder).config
    values = read_yaml(file).get("threshold")
    if values is None:
        return NO_RULE
    try:
        return _Stored.model_validate({"threshold": values}).threshold
    except ValidationError as error:
        message = explain_invalid(error, Config, {})
        raise UserError(f"{file}: a wrong value.\n{message}\n  Restore the file from a copy.") from error


def decision_of(run: Run) -> Decision:
    """Content of decision.json; of a run older than that file, the same computed from its validation predictions."""
    stored = read_decision(RunFolder(run.folder).decision)
    return stored or decide_on(run.predictions["val"], rule_of_run(run), validation_images(run.metrics))
