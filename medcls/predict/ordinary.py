"""Which of the judged images are out of the ordinary for the nets: by their kind of file, and by their pixels."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcls.audit.shape import Files, OfFiles
from medcls.errors import UserError
from medcls.predict.judging import Judged
from medcls.predict.kinds import trained_kinds
from medcls.predict.nets import Ensemble, Net
from medcls.predict.training_images import TrainingImages
from medcls.predict.unlike import MOST, SHARE, Features, Likeness, fit_likeness, pixel_statistics
from medcls.runs.folder import RunFolder
from medcls.runs.reading import of_shape

log = logging.getLogger(__name__)

UNLIKE = "unlike"
_MOST_HEADERS = 200  # DICOM headers read of training files
_MEANING = {
    "format": "DICOM where training had none, or vice versa",
    "modality": "a DICOM modality that training did not have",
    "mode": "color where training was gray, or vice versa",
    "size": "shorter side below half of image_size",
    UNLIKE: f"farther from the training images than {SHARE:.0%} of the validation images",
}


@dataclass(frozen=True)
class Ordinary:
    """Of N images: the distance to the training images (N,), None where it is not available, and remarks on each."""

    distances: Features | None
    limit: float | None
    remarks: tuple[tuple[str, ...], ...]
    unavailable: str

    def counts(self) -> dict[str, int]:
        """Number of images by remark."""
        return dict(Counter(remark for remarks in self.remarks for remark in remarks))

    def warn(self, where: str) -> None:
        """Say once how many images are out of the ordinary, and what could not be checked."""
        if self.unavailable:
            log.warning("no distance to the training images is given: %s", self.unavailable)
        if not (counts := self.counts()):
            return
        number = sum(bool(remarks) for remarks in self.remarks)
        lines = [f"  {count} {remark}: {_MEANING[remark]}" for remark, count in counts.items()]
        if self.limit is not None and set(counts) == {UNLIKE} and number <= 2 * (1 - SHARE) * len(self.remarks):
            lines.append("  About as many are expected even among images like those of training.")
        log.warning(
            "%s: %d of %d images are out of the ordinary for these nets (column out_of_range):\n%s",
            *(where, number, len(self.remarks), "\n".join(lines)),
        )


def ordinary(judged: Judged, ensemble: Ensemble, trained: TrainingImages | str) -> Ordinary:
    """Distances and remarks of readable images; trained: images of the first net, or why they are not available."""
    files = _audited_files(ensemble.nets[0])
    dicom = []
    if not isinstance(trained, str) and trained.images.table.root is not None:
        root = trained.images.table.root
        if files is not None and "DICOM" in files["formats"]:
            dicom = [root / sample.name for sample in trained.images.table.samples[:_MOST_HEADERS]]
    kinds = trained_kinds(files, dicom)
    remarks = [kinds.remarks(kind, ensemble.how.image_size) for kind in judged.kinds]
    likeness, unavailable = (None, trained) if isinstance(trained, str) else fitted(trained)
    if likeness is None:
        return Ordinary(None, None, tuple(map(tuple, remarks)), unavailable)
    distances = likeness.distances(judged.statistics)
    for i in np.flatnonzero(distances > likeness.limit):
        remarks[i].append(UNLIKE)
    return Ordinary(distances, likeness.limit, tuple(map(tuple, remarks)), "")


def _audited_files(net: Net) -> Files | None:
    """What the audit in data.json of the net's run says about its files; None where nothing can be read."""
    audit = net.images.get("audit")
    if net.run is None or not audit:
        return None
    try:
        recorded: OfFiles = of_shape(audit, OfFiles, RunFolder(net.run.folder).data)
    except UserError as error:
        log.warning("the kinds of files that the net was trained on are not known: %s", error)
        return None
    return recorded.get("files")


def fitted(trained: TrainingImages) -> tuple[Likeness | None, str]:
    """The distance of a run's training images; or why there is none."""
    images = trained.images
    train, val = (evenly(images.indices(split)) for split in ("train", "val"))
    labels = np.array([sample.label for sample in images.table.samples], np.int64)[train]
    likeness = fit_likeness(statistics_of(images.images, train), labels, statistics_of(images.images, val))
    return likeness, "" if likeness else f"{len(train)} training and {len(val)} validation images are too few"


def statistics_of(images: NDArray[np.uint8], at: Sequence[int] | NDArray[np.int64]) -> Features:
    """Statistics (M, F) of some images."""
    return np.stack([pixel_statistics(images[i]) for i in at]) if len(at) else np.empty((0, 1))


def evenly(at: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most ``MOST`` of the positions, evenly spaced."""
    return at[np.linspace(0, len(at) - 1, MOST).astype(np.int64)] if len(at) > MOST else at
