"""The images of nets, edited and judged: predictions of each net at each grade."""

import logging
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medcls.errors import UserError
from medcls.predict.command import batch_size_of, classes_of, never_seen
from medcls.predict.inputs import list_inputs
from medcls.predict.judging import Progress, device_of
from medcls.predict.nets import Ensemble, Net
from medcls.predict.schema import names_images
from medcls.predict.shown import Images, own_images, probabilities_of, read_inputs
from medcls.predict.training_images import TrainingImages, training_images
from medcls.process import opencv_in_one_thread, usable_cores
from medcls.robustness.edits import CLEAN, Grade, Pixels, edited, key_of
from medcls.robustness.schema import ConfigWithRobustness
from medcls.runs.predictions import Predictions
from medcls.runs.run import validation_images
from medcls.sources.location import cache_folder, find_root

log = logging.getLogger(__name__)

ByGrade = dict[Grade, Predictions]


@dataclass(frozen=True)
class Labelled:
    """Images (N, H, W, C) with their names, labels (N,) and patients; data: name of their data set."""

    data: str
    names: tuple[str, ...]
    images: Images
    labels: NDArray[np.int64]
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Judged:
    """Predictions of each net on the images at each grade, ``CLEAN`` among them.

    own: whether the images are those of the nets' runs, so that each fold has others; called: what they are, in words;
    chosen_on: whether epochs and thresholds were chosen on them, unchanged; notices: what must be said beside metrics;
    example: name and pixels of an image, of the positive class where there is one.
    """

    by_net: tuple[ByGrade, ...]
    own: bool
    called: str
    chosen_on: bool
    notices: tuple[str, ...]
    example: tuple[str, Pixels]

    @property
    def n(self) -> int:
        """Number of images."""
        return len({name for of_net in self.by_net for name in of_net[CLEAN].names})


def judge(
    config: ConfigWithRobustness, ensemble: Ensemble, grades: Sequence[Grade], keys: Collection[str], allowed: set[str]
) -> Judged:
    """Judge the images by each net at each grade; keys: of the command, without data.root the runs' own images.

    Raises UserError where there are no images, without classes, or the nets were trained on them.
    """
    root = find_root(config.data) if names_images(keys) else None
    own = root is None or _moved_to(root, config, ensemble, allowed)
    notices = ensemble.notices
    called, split, by_net, mark = "", "", [], None
    if not own:
        labelled, notice = _of_folder(config, ensemble, allowed)
        notices += (notice,) if notice else ()
        called = f"labelled images of {labelled.data}"
    for number, net in enumerate(ensemble.nets, start=1):
        if own and (mark is None or net.images.get("fingerprint") != mark):
            found = own_images(net, config, allowed, root, "the folder where they are now, or other labelled images")
            split = "test" if len(found.images.indices("test")) else "val"
            labelled, mark = _held_out(found, split), found.images.fingerprint
        log.info("net %d of %d: %d images at %d grades", number, len(ensemble.nets), len(labelled.names), len(grades))
        size = config.batch_size if "batch_size" in keys else batch_size_of(net.run.config if net.run else {})
        net.module.to(device_of(config.trainer.accelerator))
        by_net.append(_by_grade(net, labelled, ensemble.positive_index, grades, size, config.seed))
    if own:
        called = _called(ensemble, split)
    of_positive = np.flatnonzero(labelled.labels == ensemble.positive_index)
    shown = int(of_positive[0]) if len(of_positive) else 0
    example = labelled.names[shown], labelled.images[shown]
    return Judged(tuple(by_net), own, called, split == "val", notices, example)


def _moved_to(root: Path, config: ConfigWithRobustness, ensemble: Ensemble, allowed: set[str]) -> bool:
    """Whether the runs' own images are no longer where they were, but in ``root``."""
    net, cache = ensemble.nets[0], cache_folder(config.data.cache_dir)
    if isinstance(training_images(net, cache, allowed), TrainingImages):
        return False
    return isinstance(training_images(net, cache, allowed, root), TrainingImages)


def _held_out(found: TrainingImages, split: str) -> Labelled:
    """The images of a split of a run."""
    samples = [sample for sample in found.images.table.samples if sample.split == split]
    groups = tuple(sample.group for sample in samples)
    return Labelled(
        found.config.data.title,
        tuple(sample.name for sample in samples),
        found.images.images[found.images.indices(split)],
        found.images.labels(split),
        groups if any(groups) else (),
    )


def _called(ensemble: Ensemble, split: str) -> str:
    """What the runs' own images of a split are called."""
    runs = [net.run for net in ensemble.nets if net.run]
    if len({run.fold for run in runs if run.fold}) > 1:
        return "held out by a fold"
    return "test images" if split == "test" else validation_images(runs[0].metrics)


def _of_folder(config: ConfigWithRobustness, ensemble: Ensemble, allowed: set[str]) -> tuple[Labelled, str | None]:
    """The labelled images of data.root, and what must be said about them."""
    of_run = ensemble.nets[0].run.config if ensemble.nets[0].run else {}
    inputs = list_inputs(config.data, ensemble.classes, classes_of(of_run), None)
    if inputs.labels is None:
        raise UserError(f"data.root: the images below {inputs.root} have no classes, expected labelled ones.")
    trained = [training_images(net, cache_folder(config.data.cache_dir), allowed) for net in ensemble.nets]
    inputs, notice = never_seen(inputs, trained, config)
    inputs, images = read_inputs(inputs, ensemble.how, config.data.max_pixels)
    assert inputs.labels is not None
    groups = inputs.groups if any(inputs.groups) else ()
    return Labelled(inputs.title, inputs.names, images, inputs.labels, groups), notice


def _by_grade(net: Net, of: Labelled, positive: int, grades: Sequence[Grade], batch_size: int, seed: int) -> ByGrade:
    found, keys = {}, [key_of(seed, name) for name in of.names]
    progress = Progress((1 + len(grades)) * len(of.names), 0)
    with opencv_in_one_thread(), ThreadPoolExecutor(usable_cores()) as pool:
        for grade in (CLEAN, *grades):
            values = probabilities_of(net.module, _batches(pool, of.images, grade, keys, batch_size, progress))
            found[grade] = Predictions(of.data, of.names, of.labels, values, positive, of.groups)
    progress.close()
    return found


def _batches(
    pool: ThreadPoolExecutor,
    images: Images,
    grade: Grade,
    keys: Sequence[tuple[int, int]],
    size: int,
    progress: Progress,
) -> Iterator[Images]:
    """Edited images, ``size`` at a time."""
    for start in range(0, len(images), size):
        span = slice(start, start + size)
        yield np.stack(list(pool.map(lambda image, key: edited(image, grade, key), images[span], keys[span])))
        for _ in keys[span]:
            progress.update()
