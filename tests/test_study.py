"""The study: its claims are about what its experiments compare, verdicts are right where the truth is known, runs that
tasks share are trained once with the numbers that they would have alone, and the page follows from the folders."""

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from conftest import SCRIPT, SWEEP
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from sweeping import eventually, histories, states
from test_sweep_report import write_run, write_sweep

from medcls.composition.run_name import register_resolvers
from medcls.config.schema import ClaimConfig, check_sweep
from medcls.errors import UserError
from medcls.study.claims import judge_claim
from medcls.study.page import Found, write_page
from medcls.study.page import command as command_on_page
from medcls.study.plan_file import planned
from medcls.study.schema import TASKS, StudyConfig
from medcls.study.tasks import plan_tasks
from medcls.sweep_report.design import read_sweep
from medcls.sweep_report.verdicts import judge

CONF = SCRIPT.parent / "conf"
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
# Two tasks of the study on images so small that a run takes seconds.
SMALL = [
    *("image_size=32", "model.n_base=2", "batch_size=4", "trainer.accelerator=cpu", "trainer.threads=1"),
    *("logger=none", "logger.pictures=false", "data.simulated.counts.train=[6,6]", "data.simulated.counts.val=[8,8]"),
]
FIVE = ["study.tasks=[5c,5d]", "study.folder=study", "seed=0,1", *SMALL, "epochs=3", 'study.also.task5d=["epochs=5"]']


def test_the_tasks_of_the_study_are_all_experiments():
    assert {words[0] for words in TASKS.values()} == {f"experiment={name}" for name in EXPERIMENTS}


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ({"direction": "higher", "of": ["a"]}, "two names in of"),
        ({"direction": "reached", "of": ["a"], "curve": "val_loss"}, "direction=reached"),
        ({"direction": "rises", "of": ["a"], "value": 0.5}, "direction=rises"),
        ({"direction": "sooner", "of": ["a", "b"], "curve": "loss_gap"}, "a column of history.csv"),
        ({"direction": "higher", "of": ["a", "b"], "curve": "val_los"}, "val_los"),
    ],
)
def test_a_claim_that_cannot_be_judged_is_refused(claim, message):
    empty = {"question": None, "grid": {}, "variants": {}, "compare": None, "reach": []}
    with pytest.raises(UserError, match=f"sweep.claims.*{message}"):
        check_sweep(OmegaConf.create({**empty, "claims": [{"said": "so", **claim}]}))


def verdict(folder, direction, *of, curve=None, value=None):
    sweep = read_sweep(folder)
    claim = ClaimConfig(said="so", direction=direction, of=list(of), curve=curve, value=value)
    return judge_claim(claim, sweep, judge(sweep)).word


@pytest.mark.slow
def test_claimed_differences_are_judged_by_what_is_shown(tmp_path):
    bad, _, good, alike = write_sweep(tmp_path)  # tested: bad vs. good, which differ much, and good vs. alike
    assert verdict(tmp_path, "higher", bad, good) == "held"
    assert verdict(tmp_path, "higher", good, bad) == "not held"
    assert verdict(tmp_path, "lower", good, bad) == "held"
    assert verdict(tmp_path, "no higher", bad, good) == "not held"
    assert verdict(tmp_path, "no higher", good, bad) == "held"
    assert verdict(tmp_path, "higher", good, alike) == "not shown"
    assert verdict(tmp_path, "higher", bad, alike) == "not judgeable"  # none of the tests


def test_equivalence_within_a_margin_refutes_a_claimed_difference(tmp_path):
    _, _, good, alike = write_sweep(tmp_path, margin=0.3)
    assert verdict(tmp_path, "higher", good, alike) == "not held"
    assert verdict(tmp_path, "no higher", good, alike) == "held"


def test_nothing_is_judged_by_one_seed(tmp_path):
    bad, _, good, _ = write_sweep(tmp_path, seeds=(0,))
    assert verdict(tmp_path, "higher", bad, good) == "not judgeable"
    assert verdict(tmp_path, "rises", good) == "not judgeable"


