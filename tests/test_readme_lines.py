"""Every command that the README shows, typed into bash, is one that medcls understands."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hydra import initialize_config_dir

from medcls.cli import page_of
from medcls.cli.words import take_apart
from medcls.composition.compose import VERSION, composed, prepare_hydra
from medcls.composition.hydra_private import parse
from medcls.conf_folder import CONF
from medcls.config import check_config
from medcls.config.schema import check_against

README = Path(__file__).parents[1] / "README.md"
PROGRAMS = ("python", "medcls")
# What bash hands to the programs, word by word; whatever else is on the line does nothing.
SHELL = "".join(f'{program}() {{ printf "%s\\0" {program} "$@"; printf "\\1"; }}\n' for program in PROGRAMS)
SHELL += "pip() { :; }\ntensorboard() { :; }\n"


def shown():
    """Lines of commands, and settings alone, in blocks of bash and between backticks; <placeholders> filled in."""
    text = README.read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    lines = [line.strip() for block in blocks for line in re.sub(r"\\\n\s*", " ", block).splitlines()]
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
    lines += [span for span in spans if span.split()[0] in PROGRAMS]
    settings = [span for span in spans if re.match(r"""['"]?\+?[a-z_]+(/[a-z]+|(\.[a-z_]+)+)?=\S""", span)]
    lines += [f"python train.py {span}" for span in settings if not span.endswith(("=", "=...", "= "))]
    return list(dict.fromkeys(re.sub(r"<[^<>]*>", "some", line) for line in lines if line))


def commands(line):
    """Words of each command of a line, as bash takes them apart."""
    done = subprocess.run(["bash", "-c", SHELL + line], capture_output=True, text=True, check=True)
    return [words.rstrip("\0").split("\0") for words in done.stdout.split("\1") if words]


def as_command(words):
    """Name of medcls's command and its words; None for another program of Python's."""
    program, *rest = words
    if program == "medcls":
        return (rest[0], rest[1:]) if rest and not rest[0].startswith("-") else None
    if rest[0] in ("train.py", "sweep.py"):
        return rest[0].removesuffix(".py"), rest[1:]
    if rest[0] == "-m" and rest[1].startswith("medcls."):
        return rest[1].removeprefix("medcls."), rest[2:]
    return None


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("line", shown())
def test_line_of_the_readme_is_understood(line):
    for words in commands(line):
        if (command := as_command(words)) is None:
            continue
        name, rest = command
        page = page_of(name)
        given = take_apart(rest, page, name)
        if given is None or page.config is None or given.asks_hydra:
            continue
        settings = [word for word in given.others if "=" in word and not word.startswith("report=")]
        prepare_hydra()
        with initialize_config_dir(str(CONF), version_base=VERSION):
            parsed = parse(settings)
        if name == "sweep" or "multirun" in given.options or any(one.is_sweep_override() for one in parsed):
            continue  # read by Hydra; tests of sweeps run such lines
        if any(word.startswith(("hydra/", "hydra.")) for word in settings):
            continue
        if name == "preview":
            from medcls.preview.schema import ConfigWithPreview

            check_against(ConfigWithPreview, composed("preview", settings, "preview", ConfigWithPreview))
        else:
            check_config(composed("readme", settings))


def test_the_readme_has_such_lines():
    assert len(shown()) > 12
