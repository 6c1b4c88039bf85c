"""python -m medcls.predict: the command of medcls/cli/predict.py."""

import sys

from medcls.cli import command

if __name__ == "__main__":
    command("predict", sys.argv[1:], "python -m medcls.predict")
