"""What kind of file an image came from, beside those that a net was trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from medcls.audit.file_facts import read_facts

GRAY_MODES = {"1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F"}


class Kind(NamedTuple):
    """Whether it is DICOM, of which modality; "gray", "colour" or "" (unknown); shorter side in pixels, 0: unknown."""

    dicom: bool
    modality: str
    colour: str
    side: int


def kind_of(path: Path) -> Kind:
    """Kind of a file, from its header."""
    facts = read_facts(path)
    dicom = facts.format == "DICOM"
    return Kind(dicom, modality_of(path) if dicom else "", colour_of(facts.mode), min(facts.width, facts.height))


def modality_of(path: Path) -> str:
    """Modality of a DICOM file, such as CT; "" where the file does not say."""
    import pydicom

    try:
        return str(pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["Modality"]).get("Modality") or "")
    except Exception:  # a damaged header leads pydicom to nearly any exception
        return ""


def colour_of(mode: str) -> str:
    """Whether a mode, as the audit says it, is gray or colour; "" for palettes, which are either, and none."""
    if mode in GRAY_MODES or mode.startswith("MONOCHROME"):
        return "gray"
    return "" if not mode or mode.startswith(("P,", "PALETTE")) or mode in ("P", "PA") else "colour"


@dataclass(frozen=True)
class Trained:
    """Kinds of the training files: ``dicom``: of which sorts there are; empty sets where that is not known."""

    dicom: frozenset[bool]
    modalities: frozenset[str]
    colours: frozenset[str]

    def remarks(self, kind: Kind, image_size: int) -> list[str]:
        """What is out of the ordinary: format, modality, mode (gray or colour), or size (less than half the net's)."""
        return [
            *(["format"] if self.dicom and kind.dicom not in self.dicom else []),
            *(["modality"] if self.modalities and kind.modality and kind.modality not in self.modalities else []),
            *(["mode"] if self.colours and kind.colour and kind.colour not in self.colours else []),
            *(["size"] if 0 < kind.side < image_size / 2 else []),
        ]


def trained_kinds(files: Mapping[str, Any] | None, dicom_files: Sequence[Path]) -> Trained:
    """Kinds of training files; files: from the audit in data.json; dicom_files: some, where reachable."""
    formats, modes = ((files or {}).get(part) or {} for part in ("formats", "modes"))
    return Trained(
        frozenset(name == "DICOM" for name in formats if name),
        frozenset(filter(None, map(modality_of, dicom_files))),
        frozenset(filter(None, map(colour_of, modes))),
    )
