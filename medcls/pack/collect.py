"""What goes into a pack from runs and sweeps, with nothing of this machine in it."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from typing_extensions import NotRequired, TypedDict

from medcls.atomic import json_bytes
from medcls.audit.shape import Findings, OfFiles
from medcls.audit.wording import first_sentences
from medcls.errors import UserError
from medcls.pack.ended import check_ended
from medcls.pack.layout import LAST, OF_RUN, VERDICTS, wrong_with
from medcls.pack.recompute import last_is_best, verdicts_of
from medcls.pack.strip import Stripper
from medcls.predict.nets import is_sweep
from medcls.quoting import typed
from medcls.runs.checkpoint import read_checkpoint
from medcls.runs.folder import RunFolder
from medcls.runs.predictions import Predictions, write_predictions
from medcls.runs.reading import of_shape, read_json, read_rows, read_yaml, yaml_text
from medcls.runs.run import Run
from medcls.sources.medmnist import file_in
from medcls.sweep_report.design import Sweep, read_sweep

# Of data.json: the rest names training images and patients.
_OF_DATA = ("root", "simulated", "classes", "positive", "counts", "shape", "fingerprint", "test_validates")
_NAMED_AS_WHOLE = ("environment.json", "status.json")  # a command line and a reason, in which names may be replaced


class _Data(TypedDict):
    """What a pack takes from data.json in changed form."""

    audit: NotRequired[OfFiles | None]


@dataclass(frozen=True)
class Source:
    """A run or a sweep of the command: its folder, its name in the pack, its runs there, finished or not."""

    folder: Path
    name: str
    runs: tuple[Run, ...]
    sweep: Sweep | None

    @property
    def finished(self) -> list[Run]:
        return [run for run in self.runs if run.done]

    def inside(self, run: Run) -> str:
        """Path of a run in the pack."""
        return f"runs/{self.name}" if self.sweep is None else f"runs/{self.name}/{run.name}"


@dataclass
class Collected:
    """Entries of a pack, files or their content by name; images: path of a run in it -> folder of its images."""

    entries: dict[str, bytes | Path] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, content: bytes | Path) -> None:
        """Raises UserError for a name that no pack can have."""
        if why := wrong_with(name):
            raise UserError(f"{name}: cannot be packed, the name {why}. Rename it, or leave it out.")
        self.entries[name] = content


def find_sources(paths: Sequence[Path]) -> list[Source]:
    """The runs and sweeps that the command names. Raises UserError where there are none that are finished."""
    found: list[Source] = []
    for path in (path.expanduser() for path in paths):
        if path.is_file() or not path.is_dir():
            raise UserError(f"run: {path} is not a folder. Expected that of a run or of a sweep, such as runs/<run>.")
        if any(path.resolve() == one.folder.resolve() for one in found):
            raise UserError(f"run: {path} is named twice. Name each run once.")
        names, name, number = [one.name for one in found], path.resolve().name, 2
        while name in names:
            name, number = f"{path.resolve().name}_{number}", number + 1
        sweep = read_sweep(path)
        source = Source(path, name, sweep.runs, sweep if is_sweep(path) else None)
        for run in source.runs:
            check_ended(run)
        if not source.finished:
            raise UserError(f"run: {path} has no table: {source.runs[0].reason}. Finish it first.")
        found.append(source)
    return found


def roots_of(sources: Sequence[Source]) -> dict[Path, str]:
    """Folder of a finished run -> that of its images, of runs whose images are files."""
    found = {}
    for run in (run for source in sources for run in source.finished):
        if root := read_json(RunFolder(run.folder).data, dict[str, Any]).get("root"):
            found[run.folder] = str(root)
    return found


def patients_of(sources: Sequence[Source]) -> dict[str, str]:
    """A number for each patient, the same in all runs; in the order of their names, so that nothing else changes."""
    predictions = [of for source in sources for run in source.finished for of in run.predictions.values()]
    known = sorted({group for one in predictions for group in one.groups} - {""})
    width = len(str(len(known)))
    return {name: f"patient_{number:0{width}d}" for number, name in enumerate(known, start=1)}


def collect(
    sources: Sequence[Source], stripper: Stripper, *, nets: bool, images: bool, last: Mapping[Path, Predictions]
) -> Collected:
    """Everything that goes into the pack; last: of runs by folder, what ``last_predictions`` gives.

    Raises UserError for a file that is missing or damaged.
    """
    found, patients, roots = Collected(), patients_of(sources), roots_of(sources)
    for source in sources:
        if source.sweep is not None:
            add_sweep(found, source, stripper)
        for run in source.runs:
            add_run(found, source.inside(run), run, stripper, patients)
            if nets and run.done:
                add_nets(found, source.inside(run), run, stripper)
            if run.folder in last:
                content = as_table(last[run.folder], run, stripper, patients)
                found.add(f"{source.inside(run)}/{LAST}", content)
    if images:
        add_images(found, sources, roots)
    return found


def add_sweep(found: Collected, source: Source, stripper: Stripper) -> None:
    """What a sweep asked and what its report answers."""
    assert source.sweep is not None
    if (file := source.folder / "sweep.json").is_file():
        content = read_json(file, dict[str, Any])
        content.pop("command", None)
        for job in content["jobs"]:
            job.pop("overrides", None)
        found.add(f"runs/{source.name}/sweep.json", json_bytes(stripper.values(content)))
    for name in ("results.csv", "pooled.csv"):
        if (file := source.folder / name).is_file():
            found.add(f"runs/{source.name}/{name}", table(file, stripper, {}))
    found.add(f"runs/{source.name}/{VERDICTS}", json_bytes(stripper.values(verdicts_of(source.sweep))))


def add_run(found: Collected, inside: str, run: Run, stripper: Stripper, patients: Mapping[str, str]) -> None:
    """A run's table and what it follows from; of one that is not finished, how it ended."""
    for name in OF_RUN:
        file = run.folder / name
        if file.is_file() and (run.done or name in ("config.yaml", "status.json", "history.csv")):
            found.add(f"{inside}/{name}", stripped(file, stripper, patients))


