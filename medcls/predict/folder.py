"""The folder that predicting leaves: what was asked, predictions.csv, metrics.json, summary.json."""

from pathlib import Path
from typing import Any

from medcls.runs.reading import read_json


class PredictFolder:
    """Paths of the folder; every file is written whole or not at all, summary.json last."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.request = path / "predict.json"
        self.parts = path / ".parts"
        self.predictions = path / "predictions.csv"
        self.metrics = path / "metrics.json"
        self.summary = path / "summary.json"

    def read_summary(self) -> dict[str, Any] | None:
        """Content of summary.json; None where the folder is not complete."""
        return read_json(self.summary, dict[str, Any]) if self.summary.is_file() else None


def is_predict_folder(folder: Path) -> bool:
    """Whether a folder is one that ``medcls predict`` left, or has begun."""
    return PredictFolder(folder).request.is_file()
