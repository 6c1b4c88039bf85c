"""What all pictures share: colors, dashes, resolution, and how one is written."""

from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from medcls.atomic import write_bytes
from medcls.report.fonts import as_text

# Distinguishable with any color vision (Okabe & Ito, 2008), without its yellow, too pale for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")

# As well as the colors, for grayscale prints: solid, dashed, dotted, dash-dotted.
DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))

DPI = 140  # pixels of a picture per inch


def write_picture(figure: Figure, path: Path, *, vector: bool = True) -> None:
    """Write ``figure`` to ``path`` as PNG and, with ``vector``, for papers as SVG and PDF beside it.

    Raises UserError as ``write_png``.
    """
    write_png(figure, path)
    if not vector:
        return
    figure.set_layout_engine("none")  # everything has its place by now; finding it again takes half of the time
    # Without a date and with fixed names inside, the same picture is the same file.
    with rc_context({"svg.hashsalt": path.stem, "pdf.fonttype": 42}):
        _write(FigureCanvasSVG(figure), path.with_suffix(".svg"), metadata={"Date": None})
        _write(FigureCanvasPdf(figure), path.with_suffix(".pdf"), metadata={"CreationDate": None})


def write_png(figure: Figure, path: Path) -> None:
    """Write ``figure`` to ``path`` as PNG, whole or not at all. Raises UserError when the disk is full."""
    as_text(figure)
    figure.set_dpi(DPI)
    _write(FigureCanvasAgg(figure), path)


def _write(canvas: FigureCanvasBase, path: Path, **how: Any) -> None:
    # Not ``Figure.savefig``, which draws everything twice to find the places that it has already.
    content = BytesIO()
    getattr(canvas, f"print_{path.suffix[1:]}")(content, **how)
    write_bytes(path, content.getvalue())


def line_style(i: int) -> dict[str, Any]:
    """Color and dashes of the i-th line of a picture, distinguishable without color too; they repeat after 28."""
    return {"color": COLOURS[i % len(COLOURS)], "linestyle": DASHES[i % len(DASHES)]}
