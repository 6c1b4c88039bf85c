"""Seconds per epoch of the real train.py vs. Keras, a plain PyTorch loop and Lightning as usually written.

    pip install -e '.[bench]'
    python benchmarks/training.py [--nets lenet,alexnet,vgg16] [--rounds 3] [--epochs 4] [--accelerator gpu]
        [--contenders "ours,keras,plain"] [--images 1000,200] [--workers 0] [--json FILE]

All train the same architecture on the same images, 1x128x128, batch size 8, Adam: two uncounted epochs, then
``--epochs`` counted ones, training and validation. Each is a separate process; they take turns, in a different order
every round, and a ratio is the median over rounds of the ratio within a round, since machines drift.

ours                      python train.py data=folder: with history, checkpoints and TensorBoard; read from history.csv
ours bf16                 the same with trainer.precision=bf16-mixed
ours augmented            the same with augment=study
ours single               the same with trainer.steps=single: each batch handed out by Lightning
ours spinning             the same with OpenMP's threads spinning for as long as they wait (GOMP_SPINCOUNT)
keras                     contenders/keras_fit.py: Keras on TensorFlow, arrays in memory, its defaults
plain                     contenders/plain_loop.py: all our optimisations, and nothing but the loop
plain captured            the same with the step captured as a CUDA graph
usual lightning           contenders/usual_lightning.py: JPEG files decoded per item, ``--workers`` worker processes
usual lightning augmented the same with albumentations
"""

import argparse
import csv
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from contenders.job import BATCH_SIZE, EPS, IMAGE_SIZE, LR, NETS
from images import cache_folder, prepare
from machine import describe_machine, machine_line

HERE = Path(__file__).resolve().parent
TRAIN = HERE.parent / "train.py"


class Contender(NamedTuple):
    """A script, the arguments that turn it into this contender, and environment variables to set."""

    script: Path
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = MappingProxyType({})


CONTENDERS = {
    "ours": Contender(TRAIN),
    "ours bf16": Contender(TRAIN, ("trainer.precision=bf16-mixed",)),
    "ours augmented": Contender(TRAIN, ("augment=study",)),
    "ours single": Contender(TRAIN, ("trainer.steps=single",)),
    "ours spinning": Contender(TRAIN, environment={"GOMP_SPINCOUNT": "100000000"}),
    "keras": Contender(HERE / "contenders/keras_fit.py"),
    "plain": Contender(HERE / "contenders/plain_loop.py"),
    "plain captured": Contender(HERE / "contenders/plain_loop.py", ("--captured",)),
    "usual lightning": Contender(HERE / "contenders/usual_lightning.py"),
    "usual lightning augmented": Contender(HERE / "contenders/usual_lightning.py", ("--augmented",)),
}

# Compared unless others are named.
USUAL = [name for name in CONTENDERS if name not in ("plain captured", "ours single", "ours spinning")]

RATIOS = [
    ("ours", "keras"),
    ("ours", "plain"),
    ("ours", "plain captured"),
    ("ours", "ours single"),
    ("ours spinning", "ours"),
    ("ours", "usual lightning"),
    ("ours augmented", "usual lightning augmented"),
    ("ours bf16", "keras"),
]

# The first epoch, and what is done once after it, such as opening TensorBoard, which counts towards the second.
UNCOUNTED = 2

# Per net and contender, the answer of each round: seconds (from the second epoch on), val_losses, parameters.
Answers = dict[str, dict[str, list[dict[str, Any]]]]


