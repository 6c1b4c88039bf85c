"""The machine that a benchmark ran on, for the line below its table."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from medcls.process import usable_cores

PACKAGES = ("torch", "pytorch-lightning", "albumentations", "keras", "tensorflow-cpu", "tensorflow", "numpy")


def describe_machine(accelerator: str) -> dict[str, str]:
    """Processor, cores, memory and versions, and the GPU if one was used."""
    found = {
        "processor": processor(),
        "cores": str(usable_cores()),
        "memory": memory(),
        "system": platform.system(),
        "python": platform.python_version(),
    }
    if accelerator == "gpu":
        import torch

        found["gpu"] = torch.cuda.get_device_name(0)
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """Name of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def memory() -> str:
    """Size of the memory in GiB."""
    if not hasattr(os, "sysconf"):
        return "unknown"
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"


def machine_line(machine: dict[str, str], date: str) -> str:
    """The machine on one line."""
    gpu = f", {machine['gpu']}" if "gpu" in machine else ""
    packages = ", ".join(f"{package} {machine[package]}" for package in PACKAGES if package in machine)
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory']}{gpu}; {machine['system']}, "
        f"Python {machine['python']}, {packages}; {date}"
    )
