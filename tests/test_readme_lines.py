"""What the documentation shows, typed into bash, reaches medcls word by word as tests/test_docs.py has it accepted."""

import shlex
import shutil
import subprocess

import pytest
from test_docs import COMMANDS, SETTINGS

WORDS = [words for _, words in COMMANDS] + SETTINGS


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_takes_every_command_apart_into_the_words_that_are_tested():
    assert len(WORDS) > 50
    script = "\n".join(f"printf '%s\\0' {words}; printf '\\1'" for words in WORDS)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    found = [words.rstrip("\0").split("\0") for words in done.stdout.split("\1")[:-1]]
    assert found == [shlex.split(words) for words in WORDS]
