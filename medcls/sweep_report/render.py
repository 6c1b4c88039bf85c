"""A document of sections as Markdown and as HTML, such as report.md and report.html."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from medcls.atomic import write_text
from medcls.document.blocks import Section
from medcls.report.png import DPI
from medcls.sweep_report.answers import Head
from medcls.sweep_report.design import Sweep


@dataclass(frozen=True)
class Page:
    """What stands above the sections: the head, notices about the data, and what the report is on."""

    head: Head
    simulated: bool
    notices: tuple[str, ...]
    name: str
    question: str | None = None
    varied: str = ""
    command: str | None = None
    subject: str = "Sweep"  # what ``name`` is of


def page_of(sweep: Sweep, head: Head) -> Page:
    """The page on one sweep."""
    notices = tuple(sweep.notices)
    return Page(head, sweep.simulated, notices, sweep.name, sweep.question, sweep.varied, sweep.command)


def write_document(folder: Path, page: Page, sections: Sequence[Section], name: str = "report") -> Path:
    """Write ``name``.md and ``name``.html into a folder, below which the pictures are; returns the latter's path."""
    for kind in ("md", "html"):
        write_text(folder / f"{name}.{kind}", _rendered(kind, page, sections, folder))
    return folder / f"{name}.html"


def markdown(page: Page, sections: Sequence[Section]) -> str:
    """The same as Markdown alone, of sections without pictures."""
    return _rendered("md", page, sections, Path())


def _rendered(kind: str, page: Page, sections: Sequence[Section], folder: Path) -> str:
    def inline(path: str) -> str:
        content = base64.b64encode((folder / path).read_bytes()).decode()
        return f"data:image/png;base64,{content}"

    def inches(path: str) -> float:
        with Image.open(folder / path) as picture:
            return picture.width / DPI

    environment = Environment(
        loader=PackageLoader("medcls.sweep_report", "templates"),
        # Names of folders and classes are foreign: in HTML they are text, whatever they hold.
        autoescape=lambda name: bool(name and name.endswith(".html")),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"inline": inline, "inches": inches, "cell": _cell, "plain": _plain}
    content = {"page": page, "head": page.head, "sections": sections}
    return environment.get_template(f"report.{kind}").render(content)


def _plain(text: str) -> str:
    """Text that Markdown shows unchanged, on one line."""
    return re.sub(r"([\\`*<>\[\]|]|(?<!\w)_|_(?!\w))", r"\\\1", " ".join(text.split()))


def _cell(text: str) -> str:
    return _plain(text) or " "
