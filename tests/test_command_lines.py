"""A thousand command lines: each ends well, or with status 2, one message and nothing written."""

import os
import random
import shutil
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import TINY
from test_old_runs import OLD, SWEEP

LINES = int(os.environ.get("MEDCLS_COMMAND_LINES", "1000"))
SMALL = ["data=bone", "data.simulated.counts.train=[6,6]", "data.simulated.counts.val=[4,4]"]
FAST = [*TINY, *SMALL, "epochs=1", "logger=none", "trainer.threads=1"]
IMAGES = "data=folder data.root={images}"

INTEGERS = ("epochs", "batch_size", "seed", "image_size", "num_workers", "model.n_base", "data.split.seed")
POSITIVE = ("lr", "epochs", "batch_size", "image_size", "model.n_base", "trainer.accumulate", "data.max_pixels")
RATES = ("model.dropout", "model.spatial_dropout", "data.split.val_fraction", "audit.shortcut_auroc")
FLAGS = ("model.batch_norm", "trainer.deterministic", "data.allow_outside_root", "logger.tensorboard", "audit.enabled")
TEXTS = ("data.positive", "data.root", "data.manifest", "data.cache_dir", "data.group_pattern", "resume")
CHOICES = ("model", "data", "augment", "loss", "optimizer", "scheduler", "logger", "audit", "experiment")
NAMED = ("trainer.precision", "trainer.accelerator", "data.on_unreadable", "model.init", "audit.on_leak")
CONTRADICTIONS = (
    "optimizer=sgd optimizer.momentum=0",
    "trainer.accelerator=cpu trainer.precision=16-mixed",
    "trainer.accelerator=gpu",
    "trainer.accelerator=mps",
    "loss.class_weights=[1]",
    "loss.class_weights=[1,2,3]",
    "data.positive=neither",
    "data.split.fold=1",
    "data.split.folds=3 data.split.fold=3",
    "data.split.folds=100",
    "+data.args.x=1",
    "model=lenet model.name=resnet18",
    "model=torchvision model.name=resnet999",
    "model=torchvision model.name=resnet18 batch_size=1 image_size=28",
    "model=vgg16 image_size=16",
    "image_size=200000",
    "model.n_base=1000000",
    "data.classes={AFF:x}",
    "data.classes={AFF:x,NFF:X}",
    "data.classes={AFF:x,AFF:y}",
    "data.classes={}",
    "data.simulated.counts.train=[0,4]",
    "data.simulated.counts.train=[4]",
    "data=bone data.manifest=nowhere.csv",
    "data=bone data.root=nowhere",
    "data=medmnist data.name=nosuchmnist",
    "data=own",
    "model=own model._target_=nowhere.Net",
    "metrics=[{_target_:nowhere.metric}]",
    "loggers=[nowhere]",
    "scheduler=own scheduler._target_=torch.optim.lr_scheduler.StepLR",
    "optimizer=own optimizer._target_=torch.optim.RAdam +optimizer.args.nope=1",
    "augment=own augment.transforms=[{NoSuchTransform:{p:1}}]",
)
NASTY = (
    "a b(c",
    "é",
    "{",
    "[1,",
    "'x",
    '"x',
    "a,b",
    "${nowhere}",
    "${oc.env:NOT_SET_ANYWHERE}",
    "x;y",
    "#",
    "=",
    "(1)",
)


@dataclass
class Line:
    """A command line; ``wrong``: it must be refused; else it may also be right."""

    words: list[str]
    wrong: bool
    kind: str


@pytest.fixture
def world(make_folder, tmp_path):
    """What command lines can name: images, manifests, folders of runs, whole and damaged."""
    images = make_folder()
    rows = [(p.relative_to(images).as_posix(), p.parent.name, p.parts[-3]) for p in sorted(images.rglob("*.*"))]
    (images / "good.csv").write_text("path,label,split\n" + "".join(f"{','.join(row)}\n" for row in rows))
    (images / "bad.csv").write_text("path,label\nnowhere.png,a\n")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/notes.txt").write_text("mine")
    return {"images": str(images), "foreign": str(tmp_path / "foreign"), "tmp": tmp_path}


