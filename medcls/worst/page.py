"""What the page says about errors and doubtful labels: the answer, pictures, tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from medcls.document.blocks import Block, Note, Picture, Section, Table, Text
from medcls.predict.deciding import Deciding
from medcls.predict.nets import Ensemble
from medcls.predict.shown import Images
from medcls.preview.contact_sheet import draw_sheet
from medcls.preview.tiles import Tile
from medcls.runs.run import validation_images
from medcls.worst.held_out import HeldOut
from medcls.worst.ranked import SURE, Positions

_COLUMNS = 6  # of tiles
_DOUBT = (
    "Doubtful by confident learning (Northcutt et al., 2021): another class is as probable as it usually is among "
    f"images labelled so, or {SURE:g}, where that is less. The nets may be wrong, not the label: look at the images."
)
_NOT_ALL = (
    " Labels of training images cannot be judged by nets that were trained on them, so only held-out images are "
    "listed; a sweep with data.split.folds=5 judges all of them."
)


class Found(NamedTuple):
    """Images by position, the worst first, and the class (N,) that each image is taken for; name: of the list."""

    name: str
    at: Positions
    taken: NDArray[np.int64]


@dataclass(frozen=True)
class Findings:
    """What both lists share; pixels: of the images shown, by name; most: how many are shown of each list."""

    ensemble: Ensemble
    images: HeldOut
    how: Deciding
    pixels: Mapping[str, Images]
    most: int


def answer_of(findings: Findings, wrong: Found, doubtful: Found) -> str:
    """How many errors and doubtful labels there are, of which images."""
    images = findings.images
    judged, all_of_them = _called(findings)
    return (
        f"{len(wrong.at)} of {int(images.judged.sum())} images ({judged}) are taken for another class; "
        f"the labels of {len(doubtful.at)} of {len(images.names)} ({all_of_them}) are doubtful."
    )


def _called(findings: Findings) -> tuple[str, str]:
    """Names of the images that are searched for errors and for doubtful labels."""
    images, run = findings.images, findings.ensemble.nets[0].run
    if images.folded:
        return ("held out by a fold",) * 2
    validation = validation_images(run.metrics if run else {})
    judged = "test images" if "test" in images.splits else validation
    return judged, judged if len({*images.splits}) == 1 else f"test and {validation}"


def sections_of(findings: Findings, wrong: Found, doubtful: Found, folder: Path) -> list[Section]:
    """Both lists; their pictures are drawn below ``folder``."""
    limit, decided = findings.how.shown_threshold, "the most probable class"
    if limit is not None:
        decided = f"{findings.ensemble.positive} from a probability of {limit:.3g} on ({findings.how.threshold.by})"
    order = f"Ordered by loss: the lowest probability of its own class first. Chosen is {decided}."
    doubt = _DOUBT + ("" if findings.images.folded else _NOT_ALL)
    return [
        _section("Worst errors", findings, wrong, order, folder / "pictures/errors.png"),
        _section("Most doubtful labels", findings, doubtful, doubt, folder / "pictures/doubtful.png"),
    ]


def _section(title: str, findings: Findings, found: Found, note: str, path: Path) -> Section:
    """Pictures of the first images of a list, numbered as in the table below them."""
    ensemble, images, at = findings.ensemble, findings.images, found.at[: findings.most]
    if not len(at):
        return Section(title, (Text("None."), Note(note)))
    tiles = []
    for rank, i in enumerate(at, start=1):
        label = images.labels[i]
        text = f"{rank}. {ensemble.classes[label][:12]} {images.mean[i, label]:.2f}"
        tiles.append(Tile(text, findings.pixels[images.names[i]]))
    simulated = "SIMULATED " if ensemble.simulated else ""
    draw_sheet({"": tiles}, min(_COLUMNS, len(tiles)), f"{simulated}{ensemble.title}: {title.lower()}", path)
    picture = Picture(f"pictures/{path.name}", "Each image with its label and the probability of it")
    blocks: list[Block] = [picture, Note(note), _table(findings, found)]
    if len(found.at) > len(at):
        blocks.append(Note(f"The first {len(at)} of {len(found.at)}; errors.csv lists all."))
    return Section(title, tuple(blocks))


def _table(findings: Findings, found: Found) -> Table:
    images, classes = findings.images, findings.ensemble.classes
    patients, several = any(images.patients), len(images.nets) > 1
    columns = ["number", "image", *(["patient"] if patients else []), "label", "taken for", "p of label", "p of other"]
    columns += ["p of label, by net"] if several else []
    rows = []
    for rank, i in enumerate(found.at[: findings.most], start=1):
        label, taken = images.labels[i], found.taken[i]
        row = [str(rank), images.names[i], *([images.patients[i]] if patients else []), classes[label], classes[taken]]
        row += [f"{images.mean[i, label]:.3f}", f"{images.mean[i, taken]:.3f}"]
        if several:
            of_nets = zip(images.nets, images.probabilities[:, i, label], strict=True)
            row.append("; ".join(f"{net}: {p:.3f}" for net, p in of_nets if not np.isnan(p)))
        rows.append(tuple(row))
    return Table(tuple(columns), tuple(rows))