@pytest.mark.slow
def test_two_variants_are_compared_by_the_seeds_that_both_have_finished(tmp_path):
    bad, _, good, _ = write_sweep(tmp_path, seeds=(0, 1, 2, 3))
    curve = {"curve": "train_accuracy"}
    assert verdict(tmp_path, "higher", bad, good, **curve) == verdict(tmp_path, "sooner", bad, good, **curve) == "held"
    for lost in ("3-n-base-8_seed-0", "3-n-base-8_seed-1", "5-n-base-8_seed-3"):
        shutil.rmtree(tmp_path / f"lr-1e-{lost}")
    assert verdict(tmp_path, "higher", bad, good, **curve) == "not judgeable"  # of two and three seeds one in common
    assert verdict(tmp_path, "sooner", bad, good, **curve) == "not judgeable"
    assert verdict(tmp_path, "higher", bad, good, **curve, value=0.1) == "held"  # each for itself


def test_folds_of_one_seed_are_one_seed(tmp_path):
    for fold in range(3):
        write_run(tmp_path / f"lr-1e-3_fold-{fold}", fold=fold)
    (variant,) = read_sweep(tmp_path).variants
    assert verdict(tmp_path, "rises", variant) == "not judgeable"


def test_loss_that_is_no_number_does_not_stay_at_its_minimum(tmp_path):
    for seed in range(2):
        write_run(tmp_path / f"seed-{seed}", seed=seed, rises=False)
    (variant,) = read_sweep(tmp_path).variants
    assert verdict(tmp_path, "stays", variant) == "held"
    file = tmp_path / "seed-1/history.csv"
    *rows, last = file.read_text().splitlines()
    loss = rows[0].split(",").index("val_loss")
    file.write_text("\n".join([*rows, ",".join("nan" if i == loss else x for i, x in enumerate(last.split(",")))]))
    assert verdict(tmp_path, "stays", variant) == "not judgeable"


@pytest.mark.slow
def test_claimed_curves_hold_where_all_seeds_agree(tmp_path):
    bad, _, good, alike = write_sweep(tmp_path)
    assert verdict(tmp_path, "rises", bad, good) == "held"
    assert verdict(tmp_path, "stays", bad, good) == "not held"
    one = next(tmp_path.glob("lr-1e-5-n-base-16_seed-0"))
    shutil.rmtree(one)
    write_run(one, seed=0, skill=3.2, rises=False)
    assert verdict(tmp_path, "rises", alike) == "not shown"
    assert verdict(tmp_path, "higher", bad, good, curve="train_accuracy") == "held"
    assert verdict(tmp_path, "lower", bad, good, curve="train_accuracy") == "not held"
    assert verdict(tmp_path, "higher", good, curve="train_accuracy", value=0.9) == "held"
    assert verdict(tmp_path, "higher", good, curve="train_accuracy", value=0.99) == "not held"
    assert verdict(tmp_path, "reached", good, curve="val_auroc", value=0.8) == "held"
    assert verdict(tmp_path, "reached", good, curve="val_auroc", value=0.9) == "not held"
    assert verdict(tmp_path, "sooner", bad, good, curve="train_accuracy") == "held"
    assert verdict(tmp_path, "sooner", good, bad, curve="train_accuracy", value=0.8) == "not held"
    assert verdict(tmp_path, "sooner", bad, good, curve="train_accuracy", value=0.999) == "not judgeable"
    assert verdict(tmp_path, "rises", "lr=1") == "not judgeable"