def base(rng, world):
    """A command with words that are right, and whether it trains."""
    name = rng.choice(["train", "train", "train", "sweep", "audit", "preview", "predict"])
    folder = f"{world['tmp']}/runs/{rng.randrange(10**9)}"
    if name == "train":
        return name, [*FAST, f"hydra.run.dir={folder}"]
    if name == "sweep":
        return name, [*FAST, "seed=0,1", f"hydra.sweep.dir={folder}"]
    if name == "predict":
        return name, [f"run={OLD / 'finished'}", f"data.root={world['images']}", "labelled=false", f"output={folder}"]
    return name, [*IMAGES.format(**world).split(), "image_size=32", f"--folder={folder}"]


def mistyped(rng, word):
    i = rng.randrange(1, len(word))
    return rng.choice([word[:i] + word[i + 1 :], word[:i] + "q" + word[i:], word[:i] + "x" + word[i + 1 :]])


def mistakes(rng, name, world):
    """Words that make a command line wrong, and their kind."""
    kind = rng.choice(["typo", "choice", "type", "range", "contradiction", "empty", "text", "word", "option"])
    if kind == "typo":
        return kind, [f"{mistyped(rng, rng.choice(INTEGERS + RATES + FLAGS))}q=1"]
    if kind == "choice":
        return kind, [rng.choice([f"{rng.choice(CHOICES)}=nosuch", f"{rng.choice(NAMED)}=nosuch"])]
    if kind == "type":
        key, values = rng.choice(
            [(INTEGERS, "x 1.5 true [1] {a:1} null"), (RATES, "x true [1] null"), (FLAGS, "1 x [true] null yes")]
        )
        return kind, [f"{rng.choice(key)}={rng.choice(values.split())}"]
    if kind == "range":
        key, values = rng.choice([(POSITIVE, "0 -1 nan inf -inf"), (RATES, "-0.1 1 2 nan"), (("seed",), "-1")])
        return kind, [f"{rng.choice(key)}={rng.choice(values.split())}"]
    if kind == "contradiction":
        if name in ("audit", "preview"):  # which do not train
            return kind, [rng.choice(["data.root=nowhere", "data.manifest=bad.csv", "data.classes={c:c,d:d}"])]
        if name == "predict":
            return kind, [
                rng.choice(["data.root=nowhere", "run=nowhere", f"run={world['foreign']}", "variant=nowhere"])
            ]
        return kind, rng.choice(CONTRADICTIONS).split()
    if kind == "empty":
        return kind, [rng.choice([f"{rng.choice(TEXTS + INTEGERS)}={quotes}" for quotes in ("", "''", '""')])]
    if kind == "text":
        return kind, [f"{rng.choice(('data.root', 'lr', 'model', 'data.classes'))}={rng.choice(NASTY)}"]
    if kind == "word":
        return kind, ["lenet", "lr"] if name == "preview" else [rng.choice(["lenet", "lr", "fast", "data.root"])]
    return kind, [rng.choice(["--lr=1", "--fast", "-x", "--folder=", "--config-dir=no_such_folder", "--config-dir="])]


def wrong_line(rng, world):
    name, words = base(rng, world)
    kind, added = mistakes(rng, name, world)
    keys = {word.partition("=")[0] for word in added}
    kept = [word for word in words if word.partition("=")[0] not in keys]
    if name == "preview" and any(key in keys for key in ("epochs", "audit.enabled", "batch_size")):
        kept.append("preview.epochs=1")
    return Line([name, *kept, *added], True, kind)


def right_line(rng, world):
    name, words = base(rng, world)
    more = rng.choice(
        ["seed=3", "lr=1e-3", "model.dropout=0.5", "augment.transforms={}", "'data.classes={AFF:0,NFF:1}'"]
    )
    kept = [word for word in words if not more.startswith(word.partition("=")[0] + "=") or name != "train"]
    if name != "train":
        more = {"sweep": "lr=1e-2", "predict": "trainer.threads=1"}.get(name, "audit.shortcut_auroc=0.9")
    return Line([name, *kept, more.strip("'")], False, "right")


DAMAGE = ("truncated", "emptied", "other bytes", "other JSON", "cell", "removed", "deep", "bomb")