def main() -> None:
    """Write the images, run the contenders in rotation, print the tables."""
    options = command_line()
    machine, today = describe_machine(options.accelerator), date.today().isoformat()
    answers: Answers = {net: {} for net in options.nets}
    unavailable: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        prepare(data, *options.images)
        for net in options.nets:
            for turn in range(options.rounds):
                for name in rotated(options.contenders, turn):
                    if name in unavailable:
                        continue
                    answer = train(name, net, data, options)
                    if "unavailable" in answer:
                        unavailable[name] = answer["unavailable"]
                        continue
                    answers[net].setdefault(name, []).append(answer)
                    seconds = " ".join(f"{second:.2f}" for second in counted(answer))
                    print(f"{net}, round {turn + 1}, {name}: {seconds}", file=sys.stderr, flush=True)
            check_parameters(net, answers[net])
    if options.json:
        settings = {key: value for key, value in vars(options).items() if key != "json"}
        content = {"date": today, "machine": machine, "options": settings, "answers": answers}
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    report(answers, options, machine_line(machine, today))
    for name, reason in unavailable.items():
        print(f"Without {name}: {reason}.")


def command_line() -> argparse.Namespace:
    """Options, with names checked and lists split."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", type=names_among(NETS), default=list(NETS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4, help="number of counted epochs")
    parser.add_argument("--contenders", type=names_among(CONTENDERS), default=USUAL)
    parser.add_argument("--accelerator", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--images", type=image_counts, default=(1000, 200), help="for training, for validation")
    parser.add_argument("--workers", type=int, default=0, help="of usual lightning's DataLoader")
    parser.add_argument("--json", type=Path, help="file for the raw numbers")
    return parser.parse_args()


def names_among(known: dict[str, Any]) -> Any:
    """Type of an option that lists keys of ``known``."""

    def names(text: str) -> list[str]:
        found = [name.strip() for name in text.split(",")]
        if wrong := [name for name in found if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(wrong)}: expected some of {', '.join(known)}")
        return found

    return names


def image_counts(text: str) -> tuple[int, int]:
    """Numbers of training and validation images."""
    n_train, n_val = map(int, text.split(","))
    return n_train, n_val


def rotated(names: list[str], turn: int) -> list[str]:
    """The names in rotated order, a different one first each turn."""
    start = turn % len(names)
    return names[start:] + names[:start]


def train(name: str, net: str, data: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Answer of one contender, run as a separate process in a new folder."""
    contender = CONTENDERS[name]
    ours = contender.script == TRAIN
    with tempfile.TemporaryDirectory(dir=data) as working:
        folder, epochs = Path(working), UNCOUNTED + options.epochs
        arguments = (
            overrides(net, data, epochs, options.accelerator)
            if ours
            else asked(contender, net, data, epochs, options, folder / "answer.json")
        )
        run(name, [sys.executable, str(contender.script), *arguments, *contender.arguments], folder, data, options)
        if ours:
            return our_answer(folder / "run")
        answer: dict[str, Any] = json.loads((folder / "answer.json").read_text())
        return answer


def overrides(net: str, data: Path, epochs: int, accelerator: str) -> list[str]:
    """Arguments of train.py."""
    dense = ",".join(map(str, NETS[net].dense))
    return [
        *("data=folder", f"data.root={data / 'images'}", "hydra.run.dir=run"),
        *(f"model={net}", f"model.n_base={NETS[net].n_base}", f"model.dense=[{dense}]"),
        *(f"epochs={epochs}", f"batch_size={BATCH_SIZE}", f"image_size={IMAGE_SIZE}"),
        *(f"lr={LR}", f"optimizer.eps={EPS}", f"trainer.accelerator={accelerator}"),
    ]


def asked(
    contender: Contender, net: str, data: Path, epochs: int, options: argparse.Namespace, answer: Path
) -> list[str]:
    """Arguments of a script in contenders/, as ``Job`` reads them."""
    found = [f"--data={data}", f"--net={net}", f"--epochs={epochs}", f"--answer={answer}"]
    return [*found, f"--accelerator={options.accelerator}", f"--workers={options.workers}"]


