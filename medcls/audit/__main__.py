"""python -m medcls.audit: the command of medcls/cli/audit.py."""

import sys

from medcls.cli import command

if __name__ == "__main__":
    command("audit", sys.argv[1:], "python -m medcls.audit")