def write_study(folder):
    """A study of which one task was begun, with the claims of a sweep made by hand; returns its variants."""
    bad, other, good, _ = names = write_sweep(folder / "2")
    claims = [
        {"said": "good is better", "direction": "higher", "of": [bad, good]},
        {"said": "good is as good as | other", "direction": "higher", "of": [other, good]},
    ]
    runs = sorted((folder / "2").glob("*_seed-*"))
    jobs = [{"name": run.name, "epochs": 40, "shared": 0, "cost": "x"} for run in runs]
    data = {"bone": {"AFF": "atypical fracture", "NFF": "normal fracture"}}
    task = {"question": "Which?", "words": ["experiment=task2_bone", "epochs=40"], "data": data}
    begun = {**task, "claims": claims, "jobs": jobs}
    waits = {**task, "claims": claims[:1], "jobs": [{"name": "a", "epochs": 100, "shared": 40, "cost": "x"}]}
    unknown = {**task, "claims": claims[:1], "jobs": [{"name": "a", "epochs": 100, "shared": 0, "cost": "y"}]}
    (folder / "study.json").write_text(json.dumps({"tasks": {"2": begun, "1c": waits, "1e": unknown}}))
    return names


def test_page_gives_verdicts_and_what_is_missing_would_take(tmp_path):
    write_study(tmp_path)
    counts = write_page(tmp_path, tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    assert counts == "4 claims: 1 held, 1 not judgeable, 2 not run"
    assert "**SIMULATED DATA**" in text
    assert "| 2 | 12 of 12 | 1 |  |  | 1 | 240 |" in text
    rows = [line for line in text.splitlines() if line.startswith("| good is better")]
    assert [row.split("|")[-2].strip() for row in rows] == ["held", "not run", "not run"]
    assert r"as good as \| other" in text
    assert "1 run of 100 epochs, 1 of which begin with runs of other tasks: 60 epochs, about 0 min 30 s" in text
    assert "1 run of 100 epochs, 100 epochs; seconds unknown" in text
    write_page(tmp_path, tmp_path / "again.md")
    assert (tmp_path / "again.md").read_text() == text
    for number, run in enumerate(sorted((tmp_path / "2").glob("*_seed-*"))):
        (run / "data.json").write_text(json.dumps({"root": None, "fingerprint": "b" if number == 11 else "a"}))
    write_page(tmp_path, tmp_path / "again.md")
    assert "**The images changed between runs: 2/" in (tmp_path / "again.md").read_text()


def test_a_page_is_not_replaced_by_one_that_says_nothing(tmp_path):
    write_study(tmp_path)
    shutil.rmtree(tmp_path / "2")
    page = tmp_path / "page.md"
    page.write_text("what was found")
    with pytest.raises(UserError, match=r"no run of .* is finished"):
        write_page(tmp_path, page)
    assert page.read_text() == "what was found"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["study.skin=nowhere"], "study.skin: no folder nowhere"),
        (["data.root=here"], "data.root=here: decided by the study"),
        (["study.tasks=[5e]"], "study.tasks"),
        (["study.tasks=[5c]", "lr=-1"], "task 5c: lr: found -1"),
        (["report=nowhere"], "nowhere is not the folder of a study"),
        (["report=nowhere", "epochs=3"], "epochs=3: found with report=nowhere"),
    ],
)
def test_what_the_study_cannot_use_is_refused(command, words, message):
    refused = command("medcls", "study", *words)
    assert refused.status == 2
    assert message in refused.err
    assert not (refused.folder / "runs").exists()


def test_images_and_simulated_images_are_not_mixed(command, make_folder):
    root = make_folder("tokens", classes=("Mel", "Nev"))
    refused = command("medcls", "study", f"study.skin={root}", "study.tasks=[3]", "audit=none")
    assert refused.status == 2
    assert "found images of skin, none of bone, which would be simulated" in refused.err


