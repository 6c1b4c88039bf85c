"""How PyTorch looks for a GPU while a run trains, which it does at every step of Adam."""

from contextlib import AbstractContextManager

from medcls.process import with_environment


def asking_the_driver() -> AbstractContextManager[None]:
    """Have PyTorch ask the CUDA driver, as it does by itself, and not NVML's library, as Lightning has it do.

    Where there is no such library, it is searched for each time: 0.05 ms of CPU time. Once asked, the driver cannot be
    used by processes forked later; none of ours uses a GPU.
    """
    return with_environment(PYTORCH_NVML_BASED_CUDA_CHECK="0")
