"""A function of tensors on a GPU captured once as a CUDA graph and replayed: one launch in place of hundreds."""

import logging
import random
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

log = logging.getLogger(__name__)

WARM_UP = 3  # calls before the capture, in which libraries choose their kernels and optimizers create their state
WAITED = "called a synchronizing CUDA operation"  # PyTorch's words
CHANGES = "what it depends on changes from step to step, and not the learning rate alone"
CAPTURING = threading.Lock()  # of a process: captures disturb each other

Function = Callable[..., Tensor]


class Captured:
    """``function`` of tensors of the same shapes at every call, replayed after ``WARM_UP`` calls.

    A replay repeats what was launched on the GPU and no Python. So ``settings`` returns what in Python the result
    depends on; if it differs when ``check`` is called, the function is captured again. A function that changes settings
    by itself, draws random numbers on the CPU or cannot be captured is called as it is, and one line logs why.
    The tensor that a replay returns is overwritten by the next one.
    """

    n_failed = 0  # captures in this process; each leaves the earlier graphs with a generator that nobody draws from

    def __init__(self, function: Function, settings: Callable[[], Any], what: str) -> None:
        self.function = function
        self.settings = settings
        self.what = what
        self.warmed = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.captured_with: Any = None
        self.inputs: tuple[Tensor, ...] = ()
        self.output: Tensor | None = None
        self.refused = False

    def check(self) -> None:
        """Forget the graph where settings have changed since it was captured."""
        if self.warmed and not self.refused and self.present() != self.captured_with:
            self.graph, self.warmed = None, 0

    def present(self) -> tuple[Any, int]:
        """What a graph must have been captured with to be replayed."""
        return self.settings(), Captured.n_failed

    def __call__(self, *inputs: Tensor) -> Tensor:
        if not self.refused and self.graph is None:
            if self.warmed < WARM_UP:
                return self.warm_up(*inputs)
            self.capture(*inputs)
        if self.graph is None or self.output is None:
            return self.function(*inputs)
        for mine, given in zip(self.inputs, inputs, strict=True):
            mine.copy_(given, non_blocking=True)
        self.graph.replay()
        return self.output

    def warm_up(self, *inputs: Tensor) -> Tensor:
        """Call the function, and see whether it is one that can be replayed."""
        drawn, before = generators(), self.present()
        self.captured_with = before if not self.warmed else self.captured_with
        self.warmed += 1
        with warnings.catch_warnings(record=True) as caught, telling_of_waits():
            warnings.simplefilter("always")
            result = self.function(*inputs)
        waits = any(WAITED in str(one.message) for one in caught)
        if generators() != drawn:
            self.refuse("it draws random numbers on the CPU")
        elif self.present() != before:
            self.refuse("it changes something in Python each time")
        elif before != self.captured_with:
            self.refuse(CHANGES)
        elif waits and self.warmed == WARM_UP:  # the first calls may wait for what they set up
            self.refuse("it waits for a result of the GPU")
        return result

    def capture(self, *inputs: Tensor) -> None:
        """Record what the function launches, without running it."""
        if self.present() != self.captured_with:
            return self.refuse(CHANGES)
        self.inputs = tuple(given.clone() for given in inputs)
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        own = None if stream == torch.cuda.default_stream() else stream  # the default one cannot be captured
        generator = torch.cuda.default_generators[torch.cuda.current_device()]
        drawn = generator.clone_state()
        try:
            # Of this thread alone: another one pins memory, or captures a step of another run.
            with CAPTURING, torch.cuda.graph(graph, stream=own, capture_error_mode="thread_local"):
                self.output = self.function(*self.inputs)
            self.graph = graph
        except Exception as error:  # whatever a net of the user's own does that no graph can hold
            torch.cuda.set_stream(stream)  # PyTorch leaves its own
            torch.cuda.synchronize()
            generator.graphsafe_set_state(drawn)  # the one before would believe forever that a capture is running
            Captured.n_failed += 1
            self.refuse((str(error) or type(error).__name__).splitlines()[0])

    def refuse(self, reason: str) -> None:
        """Call the function as it is from now on."""
        self.refused, self.graph = True, None
        log.info("%s is not captured as a CUDA graph, which would be faster: %s", self.what, reason)


@contextmanager
def telling_of_waits() -> Iterator[None]:
    """Have PyTorch warn of what makes Python wait for the GPU, where there is one."""
    if not torch.cuda.is_available():
        yield
        return
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


def generators() -> tuple[Any, ...]:
    """The states of Python's, NumPy's and PyTorch's generators on the CPU."""
    of_numpy: Any = np.random.get_state()
    return random.getstate(), of_numpy[1].tobytes(), torch.get_rng_state().numpy().tobytes()


def settings_of(modules: Iterable[nn.Module], optimizer: Optimizer | None = None) -> list[Any]:
    """What a step depends on beside tensors' values: plain attributes of all modules, and which weights are trained."""
    found: list[Any] = []
    for module in modules:
        for inner in module.modules():
            found.append({name: repr(value) for name, value in vars(inner).items() if is_plain(value)})
        found += [(one.requires_grad, one.data_ptr()) for one in module.parameters()]
        found += [one.data_ptr() for one in module.buffers()]
    return found + (other_than_rate(optimizer) if optimizer else [])


def other_than_rate(optimizer: Optimizer) -> list[Any]:
    """The options of an optimizer without its learning rate, which is a tensor to a captured step."""
    return [
        {name: repr(value) for name, value in group.items() if name not in ("params", "lr", "initial_lr")}
        for group in optimizer.param_groups
    ]


def is_plain(value: Any) -> bool:
    """Whether it is a number, a text or nothing, or a collection of such."""
    if isinstance(value, dict):
        return all(map(is_plain, value.values()))
    if isinstance(value, list | tuple | set):
        return all(map(is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)
