"""Files damaged with care, each refused or read as an independent reader reads it: none of other pixels."""

import collections
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def tally(count, seed):
    """Numbers of verdicts over so many damaged files, judged in another process, since some decoders can crash."""
    pytest.importorskip("resource", reason="limits are those of Unix")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])}
    command = [sys.executable, "-W", "ignore", "-m", "pixels.judge", str(count), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment, check=False)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert done.returncode == 0, (lines[-1:], done.stderr[-2000:])
    assert len(lines) == count
    wrong = [line for line in lines if line[1].split(":")[0] not in ("refused", "equal")]
    assert not wrong
    return collections.Counter(verdict.split(":")[0] for _, verdict in lines)


def test_no_mutant_is_read_otherwise_than_by_an_independent_reader():
    counts = tally(300, seed=0)
    assert min(counts["refused"], counts["equal"]) > 60  # neither all is refused nor damage passed over


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
def test_no_mutant_of_2400_is_read_otherwise_than_by_an_independent_reader(seed):
    counts = tally(2400, seed)
    print(seed, dict(counts))
    assert min(counts["refused"], counts["equal"]) > 480
