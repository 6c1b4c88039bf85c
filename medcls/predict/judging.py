"""Nets applied to many files: decoded in threads while the nets compute, kept in parts so that nothing is lost."""

import logging
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from medcls.atomic import writing
from medcls.predict.kinds import Kind, kind_of
from medcls.predict.nets import Ensemble
from medcls.predict.trained import Preprocessing, read_image
from medcls.predict.unlike import Features, pixel_statistics
from medcls.process import usable_cores
from medcls.training.losses import probabilities

log = logging.getLogger(__name__)

PART = 512  # images kept at once: those of a part that was not complete are judged again
_MOST_BYTES = 64 * 2**20  # of the pixels of a part, while the next is decoded
_EVERY = 1.5  # seconds between two lines of progress, and as much more as an image takes


class Look(NamedTuple):
    """What a file holds: its image, or the ``reason`` why it has none; ``kind`` from its header."""

    image: NDArray[np.uint8] | None
    reason: str
    statistics: Features | None
    kind: Kind


@dataclass(frozen=True)
class Judged:
    """Predictions of K nets on N files: probabilities (K, N, C) float32, statistics (N, F), both NaN where unreadable.

    reasons: why a file cannot be read, "" where it can.
    """

    probabilities: NDArray[np.float32]
    statistics: Features
    reasons: tuple[str, ...]
    kinds: tuple[Kind, ...]

    @property
    def readable(self) -> NDArray[np.bool_]:
        return np.array([not reason for reason in self.reasons], bool)

    def select(self, at: NDArray[np.int64]) -> "Judged":
        """Those at the positions ``at``."""
        reasons, kinds = (tuple(of[i] for i in at) for of in (self.reasons, self.kinds))
        return Judged(self.probabilities[:, at], self.statistics[at], reasons, kinds)

    def write(self, path: Path) -> None:
        """Keep it in one file, whole or not at all."""
        of_kind: dict[str, Any] = dict(zip(Kind._fields, map(np.array, zip(*self.kinds, strict=True)), strict=True))
        with writing(path) as file:
            np.savez(
                file,
                probabilities=self.probabilities,
                statistics=self.statistics,
                reasons=np.array(self.reasons, np.str_),
                **of_kind,
            )


