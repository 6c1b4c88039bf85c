"""Checks that maps of where a net looks often fail: of its weights, of what it uses, and of other seeds."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata, wilcoxon
from torch import nn

from medcls.evaluation.interval import LEVEL
from medcls.evaluation.intervals import intervals
from medcls.explain.maps import Images, Maps, as_input, draw_maps, scores
from medcls.runs.predictions import Predictions

ALIKE = 0.5  # rank correlation from which on two maps are said to show the same
_HIDDEN = 4  # the part of an image's side that is hidden at a time
_PLACES = 8  # hidden in each image for comparison
_CELLS = 16  # per side of what is compared: finer detail than maps are read at
_MOST = 32  # images that the checks are made on


@dataclass(frozen=True)
class Check:
    """What was checked, what was found, and whether the maps fail it."""

    name: str
    text: str
    failed: bool


def similarity(one: Maps, other: Maps) -> NDArray[np.float64]:
    """Spearman's rank correlation (N,) of two maps of the same images (N, H, W), on cells; 0 where one is flat."""
    ranks = []
    for maps in (one, other):
        cells = min(_CELLS, maps.shape[1])
        edge = maps.shape[1] // cells
        cut = maps[:, : cells * edge, : cells * edge].reshape(len(maps), cells, edge, cells, edge).mean(axis=(2, 4))
        rank = rankdata(cut.reshape(len(maps), -1), axis=1)
        ranks.append(rank - rank.mean(axis=1, keepdims=True))
    size = np.sqrt((ranks[0] ** 2).sum(axis=1) * (ranks[1] ** 2).sum(axis=1))
    return np.where(size > 0, (ranks[0] * ranks[1]).sum(axis=1) / np.where(size > 0, size, 1), 0.0)


def shuffled_layer_by_layer(net: nn.Module, seed: int) -> Iterator[tuple[str, nn.Module]]:
    """The net with the weights of more and more layers shuffled, from the logits down (Adebayo et al., 2018).

    Shuffled, not redrawn, so that any net keeps the scale of its weights.
    """
    net, rng = deepcopy(net), torch.Generator().manual_seed(seed)
    layers = [(name, module) for name, module in net.named_modules() if [*module.parameters(recurse=False)]]
    for name, module in reversed(layers):
        with torch.no_grad():
            for weight in module.parameters(recurse=False):
                order = torch.randperm(weight.numel(), generator=rng).to(weight.device)
                weight.copy_(weight.flatten()[order].view_as(weight))
        yield name, net


def check_maps(
    nets: Sequence[nn.Module], maps: Sequence[Maps], images: Images, method: str, seed: int
) -> tuple[list[Check], list[tuple[str, float]]]:
    """Checks of the maps (N, H, W) of each net, and how alike those of the first stay as its layers are shuffled."""
    images, maps = images[:_MOST], [of_net[:_MOST] for of_net in maps]
    course, last = [], maps[0]
    for name, net in shuffled_layer_by_layer(nets[0], seed):
        last = draw_maps(net, images, method)
        course.append((name, float(np.median(similarity(maps[0], last)))))
    left = course[-1][1]
    text = f"with all weights shuffled, its maps correlate {left:.2f} with those it had (below {ALIKE} expected)"
    checks = [Check("weights", text, left >= ALIKE), _hiding(nets[0], maps[0], images, seed)]
    if len(nets) > 1:
        checks.append(_agreement(nets, maps, images, method, seed))
    return checks, course


def check_labels(maps: Maps, images: Images, method: str, other: nn.Module, learnt: float) -> Check:
    """Whether a net that learnt a share ``learnt`` of shuffled labels looks elsewhere (Adebayo et al., 2018)."""
    maps, images = maps[:_MOST], images[:_MOST]
    alike = float(np.median(similarity(maps, draw_maps(other, images, method))))
    text = (
        f"trained on shuffled labels, of which it learned {learnt:.0%}, such a net has maps that correlate {alike:.2f} "
        f"with these (below {ALIKE} expected)"
    )
    return Check("labels", text, alike >= ALIKE)


def _hiding(net: nn.Module, maps: Maps, images: Images, seed: int) -> Check:
    """Whether hiding the map's highest place changes what the net says, more than hiding others does."""
    side, rng = images.shape[1], np.random.default_rng(seed)
    peaks = np.array([np.unravel_index(int(one.argmax()), one.shape) for one in maps])
    here = _change(net, images, peaks)
    elsewhere = np.mean([_change(net, images, rng.integers(0, side, peaks.shape)) for _ in range(_PLACES)], axis=0)
    text = (
        f"with the map's highest place hidden, the logit of the chosen class changes by {here.mean():.2g}, with others "
        f"hidden by {elsewhere.mean():.2g} (more at the highest expected)"
    )
    return Check("hiding", text, not _above(here - elsewhere))


def _change(net: nn.Module, images: Images, places: NDArray[np.int64]) -> NDArray[np.float64]:
    """By how much the logit of the chosen class changes (N,) once a square around each place (N, 2) is of mean gray."""
    half, hidden = max(1, images.shape[1] // _HIDDEN // 2), images.copy()
    for image, (y, x) in zip(hidden, places, strict=True):
        image[max(0, y - half) : y + half, max(0, x - half) : x + half] = image.mean(axis=(0, 1)).round()
    with torch.inference_mode():
        before, after = (scores(net, as_input(net, of)).cpu() for of in (images, hidden))
    chosen = before.argmax(dim=1, keepdim=True)
    return (before - after).gather(1, chosen)[:, 0].abs().double().numpy()


def _above(values: NDArray[np.float64]) -> bool:
    """Whether the values of images are above 0 by more than chance, by ranks, so that one image does not decide."""
    return bool(values.any()) and float(wilcoxon(values, alternative="greater").pvalue) < (1 - LEVEL) / 2


def _agreement(nets: Sequence[nn.Module], maps: Sequence[Maps], images: Images, method: str, seed: int) -> Check:
    """Whether nets of several seeds look at the same, more than at what such nets look at without having learned."""
    pairs = [(i, j) for i in range(len(nets)) for j in range(i)]
    among = np.mean([similarity(maps[i], maps[j]) for i, j in pairs], axis=0)
    unlearnt = []
    for net in nets:
        *_, (_, shuffled) = shuffled_layer_by_layer(net, seed + 1)
        unlearnt.append(draw_maps(shuffled, images, method))
    chance = np.mean([similarity(maps[i], unlearnt[j]) for i in range(len(nets)) for j in range(len(nets))], axis=0)
    text = (
        f"maps of {len(nets)} nets correlate {among.mean():.2f} with each other, {chance.mean():.2f} with those of "
        "nets whose weights are shuffled (more than that expected)"
    )
    return Check("seeds", text, not _above(among - chance))


def check_worth(found: Predictions | None) -> Check | None:
    """Whether the net is shown to tell classes apart at all: of one that is not, no map says anything."""
    if found is None:
        return None
    area = intervals(found)["auroc"]
    limits = f" ({area.why})" if area.why else f" [{area.low:.2f}, {area.high:.2f}]"
    text = f"AUROC on its validation images {area.value:.2f}{limits} (above 0.5 expected)"
    return Check("net", text, not area.low > 0.5)
