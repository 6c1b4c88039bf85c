"""Names, splits and manifests of any kind: what is read is what was written, or it is refused."""

import csv
import io
import unicodedata

import pytest
from conftest import split_config
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from medcls.composition.compose import composed
from medcls.config.data import ColumnsConfig
from medcls.errors import UserError
from medcls.quoting import in_grammar
from medcls.sources.class_names import check_distinct, given_classes, is_missing
from medcls.sources.image_folder import scan_folder
from medcls.sources.location import Manifest
from medcls.sources.manifest import read_manifest
from medcls.sources.split_names import SPLIT_WORDS, looks_like_split, split_named

COLUMNS = ColumnsConfig(path="path", label="label", split="split", group="group")
quick = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
# Names that file systems keep as they are: no slash, no leading dot or space, in the form that keyboards make.
names = (
    st.text(st.characters(categories=["L", "N"], include_characters=" _-=,()[]{}'\"$&;#%+@é骨"), min_size=1, max_size=9)
    .map(lambda text: unicodedata.normalize("NFC", text.strip()))
    .filter(lambda text: text and len(text.encode()) < 60 and not looks_like_split(text) and not is_missing(text))
)


def distinct(words):
    try:
        check_distinct(dict.fromkeys(words, 1))
    except UserError:
        return False
    return True


classes = st.lists(names, min_size=2, max_size=4, unique=True).filter(distinct)
split_words = st.sampled_from(sorted(SPLIT_WORDS)).flatmap(
    lambda word: st.sampled_from([word, word.upper(), word.title(), f" {word} "])
)


def mappings(values):
    """Of keys that Hydra, which knows no quotes for them, can be given."""
    keys = st.from_regex(r"[a-m][a-z_:=,()\[\]{}\\-]{0,5}", fullmatch=True)
    return st.dictionaries(keys, values, max_size=3)


plain = st.one_of(texts, st.sampled_from(["true", "null", "inf", "1e3", "08"]), st.integers(), st.booleans(), st.none())
plain |= st.floats(allow_nan=False)


@given(st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | mappings(inner)), st.booleans())
def test_value_as_it_is_typed_is_read_as_that_value(value, literal):
    assume(literal or "${" not in str(value))
    override = OverridesParser.create().parse_override(f"key={in_grammar(value, literal=literal)}")
    config = OmegaConf.create({"key": None})
    OmegaConf.update(config, "key", override.value())
    assert OmegaConf.to_container(config, resolve=True)["key"] == value


@quick
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12))
def test_folder_of_any_name_reaches_the_configuration_in_quotes(name):
    assert composed("test", [f"data.root={in_grammar(name)}"]).data.root == name


@given(names, st.sampled_from([str.upper, str.title, lambda t: f" {t}", lambda t: unicodedata.normalize("NFD", t)]))
def test_names_that_differ_in_writing_alone_are_no_two_classes(name, change):
    twin = change(name)
    assume(twin != name and twin.casefold().strip() != "")
    assume(
        unicodedata.normalize("NFKC", twin).casefold().split() == unicodedata.normalize("NFKC", name).casefold().split()
    )
    with pytest.raises(UserError, match="differ in"):
        check_distinct({name: 3, twin: 4})


@given(st.integers(-99, 99), st.sampled_from(["{}.0", "{:+d}", " {}", "{}.00"]))
def test_numbers_written_in_two_ways_are_no_two_classes(number, form):
    twin = form.format(number)
    assume(twin != str(number))
    with pytest.raises(UserError, match=r"differ in (number format|space)"):
        check_distinct({str(number): 1, twin: 1})


@given(st.dictionaries(names, st.sampled_from(["x", "y", "z"]), min_size=1, max_size=6))
def test_tokens_of_one_name_are_one_class(mapping):
    known = given_classes(mapping)
    assert len(set(known.names)) == len(known.names)
    assert {token: known.names[label] for token, label in known.tokens.items()} == mapping


@quick
@given(classes, st.lists(split_words, min_size=1, max_size=3, unique_by=split_named), st.booleans())
def test_folder_is_read_as_it_was_made_whatever_its_names(tmp_path_factory, found, words, given_names):
    """Of any class names below any words for splits, train among them."""
    root = tmp_path_factory.mktemp("images")
    words = [word for word in words if split_named(word) != "train"]
    for word in ["Training", *words]:
        for name in found:
            (root / word / name).mkdir(parents=True)
            for i in range(3):
                (root / word / name / f"{i}.png").touch()
    table = scan_folder(root, {name: name for name in found} if given_names else None, split=split_config(0.34))
    assert set(table.classes) == set(found)
    for sample in table.samples:
        word, name, _ = sample.name.split("/")
        assert table.classes[sample.label] == name
        if not table.split_drawn:
            expected = split_named(word)
            assert sample.split == ("val" if expected == "test" and table.test_validates else expected)
    assert table.split_drawn == (not words)
    assert table.test_validates == ([split_named(word) for word in words] == ["test"])


@quick
@given(
    st.lists(
        st.tuples(names, st.sampled_from("ab"), split_words, names), min_size=6, max_size=12, unique_by=lambda r: r[0]
    ),
    st.sampled_from(",;\t"),
    st.permutations(["path", "label", "split", "group"]),
    st.sampled_from(["", "\ufeff"]),
    st.booleans(),
    st.booleans(),
)
def test_manifest_is_read_as_it_was_written(tmp_path_factory, rows, separator, order, mark, excel, spaces):
    patients = {group for *_, group in rows}
    assume(distinct(patients) and all(any(c.isalnum() for c in group) for group in patients))  # of ? nobody knows
    root = tmp_path_factory.mktemp("listed")
    records = [
        {"path": f"{i}_{name}.png", "label": label, "split": split, "group": group}
        for i, (name, label, split, group) in enumerate(rows)
    ]
    for record in records:
        (root / record["path"]).touch()
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator)
    pad = " " if spaces else ""
    writer.writerow([f"{pad}{name}{pad}" for name in order])
    writer.writerows([f"{pad}{record[name]}{pad}" for name in order] for record in records)
    content = mark + (f"sep={separator}\r\n" if excel else "") + text.getvalue()
    (root / "labels.csv").write_text(content, encoding="utf-8", newline="")
    expected = [(r["path"], r["label"], split_named(r["split"]), r["group"]) for r in records]
    counted = {(split, label) for _, label, split, _ in expected}
    splits = {split for split, _ in counted}
    assume("train" in splits and len(splits) > 1 and len(counted) == 2 * len(splits))  # else it is refused or divided
    table = read_manifest(
        [Manifest(root / "labels.csv")],
        root,
        None,
        columns=COLUMNS,
        allow_outside_root=False,
        group_pattern=None,
        split=split_config(0.3, 0),
    )
    found = [(s.name, table.classes[s.label], s.split, s.group) for s in table.samples]
    if table.test_validates:
        expected = [(*row[:2], "val" if row[2] == "test" else row[2], row[3]) for row in expected]
    assert found == expected


@pytest.mark.parametrize(
    "word", ["eval", "Holdout", "hold-out", "Test Images", "train2", "test_set", "images-val", "Fold 3"]
)
def test_word_that_may_be_a_split_is_asked_of(word):
    assert looks_like_split(word)
    assert split_named(word) is None


@pytest.mark.parametrize(
    "word", ["benign", "attest", "contest", "device", "valve", "trained", "evaluate_me", "Test positive"]
)
def test_name_of_a_class_is_not_taken_for_a_split(word):
    assert not looks_like_split(word)
