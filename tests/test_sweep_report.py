import csv
import html.parser
import json
import re
import shlex
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from conftest import TINY
from PIL import Image

from medcls.config.targets import Target
from medcls.errors import UserError
from medcls.evaluation.metrics import METRICS, scores
from medcls.sweep_report.report import write_report
from medcls.sweep_report.side_by_side import write_side_by_side
from medcls.sweep_report.verdicts import signed

CLASSES = ["nevus", "melanoma <b>|*"]
EPOCHS = 40
MINUS = "\N{MINUS SIGN}"


def history(skill, seed, rises=True):
    """Curves as training leaves them: the better the net the faster, overfitting after the middle."""
    rng = np.random.default_rng(seed)
    rows = []
    for epoch in range(1, EPOCHS + 1):
        done = 1 - np.exp(-epoch / (12 / skill))
        late = max(0, epoch - EPOCHS / 2) / EPOCHS if rises else 0
        rows.append(
            {
                "epoch": epoch,
                "train_loss": 0.69 - 0.6 * done + 0.01 * rng.normal(),
                "train_accuracy": 0.5 + 0.48 * done,
                "val_loss": 0.69 - 0.3 * done + 1.2 * late + 0.01 * rng.normal(),
                "val_accuracy": 0.5 + 0.3 * done + 0.01 * rng.normal(),
                "val_auroc": 0.5 + 0.35 * done,
                "lr": 1e-4,
                "seconds": 0.5,
            }
        )
    return rows


def predictions(skill, seed, split, n, data, fold):
    shared = np.random.default_rng([len(split), len(data), fold or 0]).normal(size=n)
    rng = np.random.default_rng([seed, int(100 * skill), len(split), fold or 0])
    labels = np.arange(n) % 2
    p = 1 / (1 + np.exp(-(skill * (labels - 0.5) + 0.7 * shared + 0.4 * rng.normal(size=n))))
    of = split if fold is None else f"{split}{fold}"
    rows = [
        {"sample": f"{of}/{i}.png", "split": split, "label": CLASSES[k]}
        | ({} if fold is None else {"group": f"P{fold}-{i // 3}"})  # images of both classes of each patient
        | {f"p_{CLASSES[0]}": 1 - q, f"p_{CLASSES[1]}": q}
        for i, (k, q) in enumerate(zip(labels, p, strict=True))
    ]
    return rows, {name: {"value": v} for name, v in scores(labels, np.stack([1 - p, p], 1), 1).items()}


def write_csv(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def write_run(folder, *, seed=0, skill=1.5, data="skin", test=False, rises=True, config=None, n=120, fold=None):
    """A finished run folder, without its checkpoints; ``fold``: of three."""
    folder.mkdir(parents=True)
    settings = {
        "lr": 1e-4,
        "seed": seed,
        "model": {"family": "vgg16", "n_base": 8},
        "data": {"name": data, "root": None, "split": {"folds": fold if fold is None else 3, "fold": fold or 0}},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(settings | (config or {})))
    rows = history(skill, seed, rises)
    best = min(rows, key=lambda row: row["val_loss"])
    val_rows, val = predictions(skill, seed, "val", n, data, fold)
    tested = predictions(skill - 0.3, seed, "test", n, data, None) if test else None
    write_csv(folder / "history.csv", rows)
    write_csv(folder / "predictions.csv", val_rows + (tested[0] if tested else []))
    metrics = {"simulated": True, "data": data, "model": "vgg16", "classes": CLASSES, "positive": CLASSES[1]}
    metrics |= {"n_train": 500, "n_val": n, "parameters": 300_249, "seconds": 20.5}
    metrics["best"] = {"epoch": best["epoch"], "val": {"loss": best["val_loss"], **val}}
    metrics["last"] = {"epoch": EPOCHS, "val": {"loss": rows[-1]["val_loss"], **val}}
    metrics["test"] = {"n": n, "loss": best["val_loss"] + 0.05, **tested[1]} if tested else None
    (folder / "metrics.json").write_text(json.dumps(metrics))
    write_state(folder, "done", EPOCHS)


def write_state(folder, state, epoch, reason=None):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "status.json").write_text(json.dumps({"state": state, "epoch": epoch, "reason": reason}))


