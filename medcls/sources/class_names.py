"""Names of classes: tokens with the same name are one class, and names that differ only in spelling are not two.

Patients are distinguished by the same rule (``groups.py``).
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from medcls.errors import UserError
from medcls.quoting import is_key, typed
from medcls.sources.split_names import EXPECTED, looks_like_split

_MISSING = frozenset({"", "nan", "-nan", "null", "na", "n/a", "#n/a", "#na", "<na>", "nat", "none"})
_MOST_SHOWN = 12  # classes in a line to be typed


class Classes(NamedTuple):
    """Names in label order, and the label of each token: what a file, folder or row may call a class."""

    names: tuple[str, ...]
    tokens: dict[str, int]

    def called(self) -> dict[str, int]:
        """Label of each class by its name and its tokens."""
        return {name: label for label, name in enumerate(self.names)} | self.tokens


def given_classes(classes: Mapping[str, str]) -> Classes:
    """Classes of data.classes (token -> name): tokens with the same name are one class, in the order of the first.

    Raises UserError for names that differ only in case, number format, surrounding space or Unicode form.
    """
    names = tuple(dict.fromkeys(unicode_form(name) for name in classes.values()))
    check_distinct(dict.fromkeys(names, 0), classes)
    return Classes(names, {unicode_form(token): names.index(unicode_form(name)) for token, name in classes.items()})


def found_classes(counts: Mapping[str, int], where: str) -> Classes:
    """Classes of labels as they were found, in their order; ``counts``: label -> images; ``where``: for messages.

    Raises UserError for a label that means "none" (empty, nan), reads like a split, or differs from another only in
    spelling.
    """
    itself = {name: name for name in counts}
    if none := [name for name in counts if is_missing(name)]:
        raise UserError(
            f"{where}: {counts[none[0]]} images have the label {none[0]!r}, which stands for a missing label.\n"
            f"  Leave them out or, if it is the name of a class, say so: {say_classes(itself)}"
        )
    if splits := [name for name in counts if looks_like_split(name)]:
        raise UserError(
            f"{where}: {', '.join(splits[:5])} would be a class, but reads like a split. Expected {EXPECTED}, "
            "with the classes below them.\n"
            f"  Rename the folders or files or, if it is a class, say so: {say_classes(itself)}"
        )
    check_distinct(counts)
    return Classes(tuple(counts), {name: label for label, name in enumerate(counts)})


def is_missing(label: str) -> bool:
    """Whether a label or a patient is empty, or what programs write for a missing value."""
    return label.strip().casefold() in _MISSING


def unicode_form(text: str) -> str:
    """Text in the form that keyboards make: macOS keeps é in file names as e and an accent."""
    return unicodedata.normalize("NFC", text)


def labels_called(word: str, called: Mapping[str, int]) -> set[int]:
    """Labels of the class with that name: exactly, else but for case, number format, space and Unicode form."""
    word = unicode_form(word)
    return {called[word]} if word in called else {at for name, at in called.items() if meaning(name) == meaning(word)}


def labels_begun_by(stem: str, tokens: Mapping[str, int]) -> set[int]:
    """Labels of the tokens that a file name begins with, in any case: Mel in Mel_01 and Mel01, not in Melon or non-Mel.

    No letter may follow a token that ends in a letter, nor a digit one that ends in a digit: C1 is not in C12.
    """
    stem = unicode_form(stem).strip()
    found = set()
    for token, label in tokens.items():
        if match := re.match(re.escape(token), stem, re.I):
            after = unicodedata.category((stem + " ")[match.end()])
            if after[0] not in ("N" if token[-1].isdigit() else "LM"):
                found.add(label)
    return found


def check_distinct(counts: Mapping[str, int], given: Mapping[str, str] | None = None) -> None:
    """Raise UserError for two classes that differ only in how their name is written; ``given``: data.classes."""
    if (twins := say_twins(counts)) is None:
        return
    message = f"{'data' if given is None else 'data.classes'}: classes {twins}.\n"
    if given is not None:
        raise UserError(f"{message}  Give both tokens the same name to make them one class, or names that differ.")
    merged = say_classes(_first_spellings(counts))
    raise UserError(f"{message}  Rename one of them or, if they are one class, say so: {merged}")


def say_twins(counts: Mapping[str, int]) -> str | None:
    """Which two names differ only in how they are written, and in what; ``counts``: name -> images. None: no two do."""
    same = _first_spellings(counts)
    twin = next((name for name, other in same.items() if name != other), None)
    if twin is None:
        return None
    pair = " and ".join(f"{one!r}" + (f" ({counts[one]} images)" if counts[one] else "") for one in (same[twin], twin))
    return f"{pair} differ in {_difference(same[twin], twin)} only"


def _first_spellings(names: Iterable[str]) -> dict[str, str]:
    first: dict[str | Decimal, str] = {}
    return {name: first.setdefault(meaning(name), name) for name in names}


def say_classes(classes: Mapping[str, str]) -> str:
    """What to type to have these classes, token -> name."""
    if not all(map(is_key, classes)):
        return "a file conf/data/mine.yaml with the classes in quotes (as in conf/data/bone.yaml), and data=mine"
    if len(classes) > _MOST_SHOWN:
        return "data.classes={<label>: <class>, ...}"
    return typed("data.classes", classes)


def meaning(name: str) -> str | Decimal:
    """What is left of a name without case, number format, space and Unicode form."""
    seen = "".join(c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf")
    text = " ".join(seen.casefold().split())
    try:
        number = Decimal(text.replace("_", "?"))  # exact: patient numbers may have more digits than a float
    except ArithmeticError:
        return text
    return number if number.is_finite() else text


def _difference(a: str, b: str) -> str:
    steps: Iterable[tuple[str, str, str]] = (
        ("Unicode form", unicodedata.normalize("NFKC", a), unicodedata.normalize("NFKC", b)),
        ("space", "".join(a.split()), "".join(b.split())),
        ("case", a.casefold(), b.casefold()),
    )
    found = next((what for what, one, other in steps if one == other), None)
    if found:
        return found
    return "number format" if isinstance(meaning(a), Decimal) else "case, space and Unicode form"
