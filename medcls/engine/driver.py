"""How PyTorch looks for a GPU while a run trains, which Adam has it do at every step."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

ASK_NVML = "PYTORCH_NVML_BASED_CUDA_CHECK"


@contextmanager
def asking_the_driver() -> Iterator[None]:
    """Have PyTorch ask the CUDA driver, as it does by itself, and not NVML's library, as Lightning has it do.

    Where there is no such library, it is searched for each time: 0.05 ms of CPU time. The driver, once asked, is no
    longer there for processes forked later; none of ours uses a GPU.
    """
    before = os.environ.get(ASK_NVML)
    os.environ[ASK_NVML] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[ASK_NVML]
        else:
            os.environ[ASK_NVML] = before
