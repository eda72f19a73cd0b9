"""One image of a curated folder saved anew, the others left as they are.

Each file is replaced as a whole. The order, labels, then classes, then the index, leaves a folder
that can be read wherever a crash stops it.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.datasets.class_tables import read_table
from sgcldff_core.datasets.curated import place_in, read_index
from sgcldff_core.datasets.curated_writer import index_text, save_labels
from sgcldff_core.datasets.history import CURATED_INDEX, Provenance, history_of
from sgcldff_core.datasets.pixels import pixels_of, save_png
from sgcldff_core.datasets.rasters import read_image_size, read_rgb
from sgcldff_core.datasets.writing import checked_names, in_order, known_of
from sgcldff_core.errors import DataError
from sgcldff_core.files import written_atomically

if TYPE_CHECKING:
    from sgcldff_core.datasets.history import Change
    from sgcldff_core.sample import Sample

__all__ = ["check_updatable", "free_name", "set_aside", "update_curated"]

EARLIER = ".earlier"
"""Where the labels go that an image had before it was worked on once more."""

_TOLD = ("source", "group", "split", "image_class", "boxes", "points")


def check_updatable(folder: Path | str) -> None:
    """Check that images can be saved in a folder: it is new, empty, or a curated folder with an index.

    Parameters
    ----------
    folder : Path or str
        Where images are to be saved; need not exist.

    Raises
    ------
    DataError
        If it is anything else.
    """
    folder = Path(folder)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise DataError(folder, "this is a file, where a folder is to be", "choose another folder")
    if (folder / CURATED_INDEX).is_file():
        read_index(folder / CURATED_INDEX)
    elif any(not entry.name.startswith(".") for entry in folder.iterdir()):
        raise DataError(
            folder,
            f"the folder holds other files, and no {CURATED_INDEX}",
            "choose an empty or a new folder, or one that this program made",
        )


def free_name(folder: Path | str, name: str, image: NDArray[np.uint8]) -> str:
    """Return the name under which an image is or can be saved in a curated folder.

    Parameters
    ----------
    folder : Path or str
        The folder; it need not exist.
    name : str
        What the image would be called.
    image : ndarray of uint8, shape (H, W, 3)
        Its pixels.

    Returns
    -------
    str
        `name` without what no file name may have, and numbered where another image has it.
    """
    known = _images(Path(folder))
    stem = "".join("-" if c in '/\\:*?"<>|' or not c.isprintable() else c for c in name).strip(" .") or "image"
    taken = {known_name.casefold(): known_name for known_name in known}
    for n in range(1, len(known) + 2):
        candidate = stem if n == 1 else f"{stem} {n}"
        held = taken.get(candidate.casefold())
        if held is None:
            return candidate
        file = place_in(Path(folder), known[held].get("file"))
        there = file is not None and file.is_file() and read_image_size(file) == image.shape[:2]
        if file is not None and there and np.array_equal(read_rgb(file), image):
            return held
    return f"{stem} {len(known) + 2}"


def set_aside(folder: Path | str, name: str) -> Path | None:
    """Keep a copy of the labels and classes that an image has, before they are replaced.

    Parameters
    ----------
    folder : Path or str
        A curated folder.
    name : str
        The image, as its index calls it.

    Returns
    -------
    Path or None
        The labels, in ``.earlier``; None where there are none.
    """
    folder = Path(folder)
    entry = _images(folder).get(name, {})
    labels = place_in(folder, entry.get("labels"))
    if labels is None or not labels.is_file():
        return None
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    kept = folder / EARLIER / f"{name} {stamp}.tif"
    kept.parent.mkdir(exist_ok=True)
    shutil.copy2(labels, kept)
    header, rows = _cells(folder / "cells.csv")
    _save_rows(kept.with_suffix(".csv"), header, [row for row in rows if row.get("image") == name])
    return kept


def update_curated(
    folder: Path | str,
    sample: Sample,
    *,
    changes: Sequence[Change],
    predicted: Mapping[int, str] | None = None,
    title: str = "",
    origin: str = "",
) -> None:
    """Save one image of a curated folder, which is made if it is missing.

    Parameters
    ----------
    folder : Path or str
        See `check_updatable`.
    sample : Sample
        With its labels, and the classes that a person stands for. Boxes and whatever else the folder knows
        of the image stays.
    changes : sequence of Change
        What was done since the last time.
    predicted : mapping of int to str, optional
        What a model says of cells whose class no person stands for: noted in a column of its own, which
        no reader takes for a class.
    title, origin : str
        Of a new folder.

    Raises
    ------
    DataError
        If the folder is no curated folder, or its index cannot be read.
    ConfigError
        If the sample's name is no file name.
    """
    folder = Path(folder)
    check_updatable(folder)
    (sample,) = checked_names([sample])
    pixels = pixels_of(sample)
    index = read_index(folder / CURATED_INDEX) if (folder / CURATED_INDEX).is_file() else {}
    old = _images(folder).get(sample.name, {})
    file = _own(folder, old.get("file"), f"images/{sample.name}.png")
    if not (folder / file).is_file():
        with written_atomically(folder / file) as draft:
            save_png(draft, pixels.image)
    labels = _own(folder, old.get("labels"), f"labels/{sample.name}.tif")
    if pixels.labels is not None:
        with written_atomically(folder / labels) as draft:
            save_labels(draft, pixels.labels)
    classes = _update_cells(folder / "cells.csv", sample, pixels.numbers, predicted or {})
    entry = {
        "file": file,
        "labels": labels if pixels.labels is not None else None,
        "nuclei": old.get("nuclei"),
        **known_of(sample, pixels),
        **{key: old[key] for key in _TOLD if key in old},
    }
    images = {**index.get("images", {}), sample.name: entry}
    provenance = Provenance(
        index.get("title", title or folder.name), index.get("origin", origin), (*history_of(folder), *changes)
    )
    named = in_order([*classes, *(i["image_class"] for i in images.values() if i.get("image_class"))])
    with written_atomically(folder / CURATED_INDEX) as draft:
        draft.write_text(index_text(provenance, named, images), encoding="utf-8")


def _images(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    index = folder / CURATED_INDEX
    images: Mapping[str, Any] = read_index(index)["images"] if index.is_file() else {}
    return {name: entry for name, entry in images.items() if isinstance(entry, dict)}


def _own(folder: Path, named: object, usual: str) -> str:
    """Return where a file is to be written: where the index says, unless that leads out of the folder."""
    return str(named) if place_in(folder, named) else usual


def _cells(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    table = read_table(path) if path.is_file() else []
    header = table[0] if table else ["image", "label", "class"]
    return header, [dict(zip(header, row, strict=False)) for row in table[1:] if any(row)]


def _update_cells(path: Path, sample: Sample, labels: Iterable[int], predicted: Mapping[int, str]) -> list[str]:
    """Replace the rows of one image; return the classes of all."""
    header, rows = _cells(path)
    classes = sample.classes or {}
    mine = [
        {"image": sample.name, "label": str(n), "class": classes.get(n, ""), "predicted": predicted.get(n, "")}
        for n in sorted({*labels, *classes})
    ]
    rows = [row for row in rows if row.get("image") != sample.name] + mine
    if "predicted" not in header and any(row["predicted"] for row in mine):
        header = [*header, "predicted"]
    _save_rows(path, header, rows)
    return [row["class"] for row in rows if row.get("class")]


def _save_rows(path: Path, header: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    with written_atomically(path) as draft, draft.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, header, restval="", extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
