"""A finished run as its files describe it, from which the items of checklists are answered; nothing is computed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from typing_extensions import NotRequired, TypedDict

from medcls.audit.saved_results import FINDINGS
from medcls.audit.shape import Findings
from medcls.config.stored import check_stored
from medcls.config.targets import targets_in
from medcls.decision.record import Decision, read_decision
from medcls.errors import UserError
from medcls.runs.folder import RunFolder
from medcls.runs.reading import digest_of, read_json
from medcls.runs.run import Run
from medcls.sheet.folders import External, Maps, Robustness, expected


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
    unreadable: NotRequired[dict[str, str]]  # missing in a pack
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
    audit: Findings | None
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
        read_images(folder),
        expected(folder.environment, Environment),
        read_decision(folder.decision),
        read_json(findings, Findings) if findings.is_file() else None,
    )


def read_images(folder: RunFolder) -> Images:
    """Content of data.json. Raises UserError where it is damaged, or that of a run that was unpacked."""
    images = expected(folder.data, Images)
    if "unreadable" not in images:
        raise UserError(
            f"run: {folder.path} was unpacked from a pack, which leaves out what a sheet says about the images: the "
            "audit, and files that could not be read.\n  Make the sheet of the run that was packed."
        )
    return images


def digest(run: Run) -> str:
    """SHA-256 of the checkpoint of the best epoch. Raises UserError where there is none."""
    try:
        return digest_of(RunFolder(run.folder).best)
    except OSError as error:
        raise UserError(f"run: {RunFolder(run.folder).best} cannot be read ({error.strerror}).") from error
