"""Explaining from the nets and images to the folder: maps, their checks, and a page that says whether to trust them."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from numpy.typing import NDArray

from medcls.atomic import write_json
from medcls.document.blocks import Note, Picture, Section, Table, Text
from medcls.errors import UserError
from medcls.explain.checks import ALIKE, Check, check_labels, check_maps, check_worth
from medcls.explain.maps import Images, Maps, draw_maps
from medcls.explain.retrained import to_train_on, trained_on_shuffled_labels
from medcls.explain.schema import ConfigWithExplain
from medcls.predict.inputs import list_inputs
from medcls.predict.judging import device_of
from medcls.predict.nets import Ensemble, find_nets
from medcls.predict.new_folder import new_folder, writing_folder
from medcls.predict.shown import own_images, probabilities_of, read_inputs
from medcls.predict.training_images import TrainingImages
from medcls.preview.contact_sheet import coloured, draw_sheet
from medcls.preview.tiles import Tile
from medcls.sweep_report.answers import Head
from medcls.sweep_report.render import Page, write_document
from medcls.training.device import use_device

log = logging.getLogger(__name__)

STAMP = "SAYS NOTHING ABOUT THIS NET"
_HEAT = 0.5  # largest share of the color in an overlay
_COLUMNS = 4


class Shown(NamedTuple):
    """Images (N, H, W, C) with their names."""

    names: tuple[str, ...]
    images: Images


def explain(config: ConfigWithExplain, *, given_images: bool) -> Path:
    """Draw maps of the images, check them, and write overlays, explain.json and a page; returns the page.

    given_images: whether data.root names the images; else they are the validation images of the run. Raises UserError
    for a mistake of the user's, before anything is written.
    """
    if find_spec("captum") is None:
        raise UserError("explain: the package captum is not installed. Install it: pip install 'medcls[explain]'")
    use_device(config.trainer)
    allowed = {*config.own_code, *config.allow}
    ensemble = find_nets(config.run, config.variant, allowed)
    folder = new_folder(config.output, f"explain_{ensemble.title}", config.data, ensemble.runs)
    net = ensemble.nets[0]
    trained = to_train_on(net, config, allowed) if config.explain.retrain else None
    if given_images:
        shown = _of_folder(config, ensemble)
    else:
        shown = _of_validation(trained or own_images(net, config, allowed, None, "some"), config.explain.images)
    device, method = device_of(config.trainer.accelerator), config.explain.method
    nets = [net.module.net.to(device).eval() for net in ensemble.nets]
    log.info("%s of %d images by %d nets", method, len(shown.names), len(nets))
    maps = [draw_maps(net, shown.images, method) for net in nets]
    checks, course = check_maps(nets, maps, shown.images, method, config.seed)
    run = ensemble.nets[0].judged_run
    worth = check_worth(run.predictions.get("val") if run else None)
    checks = [*([worth] if worth else []), *checks]
    if trained is not None:
        checks.append(check_labels(maps[0], shown.images, method, *trained_on_shuffled_labels(trained, config)))
    with writing_folder(folder) as hidden:
        written = _write(hidden, ensemble, shown, maps[0], checks, course, method)
    return folder / written.name


def _of_folder(config: ConfigWithExplain, ensemble: Ensemble) -> Shown:
    """Images of data.root, those that can be read. Raises UserError where none can."""
    inputs = list_inputs(config.data, ensemble.classes, None, False)
    some = inputs.select(_evenly(len(inputs.names), config.explain.images))
    readable, images = read_inputs(some, ensemble.how, config.data.max_pixels)
    return Shown(readable.names, images)


def _of_validation(own: TrainingImages, most: int) -> Shown:
    at = own.images.indices("val")
    at = at[_evenly(len(at), most)]
    return Shown(tuple(own.images.table.samples[i].name for i in at), own.images.images[at])


def _evenly(number: int, most: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, number - 1, min(number, most)).round().astype(np.int64))


def _write(
    folder: Path,
    ensemble: Ensemble,
    shown: Shown,
    maps: Maps,
    checks: Sequence[Check],
    course: Sequence[tuple[str, float]],
    method: str,
) -> Path:
    """Leave the folder; each overlay carries the stamp of maps that fail a check."""
    (folder / "pictures").mkdir()
    failed = [check for check in checks if check.failed]
    chosen = _chosen(ensemble, shown.images)
    labels = [f"{name} {p:.2f}" for name, p in chosen]
    stamp = f"{STAMP}: " if failed else ""
    tiles = [
        tile
        for label, name, image, one in zip(labels, shown.names, shown.images, maps, strict=True)
        for tile in (
            Tile(Path(name).name[:22], coloured(image)),
            Tile(f"{stamp and '! '}{label}", overlaid(image, one)),
        )
    ]
    simulated = "SIMULATED " if ensemble.simulated else ""
    title = f"{simulated}{stamp}{ensemble.title}, {method.replace('_', ' ')}"
    draw_sheet({"": tiles}, _COLUMNS, title, folder / "pictures/maps.png")
    peaks = [np.unravel_index(int(one.argmax()), one.shape) for one in maps]
    write_json(
        folder / "explain.json",
        {
            "nets": [net.digest for net in ensemble.nets],
            "method": method,
            "says_nothing": [check.text for check in failed] or None,
            "checks": [asdict(check) for check in checks],
            "shuffled_layer_by_layer": [{"layer": name, "similarity": value} for name, value in course],
            "images": [
                {"name": name, "class": of, "probability": p, "peak": [int(peak[0]), int(peak[1])]}
                for name, (of, p), peak in zip(shown.names, chosen, peaks, strict=True)
            ],
        },
    )
    np.savez_compressed(folder / "maps.npz", names=np.array(shown.names), maps=maps)
    return _page(folder, title, ensemble, checks, course, failed)


def _page(
    folder: Path,
    title: str,
    ensemble: Ensemble,
    checks: Sequence[Check],
    course: Sequence[tuple[str, float]],
    failed: Sequence[Check],
) -> Path:
    if failed:
        answer = f"These maps say nothing about this net: {'; '.join(check.text for check in failed)}."
    else:
        answer = (
            f"These maps pass {len(checks)} checks, which shows that they depend on the net, not that the net is right."
        )
    rows = tuple((check.name, "fails" if check.failed else "passes", check.text) for check in checks)
    layers = tuple((name, f"{value:.2f}") for name, value in course)
    sections = [
        Section("Maps", (Picture("pictures/maps.png", "Images and where the net looks for the class it chooses"),)),
        Section("Checks", (Table(("check", "result", "what was found"), rows),)),
        Section(
            "Weights shuffled layer by layer",
            (
                Text(f"Rank correlation with the net's own maps (median over images); {ALIKE} or more is alike."),
                Table(("shuffled from the logits down to", "correlation"), layers),
                Note(
                    "Adebayo et al., Sanity checks for saliency maps, 2018: a map that stays is one of the image alone."
                ),
            ),
            folded=True,
        ),
    ]
    log.info("%s", answer)
    return write_document(
        folder, Page(Head(answer, (), (), ""), ensemble.simulated, (), title, subject="Maps"), sections
    )


def _chosen(ensemble: Ensemble, images: Images) -> list[tuple[str, float]]:
    """Class that the first net chooses, with its probability."""
    found = probabilities_of(ensemble.nets[0].module, [images])
    return [(ensemble.classes[int(row.argmax())], float(row.max())) for row in found]


def overlaid(image: Images, of: Maps) -> Images:
    """The image (H, W, C) in RGB below its map (H, W) in color, which is as strong as the map is high."""
    share = of / of.max() if of.max() > 0 else of
    heat: NDArray[Any] = matplotlib.colormaps["inferno"](share)[..., :3] * 255
    weight = (_HEAT * share)[..., None] + 0.15
    mixed = (1 - weight) * coloured(image) + weight * heat
    return np.asarray(np.rint(mixed).clip(0, 255), np.uint8)