def add_nets(found: Collected, inside: str, run: Run, stripper: Stripper) -> None:
    """The nets of both columns of a run's table. Raises UserError where one is missing."""
    folder = RunFolder(run.folder)
    for file in (folder.best, *([] if last_is_best(run) else [folder.last])):
        if not file.is_file():
            raise UserError(f"{file}: missing. Restore it from a copy, or pack another run.")
        found.add(f"{inside}/checkpoints/{file.name}", checkpoint(file, stripper))


def stripped(file: Path, stripper: Stripper, patients: Mapping[str, str]) -> bytes:
    """Content of a file of a run, rewritten."""
    if file.suffix == ".csv":
        return table(file, stripper, patients)
    if file.suffix == ".yaml":
        # Servers, projects and keys of loggers change no number.
        return yaml_text(stripper.values(read_yaml(file) | {"loggers": []})).encode()
    content = read_json(file, dict[str, Any])
    if file.name == "data.json":
        audit = of_shape(content, _Data, file).get("audit") or {}
        content = {key: content[key] for key in _OF_DATA if key in content} | (
            {"audit": {"files": audit["files"], "checks": checks_of(content)}} if audit.get("files") else {}
        )
    return json_bytes(stripper.values(content, names=file.name in _NAMED_AS_WHOLE))


def checks_of(data: Mapping[str, Any]) -> list[str]:
    """What the audit found, by the content of data.json: a run's own or a packed one's; empty where it is not told."""
    audit, file = data.get("audit"), Path("data.json")
    try:
        if isinstance(audit, Mapping) and "checks" in audit:
            return of_shape(audit["checks"], list[str], file)
        return first_sentences(dict(of_shape(audit, Findings, file)))
    except UserError:  # of an older version
        return []


def table(file: Path, stripper: Stripper, patients: Mapping[str, str]) -> bytes:
    """A CSV file with patients by their numbers."""
    try:
        rows = read_rows(file)
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: damaged ({error}). Restore it from a copy.") from error
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(stripper.text, rows[0]))
    for row in rows:
        cells = (patients.get(cell, cell) if name == "group" else cell for name, cell in row.items())
        writer.writerow(map(stripper.text, cells))
    return text.getvalue().encode()


def as_table(predictions: Predictions, run: Run, stripper: Stripper, patients: Mapping[str, str]) -> bytes:
    """Predictions of the last epoch as predictions.csv has those of the best."""
    with TemporaryDirectory(prefix="medcls_pack_") as folder:
        write_predictions(file := Path(folder) / LAST, run.metrics["classes"], {"val": predictions})
        return table(file, stripper, patients)


def checkpoint(file: Path, stripper: Stripper) -> bytes | Path:
    """The file itself, or where a path is in it, its content without."""
    content = read_checkpoint(file)
    without = stripper.values(content)
    if without is content:
        return file
    written = io.BytesIO()
    torch.save(without, written)
    return written.getvalue()


def add_images(found: Collected, sources: Sequence[Source], roots: Mapping[Path, str]) -> None:
    """The files of the images in predictions.csv, those of each folder once."""
    folders = {root: f"images/{number}" for number, root in enumerate(sorted(set(roots.values())), start=1)}
    for source in sources:
        for run in source.finished:
            if run.folder not in roots:
                raise UserError(
                    f"images: those of {run.folder} are no files (simulated, or arrays). Leave them out: "
                    f"{typed('images', False)}"
                )
            root = Path(roots[run.folder])
            found.images[source.inside(run)] = folders[str(root)]
            for name in files_of_images(run):
                if not (root / name).is_file():
                    raise UserError(
                        f"images: {root / name} of {run.folder} is not there. Restore it, or leave images out."
                    )
                found.add(f"{folders[str(root)]}/{name}", root / name)


def files_of_images(run: Run) -> Iterator[str]:
    """Where the images of predictions.csv are, below their folder: a file each, or all in that of MedMNIST."""
    if file := file_in(run.config):
        yield file
        return
    for predictions in run.predictions.values():
        yield from predictions.names
