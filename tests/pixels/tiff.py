"""TIFF files, written by tifffile, by libtiff and by hand."""

import io
import struct
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from pixels.cell import _RNG, SIDE, Cell, cmyk_as_rgb, pillow, ramp
from pixels.readers import by_tifffile, libtiff, opencv, pillow_alone


def tiff(samples, **options):
    file = io.BytesIO()
    if options.get("planarconfig") == "separate":
        samples = np.moveaxis(samples, 2, 0)
    tifffile.imwrite(file, samples, **{"metadata": None, **options})
    return file.getvalue()


def tiff_pages(pages, order):
    """Pages one after another, each of its samples and what kind of page it says it is (NewSubfileType)."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file, byteorder=order) as writer:
        for samples, kind in pages:
            writer.write(samples, subfiletype=kind, contiguous=False, photometric="minisblack", metadata=None)
    return file.getvalue()


def tiff_gray_cells():
    layouts: list[dict[str, Any]] = [{}, {"rowsperstrip": 5}, {"tile": (16, 16)}]
    for kind in ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"):
        for photometric in ("minisblack", "miniswhite"):
            for order in "<>":
                for layout in layouts:
                    for compression in (None, "lzw", "zlib", "packbits"):
                        options = {**layout, "compression": compression, "byteorder": order, "photometric": photometric}
                        predictors: list[Any] = [None]
                        if compression in ("lzw", "zlib") and (kind in ("u1", "u2", "u4", "f4")):
                            predictors.append(3 if kind[0] == "f" else 2)
                        for predictor in predictors:
                            content = tiff(ramp(kind), predictor=predictor, **options)
                            name = f"TIFF {kind} {photometric} {order} {[*layout]} {compression} {predictor}"
                            readers = {"u1": (libtiff, pillow_alone), "i1": (libtiff,)}.get(kind, (libtiff, opencv))
                            yield Cell(name, content, readers, inverted=photometric == "miniswhite" and kind != "u1")


def packed(samples, bits, photometric, fill_order=1):
    """TIFF of samples of any number of bits, written by hand."""
    each = np.unpackbits(samples[..., None].astype(">u2").view(np.uint8), axis=-1)[..., 16 - bits :]
    data = np.packbits(each.reshape(len(samples), -1), axis=1)
    if fill_order == 2:
        data = np.packbits(np.unpackbits(data, axis=1, bitorder="little"), axis=1)
    entries = [(256, SIDE), (257, SIDE), (258, bits), (259, 1), (262, photometric), (266, fill_order)]
    entries += [(273, 8 + 2 + 12 * 10 + 4), (277, 1), (278, SIDE), (279, data.size)]
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + table + bytes(4) + data.tobytes()


def tiff_cells():
    yield from tiff_gray_cells()
    for bits in (1, 2, 4, 12):
        for photometric in (0, 1):
            for fill_order in (1, 2) if bits < 12 else (1,):
                samples = ramp("u2", bits=bits)
                content = packed(samples, bits, photometric, fill_order)
                name = f"TIFF {bits} bits, photometric {photometric}, fill order {fill_order}"
                how = {"samples": samples} if bits > 8 else {"readers": (pillow_alone,)}
                yield Cell(name, content, inverted=photometric == 0 and bits > 8, **how)
    for kind in ("u1", "u2"):
        for order in "<>":
            for planar in ("contig", "separate"):
                for compression in (None, "lzw", "zlib"):
                    for layout in ({}, {"rowsperstrip": 7}, {"tile": (16, 16)}):
                        options = {"byteorder": order, "planarconfig": planar, "compression": compression, **layout}
                        name = f"{kind} {order} {planar} {compression} {[*layout]}"
                        content = tiff(ramp(kind, 3), photometric="rgb", **options)
                        yield Cell(f"TIFF RGB {name}", content, (libtiff,), samples=ramp(kind, 3))
                        for extra in ("unassalpha", "assocalpha"):
                            samples = ramp(kind, 4)
                            if extra == "assocalpha":
                                samples[..., :3] = np.minimum(samples[..., :3], samples[..., 3:])
                            content = tiff(samples, photometric="rgb", extrasamples=[extra], **options)
                            written = samples if extra == "unassalpha" else samples[..., :3]
                            yield Cell(f"TIFF RGB and {extra} {name}", content, (libtiff,), samples=written)
    for order in "<>":
        colours = _RNG.integers(0, 65536, (3, 256), np.uint16)
        content = tiff(ramp("u1"), photometric="palette", colormap=colours, byteorder=order)
        yield Cell(f"TIFF palette {order}", content, (pillow_alone, by_tifffile))
        content = tiff(ramp("u1", 4), photometric="separated", byteorder=order)
        yield Cell(f"TIFF CMYK {order}", content, (pillow_alone,), shown=cmyk_as_rgb)
        lab = tiff(ramp("u1", 3), photometric="cielab", byteorder=order)
        yield Cell(f"TIFF LAB {order}", lab, refused="TIFF of CIELAB")
        for kind in ("f4", "i2", "u4", "f8"):
            content = tiff(ramp(kind, 3), photometric="rgb", byteorder=order)
            yield Cell(f"TIFF RGB {kind} {order}", content, refused="is not supported")
        for kind, channels in (("u1", 2), ("u2", 2), ("u1", 5), ("f4", 2)):
            content = tiff(
                ramp(kind, min(4, channels)), photometric="minisblack", planarconfig="contig", byteorder=order
            )
            yield Cell(f"TIFF {channels} channels {kind} {order}", content, refused="channels of")
        stack = tiff(np.stack([ramp("u2")] * 3), photometric="minisblack", byteorder=order)
        yield Cell(f"TIFF stack {order}", stack, refused="several images")
        small, thumbnail, mask = ((np.zeros((9, 9), of), kind) for of, kind in (("u2", 0), ("u2", 1), (bool, 4)))
        image, other = (ramp("u2"), 0), (ramp("u2")[:-1], 0)
        for name, pages in {
            "of two sizes": [image, other],
            "whose second page alone is small": [image, small, image, image],
            "of images and thumbnails": [image, thumbnail, image, thumbnail],
        }.items():
            yield Cell(f"TIFF {name} {order}", tiff_pages(pages, order), refused="several images")
        for second, reason in ((image, "several images"), (thumbnail, "with a thumbnail")):
            yield Cell(f"TIFF {reason} {order}", tiff_pages([thumbnail, second], order), refused=reason)
        content = tiff_pages([image, thumbnail, mask, thumbnail], order)
        yield Cell(f"TIFF image, thumbnails and mask {order}", content, samples=ramp("u2"))
        yield Cell(f"TIFF thumbnail alone {order}", tiff_pages([(ramp("u2"), 1)], order), samples=ramp("u2"))
    for options in ({"imagej": True, "truncate": True}, {"truncate": True, "photometric": "minisblack"}):
        content = tiff(np.stack([ramp("u2")] * 3), metadata={}, **options)
        yield Cell(f"TIFF stack behind one page {[*options]}", content, refused="several images")
        complete = tiff(ramp("f4").astype(np.complex64), byteorder=order)
        yield Cell(f"TIFF complex {order}", complete, refused="is not supported")
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "group4", None):
        image = Image.fromarray(ramp("u1")).convert("1") if compression == "group4" else Image.fromarray(ramp("u1", 3))
        content = pillow(image, "TIFF", **({"compression": compression} if compression else {}))
        yield Cell(f"TIFF by libtiff {compression}", content, (by_tifffile,), within=compression == "jpeg")
    for kind in ("u1", "u2", "f4"):
        for compression in (None, "lzw", "zlib", "packbits"):
            content = tiff(ramp(kind), rowsperstrip=6, compression=compression)
            with tifffile.TiffFile(io.BytesIO(content)) as file:
                at = file.pages.first.tags["ImageLength"].valueoffset
            taller = content[:at] + struct.pack("<H", 2 * SIDE) + content[at + 2 :]
            yield Cell(f"TIFF {kind} {compression} without half its strips", taller, refused="truncated")
            if compression in ("zlib", "packbits"):
                shorter = content[:at] + struct.pack("<H", 9) + content[at + 2 :]
                yield Cell(f"TIFF {kind} {compression} of more rows", shorter, refused="")
            yield Cell(f"TIFF {kind} {compression} cut", content[: len(content) * 2 // 3], refused="truncated")
