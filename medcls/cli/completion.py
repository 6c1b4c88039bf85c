"""medcls completion: what a shell asks for on Tab."""

import sys
from collections.abc import Sequence
from pathlib import Path

from medcls.cli.conf_comments import choices, groups, keys_of
from medcls.cli.page import Page
from medcls.cli.words import Words

PAGE = Page(
    about=(
        "Complete commands, keys and choices on Tab.\n"
        'In ~/.bashrc:  eval "$(medcls completion bash)"\n'
        "Works for python train.py and python sweep.py too."
    ),
    words="bash",
    config=None,
    bare_words=True,
    imports_torch=False,
    examples=[("bash", "print the few lines that bash needs")],
)
# To Bash a word ends at =, and only what follows is replaced.
BASH = """\
_medcls() {
    local line="${COMP_LINE:0:COMP_POINT}" IFS=$'\\n'
    COMPREPLY=($(%s completion words "$line" 2> /dev/null))
    if [[ ${line##* } == *=* && $COMP_WORDBREAKS == *=* ]]; then COMPREPLY=("${COMPREPLY[@]#*=}"); fi
    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]]; then compopt -o nospace; fi
}
complete -o default -F _medcls medcls train.py sweep.py python python3
"""


def run(given: Words) -> int:
    """Print the shell function or, when that asks, what completes a line."""
    if given.others[:1] == ["words"]:
        print("\n".join(completions("".join(given.others[1:]))))
    else:
        print(BASH % sys.argv[0], end="")
    return 0


def completions(line: str) -> list[str]:
    """Completions of the last word of a line; none where it is not a command's word, or names a file."""
    from medcls.cli import COMMANDS, page_of

    words = [*line.split(), ""] if line[-1:].isspace() else line.split()
    before, last = words[:-1], words[-1]
    if before and Path(before[0]).name == "medcls" and len(before) == 1:
        return [command for command in COMMANDS if command.startswith(last)]
    command = command_in(before)
    if command not in COMMANDS:
        return []
    page = page_of(command)
    if last.startswith("-"):
        return [flag for option in page.options for flag in option.flags if flag.startswith(last)]
    if page.config is None:
        return []
    key, equals, value = last.partition("=")
    if not equals:
        return sorted(
            f"{name}=" for name, known in keys_of(page.config).items() if known.default and name.startswith(key)
        )
    if key not in groups():
        return []
    done, comma, begun = value.rpartition(",")
    return [f"{key}={done}{comma}{choice}" for choice in choices(key) if choice.startswith(begun)]


def command_in(words: Sequence[str]) -> str:
    """The command that a line begins with: medcls train, train.py or python train.py; "" for another program."""
    names = [Path(word).name for word in words[:2]]
    if names[0] == "medcls":
        return names[1] if len(names) > 1 else ""
    script = next((name for name in names if name in ("train.py", "sweep.py")), "")
    if script == "sweep.py" and words[names.index(script) + 1 :][:1] == ["study"]:
        return "study"
    return script.removesuffix(".py")
