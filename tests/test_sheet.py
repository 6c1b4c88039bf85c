"""medcls sheet: checklists filled from a run's own files and from nothing else, and a model card that parses."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
import yaml
from conftest import TINY, write_noise
from markdown_it import MarkdownIt
from test_old_runs import OLD

CLAIM = [str(number) for number in range(1, 45)]
# TRIPOD+AI, Collins et al., BMJ 2024, 385:e078378: 27 items, 52 with their parts.
PARTS = {3: "abc", 5: "ab", 6: "abc", 8: "abc", 9: "abc", 12: "abcdefg", 18: "abcdef", 20: "abc", 23: "ab", 27: "abc"}
TRIPOD = [f"{number}{part}" for number in range(1, 28) for part in PARTS.get(number, [""])]
MARKUP = "<b>a_*b*"


@pytest.fixture(scope="module")
def own_run(tmp_path_factory):
    """Images listed in a manifest, which has patients, their sex, and a class whose name is markup."""
    folder = tmp_path_factory.mktemp("images")
    write_noise(folder, {"0": 90, "1": 150}, 24, seed=0)
    rows = [
        {"path": f"{k}/{i}.png", "label": name, "split": split, "group": f"p{k}{i}", "sex": "fm"[i % 2]}
        for k, name in enumerate((MARKUP, "c"))
        for i in range(24)
        for split in [("train", "val", "test")[i // 8]]
    ]
    with (folder / "list.csv").open("w", newline="") as text:
        writer = csv.DictWriter(text, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


def items_of(text):
    """Checklist -> number -> (state as the overview has it, what the files say, their names), read as Markdown."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    tables, row = [], []
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "table_open":
            tables.append([])
        elif token.type in ("td_open", "th_open"):
            row.append("".join(one.content for one in after.children))
        elif token.type == "tr_close":
            tables[-1].append(row)
            row = []
    overview, *lists = tables
    found = {}
    for (name, *cells), rows in zip(overview[1:], lists, strict=True):
        states = {}
        for state, cell in zip(overview[0][1:], cells, strict=True):
            numbers = cell.partition(": ")[2].split(", ") if ": " in cell else []
            assert cell.startswith(f"{len(numbers)} {state}")
            states |= dict.fromkeys(numbers, state)
        numbers = [first.split()[0] for first, *_ in rows[1:]]
        assert sorted(numbers) == sorted(states)
        found[name] = {number: (states[number], *rest) for number, (_, *rest) in zip(numbers, rows[1:], strict=True)}
    return found


def card_of(text):
    return yaml.safe_load(text.split("---\n")[1])