def write_sweep(folder, *, test=False, seeds=(0, 1, 2), skills=(1.0, 1.1, 3.0, 3.2), **content):
    """lr x n_base with sweep.json and every run finished; returns its variants."""
    variants = []
    for lr, n_base in (("1e-3", 8), ("1e-3", 16), ("1e-5", 8), ("1e-5", 16)):
        variants.append({"name": f"lr={lr}, n_base={n_base}", "values": {"lr": float(lr), "model.n_base": n_base}})
    jobs = []
    for variant, skill in zip(variants, skills, strict=True):
        for seed in seeds:
            name = re.sub("[^a-z0-9-]+", "-", variant["name"]) + f"_seed-{seed}"
            jobs.append({"name": name, "variant": variant["name"], "seed": seed})
            write_run(folder / name, seed=seed, skill=skill + 0.05 * seed, test=test)
    names = [variant["name"] for variant in variants]
    sweep = {
        "name": "task2_bone",
        "question": "Does n_base 16 help?",
        "command": ["sweep.py", "lr=1e-3,1e-5", "k='a b'"],
    }
    sweep |= {"simulated": True, "keys": ["lr", "model.n_base"], "variants": variants, "jobs": jobs}
    sweep |= {"compare": [[names[0], names[2]], [names[2], names[3]]], "reach": []} | content
    (folder / "sweep.json").write_text(json.dumps(sweep))
    return names


def text_of(folder):
    """The report as read, without its escapes and bold type."""
    return re.sub(r"\\(.)", r"\1", (folder / "report.md").read_text().replace("**", "")).replace(MINUS, "-")


