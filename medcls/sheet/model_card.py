"""A model card as Hugging Face reads it: metadata in YAML, then text (huggingface.co/docs/hub/model-cards).

The metadata follow modelcard.md of huggingface/hub-docs: library_name, pipeline_tag, tags, metrics, and model-index,
whose results have task, dataset and metrics. The licence is left to whoever publishes the net.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medcls.document.blocks import Section, Text
from medcls.evaluation.interval import LEVEL, defined
from medcls.evaluation.metrics import METRICS, title_of
from medcls.runs.reading import yaml_text
from medcls.sheet import data_facts, folder_facts, result_facts, training_facts
from medcls.sheet.answering import Question, Source
from medcls.sheet.record import Record

# Names that Hugging Face has for metrics; others keep ours.
_IDS = {"auroc": "roc_auc", "sensitivity": "recall"}
_TASK = "image-classification"
# No names of images or folders: a card is published.
_PARTS: Mapping[str, Sequence[Question]] = {
    "What it is": (training_facts.technology, data_facts.task, training_facts.net, training_facts.predictors),
    "Data": (data_facts.counts, data_facts.preprocessing, data_facts.quality, data_facts.characteristics),
    "Training": (
        *(training_facts.initialisation, training_facts.training, training_facts.augmentation),
        *(training_facts.selection, training_facts.software),
    ),
    "Results": (
        *(result_facts.performance, result_facts.uncertainty, result_facts.diagnostic, result_facts.output),
        *(result_facts.recalibration, folder_facts.external, folder_facts.explained, folder_facts.robust),
    ),
    "Limits": (result_facts.limits,),
}
_YOURS = {
    "Uses": "Yours to write: what the net is for, for whom, and what it is not for.",
    "Licence and contact": "Yours to write.",
}


def sections(source: Source) -> list[Section]:
    """The text of the card."""
    found = []
    for title, questions in _PARTS.items():
        facts = [fact for question in questions if (fact := source.answer(question)) is not None]
        found.append(Section(title, tuple(Text(fact.text) for fact in facts) or (Text("Not recorded."),)))
    yours = [Section(title, (Text(text),)) for title, text in _YOURS.items()]
    return [found[0], yours[0], *found[1:], yours[1]]


def front_matter(records: Sequence[Record], name: str) -> str:
    """The metadata of one net, or of those of a sweep, whose metrics name the run."""
    several = len(records) > 1
    results = [result for record in records for result in _results(record, f"{record.run.name}: " if several else "")]
    simulated = any(record.metrics["simulated"] for record in records)
    values = {
        "library_name": "medcls",
        "pipeline_tag": _TASK,
        "tags": ["medcls", "pytorch", _TASK, "medical-imaging", *(["simulated-data"] if simulated else [])],
        "metrics": list(dict.fromkeys(one["type"] for result in results for one in result["metrics"])),
        "model-index": [{"name": name, "results": results}],  # of several models their readers keep the last
    }
    return f"---\n# license: yours to write\n{yaml_text(values)}---\n\n"


def _results(record: Record, of: str) -> Iterator[dict[str, Any]]:
    name = f"{'SIMULATED ' * record.metrics['simulated']}{record.metrics['data']}"
    yield _result(name, data_facts.called(record, record.judged), record.scored, of)
    for one in record.external:
        yield _result(one.metrics["data"], "external images", one.metrics["external"], of)


def _result(data: str, images: str, scored: Mapping[str, Any], of: str) -> dict[str, Any]:
    return {
        "task": {"type": _TASK, "name": "Image classification"},
        "dataset": {"type": "imagefolder", "name": f"{data}, {images}", "split": images},
        "metrics": [found for name in METRICS if (found := _metric(name, scored.get(name), of))],
    }


def _metric(name: str, found: Any, of: str) -> dict[str, Any] | None:
    """A metric with its interval in its name; None where it is undefined, which the card's form has no value for."""
    value, low, high = (
        (found.get(key) for key in ("value", "low", "high")) if isinstance(found, Mapping) else (found, None, None)
    )
    if not defined(value):
        return None
    interval = f" ({LEVEL:.0%} interval {low:.3f} to {high:.3f})" if defined(low) else ""
    return {"type": _IDS.get(name, name), "value": value, "name": f"{of}{title_of(name)}{interval}"}