@pytest.mark.slow
def test_runs_that_tasks_share_are_trained_once_with_the_numbers_of_runs_alone(command):
    result = command("medcls", "study", *FIVE)
    assert result.status == 0, result.err
    study = result.folder / "study"
    assert set(states(study / "5c").values()) == set(states(study / "5d").values()) == {"done"}
    shared = [json.loads(path.read_text()) for path in sorted((study / "5d").glob("*/shared.json"))]
    assert [(one["task"], one["epochs"]) for one in shared] == [("5c", 3)] * 4
    overrides = [word for word in FIVE if not word.startswith(("study.", "epochs="))]
    alone = command(SWEEP, "experiment=task5d_batch_norm_150_epochs", *overrides, "epochs=5", "hydra.sweep.dir=alone")
    assert alone.status == 0, alone.err
    assert histories(study / "5d") == histories(alone.folder / "alone")
    page = (study / "study.md").read_text()
    assert "4 of 4 runs are, or continue, those of task 5c" in page
    assert "4 runs: 8 epochs trained" in page
    again = command(SWEEP, "study", "report=study", "study.page=again.md")
    assert again.status == 0, again.err
    assert (again.folder / "again.md").read_text() == page


@pytest.mark.slow
def test_shorter_run_of_a_later_task_is_trained_first(command):
    words = ["study.tasks=[1c,1b]", "study.folder=study", "seed=0", *SMALL, "epochs=3"]
    result = command("medcls", "study", *words, 'study.also.task1b=["epochs=2","lr=1e-5,1e-6"]')
    assert result.status == 0, result.err
    assert set(states(result.folder / "study/1b").values()) == {"done"}
    (shared,) = (result.folder / "study/1c").glob("*vgg16*/shared.json")
    assert json.loads(shared.read_text())["task"] == "1b"
    assert not list((result.folder / "study/1b").glob("*/shared.json"))


@pytest.mark.slow
def test_run_of_a_later_task_that_is_finished_is_taken_over_whole(command):
    # The number of threads is left open, and was decided when the runs of the later task began.
    words = ["study.folder=study", "seed=0", *(word for word in SMALL if "threads" not in word), "epochs=2"]
    later = command("medcls", "study", "study.tasks=[1e]", *words)
    assert later.status == 0, later.err
    result = command("medcls", "study", "study.tasks=[1c]", *words)
    assert result.status == 0, result.err
    study = result.folder / "study"
    shared = [json.loads(path.read_text()) for path in sorted((study / "1c").glob("*/shared.json"))]
    assert [(one["task"], one["job"].partition("_")[0], one["epochs"]) for one in shared] == [
        ("1e", "alexnet", 2),
        ("1e", "vgg16", 2),
    ]
    assert histories(study / "1c").items() <= histories(study / "1e").items()


