"""What a report consists of, whether it is rendered as Markdown or as HTML."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Note:
    """A paragraph on how to read what is above it."""

    kind: ClassVar[str] = "note"
    text: str


@dataclass(frozen=True)
class Table:
    """Rows of cells as shown; the first column names the row; words: the others hold text, not numbers."""

    kind: ClassVar[str] = "table"
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: bool = False


@dataclass(frozen=True)
class Item:
    """A statement: its subject, what is stated in a few words, and the numbers behind it."""

    lead: str
    finding: str
    text: str
    marked: bool = False


@dataclass(frozen=True)
class Items:
    """A list of statements."""

    kind: ClassVar[str] = "items"
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Picture:
    """A PNG below the folder of the report, SVG and PDF beside it; ``alt`` says what it shows."""

    kind: ClassVar[str] = "picture"
    path: str
    alt: str


Block = Text | Note | Table | Items | Picture


@dataclass(frozen=True)
class Section:
    """A heading and what is below it; folded: opened by who wants to know."""

    title: str
    blocks: tuple[Block, ...]
    folded: bool = False
