"""report.md and report.html of the same sections."""

import base64
import re
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from medcls.atomic import write_text
from medcls.report.png import DPI
from medcls.sweep_report.answers import Head
from medcls.sweep_report.blocks import Section
from medcls.sweep_report.design import Sweep


def write_document(sweep: Sweep, head: Head, sections: Sequence[Section]) -> Path:
    """Write report.md and report.html into the sweep's folder; returns the path of the latter."""

    def inline(path: str) -> str:
        content = base64.b64encode((sweep.folder / path).read_bytes()).decode()
        return f"data:image/png;base64,{content}"

    def inches(path: str) -> float:
        with Image.open(sweep.folder / path) as picture:
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
    content = {"sweep": sweep, "head": head, "sections": sections}
    for name in ("report.md", "report.html"):
        write_text(sweep.folder / name, environment.get_template(name).render(content))
    return sweep.folder / "report.html"


def _plain(text: str) -> str:
    """Text that Markdown shows unchanged, on one line."""
    return re.sub(r"([\\`*<>\[\]|]|(?<!\w)_|_(?!\w))", r"\\\1", " ".join(text.split()))


def _cell(text: str) -> str:
    return _plain(text) or " "
