"""Run a grid of jobs and report on them: python sweep.py lr=1e-3,1e-4 seed=0,1,2 (medcls/cli/sweep.py).

python sweep.py study ... runs the whole study (medcls/cli/study.py).
"""

import sys

from medcls.cli import command

if __name__ == "__main__":
    if sys.argv[1:2] == ["study"]:
        command("study", sys.argv[2:], f"python {sys.argv[0]} study")
    else:
        command("sweep", sys.argv[1:], f"python {sys.argv[0]}")