@pytest.mark.slow
def test_study_goes_on_from_its_packs_alone_and_loses_none_of_their_runs(command, make_folder, tmp_path, monkeypatch):
    images = ["audit.on_leak=drop", "data.split.val_fraction=0.5"]
    words = [*(word for word in FIVE if "simulated" not in word and "folder" not in word), *images]
    root = make_folder("tokens", classes=("Mel", "Nev"))
    monkeypatch.setenv("MEDCLS_SKIN", str(root))
    first = command("medcls", "study", *words, "study.tasks=[5c]", "study.folder=one", "study.packs=packs")
    assert first.status == 0, first.err
    work = first.folder
    packs, moved = work / "packs", tmp_path / "moved"
    assert sorted(path.name for path in packs.iterdir()) == ["5c.zip", "study.json"]
    assert not [path for path in packs.iterdir() if str(tmp_path).encode() in path.read_bytes()]
    before = {path.name: path.read_bytes() for path in packs.iterdir()}
    shutil.move(work / "one", work / "elsewhere")
    root.rename(moved)
    monkeypatch.setenv("MEDCLS_SKIN", str(moved))
    again = command("medcls", "study", *words, "study.tasks=[5c]", "study.folder=two", "study.packs=packs")
    assert again.status == 0, again.err
    assert not list((work / "two").rglob("*.ckpt"))  # nothing was trained
    assert {path.name: path.read_bytes() for path in packs.iterdir()} == before
    page = (work / "elsewhere/study.md").read_text()
    assert (work / "two/study.md").read_text() == page
    alone = command("medcls", "study", "report=packs", "study.page=page.md")
    assert (alone.status, (work / "page.md").read_text()) == (0, page), alone.err
    # What an epoch of other nets takes, and only the packs know, stays known; of tasks that were not begun the page
    # gives the command with the patients as they are named now.
    plan = json.loads((packs / "study.json").read_text())
    (packs / "study.json").write_text(json.dumps(plan | {"seconds": {**plan["seconds"], "other nets": 1.5}}))
    elsewhere = ["study.tasks=[5c]", "study.folder=elsewhere", "study.packs=packs"]
    known = command("medcls", "study", *words, *elsewhere, r"study.group_pattern.bone='_(\d+)[LR]'")
    assert known.status == 0, known.err
    plan = json.loads((packs / "study.json").read_text())
    assert plan["seconds"]["other nets"] == 1.5
    patients = {name: task["group_pattern"] for name, task in plan["tasks"].items()}
    of_bone = {"bone": r"_(\d+)[LR]"}
    assert [patients[name] for name in ("2", "3_folds", "5c", "5d")] == [of_bone, of_bone, {}, {}]
    # Without its nets a shorter run cannot be gone on from: the longer ones are trained from their first epoch.
    longer = command("medcls", "study", *words, "study.tasks=[5d]", "study.folder=two", "study.packs=packs")
    assert longer.status == 0, longer.err
    assert not list((work / "two/5d").glob("*/shared.json"))
    assert len(histories(work / "two/5d")) == 4
    # Fewer epochs than are packed are another study, whose runs do not take the place of those.
    fewer = command(
        "medcls", "study", *words, "epochs=2", "study.tasks=[5c]", "study.folder=three", "study.packs=packs"
    )
    assert (fewer.status, "5c.zip: kept as it is" in fewer.err) == (2, True), fewer.err
    assert (packs / "5c.zip").read_bytes() == before["5c.zip"]
    wider = command(
        "medcls", "study", *words, "model.n_base=4", "study.tasks=[5c]", "study.folder=wider", "study.packs=packs"
    )
    assert (wider.status, "another folder: study.folder=<folder>" in wider.err) == (2, True), wider.err
    # Runs that were judged anew are packed anew.
    metrics = next((work / "elsewhere/5c").glob("*/metrics.json"))
    metrics.write_text(re.sub(r'"(high|low)": (0\.\d+)', r'"\1": 0.5', metrics.read_text(), count=1))
    judged = command("medcls", "study", *words, *elsewhere)
    assert judged.status == 0, judged.err
    with ZipFile(packs / "5c.zip") as pack:
        assert pack.read(f"runs/5c/{metrics.parent.name}/metrics.json") == metrics.read_bytes()
    (packs / "notes.zip").write_bytes(b"")
    strange = command("medcls", "study", "report=packs", "study.page=page.md")
    assert (strange.status, "notes.zip: not the pack of a task" in strange.err) == (2, True), strange.err


@pytest.mark.slow
def test_page_of_the_study_in_docs_follows_from_its_packs_and_every_number_in_them_is_the_same_again(command):
    docs = SCRIPT.parent / "docs"
    told = command("medcls", "study", f"report={docs / 'study'}", "study.page=study.md")
    assert told.status == 0, told.err
    assert (told.folder / "study.md").read_text() == (docs / "study.md").read_text()
    packs = sorted((docs / "study").glob("*.zip"))
    assert packs
    for pack in packs:
        assert command("medcls", "verify", str(pack)).status == 0, pack


