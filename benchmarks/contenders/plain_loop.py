"""A plain PyTorch loop with all that makes medcls fast and nothing else: no Lightning, no checkpoints, no logs."""

import torch
import torch.nn.functional as F
from job import BATCH_SIZE, EPS, IMAGE_SIZE, LR, Arrays, Job
from torch import Tensor, nn

from medcls.config.parts import read_part
from medcls.config.stored import read_conf
from medcls.models import build_network
from medcls.process import tune_process


def main() -> None:
    """Train as asked on the command line."""
    tune_process()
    job = Job()
    torch.manual_seed(0)
    device = torch.device("cuda" if job.accelerator == "gpu" else "cpu")
    # On a GPU the images stay in its memory for the whole training.
    images, labels, val_images, val_labels = (torch.from_numpy(array).to(device) for array in Arrays.load(job.data))
    sizes = {"n_base": job.net.n_base, "dense": job.net.dense}
    part = read_part("model", read_conf(f"model/{job.options.net}") | sizes)
    net = build_network(part, n_outputs=1, in_channels=1, image_size=IMAGE_SIZE)
    net = net.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), lr=LR, eps=EPS, fused=True)
    for _ in range(job.epochs):
        train(net, optimizer, images, labels)
        job.epoch_ended(validate(net, val_images, val_labels)[0])
    job.answer(sum(parameter.numel() for parameter in net.parameters()))


def train(net: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """One epoch; mean loss and accuracy."""
    net.train()
    loss_sum = torch.zeros((), device=images.device)
    correct = torch.zeros((), device=images.device)
    for batch in torch.randperm(len(images), device=images.device).split(BATCH_SIZE):
        targets = labels[batch]
        logits = net(scaled(images[batch]))[:, 0]
        loss = F.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss_sum += loss.detach() * len(batch)
        correct += ((logits.detach() > 0) == targets).sum()
    return float(loss_sum) / len(images), float(correct) / len(images)


@torch.inference_mode()
def validate(net: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Mean loss and accuracy."""
    net.eval()
    logits = torch.cat([net(scaled(batch)) for batch in images.split(BATCH_SIZE)])[:, 0]
    loss = F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
    return float(loss), float(((logits > 0) == labels).float().mean())


def scaled(images: Tensor) -> Tensor:
    """Images (N, H, W, C) uint8 as (N, C, H, W) in [0, 1], the channels last in memory."""
    return images.permute(0, 3, 1, 2).to(torch.float32).div_(255)


if __name__ == "__main__":
    main()
