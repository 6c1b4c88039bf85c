"""Run a grid of jobs and report on them: python sweep.py lr=1e-3,1e-4 seed=0,1,2 (medcls/cli/sweep.py)."""

import sys

from medcls.cli import command

if __name__ == "__main__":
    command("sweep", sys.argv[1:], f"python {sys.argv[0]}")
