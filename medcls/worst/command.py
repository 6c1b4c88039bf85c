"""From runs and their images to the page of errors and doubtful labels."""

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medcls.document.blocks import Block, Note, Picture, Section, Table, Text
from medcls.errors import UserError
from medcls.predict.deciding import Deciding, deciding
from medcls.predict.nets import Ensemble, find_nets
from medcls.predict.shown import Images, new_folder, own_images
from medcls.preview.contact_sheet import draw_sheet
from medcls.preview.tiles import Tile
from medcls.runs.folder import write_table
from medcls.runs.run import validation_images
from medcls.sweep_report.answers import Head
from medcls.sweep_report.render import Page, write_document
from medcls.worst.held_out import HeldOut, held_out
from medcls.worst.ranked import SURE, Positions, doubtful_labels, worst_errors
from medcls.worst.schema import ConfigWithErrors

log = logging.getLogger(__name__)

_COLUMNS = 6  # of tiles
ALL_BY_FOLDS = "a sweep with data.split.folds=5 judges all of them"


class Found(NamedTuple):
    """Images by position, the worst first, and the class (N,) that each image is taken for."""

    name: str
    at: Positions
    taken: NDArray[np.int64]


def errors(config: ConfigWithErrors, keys: Collection[str]) -> Path:
    """Find errors and doubtful labels, show their images, and write errors.csv and a page; returns the page.

    keys: of the command. Raises UserError for a mistake of the user's, before anything is written.
    """
    allowed = {*config.own_code, *config.allow}
    ensemble = find_nets(config.run, config.variant, allowed)
    folder = new_folder(config.output, f"errors_{ensemble.title}")
    images = held_out(ensemble)
    how = deciding(ensemble, config.threshold, keys, False)
    mean, judged = images.mean, np.flatnonzero(images.judged)
    taken = how.decide(mean)
    wrong = Found("error", judged[worst_errors(images.labels[judged], mean[judged], taken[judged])], taken)
    doubtful = Found("doubtful label", *doubtful_labels(images.labels, mean))
    most = config.errors.images
    wanted = [images.names[i] for found in (wrong, doubtful) for i in found.at[:most]]
    pixels = _images(config, ensemble, wanted, allowed)
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    rows = [row for found in (wrong, doubtful) for row in _rows(found, images, ensemble.classes)]
    if rows:
        write_table(folder / "errors.csv", rows)
    return _page(folder, ensemble, images, how, (wrong, doubtful), pixels, most)


def _images(
    config: ConfigWithErrors, ensemble: Ensemble, wanted: Sequence[str], allowed: set[str]
) -> Mapping[str, Images]:
    """Images of these names as the nets took them. Raises UserError where they cannot be had."""
    found: dict[str, Images] = {}
    for net in ensemble.nets:
        if missing := {*wanted} - {*found}:
            own = own_images(net, config, allowed, config.data.root, "the folder where they are now").images
            found |= {
                sample.name: own.images[i] for i, sample in enumerate(own.table.samples) if sample.name in missing
            }
    if missing := {*wanted} - {*found}:
        raise UserError(f"run: the runs' data hold no image {min(missing)}, of which predictions.csv tells.")
    return found


