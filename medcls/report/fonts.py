"""Text of any language in pictures: letters that matplotlib's own font lacks come from the fonts of this system."""

import logging
from collections.abc import Iterable
from functools import cache

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

log = logging.getLogger(__name__)


def as_text(figure: Figure) -> None:
    """Have every text of a figure drawn as it is: $ begins no formula, and letters come from fonts that have them.

    Letters that no font of the system has are logged, and drawn as boxes.
    """
    texts = [found for found in figure.findobj(Text) if isinstance(found, Text) and found.get_text()]
    letters = {letter for text in texts for letter in text.get_text() if not letter.isspace()}
    families = fonts_for(letters)
    for text in texts:
        text.set_parse_math(False)
        if families:
            text.set_fontfamily([*text.get_fontfamily(), *families])


def fonts_for(letters: Iterable[str]) -> list[str]:
    """Families of fonts beside matplotlib's own that have these letters, as few as found in the order of names."""
    missing = {ord(letter) for letter in letters} - _letters_of(font_manager.findfont("DejaVu Sans"))
    families = []
    for name, path in _installed():
        if not missing:
            break
        if has := missing & _letters_of(path):
            families.append(name)
            missing -= has
    if missing:
        log.warning("no font on this system has %s: boxes in pictures", " ".join(map(chr, sorted(missing)[:20])))
    return families


@cache
def _installed() -> list[tuple[str, str]]:
    """Name and file of every upright regular font."""
    upright = [
        font
        for font in font_manager.fontManager.ttflist
        if font.style == "normal" and font.weight in (400, "normal") and not font.name.startswith("Last Resort")
    ]
    return sorted({font.name: font.fname for font in upright}.items())


@cache
def _letters_of(path: str) -> frozenset[int]:
    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):  # a font that cannot be read has none
        return frozenset()
