"""What a run ran on: code, versions, device."""

import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("medcls", "torch", "torchvision", "pytorch-lightning", "hydra-core", "albumentations", "numpy", "pillow")


def describe_environment(overrides: list[str]) -> dict[str, Any]:
    """Facts that a later reader needs to run the same again."""
    return {
        "command": sys.argv,
        "overrides": overrides,
        "git": {
            "commit": git("rev-parse", "HEAD"),
            "changed_files": len((git("status", "--porcelain") or "").splitlines()),
        },
        "python": platform.python_version(),
        "packages": {package: version(package) for package in PACKAGES},
        "platform": platform.platform(),
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "threads": torch.get_num_threads(),
    }


def git(*arguments: str) -> str | None:
    """What git says of this code's checkout, None where there is none."""
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
