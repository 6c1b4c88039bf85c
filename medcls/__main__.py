"""``python -m medcls train ...``: the command ``medcls``, from a folder that is not installed too."""

from medcls.cli import main

if __name__ == "__main__":
    main()
