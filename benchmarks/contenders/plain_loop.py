"""A plain PyTorch loop with all that makes medcls fast and nothing else: no Lightning, no checkpoints, no logs.

``--captured``: its steps of full size captured as a CUDA graph and replayed.
"""

import torch
import torch.nn.functional as F
from job import BATCH_SIZE, EPS, IMAGE_SIZE, LR, NETS, Arrays, Job
from torch import Tensor, nn

from medcls.config.parts import read_part
from medcls.config.stored import read_conf
from medcls.models import build_network
from medcls.process import tune_process
from medcls.training.device import allow_tf32


def main() -> None:
    """Train as asked on the command line."""
    tune_process()
    allow_tf32(False)  # as ours computes
    job = Job()
    torch.manual_seed(0)
    device = torch.device("cuda" if job.accelerator == "gpu" else "cpu")
    # On a GPU the images stay in its memory for the whole training.
    images, labels, val_images, val_labels = (torch.from_numpy(array).to(device) for array in Arrays.load(job.data))
    if job.options.captured and device.type != "cuda":
        job.cannot_run("CUDA graphs need a CUDA GPU")
    net, optimizer = built(job.options.net, device, captured=job.options.captured)
    loop = (CapturedLoop if job.options.captured else Loop)(net, optimizer, images, labels)
    for _ in range(job.epochs):
        loop.train()
        job.epoch_ended(validate(net, val_images, val_labels)[0])
    job.answer(sum(parameter.numel() for parameter in net.parameters()))


def built(name: str, device: torch.device, *, captured: bool) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A net of the benchmarks, by its name, and its optimizer."""
    sizes = {"n_base": NETS[name].n_base, "dense": NETS[name].dense}
    part = read_part("model", read_conf(f"model/{name}") | sizes)
    net = build_network(part, n_outputs=1, in_channels=1, image_size=IMAGE_SIZE)
    net = net.to(device, memory_format=torch.channels_last)
    return net, torch.optim.Adam(net.parameters(), lr=LR, eps=EPS, fused=True, capturable=captured)


class Loop:
    """Training of a net on images and labels in the memory of its device."""

    def __init__(self, net: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> None:
        self.net, self.optimizer, self.images, self.labels = net, optimizer, images, labels
        self.loss_sum, self.correct = torch.zeros((), device=images.device), torch.zeros((), device=images.device)

    def train(self) -> tuple[float, float]:
        """One epoch; mean loss and accuracy."""
        self.net.train()
        self.loss_sum.zero_(), self.correct.zero_()
        for batch in torch.randperm(len(self.images), device=self.images.device).split(BATCH_SIZE):
            self.step(batch)
        return float(self.loss_sum) / len(self.images), float(self.correct) / len(self.images)

    def step(self, batch: Tensor) -> None:
        """A step on the images of some indices."""
        targets = self.labels[batch]
        logits = self.net(scaled(self.images[batch]))[:, 0]
        loss = F.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype))
        for parameter in self.net.parameters():
            parameter.grad = None  # as zero_grad does, in less time
        loss.backward()
        self.optimizer.step()
        self.loss_sum += loss.detach() * len(batch)
        self.correct += ((logits.detach() > 0) == targets).sum()


class CapturedLoop(Loop):
    """The same on a GPU, each step of full size but the first three as one launch."""

    def __init__(self, net: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> None:
        super().__init__(net, optimizer, images, labels)
        self.batch = torch.zeros(BATCH_SIZE, dtype=torch.int64, device=images.device)
        self.stream = torch.cuda.Stream()
        self.graph: torch.cuda.CUDAGraph | None = None
        self.warmed = 0

    def train(self) -> tuple[float, float]:
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            means = super().train()
        torch.cuda.current_stream().wait_stream(self.stream)
        return means

    def step(self, batch: Tensor) -> None:
        if self.warmed < 3 or len(batch) != BATCH_SIZE:
            self.warmed += 1
            return super().step(batch)
        if self.graph is None:
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph, stream=self.stream):
                super().step(self.batch)
        self.batch.copy_(batch)
        self.graph.replay()


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