def damaged_line(rng, world):
    """A copy of an old run or sweep with one file spoilt, and a command that reads it."""
    source = rng.choice(["killed", "finished", "sweep", "sweep"])
    folder = Path(shutil.copytree(OLD / source, world["tmp"] / f"damaged{rng.randrange(10**9)}"))
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix in (".json", ".yaml", ".csv", ".ckpt")]
    file, how = rng.choice(files), rng.choice(DAMAGE)
    content = file.read_bytes()
    if how == "truncated":
        file.write_bytes(content[: rng.randrange(len(content))])
    elif how == "emptied":
        file.write_bytes(b"")
    elif how == "other bytes":
        at = rng.randrange(len(content))
        file.write_bytes(content[:at] + rng.randbytes(rng.randint(1, 9)) + content[at + 5 :])
    elif how == "other JSON":
        file.write_text(rng.choice(["[]", "{}", "5", "null", '"x"', '{"state": 3}', '{"jobs": [{"name": "../x"}]}']))
    elif how == "cell":
        file.write_bytes(content.replace(b"0.", rng.choice([b"-7.", b"5.", b"x", b"nan"]), 3))
    elif how == "removed":
        file.unlink()
    elif how == "deep":
        file.write_text("[" * 100_000)
    else:
        lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
        lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefghi", "bcdefghij", strict=True)]
        file.write_text("\n".join(lines))
    if rng.random() < 0.25:
        words = [f"run={folder}", f"data.root={world['images']}", "labelled=false", f"output={folder}_judged"]
        return Line(["predict", *words], False, f"damaged: {how}")
    if source != "sweep":
        return Line(["train", f"resume={folder}", "epochs=4"], False, f"damaged: {how}")
    again = [*SWEEP.split(), f"hydra.sweep.dir={folder}"]
    words = rng.choice([["report", str(folder)], ["sweep", f"report={folder}"], ["sweep", *again]])
    return Line(words, False, f"damaged: {how}")


def foreign_line(rng, world):
    words = rng.choice(
        [
            ["report", world["foreign"]],
            ["report", "/nowhere"],
            ["report", ""],
            ["report"],
            ["sweep", "report="],
            ["sweep", f"report={world['foreign']}"],
            ["train", f"resume={world['foreign']}"],
            ["train", "resume="],
            ["train", *FAST, "hydra.run.dir="],
            ["train", *FAST, f"hydra.run.dir={world['foreign']}/notes.txt"],
            ["sweep", *FAST, "hydra.sweep.dir="],
            ["sweep", *FAST, f"hydra.sweep.dir={world['foreign']}"],
            ["audit", "data=folder", f"data.root={world['foreign']}"],
            ["audit", "--folder", ""],
            ["predict", "run=", f"data.root={world['images']}"],
            ["predict", f"run={world['foreign']}", f"data.root={world['images']}"],
            ["predict", f"run={OLD / 'finished'}", f"data.root={world['foreign']}"],
            ["predict", f"run={OLD / 'finished'}", f"data.root={world['images']}", f"output={world['foreign']}"],
            ["preview", f"{world['foreign']}/notes.txt"],
            ["preview", f"{world['foreign']}/nowhere.png"],
            ["train", *FAST, "data=folder", f"data.root={world['images']}", "data.manifest=bad.csv"],
            ["sweep", *FAST, "data=folder", f"data.root={world['images']}", "data.manifest=bad.csv"],
            ["sweep", *FAST, "data=bone", f"data.root={world['images']}", "data.manifest=bad.csv"],
        ]
    )
    return Line(words, True, "foreign")


OF_NETS = {
    "explain": {"explain.method": "x 1 [grad_cam]", "explain.images": "0 -1 x 1.5 true", "explain.retrain": "1 x yes"},
    "export": {"format": "x 1 [onnx]", "threshold.value": "2 -1 x nan", "threshold.sensitivity": "0 1.5 x [0.9]"},
    "robustness": {
        "robustness.metric": "x 1 loss",
        "robustness.noise": "x [-1] [x] [nan]",
        "robustness.jpeg": "[0] [101]",
    },
    "errors": {"errors.images": "0 -1 x 1.5", "threshold.rule": "x 1", "threshold.cost": "0 -1 nan inf"},
    "baseline": {"variant": "nowhere", "data.cache_dir": "[1] {a:1}"},
    "sheet": {"external": "[nowhere] 1", "maps": "nowhere"},
    "pack": {"images": "1 x yes", "keep": "1 {a:1}", "data.max_pixels": "0 -1 x"},
}


def of_nets(rng, world, run):
    """A command on a trained net whose words are right."""
    name, written = rng.choice(list(OF_NETS)), f"{world['tmp']}/written{rng.randrange(10**9)}"
    words = [f"run={run}"]
    if name in ("explain", "robustness"):
        words.append(f"data.root={world['images']}")
    if name != "baseline":
        words.append(f"output={written}{ {'export': '.pt2', 'pack': '.zip'}.get(name, '') }")
    return name, [*words, "format=torch"] if name == "export" else words


