"""python -m medcls.preview: the command of medcls/cli/preview.py."""

import sys

from medcls.cli import command

if __name__ == "__main__":
    command("preview", sys.argv[1:], "python -m medcls.preview")
