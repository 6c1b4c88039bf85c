"""README, docs/ and the help say what is true of the code: every command and setting is accepted, every name exists,
and the table of choices is that of the registries."""

import re
import shlex
from functools import cache
from importlib import import_module
from importlib.metadata import metadata
from pathlib import Path

import pytest
from conftest import SCRIPT
from hydra import initialize_config_dir
from markdown_it import MarkdownIt

from medcls.cli import COMMANDS as NAMES
from medcls.cli import module_of
from medcls.cli.of_runs import overrides_of as overrides_with_runs
from medcls.cli.preview import names_image
from medcls.cli.verify import overrides_with_file
from medcls.cli.words import take_apart
from medcls.composition.compose import composed, prepare_hydra
from medcls.conf_folder import CONF
from medcls.config import check_config
from medcls.config.parts import LOGGERS, PARTS, choices
from medcls.config.schema import check_against
from medcls.evaluation.metrics import METRICS
from medcls.explain.schema import ConfigWithExplain
from medcls.explain.schema import check_keys as check_explain_keys
from medcls.export.schema import ConfigWithExport
from medcls.export.schema import check_keys as check_export_keys
from medcls.pack.schema import ConfigWithPack, ConfigWithVerify, check_pack_keys, check_verify_keys
from medcls.predict.schema import OWN, ConfigWithPredict, check_keys
from medcls.preview.schema import ConfigWithPreview
from medcls.robustness.schema import ConfigWithRobustness
from medcls.robustness.schema import check_keys as check_robustness_keys
from medcls.sheet.schema import ConfigWithSheet
from medcls.sheet.schema import check_keys as check_sheet_keys
from medcls.study.schema import ConfigWithStudy
from medcls.study.tasks import words_of
from medcls.sweep.launch_settings import EXTRAS
from medcls.sweep.plan import plan_sweep
from medcls.worst.schema import ConfigWithErrors
from medcls.worst.schema import check_keys as check_errors_keys

ROOT = SCRIPT.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(
    r"(?:python (train|sweep)\.py(?! study)|python sweep\.py (study)|python -m medcls\.(audit|predict|preview)"
    r"|medcls (train|sweep|study|audit|predict|baseline|preview|report"
    r"|explain|robustness|errors|export|sheet|pack|verify)"
    r")"
    r" +([^#\n]+?) *(?:  \(.*)?$"
)
OF_RUNS = {  # the schema of a command, which of its keys it takes, and keys that the documentation names alone
    "predict": (ConfigWithPredict, check_keys, OWN),
    "baseline": (ConfigWithPredict, check_keys, ()),
    "explain": (ConfigWithExplain, check_explain_keys, ("explain.retrain",)),
    "robustness": (ConfigWithRobustness, check_robustness_keys, ()),
    "errors": (ConfigWithErrors, check_errors_keys, ()),
    "export": (ConfigWithExport, check_export_keys, ("format",)),
    "sheet": (ConfigWithSheet, check_sheet_keys, ("external", "maps")),
    "pack": (ConfigWithPack, check_pack_keys, ("keep", "images", "nets")),
    "verify": (ConfigWithVerify, check_verify_keys, ("within",)),
}
SETTING = re.compile(r"['\"]?[+~]{0,2}[a-z_]+([./][a-z_]\w*)*=\S")
FILE = re.compile(r"(?<![\w/])(medcls|conf|tests|benchmarks|examples|docs)/[\w./-]*\w")


@cache
def tokens(page):
    """Tokens of a page of Markdown, those within paragraphs and tables among them."""
    return [
        one
        for token in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
        for one in (token, *(token.children or []))
    ]


def code(page):
    """Every line of code and every piece of code in the text."""
    blocks = [token.content for token in tokens(page) if token.type in ("fence", "code_block")]
    spans = [token.content.replace("\n", " ") for token in tokens(page) if token.type == "code_inline"]
    return [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()] + spans


