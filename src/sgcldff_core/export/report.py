"""One page that tells of a run: the count, and every cell that a person should look at."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

import sgcldff_core
from sgcldff_core.datasets.decoding import naming_the_file
from sgcldff_core.datasets.rasters import read_labels, read_rgb
from sgcldff_core.datasets.tiffs import decode_tiff
from sgcldff_core.errors import DataError
from sgcldff_core.export.count_intervals import counted
from sgcldff_core.export.report_pictures import CellPicture, as_data_uri, picture_cell
from sgcldff_core.files import written_atomically
from sgcldff_core.taxonomy import colour_of

if TYPE_CHECKING:
    import pandas as pd

    from sgcldff_core.export.run_folder import Run, RunImage

__all__ = ["MOST_CELLS", "MOST_FIELDS", "FlaggedCell", "render_report", "write_report"]

MOST_CELLS = 400
"""Cells that are pictured at most, the most doubtful first: a page has to stay one that a browser opens."""

MOST_FIELDS = 12
"""Fields that are pictured at most."""

_FIELD_WIDTH = 900


@dataclass(frozen=True, slots=True)
class FlaggedCell:
    """A cell that somebody should look at, as the page shows it.

    Attributes
    ----------
    image : str
        Name of its image.
    label : int
        Its number there.
    name : str
        Its most probable class.
    confidence, consistency : float
        In [0, 1].
    diameter : float
        In px.
    probabilities : tuple of tuple of str and float
        Class and probability, the largest first.
    reasons : tuple of str
        In words, the gravest first.
    picture : CellPicture or None
        None where the image or its labels cannot be read any more.
    """

    image: str
    label: int
    name: str
    confidence: float
    consistency: float
    diameter: float
    probabilities: tuple[tuple[str, float], ...]
    reasons: tuple[str, ...]
    picture: CellPicture | None


def write_report(run: Run, file: Path) -> Path:
    """Write the page; it appears whole or not at all.

    Parameters
    ----------
    run : Run
        See `sgcldff_core.export.run_folder.read_run`.
    file : Path
        The page, HTML.

    Returns
    -------
    Path
        The page.
    """
    with written_atomically(file) as draft:
        draft.write_text(render_report(run), encoding="utf-8")
    return file


def render_report(run: Run) -> str:
    """Return the page as HTML that needs nothing but itself.

    Everything that comes from data or files is escaped, and the page forbids its reader's browser to
    load or run anything that is not in it.

    Parameters
    ----------
    run : Run
        Its images are read; one that cannot be read is left without pictures, and named.
    """
    flagged = run.cells[run.cells["needs_review"]].sort_values("saliency_consistency", kind="stable")
    unreadable: dict[str, str] = {}
    cells = sorted(_flagged(run, flagged.head(MOST_CELLS), unreadable), key=lambda cell: cell.consistency)
    environment = Environment(
        loader=FunctionLoader(_part), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    script = _part("report.js")
    counts, left_out = run.counts(), run.not_counted()
    return environment.get_template("report.html.jinja").render(
        run=run,
        counts=counted(counts, run.classes),
        by_image=[(image.name, counted(run.counts(image.name), run.classes)) for image in run.images],
        total=sum(counts.values()),
        found=len(run.cells),
        not_counted=sorted(left_out.items()),
        flagged=len(flagged),
        cells=cells,
        left_out=len(flagged) - len(cells),
        fields=list(_fields(run)),
        unreadable=sorted(unreadable.items()),
        colours={name: "#{:02x}{:02x}{:02x}".format(*colour_of(name, run.classes)) for name in run.classes},
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=sgcldff_core.__version__,
        style=Markup(_part("report.css")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _part(name: str) -> str:
    return (files("sgcldff_core.export") / "page" / name).read_text(encoding="utf-8")


def _flagged(run: Run, flagged: pd.DataFrame, unreadable: dict[str, str]) -> Iterator[FlaggedCell]:
    # Image by image, so that one is in memory at a time.
    for image in run.images:
        rows = flagged[flagged["image"] == image.name]
        if not len(rows):
            continue
        pictures = _pictures(image, rows, unreadable)
        for row in rows.to_dict("records"):
            odds = sorted(((name, float(row[f"prob_{name}"])) for name in run.classes), key=lambda odd: -odd[1])
            yield FlaggedCell(
                image.name,
                int(row["label"]),
                row["class"],
                float(row["confidence"]),
                float(row["saliency_consistency"]),
                float(row["equivalent_diameter_px"]),
                tuple(odds),
                tuple(reason for reason in row["review_reason"].split("; ") if reason),
                pictures.get(int(row["label"])),
            )


def _pictures(image: RunImage, rows: pd.DataFrame, unreadable: dict[str, str]) -> dict[int, CellPicture]:
    try:
        pixels, labels = read_rgb(image.file), read_labels(image.labels)
        gradcam = None if image.gradcam is None else _read_gradcam(image.gradcam)
        for other in (labels, gradcam):
            if other is not None and other.shape != pixels.shape[:2]:
                raise DataError(image.file, "it is not of the size that it had when it was predicted")
    except (DataError, OSError) as error:
        unreadable[image.name] = str(error)
        return {}
    pictures = {}
    for row in rows.to_dict("records"):
        box = tuple(int(np.clip(row[f"bbox_{end}"], 0, max(labels.shape))) for end in ("y0", "x0", "y1", "x1"))
        pictures[int(row["label"])] = picture_cell(pixels, labels, int(row["label"]), box, gradcam)  # type: ignore[arg-type]
    return pictures


def _read_gradcam(file: Path) -> NDArray[np.floating]:
    with naming_the_file(file):
        return np.asarray(decode_tiff(file, None, numbers=True).array, np.float32)


def _fields(run: Run) -> Iterator[tuple[str, str]]:
    for image in run.images[:MOST_FIELDS]:
        try:
            pixels = read_rgb(image.overlay)
        except (DataError, OSError):
            continue  # a run that did not draw them
        picture = Image.fromarray(pixels)
        picture.thumbnail((_FIELD_WIDTH, _FIELD_WIDTH), Image.Resampling.LANCZOS)
        yield image.name, as_data_uri(picture, quality=78)
