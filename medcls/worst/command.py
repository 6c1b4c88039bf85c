"""From runs and their images to the page of errors and doubtful labels."""

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medcls.errors import UserError
from medcls.predict.deciding import deciding
from medcls.predict.nets import Ensemble, find_nets
from medcls.predict.new_folder import new_folder, writing_folder
from medcls.predict.shown import Images, own_images
from medcls.runs.folder import write_table
from medcls.sweep_report.answers import Head
from medcls.sweep_report.render import Page, write_document
from medcls.worst.held_out import HeldOut, held_out
from medcls.worst.page import Findings, Found, answer_of, sections_of
from medcls.worst.ranked import doubtful_labels, worst_errors
from medcls.worst.schema import ConfigWithErrors

log = logging.getLogger(__name__)


def errors(config: ConfigWithErrors, keys: Collection[str]) -> Path:
    """Find errors and doubtful labels, show their images, and write errors.csv and a page; returns the page.

    keys: of the command. Raises UserError for a mistake of the user's, before anything is written.
    """
    allowed = {*config.own_code, *config.allow}
    ensemble = find_nets(config.run, config.variant, allowed)
    folder = new_folder(config.output, f"errors_{ensemble.title}", config.data, ensemble.runs)
    images = held_out(ensemble)
    how = deciding(ensemble, config.threshold, keys, False)
    mean, judged = images.mean, np.flatnonzero(images.judged)
    taken = how.decide(mean)
    wrong = Found("error", judged[worst_errors(images.labels[judged], mean[judged], taken[judged])], taken)
    doubtful = Found("doubtful label", *doubtful_labels(images.labels, mean))
    most = config.errors.images
    wanted = [images.names[i] for found in (wrong, doubtful) for i in found.at[:most]]
    pixels = _images(config, ensemble, wanted, allowed)
    rows = [row for found in (wrong, doubtful) for row in _rows(found, images, ensemble.classes)]
    findings = Findings(ensemble, images, how, pixels, most)
    answer = answer_of(findings, wrong, doubtful)
    head = Head(answer, (), ensemble.doubts, "")
    page = Page(head, ensemble.simulated, ensemble.notices, ensemble.title, subject="Errors")
    with writing_folder(folder) as hidden:
        (hidden / "pictures").mkdir()
        if rows:
            write_table(hidden / "errors.csv", rows)
        written = write_document(hidden, page, sections_of(findings, wrong, doubtful, hidden), "errors")
    log.info("%s", answer)
    return folder / written.name


def _images(
    config: ConfigWithErrors, ensemble: Ensemble, wanted: Sequence[str], allowed: set[str]
) -> Mapping[str, Images]:
    """Images of these names as the nets took them. Raises UserError where they are not available."""
    found: dict[str, Images] = {}
    for net in ensemble.nets:
        if missing := {*wanted} - {*found}:
            if net.images.get("simulated"):
                raise UserError(f"run: found {net.checkpoint}, of simulated images, expected a run on files of images.")
            own = own_images(net, config, allowed, config.data.root, "the folder where they are now").images
            found |= {
                sample.name: own.images[i] for i, sample in enumerate(own.table.samples) if sample.name in missing
            }
    if missing := {*wanted} - {*found}:
        raise UserError(f"run: the runs' data hold no image {min(missing)}, which predictions.csv lists.")
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