def run(name: str, command: list[str], folder: Path, data: Path, options: argparse.Namespace) -> None:
    """Run a command, its output in a file; raises SystemExit with the end of that output if it fails."""
    environment = surroundings(data, options.accelerator, tensorflow=name == "keras") | dict(
        CONTENDERS[name].environment
    )
    log = folder / "output.txt"
    with log.open("w") as output:
        ended = subprocess.run(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
    if ended.returncode != 0:
        lines = log.read_text(errors="replace").splitlines()[-20:]
        raise SystemExit("\n".join([f"{name} failed with status {ended.returncode}:", *lines]))


def surroundings(data: Path, accelerator: str, *, tensorflow: bool) -> dict[str, str]:
    """Environment variables of a contender's process.

    Without ``tensorflow`` importing it fails, as on a machine without it: TensorBoard would import it otherwise.
    """
    found = os.environ | {"MEDCLS_CACHE": str(cache_folder(data)), "NO_ALBUMENTATIONS_UPDATE": "1"}
    if accelerator == "cpu":
        found["CUDA_VISIBLE_DEVICES"] = ""
    if not tensorflow:
        hiding = data / "without_tensorflow"
        hiding.mkdir(exist_ok=True)
        (hiding / "tensorflow.py").write_text("raise ImportError('hidden by the benchmark')\n")
        found["PYTHONPATH"] = os.pathsep.join(filter(None, [str(hiding), os.environ.get("PYTHONPATH")]))
    return found


def our_answer(folder: Path) -> dict[str, Any]:
    """Answer of train.py from its run folder."""
    with (folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = re.search(r"\(([\d,]+) parameters\)", (folder / "train.log").read_text())
    assert found is not None
    return {
        "seconds": [float(row["seconds"]) for row in rows[1:]],
        "val_losses": [float(row["val_loss"]) for row in rows],
        "parameters": int(found[1].replace(",", "")),
    }


def check_parameters(net: str, answers: dict[str, list[dict[str, Any]]]) -> None:
    """Raise SystemExit unless all contenders trained nets of the same size."""
    sizes = {name: answer["parameters"] for name, rounds in answers.items() for answer in rounds}
    if len(set(sizes.values())) > 1:
        raise SystemExit(f"{net}: the contenders do not train the same net: {sizes} parameters")


def counted(answer: dict[str, Any]) -> list[float]:
    """Seconds of the counted epochs."""
    seconds: list[float] = answer["seconds"][UNCOUNTED - 1 :]
    return seconds


def report(answers: Answers, options: argparse.Namespace, machine: str) -> None:
    """Print the table of seconds, the table of ratios and the conditions of the measurement."""
    nets = options.nets
    titles = [f"{net}, n_base {NETS[net].n_base}" for net in nets]
    print(f"| seconds per epoch | {' | '.join(titles)} |\n|---|{'---:|' * len(nets)}")
    for name in options.contenders:
        if all(name in answers[net] for net in nets):
            cells = [f"{statistics.median(s for a in answers[net][name] for s in counted(a)):.2f}" for net in nets]
            print(f"| {name} | {' | '.join(cells)} |")
    print(f"\n| ratio of times: median (lowest - highest round) | {' | '.join(titles)} |\n|---|{'---:|' * len(nets)}")
    for name, peer in RATIOS:
        if all(name in answers[net] and peer in answers[net] for net in nets):
            cells = [ratio(answers[net][name], answers[net][peer]) for net in nets]
            print(f"| {name} / {peer} | {' | '.join(cells)} |")
    n_train, n_val = options.images
    print(
        f"\n{n_train} training and {n_val} validation images of 1x{IMAGE_SIZE}x{IMAGE_SIZE}, batch size {BATCH_SIZE}, "
        f"{options.accelerator}; {options.rounds} rounds of {options.epochs} epochs. "
        f"usual lightning with {options.workers} workers.\n{machine}"
    )


def ratio(rounds: list[dict[str, Any]], peer_rounds: list[dict[str, Any]]) -> str:
    """Our seconds divided by the peer's, round by round: median and range."""
    pairs = zip(rounds, peer_rounds, strict=True)
    found = [statistics.median(counted(our)) / statistics.median(counted(their)) for our, their in pairs]
    return median_and_range(found)


def median_and_range(ratios: Sequence[float]) -> str:
    """As tables show ratios of rounds."""
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f})"


if __name__ == "__main__":
    main()