@pytest.mark.slow
def test_killed_study_goes_on_where_it_was(command, tmp_path):
    whole = command("medcls", "study", *FIVE)
    assert whole.status == 0, whole.err
    words = [*(word.replace("folder=study", f"folder={tmp_path}/killed") for word in FIVE), "study.packs=packs"]

    def ended(status):
        return '"done"' in status.read_text() and len((status.parent / "history.csv").read_text().splitlines()) == 6

    def signalled(number, when):
        process = subprocess.Popen([sys.executable, str(SWEEP), "study", *words], cwd=tmp_path, stderr=subprocess.PIPE)
        eventually(when)
        process.send_signal(number)
        process.communicate()
        assert process.returncode != 0

    signalled(signal.SIGKILL, lambda: list((tmp_path / "killed/5c").glob("*/history.csv")))
    signalled(signal.SIGTERM, lambda: [path for path in (tmp_path / "killed/5d").glob("*/status.json") if ended(path)])
    with ZipFile(tmp_path / "packs/5d.zip") as pack:  # of what the stopped task had finished
        packed = [json.loads(pack.read(name))["state"] for name in pack.namelist() if name.endswith("/status.json")]
        table = pack.read("runs/5d/results.csv").decode().splitlines()[1:]
    assert len(table) == 4
    assert sum(",done," in row for row in table) == packed.count("done")
    assert command("medcls", "verify", str(tmp_path / "packs/5d.zip")).status == 0
    assert sorted(packed) == sorted(states(tmp_path / "killed/5d").values())
    done = command("medcls", "study", *words)
    assert done.status == 0, done.err
    for task in ("5c", "5d"):
        assert histories(tmp_path / "killed" / task) == histories(whole.folder / "study" / task)
    seconds = re.compile(r"[\d,.]+ s\b|\(\d+ min \d+ s\)|\| \d+ \| Linux")
    pages = [(folder / "study.md").read_text() for folder in (tmp_path / "killed", whole.folder / "study")]
    assert seconds.sub("", pages[0]) == seconds.sub("", pages[1])
    assert Path(tmp_path / "killed/5c/report.html").exists()


def test_classes_and_patients_of_one_data_set_are_its_alone_whatever_a_sweep_compares():
    none, pattern = {"skin": None, "xray": None}, r"_(\d+)[LR]\.jpg"
    register_resolvers()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        own = OmegaConf.to_container(compose("study").study)
        other = {"bone": {"OA": "osteoarthritis", "NO": "normal"}}
        config = StudyConfig.model_validate(
            {**own, "tasks": ["3"], "classes": {**none, **other}, "group_pattern": {**none, "bone": pattern}}
        )
        (task,) = plan_tasks(config, ["seed=0"]).values()
    found = {config.data.name: (config.data.classes, config.data.positive) for config in task.configs.values()}
    assert found["bone"] == (other["bone"], "osteoarthritis")
    assert found["skin"] == ({"Mel": "melanoma", "Nev": "nevus"}, "melanoma")
    patients = {config.data.name: config.data.group_pattern for config in task.configs.values()}
    assert patients == {"skin": None, "bone": pattern}
    # The command on the page says both, as they are typed.
    line = command_on_page(Found("3", planned({"3": task}, task), None, None, {}))
    words = [word for word in shlex.split(line) if word.startswith(("study.classes", "study.group_pattern"))]
    parsed = {one.key_or_group: one.value() for one in OverridesParser.create().parse_overrides(words)}
    assert parsed == {"study.classes.bone": other["bone"], "study.group_pattern.bone": pattern}


@pytest.mark.slow
def test_runs_that_claims_are_about_can_be_run_alone():
    register_resolvers()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = StudyConfig.model_validate({**OmegaConf.to_container(compose("study").study), "tasks": ["4", "2"]})
        tasks = plan_tasks(config, [])
    assert len(tasks["4"].claimed) == 6
    corner = {(c.model.n_base, c.lr, c.batch_size) for c in map(tasks["4"].configs.__getitem__, tasks["4"].claimed)}
    assert corner == {(16, 1e-5, 8)}
    assert len(tasks["2"].claimed) == 18  # some of its claims are about a setting, over all others


def test_what_a_run_would_take_is_known_from_epochs_measured_elsewhere(tmp_path):
    write_study(tmp_path)
    content = json.loads((tmp_path / "study.json").read_text())
    (tmp_path / "study.json").write_text(json.dumps(content | {"seconds": {"y": 7.2}}))
    write_page(tmp_path, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "1 run of 100 epochs, 100 epochs, about 12 min 00 s one after another" in page
    assert "seconds unknown" not in page
