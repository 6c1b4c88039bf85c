"""A finished run as its files tell of it, for the items of checklists to be answered from; nothing is computed here."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typing_extensions import NotRequired, TypedDict

from medcls.audit.saved_results import FINDINGS
from medcls.config.stored import check_stored
from medcls.config.targets import targets_in
from medcls.decision.record import Decision, read_decision
from medcls.errors import UserError
from medcls.runs.folder import RunFolder
from medcls.runs.reading import Shape, read_json
from medcls.runs.run import Run


@dataclass(frozen=True)
class Fact:
    """What files say, in words, and their names, relative to the folder that the sheet is on."""

    text: str
    files: tuple[str, ...]


class Images(TypedDict):
    """What is read of data.json; keys that came later may be missing."""

    simulated: bool
    classes: list[str]
    counts: dict[str, dict[str, int]]
    shape: list[int]
    fingerprint: str
    unreadable: dict[str, str]
    passed_over: NotRequired[dict[str, int]]


class Git(TypedDict):
    """The checkout that the code was run from, None of an installed one."""

    commit: str | None
    changed_files: int


class Environment(TypedDict):
    """What is read of environment.json."""

    git: Git
    python: str
    packages: dict[str, str]
    platform: str
    gpus: list[str]
    threads: int
    weights_sha256: NotRequired[str]


class Leaks(TypedDict):
    """Training images that are also elsewhere, and, where there are some, whether they were left out."""

    training: list[Any]
    by_copy: int
    by_patient: int
    validation_in_test: int
    dropped: NotRequired[bool]


class Audit(TypedDict):
    """What is read of audit.json; its other parts are for ``medcls.audit.wording``."""

    files: dict[str, Any]
    copies: dict[str, Any]
    patients: dict[str, Any]
    leaks: Leaks


class Judged(TypedDict):
    """What is read of predict.json: SHA-256 of the checkpoints that judged."""

    nets: list[str]


class Elsewhere(TypedDict):
    """What is read of metrics.json of predict."""

    notice: str | None
    data: str
    external: dict[str, Any]


class Summary(TypedDict):
    """What is read of summary.json of predict."""

    images: int
    judged: int
    unreadable: dict[str, str]
    out_of_range: dict[str, int]


class Check(TypedDict):
    """A check of maps, what it found, and whether they fail it."""

    name: str
    text: str
    failed: bool


class Maps(TypedDict):
    """What is read of explain.json."""

    nets: list[str]
    method: str
    checks: list[Check]
    images: list[Any]


class EditedBy(TypedDict):
    """A net that judged edited images; of an older medcls without its SHA-256."""

    sha256: NotRequired[str]


class Robustness(TypedDict):
    """What is read of robustness.json; of an older medcls without its answer in words."""

    answer: NotRequired[str]
    nets: list[EditedBy]


@dataclass(frozen=True)
class External:
    """A folder of medcls predict on labelled images, by its name."""

    name: str
    n_nets: int
    metrics: Elsewhere
    summary: Summary


@dataclass(frozen=True)
class Record:
    """A finished run. config: content of config.yaml, without the defaults of keys that it lacks.

    prefix: what stands before the names of its files; audit: content of audit.json, None where the images were not
    audited; decision: None of a run older than that file; external, maps, robustness: folders on this very net.
    """

    run: Run
    prefix: str
    config: Mapping[str, Any]
    images: Images
    environment: Environment
    decision: Decision | None
    audit: Audit | None
    external: tuple[External, ...] = ()
    maps: Maps | None = None
    maps_name: str = ""
    robustness: Robustness | None = None
    robustness_name: str = ""

    def fact(self, text: str, *files: str) -> Fact:
        """What files of this run say."""
        return Fact(text, tuple(f"{self.prefix}{file}" for file in files))

    @property
    def metrics(self) -> Mapping[str, Any]:
        return self.run.metrics

    @property
    def judged(self) -> str:
        """The split whose metrics count: test images where there are some, else those of validation."""
        return "test" if "test" in self.run.predictions else "val"

    @property
    def scored(self) -> Mapping[str, Any]:
        """The part of metrics.json on that split, of the best epoch."""
        found: Mapping[str, Any] = self.metrics["test"] if self.judged == "test" else self.metrics["best"]["val"]
        return found


def read_record(run: Run, prefix: str = "") -> Record:
    """The record of a finished run. Raises UserError where a file is damaged or missing."""
    folder = RunFolder(run.folder)
    values = folder.read_config()
    check_stored(values, folder.config, targets_in(values))  # so that values have their types
    findings = run.folder / FINDINGS
    return Record(
        run,
        prefix,
        values,
        _expected(folder.data, Images),
        _expected(folder.environment, Environment),
        read_decision(folder.decision),
        read_json(findings, Audit) if findings.is_file() else None,
    )


def read_external(path: Path, digests: Sequence[str]) -> External:
    """A folder of medcls predict. Raises UserError for one that is not complete, without labels, or by other nets."""
    if not (path / "metrics.json").is_file() or not (path / "summary.json").is_file():
        raise UserError(
            f"external: {path} holds no metrics.json and summary.json, as medcls predict leaves them for labelled "
            "images.\n  Make it: medcls predict run=... data.root=... output=..."
        )
    nets = _expected(path / "predict.json", Judged)["nets"]
    _check_nets("external", path, nets, digests)
    metrics = _expected(path / "metrics.json", Elsewhere)
    return External(path.resolve().name, len(nets), metrics, _expected(path / "summary.json", Summary))


def read_maps(path: Path, digests: Sequence[str]) -> Maps:
    """A folder of medcls explain. Raises UserError for any other, or one of other nets."""
    file = path / "explain.json"
    if file.is_file() and "nets" not in read_json(file, dict[str, Any]):
        raise UserError(
            f"maps: {file} does not say of which nets it is; an older medcls made it.\n  Make it again: medcls explain "
            "run=..."
        )
    found = _expected(file, Maps)
    _check_nets("maps", path, found["nets"], digests)
    return found


def read_robustness(path: Path, digests: Sequence[str]) -> Robustness:
    """A folder of medcls robustness. Raises UserError for any other, or one of other nets."""
    found = _expected(path / "robustness.json", Robustness)
    if "answer" not in found or not all("sha256" in net for net in found["nets"]):
        raise UserError(
            f"robustness: {path} does not say of which nets it is; an older medcls made it.\n  Make it again: medcls "
            "robustness run=..."
        )
    _check_nets("robustness", path, [net["sha256"] for net in found["nets"]], digests)
    return found


def digest(run: Run) -> str:
    """SHA-256 of the checkpoint of the best epoch. Raises UserError where there is none."""
    try:
        return hashlib.sha256(RunFolder(run.folder).best.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"run: {RunFolder(run.folder).best} cannot be read ({error.strerror}).") from error


def _check_nets(key: str, path: Path, nets: Sequence[str], digests: Sequence[str]) -> None:
    if not nets or not set(nets) <= set(digests):
        raise UserError(f"{key}: {path} is of other nets than those of run. Name a folder that was made with this run.")


def _expected(path: Path, shape: type[Shape]) -> Shape:
    try:
        return read_json(path, shape)
    except FileNotFoundError as error:
        raise UserError(f"{path}: missing. Restore it from a copy.") from error
