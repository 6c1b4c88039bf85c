"""Maps of where a net looks for the class that it chooses, made by captum.

HiResCAM (Draelos & Carin, 2020, arXiv:2011.08891) and Grad-CAM (Selvaraju et al., 2017, arXiv:1610.02391) at the last
convolution. Grad-CAM averages a channel's gradients over the image, which is true to nets that pool before their
logits, and not to those of ours, whose dense layers tell places apart. Integrated gradients (Sundararajan et al., 2017,
arXiv:1703.01365) from a black and from a white image, since from either alone its own gray counts nothing.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from medcls.errors import UserError

Maps = NDArray[np.float32]
Images = NDArray[np.uint8]

_SLOW = "integrated_gradients"
_BATCH = 8
_STEPS = 32  # of the integral
_BLUR = 1 / 40  # of the side of an image: single pixels of integrated gradients are noise to the eye


def draw_maps(net: nn.Module, images: Images, method: str) -> Maps:
    """Maps (N, H, W), at least 0 and largest where the net looks, of images (N, H, W, C).

    net: images (N, C, H, W) in [0, 1] to logits, in evaluation mode, on any device. Raises UserError but for integrated
    gradients, of a net without a convolution.
    """
    found = []
    for start in range(0, len(images), _BATCH):
        batch = as_input(net, images[start : start + _BATCH])
        with torch.no_grad():
            chosen = scores(net, batch).argmax(dim=1)
        drawn = _integrated(net, batch, chosen) if method == _SLOW else _cam(net, batch, chosen, method)
        found.append(drawn.detach().cpu().numpy())
    maps = np.concatenate(found).astype(np.float32)
    side = images.shape[1]
    return gaussian_filter(maps, (0, _BLUR * side, _BLUR * side)) if method == _SLOW else maps


def as_input(net: nn.Module, images: Images) -> Tensor:
    """Images (N, H, W, C) as the net takes them, where it is: (N, C, H, W) in [0, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).to(next(net.parameters()).device).float() / 255


def scores(net: nn.Module, images: Tensor) -> Tensor:
    """A logit for each class (N, C), of one logit for two classes too."""
    logits: Tensor = net(images)
    return torch.cat([-logits, logits], dim=1) if logits.shape[1] == 1 else logits


def _cam(net: nn.Module, images: Tensor, chosen: Tensor, method: str) -> Tensor:
    from captum.attr import LayerAttribution, LayerGradCam, LayerGradientXActivation

    convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    if not convolutions:
        raise UserError(f"explain.method: {method} needs a net with convolutions. Use {_SLOW}.")
    kind = LayerGradCam if method == "grad_cam" else LayerGradientXActivation
    drawn = kind(lambda x: scores(net, x), convolutions[-1]).attribute(images, target=chosen)
    summed = drawn.sum(dim=1, keepdim=True).abs()  # of two classes, what speaks against one speaks for the other
    whole: Tensor = LayerAttribution.interpolate(summed, tuple(images.shape[2:]), "bilinear")
    return whole.squeeze(1)


def _integrated(net: nn.Module, images: Tensor, chosen: Tensor) -> Tensor:
    from captum.attr import IntegratedGradients

    method = IntegratedGradients(lambda x: scores(net, x))
    of_both = [
        method.attribute(images, baselines=gray, target=chosen, n_steps=_STEPS, internal_batch_size=len(images))
        for gray in (0.0, 1.0)
    ]
    summed: Tensor = torch.stack(of_both).abs().mean(dim=0).sum(dim=1)
    return summed
