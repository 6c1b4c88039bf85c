"""What a pack holds, and under which names: manifest.json, runs/<run or sweep>/..., images/<number>/..."""

import re
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

MANIFEST = "manifest.json"
OF_RUN = (
    *("config.yaml", "environment.json", "data.json", "status.json", "history.csv", "metrics.json", "decision.json"),
    "predictions.csv",
    "shared.json",  # of a study's run: which run it continues
)
LAST = "last_predictions.csv"  # of the last epoch, where it is not the best one
CHECKPOINTS = ("checkpoints/best.ckpt", "checkpoints/last.ckpt")
VERDICTS = "verdicts.json"
OF_SWEEP = ("sweep.json", "results.csv", "pooled.csv", VERDICTS)
_KNOWN = re.compile(
    r"runs/(?:[^/]+/)+(?:" + "|".join(map(re.escape, (*OF_RUN, LAST, *CHECKPOINTS, *OF_SWEEP))) + r")|images/\d+/.+"
)
LONGEST = 1000  # characters of a name


class File(TypedDict):
    """A file of the pack."""

    bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Manifest(TypedDict):
    """Content of manifest.json; images: path of a run in the pack -> folder of its images there."""

    pack: Literal[1]
    medcls: str
    images: dict[str, Annotated[str, Field(pattern="^images/[0-9]+$")]]
    files: dict[str, File]


def is_text(name: str) -> bool:
    """Whether a file is text: compressed, and searched as such."""
    return not name.startswith("images/") and not name.endswith(".ckpt")


def wrong_with(name: str) -> str:
    """In words why no pack holds a file of this name; "" where one may."""
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or len(name) > LONGEST:
        return "leads out of the pack, or is no name of a file"
    if re.search(r"[\\:\x00-\x1f\x7f]", name) or not name.isprintable():
        return "has characters that no name in a pack has"
    return "" if name == MANIFEST or _KNOWN.fullmatch(name) else "is not a file of a pack"
