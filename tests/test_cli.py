"""The commands: the same by script and by name, explained, completed, and open to what lies in the working folder."""

import csv
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import SCRIPT, SWEEP, TINY

from medcls.cli import COMMANDS, overview, page_of
from medcls.cli.conf_comments import keys_of
from medcls.cli.of_runs import overrides_of
from medcls.config.parts import choices

TRAINED = [*TINY, "data=skin", "data.simulated.counts.train=[6,6]", "data.simulated.counts.val=[4,4]"]
CALLED = {"train": SCRIPT, "sweep": SWEEP} | {name: f"medcls.{name}" for name in ("audit", "predict", "preview")}
MEDCLS = [sys.executable, "-c", "from medcls.cli import main; main()"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(SCRIPT.parent)}


def history(folder):
    with (folder / "history.csv").open(newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


@pytest.mark.slow
def test_medcls_and_the_scripts_give_the_same_numbers(command):
    assert command("medcls", "train", *TRAINED, "hydra.run.dir=a").status == 0
    assert command("medcls", "sweep", *TRAINED, "seed=0,1", "hydra.sweep.dir=sweep").status == 0
    result = command(SCRIPT, *TRAINED, "hydra.run.dir=b")
    assert result.status == 0
    assert history(result.folder / "a") == history(result.folder / "b")
    assert history(result.folder / "sweep/lenet-on-skin_seed-0_SIMULATED") == history(result.folder / "a")
    assert '"train"' in (result.folder / "a/environment.json").read_text()
    assert command("medcls", "report", "sweep").out.endswith("sweep/report.html\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_the_same_however_it_is_asked_for(command, name):
    asked = command("medcls", name, "--help")
    assert asked.status == 0
    assert command("medcls", "help", name).out == command("medcls", name, "help").out == asked.out
    if name in CALLED:
        script = command(CALLED[name], "-h").out
        called = f"python {CALLED[name]}" if name in ("train", "sweep") else f"python -m medcls.{name}"
        assert script == asked.out.replace(f"medcls {name}", called)
    assert f"medcls {name}" in command("medcls", "help").out


def test_folder_with_a_comma_in_its_name_is_one_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a, b=c").mkdir()
    assert overrides_of(["run=a, b=c"]) == ['run=["a, b=c"]']
    assert overrides_of(["run=a,b"]) == ["run=[a,b]"]


def test_module_is_the_command():
    module = subprocess.run([sys.executable, "-m", "medcls", "help"], capture_output=True, text=True, check=True)
    assert module.stdout == f"{overview()}\n"


@pytest.mark.parametrize("name", ["train", "sweep", "audit", "predict", "preview"])
def test_help_explains_twenty_keys_as_conf_does(name):
    page = page_of(name)
    known = keys_of(page.config)
    assert len(page.keys) >= 20
    assert [key for key in page.keys if not known[key].meaning] == []
    line = re.search(r"^dropout: (\S+) +# (.*)", (SCRIPT.parent / "conf/model/vgg16.yaml").read_text(), re.MULTILINE)
    assert (known["model.dropout"].default, known["model.dropout"].meaning) == line.groups()
    assert max(map(len, page.text(f"medcls {name}").splitlines())) <= 100


def imported_before(words, text):
    """Modules that a command has imported by the time it prints a text, from Python's own account."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(SCRIPT), *words],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    before, found, _ = (done.stderr + done.stdout).partition(text)
    assert found
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in before.splitlines()}


@pytest.mark.parametrize(("words", "text"), [(["lr=-1"], "loading PyTorch"), (["--help"], "usage:")])
def test_something_is_printed_before_anything_slow_is_imported(tmp_path, words, text):
    assert not imported_before(words, text) & {"hydra", "omegaconf", "pydantic", "numpy", "torch", "medcls.run"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("trian", "Did you mean medcls train?"),
        ("model=lenet", "Did you mean medcls train model=lenet?"),
        ("train --lr 1e-4", "medcls train lr=1e-4"),
        ("sweep --seed=0,1", "medcls sweep seed=0,1"),
        ("audit data.rot=x", "Did you mean data.root?"),
        ("preview preview.indx=1", "Did you mean preview.index?"),
        ("train model=lenet model.nme=resnet18", "Did you mean model.n_base? Keys of model: batch_norm, dense"),
        ("train model=lenet +model.nme=resnet18", "Did you mean model.n_base? Keys of model: batch_norm, dense"),
        ("train model=torchvision model.nme=resnet18", "Did you mean model.name?"),
        ("train model=torchvision model.name=resnet81", "Did you mean model.name=resnet"),
        ("train --config-dir nowhere", "--config-dir: no folder nowhere"),
        ("report", "found nothing, expected one folder"),
        ("report runs lr=1", "found runs lr=1, expected one folder"),
        ("report nowhere", "no folder nowhere"),
        ("train optimizr", "found no value, expected optimizer=adam"),
    ],
)
def test_mistake_gets_the_sentence_that_helps(command, words, told):
    result = command("medcls", *words.split())
    assert (result.status, told in result.err) == (2, True), result.err
    assert "Traceback" not in result.err


@pytest.fixture
def mine(tmp_path):
    """A working folder's conf/augment and, elsewhere, a folder for --config-dir."""
    for folder, name in (("working/conf", "mine"), ("elsewhere", "yours")):
        file = tmp_path / folder / "augment" / f"{name}.yaml"
        file.parent.mkdir(parents=True)
        file.write_text("# A flip\ntransforms:\n  VerticalFlip: {p: 0.5}\n")
    return ["--config-dir", str(tmp_path / "elsewhere")]


@pytest.mark.slow
def test_own_choices_are_found_by_every_command_and_named_like_any_other(command, mine):
    trained = command("medcls", "train", *mine, *TRAINED, "augment=yours", "epochs=1", "logger=none")
    assert trained.status == 0, trained.err
    run = next((trained.folder / "runs").glob("lenet_skin_*augment-yours*"))
    assert "VerticalFlip" in (run / "config.yaml").read_text()
    assert "searchpath" not in (run / "environment.json").read_text()
    assert command("medcls", "preview", "augment=mine", "preview.epochs=1", "image_size=32").status == 0
    swept = command("medcls", "sweep", *TRAINED, "augment=none,mine", "hydra.sweep.dir=s", "epochs=1")
    assert swept.status == 0, swept.err
    assert (swept.folder / "s/augment-mine_seed-0_SIMULATED/metrics.json").exists()
    wrong = command("medcls", "train", *mine, "augment=mien")
    assert "Did you mean augment=mine? Choices of augment: " in wrong.err
    assert {"mine", "yours", "study"} <= set(re.findall(r"\w+", wrong.err))
    explained = command("medcls", "train", "--help").out.partition("augment=")[2].partition("loss=")[0]
    assert {"mine", "study"} <= set(re.findall(r"\w+", explained))


def test_module_of_the_working_folder_is_found_here_and_by_processes_started_elsewhere(tmp_path):
    (tmp_path / "mine.py").write_text("")
    (tmp_path / "random.py").write_text("raise RuntimeError('in place of the real one')")
    code = """
        import subprocess, sys
        from medcls.process import reach_working_folder
        reach_working_folder()
        import mine, random
        subprocess.run([sys.executable, "-c", "import mine, medcls"], cwd="/", check=True)
    """
    script = tmp_path / "elsewhere" / "script.py"
    script.parent.mkdir()
    script.write_text(f"import sys; sys.path.append({str(SCRIPT.parent)!r})\n" + re.sub("^ {8}", "", code, flags=re.M))
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run([sys.executable, str(script)], cwd=tmp_path, env=clean, check=True)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("medcls tr", ["train"]),
        ("medcls train model=", sorted(choices("model"))),
        ("medcls sweep model=lenet,al", ["lenet,alexnet"]),
        ("python train.py model=vgg16 sched", ["scheduler=", "scheduler.name="]),
        ("python other.py model=", []),
        ("medcls train --config-d", ["--config-dir"]),
    ],
)
def test_bash_completes_commands_keys_and_choices(tmp_path, line, found):
    medcls = tmp_path / "medcls"
    medcls.write_text(f"#!{sys.executable}\nfrom medcls.cli import main\nmain()\n")
    medcls.chmod(0o755)
    asked = f"""
        eval "$({medcls} completion bash)"
        COMP_LINE={line!r} COMP_POINT={len(line)}
        _medcls 2> /dev/null; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", asked], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == sorted(found)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals")
def test_training_fits_a_terminal_of_80_columns(tmp_path):
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    line = [*MEDCLS, "train", *TRAINED, "epochs=3", "hydra.run.dir=run", "logger=none"]
    process = subprocess.Popen(line, cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs, env=ENVIRONMENT)
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 4096):
            seen += chunk
    except OSError:  # how Linux says that the other end is closed
        pass
    assert process.wait() == 0
    lines = re.split(r"[\r\n]+|\x1b\[A", seen.decode())
    epochs = [text for text in lines if re.match(r"SIMULATED \d/3  val ", text)]
    bars = [text for text in lines if "%|" in text]
    assert [text.split()[1] for text in epochs] == ["1/3", "2/3", "3/3"]
    assert any(re.match(r"SIMULATED epoch 3/3  val \d.\d{3}  best \d.\d{3} in \d", text) for text in bars)
    assert max(map(len, epochs + bars)) <= 80


@pytest.mark.slow
def test_run_ends_with_commands_that_work(command, make_folder):
    result = command("medcls", "train", *TRAINED, "hydra.run.dir=runs/x")
    steps = result.out.partition("Next:")[2]
    longer = re.search(r"medcls (train resume=runs/x epochs=4)", steps)[1]
    assert command("medcls", *longer.split()).status == 0
    real = re.search(r"medcls (train .*) data.root=/path/to/images", steps)[1]
    done = command("medcls", *real.split(), "data=folder", f"data.root={make_folder()}", "hydra.run.dir=y")
    assert done.status == 0, done.err
    assert "real images" not in done.out
    assert "tensorboard --logdir runs" in steps


@pytest.mark.slow
def test_wheel_works_from_an_empty_folder(tmp_path, make_folder):
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(tmp_path),
        str(SCRIPT.parent),
    ]
    subprocess.run(build, check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "new")], check=True)
    packages = next((tmp_path / "new").glob("lib/python*/site-packages"))
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(packages)]
    subprocess.run([*install, *map(str, tmp_path.glob("*.whl"))], check=True)
    here = [path for path in sys.path if Path(path).name == "site-packages"]
    (packages / "others.pth").write_text("\n".join(here))  # the libraries of this environment, not its medcls
    python, empty = tmp_path / "new/bin/python", tmp_path / "empty"
    empty.mkdir()
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def medcls(*words):
        start = [str(python), "-c", "from medcls.cli import main; main()"]
        return subprocess.run([*start, *words], cwd=empty, env=clean, capture_output=True, text=True, check=False)

    assert str(packages) in medcls("train", "--help").stdout
    root = f"data.root={make_folder()}"
    for words in (
        ["train", *TRAINED, "hydra.run.dir=run"],
        ["sweep", *TRAINED, "seed=0,1", "hydra.sweep.dir=sweep", "hydra/launcher=joblib"],
        ["audit", "data=folder", root, "image_size=32"],
        ["report", "sweep"],
    ):
        done = medcls(*words)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (empty / "sweep/report.html").exists()
