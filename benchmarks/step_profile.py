"""What bounds a training step on a CPU: where its time goes, by PyTorch's profiler, and how near the convolutions come
to what the processor can do.

    python benchmarks/step_profile.py [--nets lenet,alexnet,vgg16] [--threads 1] [--steps 100] [--repeats 5]

Steps of the plain loop (contenders/plain_loop.py), to which ours adds next to nothing (overhead.py), on batches of 8
images of 1x128x128. Every operator's own time is counted under what it is for; what no operator accounts for is
Python's. Profiling makes steps longer, so the shares are of the profiled ones and the milliseconds of others, medians
of ``--repeats``. Arithmetic: additions and multiplications of convolutions and dense layers as PyTorch counts them,
forward and back; the peak is that of a product of two 2048x2048 matrices in fp32 on as many threads.
"""

import argparse
import statistics
import sys
import time
from collections import Counter
from datetime import date
from pathlib import Path

from contenders.job import BATCH_SIZE, IMAGE_SIZE, NETS
from machine import describe_machine, machine_line
from training import names_among

from medcls.process import tune_process

tune_process()
sys.path.insert(0, str(Path(__file__).resolve().parent / "contenders"))

import torch  # noqa: E402 - after tune_process
from plain_loop import Loop, built  # noqa: E402
from torch.profiler import ProfilerActivity, profile  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

# Parts of the operators' names, the first that fits; in the order of the table.
KINDS = {
    "convolution, back": ("convolution_backward",),
    "convolution, forward": ("convolution",),
    "pooling": ("max_pool", "adaptive"),
    "ReLU": ("clamp", "relu", "threshold"),
    "Adam": ("adam", "Optimizer"),
    "dense layers": ("addmm", "aten::mm", "linear", "aten::t", "transpose"),
}
REST, PYTHON = "other operators", "Python"
MATRIX, WARM_UP = 2048, 30


def main() -> None:
    """Profile each net, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", type=names_among(NETS), default=list(NETS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=100, help="of one repeat")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    columns = [measured(net, options.steps, options.repeats) for net in options.nets]
    titles = [f"{net}, n_base {NETS[net].n_base}" for net in options.nets]
    print(f"| {options.threads} threads | {' | '.join(titles)} |\n|---|{'---:|' * len(titles)}")
    for row in columns[0]:
        print(f"| {row} | {' | '.join(column[row] for column in columns)} |")
    print(f"\n{machine_line(describe_machine('cpu'), date.today().isoformat())}")


def peak_flops(repeats: int) -> float:
    """Floating-point operations per second of a product of large matrices: the best of ``repeats``."""
    one, other = torch.rand(MATRIX, MATRIX), torch.rand(MATRIX, MATRIX)
    seconds = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        one @ other
        seconds.append(time.perf_counter() - began)
    return 2 * MATRIX**3 / min(seconds[1:])


def measured(name: str, steps: int, repeats: int) -> dict[str, str]:
    """A column of the table."""
    torch.manual_seed(0)
    net, optimizer = built(name, torch.device("cpu"), captured=False)
    net.train()
    images = torch.randint(0, 256, (BATCH_SIZE, IMAGE_SIZE, IMAGE_SIZE, 1), dtype=torch.uint8)
    loop, batch = Loop(net, optimizer, images, torch.arange(BATCH_SIZE) % 2), torch.arange(BATCH_SIZE)
    for _ in range(WARM_UP):
        loop.step(batch)
    milliseconds = statistics.median(1e3 * timed(loop, batch, steps) for _ in range(repeats))
    peak = peak_flops(repeats)
    with FlopCounterMode(display=False) as counter:
        loop.step(batch)
    flops = counter.get_total_flops()
    shares = shares_of(loop, batch, steps)
    at_work = shares["convolution, back"] + shares["convolution, forward"] + shares["dense layers"]
    column = {"a step, ms": f"{milliseconds:.2f}"} | {kind: f"{share:.0%}" for kind, share in shares.items()}
    return column | {
        "GFLOP a step": f"{flops / 1e9:.2f}",
        "peak, GFLOP a second": f"{peak / 1e9:.0f}",
        "of the peak, whole step": f"{flops / peak / milliseconds * 1e3:.0%}",
        "of the peak, while convolving": f"{flops / peak / milliseconds * 1e3 / at_work:.0%}",
    }


def timed(loop: Loop, batch: torch.Tensor, steps: int) -> float:
    """Seconds of a step."""
    began = time.perf_counter()
    for _ in range(steps):
        loop.step(batch)
    return (time.perf_counter() - began) / steps


def shares_of(loop: Loop, batch: torch.Tensor, steps: int) -> dict[str, float]:
    """Share of the time of profiled steps by what it is for."""
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        seconds = steps * timed(loop, batch, steps)
    found: Counter[str] = Counter()
    for event in profiled.key_averages():
        found[kind_of(event.key)] += event.self_cpu_time_total / 1e6
    found[PYTHON] = seconds - sum(found.values())
    return {kind: found[kind] / seconds for kind in [*KINDS, REST, PYTHON]}


def kind_of(operator: str) -> str:
    """What an operator is for."""
    return next((kind for kind, parts in KINDS.items() if any(part in operator for part in parts)), REST)


if __name__ == "__main__":
    main()