def row_of(text, heading, variant):
    """Cells of a variant's row in the first table below a heading."""
    table = text.partition(heading)[2]
    line = next(line for line in table.splitlines() if line.startswith(f"| {variant} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_sweep_is_answered_in_words_that_follow_from_its_runs(tmp_path):
    names = write_sweep(tmp_path)
    assert write_report(tmp_path).page == tmp_path / "report.html"
    text = text_of(tmp_path)
    assert "Does n_base 16 help?" in text
    assert "SIMULATED" in text
    assert shlex.split(text.partition("    python ")[2].splitlines()[0]) == ["sweep.py", "lr=1e-3,1e-5", "k='a b'"]
    assert f"AUROC: {names[2]} vs. {names[0]}: higher with {names[2]}." in text
    assert f"AUROC: {names[3]} vs. {names[2]}: no difference shown." in text
    assert f"accuracy: {names[2]} vs. {names[0]}: described, not tested." in text
    assert "Varied: lr (1e-3, 1e-5); model.n_base (8, 16). Each with seeds 0, 1, 2." in text
    # What holds for all comparisons is said once.
    assert text.count("3 seeds each on the same 120 images: intervals refer to other seeds and other images") == 1
    assert text.count("The smallest difference that this design shows with 80% power is about") == 2
    assert "adjusted for the 2 tests" in text
    results = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert [(row["variant"], row["seed"]) for row in results] == [
        (name, str(seed)) for name in names for seed in range(3)
    ]
    aurocs = [float(row["best_val_auroc"]) for row in results[:3]]
    expected = f"{np.mean(aurocs):.3f} ± {np.std(aurocs, ddof=1):.3f}"
    assert row_of(text, "## Variants", names[0])[5] == expected


@pytest.mark.slow
def test_the_html_report_needs_no_network_and_shows_every_picture(tmp_path):
    write_sweep(tmp_path)
    write_report(tmp_path)
    found = []

    class Parser(html.parser.HTMLParser):
        def handle_starttag(self, tag, attributes):
            found.extend((tag, key, value) for key, value in attributes if key in ("src", "href"))

    content = (tmp_path / "report.html").read_text()
    Parser().feed(content)
    assert {tag for tag, _, _ in found} == {"img"}
    assert all(value.startswith("data:image/png;base64,") for _, _, value in found)
    assert "url(" not in content
    pictures = {"curves", "forest", "heat_map"}
    forms = {f"{name}.{form}" for name in pictures for form in ("png", "svg", "pdf")}
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == forms
    assert len(found) == len(pictures)
    for picture in pictures:
        with Image.open(tmp_path / "pictures" / f"{picture}.png") as image:
            image.verify()
        assert ElementTree.parse(tmp_path / "pictures" / f"{picture}.svg").getroot().tag.endswith("}svg")
        assert (tmp_path / "pictures" / f"{picture}.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.slow
def test_reports_of_the_same_runs_are_the_same(tmp_path):
    write_sweep(tmp_path)
    write_report(tmp_path)
    written = [*tmp_path.glob("re*.*"), *tmp_path.glob("pictures/*"), *tmp_path.glob("tables/*")]
    before = {path: path.read_bytes() for path in written}
    write_report(tmp_path)
    assert {path: path.read_bytes() for path in written} == before
    assert {"report.md", "report.html", "results.csv", "curves.svg", "forest.pdf", "ranking.tex"} <= {
        path.name for path in written
    }


@pytest.mark.slow
def test_leaks_of_the_images_are_told_beside_the_metrics(tmp_path):
    write_sweep(tmp_path)
    notice = "7 training images left out: copies of held-out images, or of held-out patients"
    for path in tmp_path.glob("lr-1e-5*/metrics.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"notice": notice}))
    write_report(tmp_path)
    assert notice in (tmp_path / "report.html").read_text()
    assert notice in (tmp_path / "report.md").read_text()
    with (tmp_path / "results.csv").open(newline="") as file:
        told = {row["run"]: row["notice"] for row in csv.DictReader(file)}
    assert {name for name, found in told.items() if found == notice} == {n for n in told if n.startswith("lr-1e-5")}


def test_runs_in_any_state_are_listed_with_reason_and_log_and_never_crash(tmp_path):
    names = write_sweep(tmp_path)
    jobs = [job["name"] for job in json.loads((tmp_path / "sweep.json").read_text())["jobs"]]
    write_state(tmp_path / jobs[0], "failed", 7, "OutOfMemoryError: 3 GB | more\nthan there is")
    (tmp_path / jobs[0] / "train.log").write_text("...")
    write_state(tmp_path / jobs[1], "running", 5)
    (tmp_path / jobs[2] / "status.json").write_text("{")
    (tmp_path / jobs[3] / "metrics.json").unlink()
    (tmp_path / jobs[4] / "predictions.csv").write_text("sample,split\nval/0.png,val\n")
    (tmp_path / jobs[5] / "history.csv").write_text("")
    write_state(tmp_path / jobs[6], "stopped", 3, "Stopped: 15")
    for path in (tmp_path / jobs[7]).iterdir():
        path.unlink()
    (tmp_path / jobs[7]).rmdir()
    write_report(tmp_path)
    text = text_of(tmp_path)
    head = text.partition("## ")[0]
    assert "1 of 12 runs failed" in head
    assert "1 of 12 runs running" in head
    assert "out of memory: lower batch_size or image_size (OutOfMemoryError: 3 GB | more than there is)" in head
    failed = text.partition("## Runs that are not finished")[2]
    assert "OutOfMemoryError: 3 GB | more than there is (after epoch 7)" in failed
    assert f"{jobs[0]}/train.log" in failed
    for part in (
        "still running, or killed, after epoch 5",
        "status.json: damaged or written by another program",
        "incomplete or damaged",
    ):
        assert part in failed
    assert "not started" in next(line for line in failed.splitlines() if jobs[7] in line)
    assert f"{names[2]} vs. {names[0]}: not compared. one of the two has no finished run." in text
    assert "Only one seed of each is compared (2 and 2)" in text
    states = [row["state"] for row in csv.DictReader((tmp_path / "results.csv").open())]
    assert states == ["failed", "running", *["failed"] * 4, "stopped", "not started", *["done"] * 4]


def test_nothing_finished_still_gives_a_report(tmp_path):
    write_state(tmp_path / "a", "failed", 0, "ValueError: no")
    write_report(tmp_path)
    assert "ValueError: no (after epoch 0)" in text_of(tmp_path)


@pytest.mark.slow
def test_variants_are_derived_from_the_configurations_of_any_runs(tmp_path):
    for model, n_base in (("vgg16", 8), ("vgg16", 16), ("lenet", 8)):
        for seed in (0, 1):
            config = {"model": {"family": model, "n_base": n_base}, "num_workers": seed, "resume": None}
            write_run(tmp_path / f"{model}-{n_base}-{seed}", seed=seed, config=config)
    write_run(tmp_path / "again", config={"model": {"family": "lenet", "n_base": 8}})
    write_report(tmp_path)
    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert [(row["variant"], row["seed"]) for row in rows] == [
        (f"model={model}, n_base={n_base}", seed)
        for model, n_base in (("lenet", 8), ("vgg16", 8), ("vgg16", 16))
        for seed in "01"
    ]
    text = text_of(tmp_path)
    assert "1 repetition" in text
    # No full grid: each with the first.
    assert "| model=vgg16, n_base=8 vs. model=lenet, n_base=8 |" in text
    assert "| model=vgg16, n_base=16 vs. model=lenet, n_base=8 |" in text
    assert "adjusted for these 2 tests" in text


@pytest.mark.slow
def test_other_images_are_compared_unpaired_and_said_to_be(tmp_path):
    for data in ("skin", "bone"):
        for seed in (0, 1):
            write_run(tmp_path / f"{data}{seed}", seed=seed, data=data)
    write_report(tmp_path)
    assert "2 seeds each on different images (120 and 120), so unpaired" in text_of(tmp_path)


@pytest.mark.slow
def test_images_that_changed_between_runs_are_told(tmp_path, command, train, make_folder):
    root, asked = make_folder(), [*TINY, "epochs=1", "logger=none", "audit=none", "data=folder"]
    said = "The images changed between runs: third had other images, labels or splits than first."
    for name, seed in (("first", 0), ("second", 1), ("third", 2)):
        where = f"hydra.run.dir={tmp_path / 'runs' / name}"
        done = train(*asked, f"data.root={root}", "data.split.seed=0", f"seed={seed}", where)
        assert done.status == 0, done.err
        if name == "second":
            assert "The images changed" not in command("medcls", "report", str(tmp_path / "runs")).out
            (root / "train/a/0.jpg").unlink()
    told = command("medcls", "report", str(tmp_path / "runs"))
    assert said in " ".join(told.out.split()), told.err
    assert said in (tmp_path / "runs/report.md").read_text()


def write_folds(folder, *, lrs=(1e-3, 1e-4), seeds=(0,), test=False):
    """Two variants, cross-validated in three folds, as train.py -m leaves them."""
    for i, lr in enumerate(lrs):
        for seed in seeds:
            for fold in range(3):
                where = folder / f"{i}_{seed}_{fold}"
                write_run(where, seed=seed, skill=1 + 2 * i, fold=fold, n=60, test=test, config={"lr": lr})


def auroc_of(folder, part="best"):
    metrics = json.loads((folder / "metrics.json").read_text())
    return metrics[part]["val"]["auroc"]["value"]


@pytest.mark.one_in(2)
@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_folds_are_pooled_and_neither_variants_nor_replications(tmp_path, seeds):
    write_folds(tmp_path, seeds=seeds, test=True)
    write_report(tmp_path)
    text = text_of(tmp_path)
    names = ["lr=1e-4", "lr=1e-3"]
    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert [(row["variant"], int(row["seed"]), int(row["fold"])) for row in rows] == [
        (name, seed, fold) for name in names for seed in seeds for fold in range(3)
    ]
    # One comparison, of all images, though each fold has test images too; each patient has three images.
    assert text.count(f"AUROC: {names[1]} vs. {names[0]}: ") == 1
    assert "on validation images of all folds, compared within folds" in text
    each = "2 seeds each" if len(seeds) > 1 else "One seed each"
    unit = "other seeds and other patients" if len(seeds) > 1 else "other patients only"
    assert f"{each} on the same 180 images of 60 patients: intervals refer to {unit}" in text
    assert text.count("patients as clusters, within folds)") == 2
    assert f"Varied: lr (1e-4, 1e-3). Each with seed{'s' if seeds[1:] else ''} {', '.join(map(str, seeds))}" in text
    per_seed = [[auroc_of(tmp_path / f"1_{seed}_{fold}") for fold in range(3)] for seed in seeds]
    means = np.mean(per_seed, axis=1)
    expected = f"{means.mean():.3f}" + (f" ± {means.std(ddof=1):.3f}" if len(seeds) > 1 else "")
    assert row_of(text, "## Variants", names[0])[1] == str(3 * len(seeds))
    assert row_of(text, "## Variants", names[0])[5] == expected


@pytest.mark.slow
def test_metrics_within_folds_are_shown_beside_those_of_each_fold(tmp_path):
    write_folds(tmp_path)
    write_report(tmp_path)
    pooled = next(row for row in csv.DictReader((tmp_path / "pooled.csv").open()) if row["variant"] == "lr=1e-3")
    assert (pooled["folds"], pooled["images"], pooled["patients"]) == ("3", "180", "60")
    each = [auroc_of(tmp_path / f"0_0_{fold}") for fold in range(3)]
    assert float(pooled["auroc"]) == pytest.approx(np.mean(each))
    assert float(pooled["auroc_low"]) < np.mean(each) < float(pooled["auroc_high"])
    _, _, shown, *folds = row_of(text_of(tmp_path), "## Cross-validation", "lr=1e-3")
    limits = f"[{float(pooled['auroc_low']):.3f}, {float(pooled['auroc_high']):.3f}]"
    assert shown == f"{np.mean(each):.3f} {limits}"
    assert folds == [f"{value:.3f}" for value in each]


@pytest.mark.slow
def test_without_every_fold_there_are_no_metrics_and_nothing_is_compared(tmp_path):
    write_folds(tmp_path, seeds=(0, 1))
    for seed in (0, 1):
        write_state(tmp_path / f"0_{seed}_1", "failed", 7, "OutOfMemoryError")
    write_state(tmp_path / "1_0_2", "running", 3)
    write_report(tmp_path)
    text = text_of(tmp_path)
    assert row_of(text, "## Cross-validation", "lr=1e-3")[2] == "missing: fold 1 not finished"
    assert "no seed with all folds finished" in text
    missing = [row["auroc"] == "" for row in csv.DictReader((tmp_path / "pooled.csv").open())]
    assert missing == [True, False, True, True]
    assert "2 of 12 runs failed (lr=1e-3): out of memory" in text
    assert row_of(text, "## Variants", "lr=1e-3")[1] == "4 of 6"


@pytest.mark.slow
def test_one_fold_alone_is_a_split_like_any_other(tmp_path):
    for lr, skill in ((1e-3, 1), (1e-4, 3)):
        write_run(tmp_path / str(lr), skill=skill, config={"lr": lr}, fold=0)
    write_report(tmp_path)
    assert "## Cross-validation" not in text_of(tmp_path)
    assert "One seed each on the same 120 images of 40 patients" in text_of(tmp_path)
    assert "AUROC: lr=1e-3 vs. lr=1e-4: lower with lr=1e-3, for these nets only." in text_of(tmp_path)


@pytest.mark.slow
def test_test_images_are_compared_and_show_how_optimistic_the_best_epoch_is(tmp_path):
    write_sweep(tmp_path, test=True)
    write_report(tmp_path)
    text = text_of(tmp_path)
    assert "Nets of the best epoch, on test images" in text
    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    gap = np.mean([float(row["best_val_auroc"]) - float(row["test_auroc"]) for row in rows])
    assert "loss -0.050, accuracy" in text
    assert f"AUROC {gap:+.3f} (runs: 12)" in text


@pytest.mark.slow
def test_overfitting_and_convergence_are_read_off_the_histories(tmp_path):
    names = write_sweep(tmp_path, reach=[{"metric": "train_accuracy", "final_of": "lr=1e-3, n_base=8"}])
    write_report(tmp_path)
    text = text_of(tmp_path)
    _, at_best, at_last, rises = row_of(text, "## Overfitting", names[3])
    assert float(at_last.split()[0]) > float(at_best.split()[0]) + 0.3
    assert 15 <= float(rises.split()[0]) <= 24  # the loss was made to rise after epoch 20
    final = 0.5 + 0.48 * (1 - np.exp(-EPOCHS / 12 * np.array([1.0, 1.05, 1.1]))).mean()
    assert f"training accuracy {final:.3f} (the last epoch of {names[0]}, mean over runs)" in text
    reached = [int(np.ceil(-12 / s * np.log(1 - (final - 0.5) / 0.48))) for s in (3.0, 3.05, 3.1)]
    shown = row_of(text, "## Convergence", names[2])[1]
    assert shown.split()[0] == f"{np.median(reached):g}"
    assert "1 of 3 runs not within 40 epochs" in row_of(text, "## Convergence", names[0])[1]


@pytest.mark.slow
def test_a_loss_that_keeps_falling_is_not_called_overfitting(tmp_path):
    for seed in (0, 1, 2):
        write_run(tmp_path / str(seed), seed=seed, rises=False)
    write_report(tmp_path)
    assert row_of(text_of(tmp_path), "## Overfitting", "all runs")[3] == "not within 40 epochs"


def test_foreign_names_stay_text_in_both_reports(tmp_path):
    write_run(tmp_path / "<script>alert(1)</script>")
    write_state(tmp_path / "<img src=x>", "failed", 1, "<script>alert(2)</script> | [x](http://x)")
    write_report(tmp_path)
    content = (tmp_path / "report.html").read_text()
    assert "<script" not in content
    assert "&lt;script&gt;alert(2)" in content
    markdown = (tmp_path / "report.md").read_text()
    assert not re.search(r"(?<!\\)<(script|img)", markdown)


@pytest.mark.slow
def test_foreign_variants_and_classes_stay_text_on_the_page(tmp_path):
    write_sweep(tmp_path, seeds=(0, 1), question="<script>alert(1)</script>")
    path = tmp_path / "sweep.json"
    path.write_text(path.read_text().replace("lr=1e-3, n_base=8", "<script>alert(2)</script>"))
    write_report(tmp_path)
    content = (tmp_path / "report.html").read_text()
    assert "&lt;script&gt;alert(1)" in content
    assert "&lt;script&gt;alert(2)" in content
    assert not re.search(r"<(script|b)[ >]", content)


@pytest.mark.parametrize("what", ["empty", "missing", "damaged", "unknown"])
def test_a_folder_without_a_usable_sweep_is_refused_in_one_message(tmp_path, what):
    if what == "damaged":
        (tmp_path / "sweep.json").write_text("{")
    elif what == "unknown":
        write_sweep(tmp_path, seeds=(0,), compare=[["lr=1e-3, n_base=8", "nobody"]])
    expected = {"empty": "no run below", "missing": "no folder", "damaged": "damaged", "unknown": "found nobody"}
    with pytest.raises(UserError, match=expected[what]):
        write_report(tmp_path / "nowhere" if what == "missing" else tmp_path)


@pytest.mark.slow
def test_metrics_left_undefined_by_the_images_do_not_stop_the_report(tmp_path):
    assert set(METRICS) >= {"auroc", "accuracy"}
    for name, lr in (("a", 1e-3), ("b", 1e-4)):
        write_run(tmp_path / name, config={"lr": lr}, n=2)
    write_report(tmp_path)
    text = text_of(tmp_path)
    assert "AUROC: lr=1e-3 vs. lr=1e-4: not judgeable." in text
    assert "Not tested: fewer than five images of a class." in text


COLUMNS_OF_MINE = """
def loss_gap(run):
    return run.history[-1]["val_loss"] - run.history[-1]["train_loss"]

def net(run, prefix=""):
    return prefix + run.config["model"]["family"]

def nothing(run):
    return None

def zero(run):
    return 0

def fails(run):
    raise LookupError("no such thing")

def seed(run):
    return run.seed

def history(run):
    return run.history
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Targets of functions of the module ``my_columns``, which is on the Python path for the test."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "my_columns.py").write_text(COLUMNS_OF_MINE)
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    return lambda function, **given: Target.model_validate({"_target_": f"my_columns.{function}", **given})


@pytest.mark.slow
def test_own_columns_stand_in_the_table_of_variants_and_in_results(tmp_path, own):
    folder = tmp_path / "sweep"
    folder.mkdir()
    names = write_sweep(folder)
    given = [own("loss_gap"), own("net", prefix="a ", name="kind_of_net"), own("nothing"), own("zero")]
    write_report(folder, given)
    rows = list(csv.DictReader((folder / "results.csv").open()))
    gaps = [float(row["last_val_loss"]) - float(row["last_train_loss"]) for row in rows[:3]]
    # Here the losses of metrics.json are those of the history.
    assert [float(row["loss_gap"]) for row in rows[:3]] == pytest.approx(gaps)
    assert {(row["kind_of_net"], row["nothing"], row["zero"]) for row in rows} == {("a vgg16", "", "0")}
    text = text_of(folder)
    assert "| seconds per run | loss gap | kind of net | nothing | zero |" in text
    shown = f"{np.mean(gaps):.3f} ± {np.std(gaps, ddof=1):.3f}"
    assert row_of(text, "## Variants", names[0])[8:] == [shown, "a vgg16", "\N{EN DASH}", "0 ± 0"]


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("fails", {}, "my_columns.fails failed on the run lr-1e-3-n-base-8_seed-0: LookupError"),
        ("seed", {}, "results.csv already has a column seed"),
        ("history", {}, "returned list for the run"),
        ("zero", {"wrong": 1}, "wrong: unknown argument"),
    ],
)
def test_own_column_that_cannot_be_is_refused_and_nothing_is_written(tmp_path, own, name, given, message):
    folder = tmp_path / "sweep"
    folder.mkdir()
    write_sweep(folder, seeds=(0,))
    before = sorted(folder.iterdir())
    with pytest.raises(UserError, match=message):
        write_report(folder, [own(name, **given)])
    assert sorted(folder.iterdir()) == before


@pytest.mark.slow
def test_columns_that_a_folder_names_are_not_run(tmp_path, own):
    folder = tmp_path / "sweep"
    folder.mkdir()
    write_sweep(folder, seeds=(0,), columns=[{"_target_": "my_columns.fails"}])
    write_report(folder)
    assert "fails" not in (folder / "results.csv").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "longer",
    [
        "",
        " and a name as long as sweeps of many settings have, which no terminal shows",
    ],
)
def test_the_answer_fits_a_terminal_and_is_the_first_line_of_the_report(tmp_path, longer):
    write_sweep(tmp_path, compare="all")
    path = tmp_path / "sweep.json"
    path.write_text(path.read_text().replace("n_base=16", f"n_base=16{longer}"))
    write_state(tmp_path / "lr-1e-3-n-base-8_seed-0", "failed", 3, "OutOfMemoryError")
    lines = write_report(tmp_path).answers
    assert len(lines) <= 10
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("SIMULATED")
    assert lines[1].startswith("1 of 12 runs failed (lr=1e-3, n_base=8): out of memory")
    first = text_of(tmp_path).splitlines()[0].removeprefix("# ")
    assert first in " ".join(lines).replace(MINUS, "-")
    page = (tmp_path / "report.html").read_text()
    assert page.index("<h1>") < page.index("<h2>")


def test_a_limit_just_below_zero_does_not_read_as_one_above():
    shown = {-0.004: "-0.00", 0.004: "+0.00", 0.0: "+0.00", -1e-17: "+0.00", -0.126: "-0.13"}
    assert {value: signed(value, 2).replace("\N{MINUS SIGN}", "-") for value in shown} == shown


@pytest.mark.slow
def test_the_answer_is_what_the_runs_say(tmp_path):
    names = write_sweep(tmp_path, compare=None)
    report = write_report(tmp_path)
    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    mean = {name: np.mean([float(row["best_val_auroc"]) for row in rows if row["variant"] == name]) for name in names}
    best = max(mean, key=mean.get)
    sentence = text_of(tmp_path).splitlines()[0]
    assert sentence.startswith(
        f"# {best.replace('=', ' ').replace(', ', ' with ')} ranks first: AUROC {mean[best]:.3f} ["
    )
    difference = re.search(r"vs. lr 1e-3 with n_base 8 ([+-][\d.]+) \[", sentence)[1]
    assert float(difference) == pytest.approx(mean[best] - mean[names[0]], abs=0.006)
    assert sentence.endswith("; lr matters, n_base is not shown to matter.")
    ranked = list(csv.DictReader((tmp_path / "tables/ranking.csv").open()))
    assert [row["variant"] for row in ranked] == sorted(names, key=lambda name: -mean[name])
    assert "\\begin{tabular}" in (tmp_path / "tables/ranking.tex").read_text()
    assert report.answers[1].startswith("lr 1e-5")


def family_of(folder):
    """The family of tests of a report: comparison -> adjusted p."""
    table = next(path for path in (folder / "tables").glob("*.csv") if path.stem in ("tests", "main_effects"))
    return {row["comparison"]: row["adjusted p"] for row in csv.DictReader(table.open())}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "n_tests"),
    [
        pytest.param(None, 2, marks=pytest.mark.slow),
        pytest.param("all", 6, marks=pytest.mark.slow),
        pytest.param("lr=1e-5, n_base=8", 3, marks=pytest.mark.slow),
        ([["lr=1e-3, n_base=8", "lr=1e-5, n_base=8"]], 1),
    ],
)
def test_the_family_of_tests_is_what_was_asked(tmp_path, asked, n_tests):
    names = write_sweep(tmp_path, compare=asked)
    write_report(tmp_path)
    family = family_of(tmp_path)
    assert len(family) == n_tests
    if asked is None:  # a full grid: each setting over all values of the other
        assert set(family) == {"lr=1e-5 vs. lr=1e-3", "n_base=16 vs. n_base=8"}
    if asked == names[2]:
        assert all(comparison.endswith(f" vs. {names[2]}") for comparison in family)


@pytest.mark.slow
def test_runs_without_their_sweep_json_are_tested_alike(tmp_path):
    write_sweep(tmp_path, compare=None)
    for path in tmp_path.glob("lr-*/config.yaml"):
        lr, n_base = re.match(r"lr-(1e-\d)-n-base-(\d+)", path.parent.name).groups()
        config = yaml.safe_load(path.read_text())
        config |= {"lr": float(lr), "model": {"family": "vgg16", "n_base": int(n_base)}}
        path.write_text(yaml.safe_dump(config))
    write_report(tmp_path)
    before = family_of(tmp_path)
    (tmp_path / "sweep.json").unlink()
    write_report(tmp_path)
    after = family_of(tmp_path)
    assert before["n_base=16 vs. n_base=8"] == after["n_base=16 vs. n_base=8"]
    # The lower rate comes first where no command says otherwise: the same test, seen from the other side.
    assert before["lr=1e-5 vs. lr=1e-3"] == after["lr=1e-3 vs. lr=1e-5"]
    assert len(before) == len(after) == 2


@pytest.mark.slow
def test_variants_are_called_equivalent_within_a_margin_that_was_named(tmp_path):
    names = write_sweep(tmp_path, compare=None, skills=(3.0, 3.01, 3.02, 3.03), margin=0.2)
    write_report(tmp_path)
    text = text_of(tmp_path)
    assert "lr and n_base do not matter (equivalent within 0.2)." in text
    for row in csv.DictReader((tmp_path / "tables/main_effects.csv").open()):
        low, high = re.findall(r"[+-][\d.]+", row["difference in AUROC [95% interval]"].replace(MINUS, "-"))[1:]
        assert -0.2 < float(low) < float(high) < 0.2
    sweep = json.loads((tmp_path / "sweep.json").read_text()) | {"margin": 0.0001}
    (tmp_path / "sweep.json").write_text(json.dumps(sweep))
    write_report(tmp_path)
    assert "equivalent within" not in text_of(tmp_path).partition("## How")[0]
    assert names


def answer_alike(folder, p=0.7):
    """Have the net of a run give every image the same answer."""
    rows = list(csv.DictReader((folder / "predictions.csv").open()))
    write_csv(folder / "predictions.csv", [row | {f"p_{CLASSES[0]}": 1 - p, f"p_{CLASSES[1]}": p} for row in rows])


@pytest.mark.slow
def test_nets_that_answer_the_same_for_every_image_are_named_everywhere(tmp_path):
    names = write_sweep(tmp_path, compare=None)
    for seed in range(3):
        answer_alike(tmp_path / f"lr-1e-3-n-base-8_seed-{seed}")
    printed = " ".join(write_report(tmp_path).answers)
    assert "3 of 12 nets answer the same for every image: try model.batch_norm=true, or another lr." in printed
    text = text_of(tmp_path)
    assert "3 of 12 nets answer the same for every image" in text.partition("## ")[0]
    assert row_of(text, "## Ranking", names[0])[-1] == "3 of 3"
    assert row_of(text, "## Ranking", names[3])[-1] == "0 of 3"
    effect = next(line for line in text.splitlines() if line.startswith("| lr=1e-5 vs. lr=1e-3 |"))
    assert effect.endswith("| 3 of 12 |")
    assert "3 of its 12 nets carry no information about the images." in text


@pytest.mark.slow
def test_sweeps_side_by_side_keep_their_own_answers(tmp_path):
    folders = [tmp_path / name for name in ("first", "second")]
    for folder, skill in zip(folders, (1.0, 2.0), strict=True):
        folder.mkdir()
        write_sweep(folder, skills=(skill, skill, skill, skill + 2), compare=None)
        write_report(folder)
    page, answers = write_side_by_side(folders, tmp_path / "both")
    text = text_of(tmp_path / "both")
    for folder, said in zip(folders, answers, strict=True):
        answer = text_of(folder).splitlines()[0].removeprefix("# ")
        assert answer in text
        assert said.replace(MINUS, "-") == f"{folder.name} (simulated): {answer}"
    assert (tmp_path / "both/pictures/forest_2.pdf").is_file()
    assert page.name == "report.html"


def test_a_sweep_of_one_variant_ends_with_its_metrics(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path / str(seed), seed=seed)
    answer = " ".join(write_report(tmp_path).answers)
    mean = np.mean([auroc_of(tmp_path / str(seed)) for seed in (0, 1)])
    assert f"One variant, nothing to compare: AUROC {mean:.3f} [" in answer


@pytest.mark.slow
def test_a_diverging_variant_does_not_flatten_the_curves_of_the_others(tmp_path):
    write_run(tmp_path / "a", config={"lr": 1e-5})
    write_run(tmp_path / "b", config={"lr": 1e-3}, skill=4)
    rows = list(csv.DictReader((tmp_path / "b" / "history.csv").open()))
    for row in rows[-3:]:
        row["val_loss"] = str(float(row["val_loss"]) * 1000)
    write_csv(tmp_path / "b" / "history.csv", rows)
    write_report(tmp_path)
    pixels = np.asarray(Image.open(tmp_path / "pictures" / "curves.png").convert("RGB")).astype(int)
    height, width, _ = pixels.shape
    of_losses = pixels[: height // 2, width // 2 :]  # the validation loss is above, on the right
    first = np.abs(of_losses - (0x00, 0x72, 0xB2)).max(axis=2) < 12
    seen = np.flatnonzero(first.any(axis=1))
    assert np.ptp(seen) > height / 20  # of a scale of thousands nothing would be left but a line


@pytest.mark.slow
def test_convergence_of_an_own_metric_is_read_off_its_column(tmp_path):
    names = write_sweep(tmp_path, reach=[{"metric": "val_my_score", "value": 0.5}])
    for path in tmp_path.glob("*/history.csv"):
        rows = list(csv.DictReader(path.open()))
        write_csv(path, [row | {"val_my_score": int(row["epoch"]) / EPOCHS} for row in rows])
    write_report(tmp_path)
    text = text_of(tmp_path)
    assert "Epochs to reach validation my score 0.500" in text
    assert row_of(text, "## Convergence", names[0])[1] == f"{EPOCHS // 2} ({EPOCHS // 2})"
