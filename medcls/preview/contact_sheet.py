"""Labelled images side by side as PNG, pixel for pixel."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

from matplotlib.figure import Figure

from medcls.preview.tiles import Pixels, Tile
from medcls.report.png import DPI, write_png

# Lengths in pixels of the picture.
LEAST_SIDE = 180  # of a tile; smaller images are enlarged by an integer factor, so that each pixel becomes a square
GAP, LABEL, HEADING, TITLE = 12, 30, 44, 36
CHARACTER = 13  # approximate width of a character in the title


def draw_sheet(rows: Mapping[str, Sequence[Tile]], columns: int, title: str, path: Path) -> None:
    """PNG of tiles in rows of ``columns``, below their heading unless it is empty, each with its label above.

    Every pixel of an image becomes a square of pixels; nothing is smoothed.
    """
    size = max(max(tile.pixels.shape[:2]) for tiles in rows.values() for tile in tiles)
    zoom = -(-LEAST_SIDE // size)
    side = size * zoom
    width = GAP + columns * (side + GAP)
    lines = fill(title, width // CHARACTER)
    top = GAP + TITLE * (1 + lines.count("\n"))
    placed: list[tuple[Tile, int, int]] = []  # left and upper edge
    headings: list[tuple[str, int]] = []
    for heading, tiles in rows.items():
        if heading:
            headings.append((heading, top))
            top += HEADING
        for i, tile in enumerate(tiles):
            placed.append((tile, GAP + i % columns * (side + GAP), top + i // columns * (LABEL + side + GAP) + LABEL))
        top += -(-len(tiles) // columns) * (LABEL + side + GAP)
    figure = Figure(figsize=(width / DPI, top / DPI), dpi=DPI)
    figure.text(GAP / width, 1 - GAP / top, lines, va="top", fontsize=12, fontweight="bold")
    for heading, y in headings:
        figure.text(GAP / width, 1 - (y + HEADING / 2) / top, heading, va="center", fontsize=11)
    for tile, x, y in placed:
        figure.text((x + side / 2) / width, 1 - (y - LABEL / 2) / top, tile.label, ha="center", va="center", fontsize=9)
        enlarged = coloured(tile.pixels).repeat(zoom, axis=0).repeat(zoom, axis=1)
        figure.figimage(enlarged, xo=x, yo=top - y - len(enlarged), origin="upper")
    write_png(figure, path)


def coloured(pixels: Pixels) -> Pixels:
    """The image as RGB."""
    return pixels.repeat(3, axis=2) if pixels.shape[2] == 1 else pixels
