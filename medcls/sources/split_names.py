"""Words that name splits, in folders, paths and manifests, in any case; and words that may name one.

A folder of test images that is taken for a class, or for training images, silently makes every number wrong.
"""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
EXPECTED = "train (or training), val (or valid, validation, dev) and test (or testing)"
# Words that do not tell whether the best epoch may be chosen on such images.
_UNSURE = ("eval", "evaluation", r"hold[ _-]?out", "tests", "tune", "tuning", "trainval", "development")
_WORD = rf"(?:{'|'.join([*SPLIT_WORDS, *_UNSURE])})"
_KIND = r"(?:set|data|dataset|images?|imgs?|split|folder|part|cases|\d+)"
_LIKE_A_SPLIT = re.compile(
    rf"{_WORD}(?:[ _.-]?{_KIND})*|(?:{_KIND}[ _.-])+{_WORD}(?:[ _.-]?\d+)?|(?:fold|split)[ _.-]?\d+"
)


def split_named(word: str) -> str | None:
    """The split that a word stands for: train, val or test; None where it stands for none."""
    return SPLIT_WORDS.get(word.strip().casefold())


def looks_like_split(word: str) -> bool:
    """Whether a word reads like that of a split: those of ``SPLIT_WORDS``, eval, holdout, test_images, fold 3."""
    return _LIKE_A_SPLIT.fullmatch(word.strip().casefold()) is not None


def splits_in_paths(paths: Iterable[str]) -> list[str | None]:
    """Split of each path by the folders in it, None where none of them names one.

    Raises ValueError for a path whose folders name two, or one that only reads like a split.
    """
    return [_split_in(path) for path in paths]


def _split_in(path: str) -> str | None:
    folders = PurePosixPath(path).parts[:-1]
    found = {split for folder in folders if (split := split_named(folder))}
    unsure = [folder for folder in folders if looks_like_split(folder) and split_named(folder) is None]
    if len(found) > 1 or (unsure and not found):
        raise ValueError(path)
    return next(iter(found), None)
