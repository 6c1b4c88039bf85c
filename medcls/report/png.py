"""What all pictures share: colours, resolution, and how one is written."""

from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure

from medcls.atomic import write_bytes
from medcls.report.fonts import as_text

# Told apart with any colour vision (Okabe & Ito, 2008), without its yellow, too pale for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")

DPI = 140  # pixels of a picture per inch


def write_png(figure: Figure, path: Path) -> None:
    """Write ``figure`` to ``path`` as PNG, whole or not at all. Raises UserError when the disk is full."""
    # A bare Figure draws PNG with Agg: no window system, and no pyplot, whose list of figures a sweep would fill.
    as_text(figure)
    content = BytesIO()
    figure.savefig(content, format="png", dpi=DPI)
    write_bytes(path, content.getvalue())