def filled(words):
    """A command with something in place of what the reader is to fill in; empty where it is but its outline."""
    return "" if "..." in words or "key=value" in words or "key=" in words else re.sub(r"<\w+>", "x", words)


def commands():
    """Every command of the documentation, the examples, the comments of conf/ and the help: its name and its words.

    All but those of conf/experiment/, of which tests/test_sweep.py plans every one.
    """
    texts = [
        *(ROOT / "examples").glob("*.py"),
        *(file for file in CONF.rglob("*.yaml") if "experiment" not in file.parts),
    ]
    lines = [line for page in PAGES for line in code(page)]
    lines += [line for text in texts for line in text.read_text(encoding="utf-8").splitlines()]
    found = [(one[1] or one[2] or one[3] or one[4], one[5].strip()) for one in map(COMMAND.search, lines) if one]
    found += [(name, words) for name in NAMES if name != "completion" for words, _ in module_of(name).PAGE.examples]
    return sorted({(name, filled(words)) for name, words in found if filled(words)})


COMMANDS = commands()
SETTINGS = sorted(
    {filled(one) for page in PAGES for one in code(page) if SETTING.match(one) and not one.startswith("hydra")} - {""}
)

README = {filled(line) for line in code(PAGES[0])}


def quick_of_the_readme(cases):
    """Those whose last value is in the README; all others are slow."""
    return [
        pytest.param(*case, marks=[] if any(case[-1] in line for line in README) else [pytest.mark.slow])
        for case in cases
    ]


@pytest.fixture
def among_the_examples(monkeypatch):
    """The working folder of a reader who tries the examples, with their modules and their conf/."""
    monkeypatch.chdir(ROOT / "examples")
    monkeypatch.syspath_prepend(str(ROOT / "examples"))


def check_jobs(overrides):
    """Every job of overrides, of which some may be comma-separated, with one seed; what launches them is left out."""
    kept = [word for word in overrides if not word.startswith(("hydra/", "hydra.", "seed="))]
    if any(word.startswith("experiment=") for word in kept):
        check_config(composed("test", kept))
        return
    prepare_hydra()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        assert plan_sweep(kept).jobs


def check_of_runs(command, words):
    """The words of a command on runs; keys may stand alone."""
    if command == "verify":
        overrides = overrides_with_file(words if "=" not in words[0] else ["x.zip", *words])
    else:
        overrides = overrides_with_runs(words if any(word.startswith("run=") for word in words) else ["run=x", *words])
    schema, check_keys_of, _ = OF_RUNS[command]
    check_keys_of(overrides)
    config_name = "predict" if command == "baseline" else command
    check_against(schema, composed("test", overrides, config_name, schema))


def check_study(words):
    """Keys of the study's own."""
    check_against(ConfigWithStudy, composed("test", words, "study", ConfigWithStudy))


@pytest.mark.slow
@pytest.mark.usefixtures("among_the_examples")
@pytest.mark.parametrize(("command", "words"), quick_of_the_readme(COMMANDS), ids=map(" ".join, COMMANDS))
def test_command_of_the_documentation_is_accepted(command, words):
    page = module_of(command).PAGE
    given = take_apart(shlex.split(words), page, command)
    if given is None:  # --help
        return
    if command == "sweep" and given.others[0].startswith("report="):
        command = "report"
    if command == "report":
        folders = [word for word in given.others if not word.startswith("columns=")]
        assert len(folders) == 1
        check_config(composed("test", [word for word in given.others if word not in folders]))
    elif command == "sweep" or "multirun" in given.options:
        check_jobs(given.others)
    elif command == "study":
        check_study([word for word in given.others if word.startswith("study.")])
        check_jobs(words_of("5a", [word for word in given.others if not word.startswith(("study.", "report="))], ()))
    elif command in OF_RUNS:
        check_of_runs(command, given.others)
    elif command == "preview":
        overrides = [word for word in given.others if not names_image(word)]
        check_against(ConfigWithPreview, composed("test", overrides, "preview", ConfigWithPreview))
    else:
        check_config(composed("test", given.others))