def interval(found):
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def test_sheet_says_what_the_files_of_the_run_say(own_run, train, command):
    words = [*TINY, "data=folder", f"data.root={own_run}", f"data.manifest={own_run}/list.csv", "logger=none"]
    run = train(
        *words, "lr=3e-3", "threshold.value=0.4", "augment=medical", "trainer.patience=7", "audit.search=quick"
    ).folder
    done = command("medcls", "sheet", f"run={run}", "output=sheet")
    assert done.status == 0, done.err
    text = (done.folder / "sheet/sheet.md").read_text()
    items = items_of(text)
    assert [list(one) for one in items.values()] == [CLAIM, TRIPOD]
    claim, tripod = items.values()
    states = [state for state, *_ in claim.values()]
    assert states.count("filled") == 24  # the 23 of every run with test images, and 36
    assert f"CLAIM 24 of 44, TRIPOD+AI {[state for state, *_ in tripod.values()].count('filled')} of 52" in text
    assert {number for number, one in claim.items() if one[0] == "not recorded"} == {"30", "31", "33"}
    for state, said, files in (*claim.values(), *tripod.values()):
        assert (state == "filled") <= bool(files)
        assert all((run / name).is_file() for name in filter(None, files.split(", "))), files
        assert said.startswith("Yours to write") == (state == "yours to write")

    metrics, environment = (json.loads((run / f"{name}.json").read_text()) for name in ("metrics", "environment"))
    for number in ("37", "23a"):
        assert all(interval(metrics["test"][name]) in {**claim, **tripod}[number][1] for name in ("auroc", "accuracy"))
    assert f"{metrics['parameters']:,} parameters" in claim["22"][1]
    assert all(f"{name} {version}" in claim["23"][1] for name, version in environment["packages"].items())
    assert environment["git"]["commit"] in claim["42"][1]
    assert "adam" in claim["25"][1]
    assert "batches of 4; 2 of at most 2 epochs, early stopping after 7" in claim["25"][1]
    assert "HorizontalFlip" in claim["25"][1]
    at_threshold = json.loads((run / "decision.json").read_text())["at_threshold"]["test"]
    assert all(interval(at_threshold[name]) in claim["38"][1] for name in ("accuracy", "sensitivity", "specificity"))
    rows = [row for row in csv.DictReader((run / "predictions.csv").open()) if row["split"] == "test"]
    wrong = sum((float(row["p_c"]) >= 0.4) != (row["label"] == "c") for row in rows)
    assert f"{wrong} of {len(rows)} test images are decided wrongly" in claim["39"][1]
    assert "test images: 16 (8 <b>a_*b*, 8 c)" in claim["35"][1]
    assert f"8 {MARKUP}, 8 c" in claim["35"][1]
    assert "test images: sex f 8, m 8" in claim["36"][1]
    assert "0 patients in several splits" in claim["20"][1]

    page = (done.folder / "sheet/sheet.html").read_text()
    assert MARKUP not in page
    assert "&lt;b&gt;a_*b*" in page
    card = (done.folder / "sheet/model_card.md").read_text()
    for content in (text, page, card):
        assert str(run.parent) not in content
        assert str(own_run) not in content
    (model,) = card_of(card)["model-index"]
    (result,) = model["results"]
    assert (result["task"]["type"], result["dataset"]["split"]) == ("image-classification", "test images")
    values = {one["type"]: one["value"] for one in result["metrics"]}
    assert values["roc_auc"] == metrics["test"]["auroc"]["value"]
    assert list(values) == card_of(card)["metrics"]
    assert "license" not in card_of(card)
    assert ".png" not in card

    again = command("medcls", "sheet", f"run={run}", "output=sheet")
    assert (again.status, "holds files already" in again.err) == (2, True)


def test_old_run_is_filled_where_its_files_say_so_and_nowhere_else(command, tmp_path):
    folder = shutil.copytree(OLD / "finished", tmp_path / "finished")
    content = json.loads((folder / "metrics.json").read_text())
    content["best"]["val"]["auroc"] = content["best"]["val"]["auroc"]["value"]  # as before there were intervals
    (folder / "metrics.json").write_text(json.dumps(content))
    done = command("medcls", "sheet", f"run={folder}", "output=sheet")
    assert done.status == 0, done.err
    text = (done.folder / "sheet/sheet.md").read_text()
    claim, tripod = items_of(text).values()
    missing = {number for number, one in claim.items() if one[0] == "not recorded"}
    assert missing == {"8", "10", "20", "29", "30", "31", "33", "36", "37"}
    assert tripod["7"][0] == tripod["23a"][0] == "not recorded"  # no audit; no intervals
    assert claim["25"][0] == "filled"
    assert "SIMULATED" in text
    card = card_of((done.folder / "sheet/model_card.md").read_text())
    assert "simulated-data" in card["tags"]
    assert card["model-index"][0]["results"][0]["dataset"]["name"].startswith("SIMULATED")


