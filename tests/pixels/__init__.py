"""Files of every kind of pixel, written here, with the independent readers that can say what their samples are."""

import functools

from pixels.cell import SIDE, Cell
from pixels.dicom import dicom_colour_cells, dicom_damage_cells, dicom_gray_cells
from pixels.dicom_display import dicom_display_cells
from pixels.png import png_cells
from pixels.raster import bmp_cells, jpeg_cells, other_cells
from pixels.tiff import tiff_cells

__all__ = ["SIDE", "Cell", "cells"]


@functools.cache
def cells() -> list[Cell]:
    """The whole matrix."""
    makers = (png_cells, tiff_cells, jpeg_cells, bmp_cells, other_cells, dicom_gray_cells, dicom_display_cells)
    return [cell for maker in (*makers, dicom_colour_cells, dicom_damage_cells) for cell in maker()]
