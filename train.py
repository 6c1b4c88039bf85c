"""Train one network: python train.py model=vgg16 data=bone lr=1e-5 (medcls/cli/train.py)."""

import sys

from medcls.cli import command

if __name__ == "__main__":
    command("train", sys.argv[1:], f"python {sys.argv[0]}")