def wrong_line_of_nets(rng, world):
    name, words = of_nets(rng, world, OLD / "finished")
    key = rng.choice(list(OF_NETS[name]))
    foreign, file = world["foreign"], f"{world['foreign']}/notes.txt"
    added = rng.choice(
        [
            f"{key}={rng.choice(OF_NETS[name][key].split())}",
            f"{key}={rng.choice(OF_NETS[name][key].split())}",
            f"{mistyped(rng, key)}q=1",
            rng.choice(["lr=1e-3", "epochs=3", "model=vgg16", "image_size=64", "data.window=file", "study.tasks=[1e]"]),
            rng.choice(["run=", "run=nowhere", "run=[]", f"run={foreign}", f"run={file}", "run=[nowhere,nowhere]"]),
            rng.choice(["output=", f"output={foreign}", f"output={file}", f"output={OLD / 'finished'}"]),
            rng.choice(["nosuch", "--fast", "-x", "--config-dir=no_such_folder", f"{key}=${{nowhere}}"]),
        ]
    )
    kept = [word for word in words if word.partition("=")[0] != added.partition("=")[0]]
    return Line([name, *kept, added], True, f"wrong, {name}")


def damaged_line_of_nets(rng, world):
    damaged = damaged_line(rng, world)
    while "predict" not in damaged.words:
        damaged = damaged_line(rng, world)
    name, words = of_nets(rng, world, damaged.words[1].partition("=")[2])
    return Line([name, *words], False, f"{damaged.kind}, {name}")


def wrong_pack_line(rng, world):
    packed = Path(f"{world['tmp']}/{rng.randrange(10**9)}.zip")
    packed.write_bytes(rng.choice([b"", b"PK", rng.randbytes(500), b"PK\x05\x06" + bytes(18)]))
    words = [[str(packed)], [world["foreign"]], ["nowhere.zip"], [], [str(packed), "within=-1"], [str(packed), "lr=1"]]
    return Line(["verify", *rng.choice(words)], True, "wrong, verify")


def told(counts, lines):
    """The counts, by outcome and by kind."""
    totals = Counter()
    for (_, outcome), n in counts.items():
        totals[outcome] += n
    by_kind = "".join(f"  {kind}, {outcome}: {n}\n" for (kind, outcome), n in sorted(counts.items()))
    return f"{lines} lines: {dict(totals)}\n{by_kind}"


OF_ALL = [wrong_line] * 12 + [damaged_line] * 4 + [foreign_line] * 2 + [right_line]
ON_NETS = [wrong_line_of_nets] * 6 + [damaged_line_of_nets] * 3 + [wrong_pack_line]


@pytest.mark.slow
@pytest.mark.parametrize(("makers", "lines"), [(OF_ALL, LINES), (ON_NETS, LINES // 4)], ids=["all", "on nets"])
def test_no_command_line_ends_in_a_traceback_or_is_accepted_though_it_is_nonsense(command, world, makers, lines):
    rng = random.Random(int(os.environ.get("MEDCLS_COMMAND_SEED", "0")))
    counts, failures = Counter(), []
    for number in range(lines):
        line = rng.choice(makers)(rng, world)
        try:
            done = command("medcls", *line.words)
        except BaseException as error:
            counts[line.kind, "traceback"] += 1
            failures.append((number, line, f"{type(error).__name__}: {error}"[:300]))
            traceback.print_exception(error, limit=-3)
            continue
        said = [text for text in done.err.splitlines() if text and text != "loading PyTorch ..."]
        if "Traceback" in done.out + done.err or done.status not in (0, 1, 2):
            outcome = "traceback"
        elif done.status == 2:
            outcome = "refused" if said else "refused without a word"
        else:
            outcome = "nonsense accepted" if line.wrong else "valid"
        counts[line.kind, outcome] += 1
        left = [path for path in done.folder.rglob("*") if path.is_file()]
        if outcome not in ("refused", "valid") or left:
            failures.append((number, line, f"{outcome}: {done.err[-300:]}; left {left[:3]}"))
            for path in left:
                path.unlink()
        if where := os.environ.get("MEDCLS_COMMAND_REPORT"):
            Path(where).write_text(told(counts, number + 1) + "\n".join(map(str, failures)))
    print(told(counts, lines))
    assert not failures, "\n".join(map(str, failures[:20]))