def read_part(path: Path) -> Judged | None:
    """What was kept; None where nothing was, or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            columns = [kept[name].tolist() for name in Kind._fields]
            kinds = tuple(Kind(*values) for values in zip(*columns, strict=True))
            return Judged(kept["probabilities"], kept["statistics"], tuple(kept["reasons"].tolist()), kinds)
    except FileNotFoundError:
        return None
    except Exception as error:  # a damaged zip file raises nearly anything
        log.warning("%s: damaged (%s); these images are judged again", path, error)
        return None


def look(path: Path, how: Preprocessing, max_pixels: int) -> Look:
    """What the file at ``path`` holds."""
    image = read_image(path, how, max_pixels)
    kind = kind_of(path)
    if isinstance(image, str):
        return Look(None, image, None, kind)
    return Look(image, "", pixel_statistics(image), kind)


def judge_files(
    ensemble: Ensemble, paths: Sequence[Path], parts: Path, *, batch_size: int, max_pixels: int, device: torch.device
) -> Judged:
    """Predictions of the nets on all files, in batches of ``batch_size`` readable ones.

    parts: a folder that keeps what is done, for a start after an interruption; what it holds must be of the same nets
    and files.
    """
    for net in ensemble.nets:
        net.module.to(device)
    step = part_size(ensemble.how, batch_size)
    spans = [range(start, min(start + step, len(paths))) for start in range(0, len(paths), step)]
    kept = {i: part for i in range(len(spans)) if (part := read_part(_name(parts, i))) is not None}
    if kept:
        log.info("%d of %d images were judged before", sum(len(part.reasons) for part in kept.values()), len(paths))
    missing = [i for i in range(len(spans)) if i not in kept]
    progress = Progress(len(paths), len(paths) - sum(len(spans[i]) for i in missing))
    pool = ThreadPoolExecutor(usable_cores())

    def begun(i: int) -> list[Future[Look]]:
        return [pool.submit(look, paths[k], ensemble.how, max_pixels) for k in spans[i]]

    try:
        ahead = begun(missing[0]) if missing else []
        for i, following in zip(missing, [*missing[1:], None], strict=True):
            looks, ahead = ahead, [] if following is None else begun(following)
            kept[i] = _judged(ensemble, looks, batch_size, device, progress)
            kept[i].write(_name(parts, i))
    finally:
        pool.shutdown(cancel_futures=True)  # an interruption does not wait for the remaining files
        progress.close()
    return _joined([kept[i] for i in range(len(spans))])


def part_size(how: Preprocessing, batch_size: int) -> int:
    """Number of images kept at once, whole batches."""
    fit = _MOST_BYTES // (how.image_size**2 * how.channels)
    return batch_size * max(1, min(PART, fit) // batch_size)


def remove_parts(parts: Path) -> None:
    """Remove what was kept, once it is in its place."""
    shutil.rmtree(parts, ignore_errors=True)


def _name(parts: Path, number: int) -> Path:
    return parts / f"{number:06d}.npz"


def _judged(
    ensemble: Ensemble, looks: list[Future[Look]], batch_size: int, device: torch.device, progress: "Progress"
) -> Judged:
    """A part; the pixels of each image are released as soon as the nets have seen them."""
    found: list[Look] = []
    logits: list[list[torch.Tensor]] = [[] for _ in ensemble.nets]
    batch: list[NDArray[np.uint8]] = []
    looks.reverse()
    with torch.inference_mode():
        while looks:
            one = looks.pop().result()
            found.append(one._replace(image=None))
            if one.image is not None:
                batch.append(one.image)
            if batch and (len(batch) == batch_size or not looks):
                pixels = torch.from_numpy(np.stack(batch)).to(device)
                for net, of_net in zip(ensemble.nets, logits, strict=True):
                    of_net.append(net.module(pixels).cpu())
                batch.clear()
            progress.update()
    return _as_judged(ensemble, found, logits)


def _as_judged(ensemble: Ensemble, found: Sequence[Look], logits: Sequence[Sequence[torch.Tensor]]) -> Judged:
    shown = np.array([not one.reason for one in found])
    values = np.full((len(ensemble.nets), len(found), len(ensemble.classes)), np.nan, np.float32)
    width = next((len(one.statistics) for one in found if one.statistics is not None), 0)
    statistics = np.full((len(found), width), np.nan)
    if shown.any():
        for k, (net, of_net) in enumerate(zip(ensemble.nets, logits, strict=True)):
            values[k, shown] = probabilities(torch.cat(list(of_net)), net.module.loss).numpy()
        statistics[shown] = np.stack([one.statistics for one in found if one.statistics is not None])
    reasons = tuple(one.reason for one in found)
    return Judged(values, statistics, reasons, tuple(one.kind for one in found))


def _joined(parts: Sequence[Judged]) -> Judged:
    width = max(part.statistics.shape[1] for part in parts)
    statistics = [
        part.statistics if part.statistics.shape[1] else np.full((len(part.reasons), width), np.nan) for part in parts
    ]
    return Judged(
        np.concatenate([part.probabilities for part in parts], axis=1),
        np.concatenate(statistics),
        tuple(reason for part in parts for reason in part.reasons),
        tuple(kind for part in parts for kind in part.kinds),
    )


class Progress:
    """A bar on a terminal, else a line every two seconds: how many images are judged, and the time that is left."""

    def __init__(self, total: int, done: int) -> None:
        terminal = sys.stderr.isatty()
        self.bar: tqdm[Any] = tqdm(
            desc="Judging images", total=total, initial=done, unit="image", disable=not terminal, leave=False
        )
        self.total, self.done, self.before, self.silent = total, done, done, terminal
        self.began = self.said = time.monotonic()

    def update(self) -> None:
        self.done += 1
        self.bar.update()
        now = time.monotonic()
        if not self.silent and now - self.said >= _EVERY and self.done < self.total:
            left = (now - self.began) / (self.done - self.before) * (self.total - self.done)
            log.info("%d of %d images, about %.0f s left", self.done, self.total, left)
            self.said = now

    def close(self) -> None:
        self.bar.close()


def device_of(accelerator: str) -> torch.device:
    """Where to compute, as Lightning would choose it for training; checked before (see ``check_device``)."""
    if accelerator != "cpu":
        if accelerator != "mps" and torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
    return torch.device("cpu")