def _rows(found: Found, images: HeldOut, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of errors.csv; p_label of each net is blank where it was trained on the image."""
    rows = []
    for rank, i in enumerate(found.at, start=1):
        label, taken = images.labels[i], found.taken[i]
        row = {
            "list": found.name,
            "rank": rank,
            "sample": images.names[i],
            "split": images.splits[i],
            "group": images.patients[i],
            "label": classes[label],
            "rather": classes[taken],
            "p_label": float(images.mean[i, label]),
            "p_rather": float(images.mean[i, taken]),
        }
        of_nets = images.probabilities[:, i, label] if len(images.nets) > 1 else ()
        each = {
            f"p_label, {net}": "" if np.isnan(p) else float(p) for net, p in zip(images.nets, of_nets, strict=False)
        }
        rows.append(row | each)
    return rows


def _page(
    folder: Path,
    ensemble: Ensemble,
    images: HeldOut,
    how: Deciding,
    lists: tuple[Found, Found],
    pixels: Mapping[str, Images],
    most: int,
) -> Path:
    wrong, doubtful = lists
    n_judged = int(images.judged.sum())
    called = called_of(images, ensemble)
    answer = (
        f"{len(wrong.at)} of {n_judged} images ({called[0]}) are taken for another class; "
        f"the labels of {len(doubtful.at)} of {len(images.names)} ({called[1]}) are doubtful."
    )
    decided = (
        "the most probable class" if how.shown_threshold is None else f"{ensemble.positive} from a probability of "
    )
    decided += "" if how.shown_threshold is None else f"{how.shown_threshold:.3g} on ({how.threshold.by}, validation)"
    errors_note = f"Ordered by loss: the lowest probability of its own class first. Chosen is {decided}."
    doubt_note = (
        "Doubtful by confident learning (Northcutt et al., 2021): another class is as probable as it usually is among "
        f"images labelled so, or {SURE:g}, where that is less. The nets may be wrong, and not the label: look at the images."
    )
    if not images.folded:
        doubt_note += (
            " Labels of training images cannot be judged by nets that were trained on them, so only held-out images "
            f"are listed; {ALL_BY_FOLDS}."
        )
    sections = [
        _section("Worst errors", wrong, errors_note, (folder, "errors"), ensemble, images, pixels, most),
        _section("Most doubtful labels", doubtful, doubt_note, (folder, "doubtful"), ensemble, images, pixels, most),
    ]
    log.info("%s", answer)
    head = Head(answer, (), ensemble.doubts, "")
    page = Page(head, ensemble.simulated, ensemble.notices, ensemble.title, subject="Errors")
    return write_document(folder, page, sections, "errors")


def called_of(images: HeldOut, ensemble: Ensemble) -> tuple[str, str]:
    """What the images are called among which errors and doubtful labels are looked for."""
    run = ensemble.nets[0].run
    val = validation_images(run.metrics) if run else "validation images"
    judged = "test images" if "test" in images.splits else val
    if images.folded:
        return "images that a fold held out", "images that a fold held out"
    return judged, judged if len({*images.splits}) == 1 else f"test and {val}"


def _section(
    title: str,
    found: Found,
    note: str,
    to: tuple[Path, str],
    ensemble: Ensemble,
    images: HeldOut,
    pixels: Mapping[str, Images],
    most: int,
) -> Section:
    """Pictures of the first images of a list, numbered as in the table below them."""
    at = found.at[:most]
    if not len(at):
        return Section(title, (Text("None."), Note(note)))
    mean, classes = images.mean, ensemble.classes
    tiles = [
        Tile(f"{rank}. {classes[images.labels[i]][:12]} {mean[i, images.labels[i]]:.2f}", pixels[images.names[i]])
        for rank, i in enumerate(at, start=1)
    ]
    path = f"pictures/{to[1]}.png"
    simulated = "SIMULATED " if ensemble.simulated else ""
    draw_sheet({"": tiles}, min(_COLUMNS, len(tiles)), f"{simulated}{ensemble.title}: {title.lower()}", to[0] / path)
    blocks: list[Block] = [Picture(path, "Each image with its label and the probability of it"), Note(note)]
    blocks.append(_table(at, found, images, classes))
    if len(found.at) > most:
        blocks.append(Note(f"The first {most} of {len(found.at)}; errors.csv lists all."))
    return Section(title, tuple(blocks))


def _table(at: Positions, found: Found, images: HeldOut, classes: Sequence[str]) -> Table:
    patients, several = any(images.patients), len(images.nets) > 1
    columns = ["number", "image", *(["patient"] if patients else []), "label", "taken for", "p of label", "p of other"]
    columns += ["p of label, by net"] if several else []
    rows = []
    for rank, i in enumerate(at, start=1):
        label, taken = images.labels[i], found.taken[i]
        row = [str(rank), images.names[i], *([images.patients[i]] if patients else []), classes[label], classes[taken]]
        row += [f"{images.mean[i, label]:.3f}", f"{images.mean[i, taken]:.3f}"]
        if several:
            of_nets = zip(images.nets, images.probabilities[:, i, label], strict=True)
            row.append("; ".join(f"{net}: {p:.3f}" for net, p in of_nets if not np.isnan(p)))
        rows.append(tuple(row))
    return Table(tuple(columns), tuple(rows))
