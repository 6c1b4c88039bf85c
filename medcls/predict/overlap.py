"""External images that the nets have seen: copies of training images, or images of the same patients."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medcls.audit.detail import SIDE
from medcls.audit.file_facts import read_all_facts
from medcls.audit.findings import cached_copies
from medcls.audit.progress import heartbeat
from medcls.config import Config
from medcls.data.image_set import ImageSet
from medcls.data.listing import listing
from medcls.data.table import Sample, SampleTable
from medcls.errors import UserError
from medcls.predict.inputs import Inputs
from medcls.predict.training_images import TrainingImages
from medcls.sources.cache import load_images
from medcls.sources.class_names import meaning
from medcls.sources.load import load_image_set
from medcls.sources.location import cache_folder

log = logging.getLogger(__name__)

Gray = NDArray[np.uint8]


@dataclass(frozen=True)
class Overlap:
    """External images, by position, that are also among the training images: ``copies`` -> that training image.

    patients: positions whose patient was trained on; chosen_by: how many have a copy, or their patient, in validation.
    """

    copies: Mapping[int, str]
    patients: Mapping[int, str]
    chosen_by: int

    @property
    def seen(self) -> set[int]:
        return {*self.copies, *self.patients}

    def explained(self, inputs: Inputs) -> str:
        """The message for images that the nets have been trained on."""
        lines = [
            f"{inputs.root}: {len(self.seen)} of {len(inputs.names)} images, or their patients, are among the images "
            "that the nets were trained on."
        ]
        if self.copies:
            pairs = [f"{inputs.names[i]} = {name}" for i, name in sorted(self.copies.items())]
            lines.append(f"{len(self.copies)} show the same picture as a training image:\n{listing(pairs)}")
        if self.patients:
            of = [f"{inputs.names[i]}   {patient}" for i, patient in sorted(self.patients.items())]
            lines.append(
                f"{len(self.patients)} are of patients with training images:\n{listing(of)}\n"
                "  Where different patients only share numbers: data.columns.group=null, or data.group_pattern=null"
            )
        lines.append(
            "Judge the others alone: audit.on_leak=drop\n  Judge all, and do not trust the metrics: audit.on_leak=warn"
        )
        return "\n  ".join(lines)


def find_overlap(inputs: Inputs, trained: Sequence[TrainingImages], config: Config) -> Overlap:
    """Which of ``inputs`` the nets have seen; config: of the command, whose audit and data.cache_dir, max_pixels hold.

    Images that cannot be read are not compared.
    """
    data = trained[0].config.data
    found = load_images(
        inputs.root,
        inputs.names,
        image_size=SIDE,
        channels=1,
        cache_dir=cache_folder(config.data.cache_dir),
        max_pixels=config.data.max_pixels,
        window=data.window,
    )
    at = {name: i for i, name in enumerate(inputs.names)}
    own = [at[name] for name in found.names]
    roles, gray, digests = _seen(trained)
    root = inputs.root.absolute()
    samples = [Sample(str(root / inputs.names[i]), 0, "external", inputs.groups[i]) for i in own]
    known = [Sample(name, 0, role, group) for name, (role, group) in roles.items()]
    table = SampleTable(Path("/"), trained[0].images.table.classes, (*samples, *known))
    together = ImageSet(table, np.concatenate([found.images, gray]), "", {}, None, (*found.digests, *digests))
    log.info("audit: comparing %d images with %d of training and validation", len(own), len(known))
    with heartbeat("comparing with the training images"):
        facts = read_all_facts(table.root, [sample.name for sample in table.samples])
        folder = cache_folder(config.data.cache_dir) / "audit"
        group = cached_copies(together, facts, config.model_copy(update={"data": data}), folder).group
    return _overlap(own, table.samples, group)


def _seen(trained: Sequence[TrainingImages]) -> tuple[dict[str, tuple[str, str]], Gray, list[str]]:
    """Role ("train" where any net was trained on it, else "val") and patient of each image, its pixels and digest."""
    roles: dict[str, tuple[str, str]] = {}
    gray, digests = [], []
    for one in trained:
        table, pixels = one.images.table, None
        for i, sample in enumerate(table.samples):
            if sample.split not in ("train", "val"):
                continue
            name = str((table.root or Path("/", one.config.data.title)).absolute() / sample.name)
            if name not in roles:
                pixels = _gray(one) if pixels is None else pixels
                gray.append(pixels[sample.name])
                digests.append(one.images.digests[i])
                roles[name] = (sample.split, sample.group)
            elif sample.split == "train":
                roles[name] = ("train", sample.group)
    return roles, np.stack(gray)[..., None], digests


def _gray(trained: TrainingImages) -> dict[str, Gray]:
    """Each image (SIDE, SIDE) by name, as the audit compares them; among them those that a run left out as leaks."""
    again = load_image_set(trained.config.data.model_copy(update={"channels": 1}), SIDE)
    return {sample.name: image[..., 0] for sample, image in zip(again.table.samples, again.images, strict=True)}


def _overlap(own: Sequence[int], samples: Sequence[Sample], group: NDArray[np.int64]) -> Overlap:
    train = {int(group[i]): sample.name for i, sample in enumerate(samples) if sample.split == "train"}
    val = {int(group[i]) for i, sample in enumerate(samples) if sample.split == "val"}
    patients = {role: {meaning(s.group) for s in samples if s.split == role} - {""} for role in ("train", "val")}
    here = list(zip(own, samples[: len(own)], group[: len(own)].tolist(), strict=True))
    return Overlap(
        {i: train[of] for i, _, of in here if of in train},
        {i: sample.group for i, sample, _ in here if meaning(sample.group) in patients["train"]},
        sum(of in val or meaning(sample.group) in patients["val"] for _, sample, of in here),
    )


def without_seen(inputs: Inputs, overlap: Overlap, on_leak: str) -> tuple[Inputs, str | None]:
    """The images to judge, and what must be said beside their metrics. Raises UserError with ``on_leak`` "stop"."""
    number, every = len(overlap.seen), len(inputs.names)
    if number and on_leak == "stop":
        raise UserError(overlap.explained(inputs))
    said = []
    if number and on_leak == "warn":
        said.append(f"{number} of these images, or their patients, were trained on: do not trust these metrics")
    elif number:
        said.append(f"{number} images, or their patients, were trained on and are left out")
        inputs = inputs.select([i for i in range(every) if i not in overlap.seen])
    if not inputs.names:
        raise UserError(f"{inputs.root}: all {number} images, or their patients, were trained on. None is left.")
    if overlap.chosen_by:
        said.append(f"{overlap.chosen_by} images, or their patients, are in validation: the epoch was chosen on them")
    if said:
        log.warning("%s", "; ".join(said))
    return inputs, "; ".join(said) or None