def test_unfinished_run_and_folders_of_other_nets_are_refused(command, tmp_path):
    killed = command("medcls", "sheet", f"run={OLD / 'killed'}")
    assert (killed.status, "is not finished" in killed.err, "Resume it" in killed.err) == (2, True, True)
    nothing = command("medcls", "sheet", f"run={tmp_path}")
    assert (nothing.status, "not the folder of a run or a sweep" in nothing.err) == (2, True)
    other = tmp_path / "ext"
    other.mkdir()
    for name, content in {
        "predict": {"nets": ["0" * 64]},
        "metrics": {"notice": None, "data": "x", "external": {}},
        "summary": {"images": 1, "judged": 1, "unreadable": {}, "out_of_range": {}},
    }.items():
        (other / f"{name}.json").write_text(json.dumps(content))
    done = command("medcls", "sheet", f"run={OLD / 'finished'}", f"external=[{other}]", "output=sheet")
    assert (done.status, "external: " in done.err, "other nets" in done.err) == (2, True, True), done.err
    assert list(done.folder.iterdir()) == []
    done = command("medcls", "sheet", f"run={OLD / 'finished'}", "lr=1")
    assert (done.status, "lr: not for sheet" in done.err) == (2, True)


@pytest.mark.slow
def test_sweep_is_filled_with_what_its_report_says(command, sweep, make_folder):
    root = make_folder(counts={"train": 8, "val": 6, "test": 6})
    words = [*TINY, "data=folder", f"data.root={root}", "logger=none", "lr=1e-3,1e-2", "seed=0,1"]
    folder = sweep(*words, "sweep.question='Which lr?'").folder
    done = command("medcls", "sheet", f"run={folder}", "output=sheet")
    assert done.status == 0, done.err
    claim, _ = items_of((done.folder / "sheet/sheet.md").read_text()).values()
    assert claim["4"][0] == "filled"
    assert "Which lr?" in claim["4"][1]
    assert "learning rate 0.01" in claim["25"][1]
    assert "learning rate 0.001" in claim["25"][1]
    assert claim["9"][2] == "*/data.json, */config.yaml"
    report = (folder / "report.md").read_text()
    values = re.search(r"^\| lr=0.01 \| ([\d.]+)", report, re.MULTILINE)[1]
    assert f"lr=0.01 {values}" in claim["37"][1]
    found = card_of((done.folder / "sheet/model_card.md").read_text())["model-index"][0]["results"]
    metrics = [json.loads(file.read_text()) for file in sorted(folder.glob("*/metrics.json"))]
    assert sorted(
        one["value"] for result in found for one in result["metrics"] if one["type"] == "roc_auc"
    ) == pytest.approx(sorted(one["test"]["auroc"]["value"] for one in metrics))


@pytest.mark.slow
def test_external_images_and_maps_of_the_net_are_in_its_sheet(command, train, make_folder, tmp_path):
    root = make_folder(counts={"train": 12, "val": 8, "test": 8})
    elsewhere = write_noise(tmp_path / "elsewhere", {"a": 80, "b": 170}, 8, seed=7)
    run = train(*TINY, "data=folder", f"data.root={root}", "logger=none", "lr=3e-3").folder
    assert command("medcls", "predict", f"run={run}", f"data.root={elsewhere}", "output=ext").status == 0
    assert command("medcls", "explain", f"run={run}", "output=maps", "explain.images=3").status == 0
    assert command("medcls", "robustness", f"run={run}", "output=edited", "robustness.jpeg=[]").status == 0
    folders = ["external=[ext]", "maps=maps", "robustness=edited"]
    done = command("medcls", "sheet", f"run={run}", *folders, "output=sheet")
    assert done.status == 0, done.err
    claim, tripod = items_of((done.folder / "sheet/sheet.md").read_text()).values()
    external = json.loads((done.folder / "ext/metrics.json").read_text())["external"]
    assert interval(external["auroc"]) in claim["33"][1]
    assert claim["33"][2] == "ext/metrics.json"
    assert "3 images" in claim["31"][1]
    assert claim["31"][2] == "maps/explain.json"
    told = json.loads((done.folder / "edited/robustness.json").read_text())["answer"]
    assert (claim["30"][0], claim["30"][2]) == ("filled", "edited/robustness.json")
    assert told in claim["30"][1]
    assert tripod["16"][0] == "filled"
    results = card_of((done.folder / "sheet/model_card.md").read_text())["model-index"][0]["results"]
    found = {one["type"]: one["value"] for one in results[1]["metrics"]}
    assert np.isclose(found["roc_auc"], external["auroc"]["value"])
