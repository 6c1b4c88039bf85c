"""Lightning is imported without what it does not use of torchmetrics, all of which is there for whoever asks."""

import json
import os
import subprocess
import sys

import pytest
from conftest import SCRIPT

HEAVY = ("scipy.signal", "torchvision", "torchmetrics.text", "torchmetrics.functional.audio")


def python(code):
    environment = os.environ | {"PYTHONPATH": str(SCRIPT.parent)}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return json.loads(ended.stdout)


LEAN = "import json, sys; import medcls.host.lean_import as lean; "


@pytest.mark.slow
def test_training_begins_without_the_libraries_of_other_metrics():
    loaded = f"json.dumps([name for name in {HEAVY} if name in sys.modules])"
    assert python(f"{LEAN} lean.import_lightning(); import medcls.run; print({loaded})") == []


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param("import torchmetrics", marks=pytest.mark.slow),
        pytest.param("from torchmetrics import Accuracy", marks=pytest.mark.slow),
        pytest.param("from torchmetrics.functional import accuracy, bleu_score", marks=pytest.mark.slow),
        pytest.param("import torchmetrics.image", marks=pytest.mark.slow),
        pytest.param("import torchmetrics.functional", marks=pytest.mark.slow),
    ],
)
def test_torchmetrics_is_whole_for_users_who_ask_for_it(asked):
    names = (
        "import json, torchmetrics, torchmetrics.functional; torchmetrics.Accuracy; torchmetrics.functional.accuracy;"
        "print(json.dumps([sorted(vars(torchmetrics)), sorted(vars(torchmetrics.functional))]))"
    )
    lean = python(f"{LEAN} lean.import_lightning(); {asked}; {names}")
    assert lean == python(f"import pytorch_lightning; {asked}; {names}")


@pytest.mark.slow
def test_torchmetrics_that_is_made_otherwise_is_imported_as_usual():
    otherwise = "lean.OFFERED['MetricCollection'] = 'nowhere'; lean.import_lightning(); import torchmetrics"
    assert python(f"{LEAN} {otherwise}; print(json.dumps('scipy.signal' in sys.modules))") is True


@pytest.mark.slow
def test_the_report_of_a_sweep_waits_for_no_pytorch(tmp_path):
    report = f"import sys, json; sys.argv = ['medcls', 'report', {str(tmp_path)!r}]; from medcls.cli import main\n"
    ended = "try: main()\nexcept SystemExit as end: status = end.code\n"
    loaded = "print(json.dumps([status, *(name for name in ('torch', 'pytorch_lightning') if name in sys.modules)]))"
    assert python(report + ended + loaded) == [2]
