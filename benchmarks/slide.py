"""Synthetic slides on disk, and what it costs to find their cells: time by area, peak of memory.

    python benchmarks/slide.py --sizes 4096 8192 16384 --folder /tmp/slides

The slide is a mosaic: a head where cells lie in layers, a body where they lie side by side, a feathered edge, and glass
around it all; leukocytes are as rare as in blood. Its pieces are drawn once, turned and mirrored, and written band by
band. Each size runs as ``sgcldff predict`` in a process of its own.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray
from tifffile import TiffWriter
from zarr.codecs import BloscCodec

from sgcldff_core.datasets.ome_zarr import level_shapes, multiscales
from sgcldff_core.smear import SmearSettings
from sgcldff_core.smear.slide import Slide, make_slide

PIECE = 1024
DIAMETER = 80
BODY = {0: 0.6, 1: 0.3, 2: 0.1}  # leukocytes in a piece of the body, and how often: about 20 to a mm² of blood film
SEED = 3


class Mosaic:
    """A slide of square pieces, each one of a few, turned and mirrored."""

    def __init__(self, size: int) -> None:
        self.count = -(-size // PIECE)
        self.size = self.count * PIECE
        rng = np.random.default_rng(SEED)
        self.kinds = np.full((self.count, self.count), "glass", object)
        for row in range(self.count):
            for column in range(self.count):
                self.kinds[row, column] = _kind(rng, (row + 0.5) / self.count, (column + 0.5) / self.count)
        self.turns = rng.integers(0, 8, self.kinds.shape)
        self.cells = sum(int(kind) for kind in self.kinds.ravel() if kind.isdigit())

    def band(self, row: int, factor: int) -> NDArray[np.uint8]:
        """Return one row of pieces, (h, W, 3), at a whole factor."""
        parts = []
        for kind, turn in zip(self.kinds[row], self.turns[row], strict=True):
            piece = _reduced(np.rot90(_pieces()[kind], turn % 4), factor)
            parts.append(piece[:, ::-1] if turn >= 4 else piece)
        return np.concatenate(parts, axis=1)


def _kind(rng: np.random.Generator, y: float, x: float) -> str:
    drawn = str(rng.choice(list(BODY), p=list(BODY.values())))
    if not 0.12 < y < 0.88 or x > 0.85 or x < 0.04:
        return "glass"
    return "thick" if x < 0.14 else "edge" if x > 0.75 else drawn


def _reduced(piece: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    side = piece.shape[0] // factor
    parts = piece.reshape(side, factor, side, factor, 3)
    return piece if factor == 1 else np.rint(parts.mean((1, 3))).astype(np.uint8)


@functools.cache
def _pieces() -> dict[str, NDArray[np.uint8]]:
    common = {"height": PIECE, "width": PIECE, "diameter": DIAMETER, "stain": "wright"}
    body = make_slide(SEED, 64 * PIECE, 64 * PIECE, SmearSettings(leukocytes=1, **common), PIECE)
    dense = make_slide(SEED, PIECE, PIECE, SmearSettings(leukocytes=0, erythrocytes=1.3, **common), PIECE)
    edge = make_slide(SEED, PIECE, PIECE, SmearSettings(leukocytes=0, erythrocytes=0.08, **common), PIECE)
    empty = SmearSettings(leukocytes=0, erythrocytes=0, platelets=0, **common)
    found = {str(wanted): _piece_with(body, wanted) for wanted in BODY}
    found |= {"edge": np.asarray(edge.image), "glass": np.asarray(make_slide(SEED, PIECE, PIECE, empty, PIECE).image)}
    light = np.median(found["glass"], axis=(0, 1))
    layers = [np.rot90(np.asarray(dense.image), turn) / light for turn in range(4)]
    found["thick"] = np.clip(np.prod(layers, axis=0) * light, 0, 255).astype(np.uint8)
    return found


def _piece_with(slide: Slide, wanted: int) -> NDArray[np.uint8]:
    for index in range(64 * 64):
        y, x = (place * PIECE for place in divmod(index, 64))
        part = (slice(y, y + PIECE), slice(x, x + PIECE))
        labels = np.asarray(slide.labels[part])
        rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        if not rim.any() and len(np.unique(labels)) == wanted + 1:
            return np.asarray(slide.image[part])
    raise SystemExit(f"no piece with {wanted} leukocytes")


def write_zarr(mosaic: Mosaic, path: Path) -> None:
    """Write a mosaic as OME-Zarr 0.5, two rows of pieces at a time."""
    group = zarr.open_group(str(path), mode="w", zarr_format=3)
    shapes = level_shapes((mosaic.size, mosaic.size))
    arrays = [
        group.create_array(
            str(index),
            shape=(3, *shape),
            chunks=(3, min(512, shape[0]), min(512, shape[1])),
            dtype="uint8",
            compressors=BloscCodec(cname="lz4", clevel=1),
        )
        for index, shape in enumerate(shapes)
    ]
    whole = {index: np.zeros((3, *shape), np.uint8) for index, shape in enumerate(shapes) if index >= 3}
    for first in range(0, mosaic.count, 2):
        rows = range(first, min(first + 2, mosaic.count))
        for index, array in enumerate(arrays):
            factor = 1 << index
            band = np.concatenate([mosaic.band(row, factor) for row in rows]).transpose(2, 0, 1)
            target: Any = whole.get(index, array)
            target[:, first * PIECE // factor : first * PIECE // factor + band.shape[1]] = band
    for index, values in whole.items():
        arrays[index][:] = values
    group.attrs.update(multiscales(path.stem, shapes, channels=True))


def write_tiff(mosaic: Mosaic, path: Path) -> None:
    """Write a mosaic as an OME-TIFF pyramid, tile by tile."""
    shapes = level_shapes((mosaic.size, mosaic.size))
    with TiffWriter(path, bigtiff=True, ome=True) as tiff:
        for index, (height, width) in enumerate(shapes):
            tiles = _tiles(mosaic, 1 << index)
            options: dict[str, Any] = {"photometric": "rgb", "tile": (256, 256), "compression": "zlib"}
            options |= {"subfiletype": 1} if index else {"subifds": len(shapes) - 1, "metadata": {"axes": "YXS"}}
            tiff.write(tiles, shape=(height, width, 3), dtype="uint8", **options)


def _tiles(mosaic: Mosaic, factor: int) -> Any:
    rows = max(1, 256 * factor // PIECE)
    for first in range(0, mosaic.count, rows):
        band = np.concatenate([mosaic.band(row, factor) for row in range(first, min(first + rows, mosaic.count))])
        for y in range(0, band.shape[0], 256):
            for x in range(0, band.shape[1], 256):
                tile = band[y : y + 256, x : x + 256]
                yield np.pad(tile, ((0, 256 - tile.shape[0]), (0, 256 - tile.shape[1]), (0, 0)))


def measure(slide: Path, out: Path, model: str, megapixels: float, cells: int) -> dict[str, Any]:
    """Run ``predict`` on a slide in a process of its own, and return what it took."""
    command = [sys.executable, "-m", "sgcldff_core.cli", "predict", str(slide), "--out", str(out)]
    command += ["--model", model, "--diameter", str(DIAMETER)]
    clock = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - clock
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    (stem,) = [entry["image"] for entry in json.loads((out / "run.json").read_text())["slides"]]
    report = json.loads((out / "run.json").read_text())["slides"][0]
    found = pd.read_parquet(out / f"{stem}_cells.parquet", columns=["label"])
    cpu = used.ru_utime + used.ru_stime
    return {
        "slide": slide.name,
        "megapixels": round(megapixels, 1),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "cpu_seconds_per_megapixel": round(cpu / megapixels, 3),
        "peak_mb": round(used.ru_maxrss / 1024),
        "regions": report["regions"],
        "resumed": report["regions_resumed"],
        "cells_drawn": cells,
        "cells_found": len(found),
    }


def main() -> None:
    """Make the slides that are not there yet, run each, and print a table with the line through it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=[4096, 8192, 16384], help="sides in px")
    parser.add_argument("--folder", type=Path, required=True, help="for slides and results")
    parser.add_argument("--model", default="leukocytes-small")
    parser.add_argument("--format", choices=["zarr", "tiff"], default="zarr")
    parser.add_argument("--only-make", action="store_true", help="write the slides and stop")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for size in args.sizes:
        mosaic = Mosaic(size)
        suffix = ".ome.zarr" if args.format == "zarr" else ".ome.tif"
        path = args.folder / f"slide-{mosaic.size}{suffix}"
        if not path.exists():
            draft = path.with_name(f"draft-{path.name}")
            (write_zarr if args.format == "zarr" else write_tiff)(mosaic, draft)
            draft.rename(path)
        if args.only_make:
            continue
        out = args.folder / f"out-{mosaic.size}-{args.format}"
        rows.append(measure(path, out, args.model, mosaic.size**2 / 1e6, mosaic.cells))
        print(json.dumps(rows[-1]), flush=True)  # noqa: T201
    if rows:
        print(pd.DataFrame(rows).to_string(index=False))  # noqa: T201
    if len(rows) > 1:
        slope, start = np.polyfit([r["megapixels"] for r in rows], [r["cpu_seconds"] for r in rows], 1)
        print(f"CPU seconds = {start:.1f} + {slope:.3f} x megapixels ({date.today().isoformat()})")  # noqa: T201
    if args.json:
        args.json.write_text(json.dumps({"date": date.today().isoformat(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