@pytest.mark.slow
@pytest.mark.usefixtures("among_the_examples")
@pytest.mark.parametrize("setting", quick_of_the_readme([(one,) for one in SETTINGS]), ids=SETTINGS)
def test_setting_of_the_documentation_is_accepted(setting):
    words = shlex.split(setting)
    key = words[0].partition("=")[0]
    commands = [command for command, (_, _, alone) in OF_RUNS.items() if key in alone]
    if commands:
        check_of_runs(commands[0], words)
    elif key.startswith("study."):
        check_study(words)
    else:
        check_jobs(words)


def rows_of_choices():
    """Key of each row of the README's table of choices -> its last column."""
    table = re.search(r"^\| part \| key \| choices \|\n\|[-|]+\n((?:\|.*\n)+)", PAGES[0].read_text(), re.MULTILINE)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]
    return {key.strip("`"): listed for _, key, listed in rows}


@pytest.mark.parametrize("group", [*PARTS, "data", "augment"])
def test_readme_lists_the_choices_of_a_part(group):
    known = set(choices(group)) if group in PARTS else {path.stem for path in (CONF / group).glob("*.yaml")} - {"base"}
    assert set(re.findall(r"`(\w+)`", rows_of_choices()[group])) == known


def test_readme_lists_the_loggers_and_the_metrics():
    rows = rows_of_choices()
    assert set(re.findall(r"`(\w+)`", rows["loggers"])) == set(LOGGERS)
    assert rows["always computed"].split(", ") == [metric.title for metric in METRICS.values()]


def test_launchers_are_listed_with_their_extras():
    rows = re.findall(
        r"^\| `hydra/launcher=(\w+)` \|.*\| `(\w+)` \|$", (ROOT / "docs/launchers.md").read_text(), re.MULTILINE
    )
    assert dict(rows) == EXTRAS


def test_design_lists_the_layers_of_the_import_contract():
    contract = re.search(r"^layers = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)
    layers = [set(re.findall(r"\w+", layer)) for layer in re.findall(r'"(.*)"', contract[1])]
    table = re.search(r"^\| layer .*\n\|[-|]+\n((?:\|.*\n)+)", (ROOT / "docs/design.md").read_text(), re.MULTILINE)
    listed = [set(re.findall(r"`(\w+)`", line.split("|")[1])) for line in table[1].splitlines()]
    assert listed[::-1] == layers


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = [token.attrs["href"] for token in tokens(page) if token.type == "link_open"]
    links += [token.attrs["src"] for token in tokens(page) if token.type == "image"]
    for link in links:
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def anchors(page):
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_and_names_of_the_code_exist(page):
    for one in code(page):
        for found in FILE.finditer(one):
            mine = Path(found[0]).stem == "mine"  # of the reader's, to be
            assert mine or (ROOT / found[0]).exists(), found[0]
        for dotted in re.findall(r"(?<![\w.])medcls(?:\.\w+)+", one):
            resolve(dotted)


def resolve(dotted):
    """Import what a dotted path names."""
    parts = dotted.split(".")
    found = import_module(parts[0])
    for position, part in enumerate(parts[1:], start=2):
        if not hasattr(found, part):
            import_module(".".join(parts[:position]))
        found = getattr(found, part)


def test_readme_lists_every_extra_and_every_page():
    text = (ROOT / "README.md").read_text()
    rows = re.findall(r"^\| (`[a-z`, ]+) \|", text[text.index("| extra | for |") :], re.MULTILINE)
    assert {word for row in rows for word in re.findall(r"[a-z]+", row)} == set(
        metadata("medcls").get_all("Provides-Extra")
    )
    assert {page.name for page in PAGES[1:]} <= set(re.findall(r"\w+\.md", text))
