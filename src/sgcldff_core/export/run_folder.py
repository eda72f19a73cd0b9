"""What ``sgcldff predict`` left in a folder, read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sgcldff_core.cells import cell_columns, counted_cells
from sgcldff_core.errors import FormatError

__all__ = ["Run", "RunImage", "read_run"]

_AGAIN = "run predict again into an empty folder"


@dataclass(frozen=True, slots=True)
class RunImage:
    """One image of a run.

    Attributes
    ----------
    name : str
        As the tables call it.
    file : Path
        The image; it may have been moved since.
    labels : Path
        Its label image.
    gradcam : Path or None
        Its Grad-CAM map, where the run wrote one.
    overlay : Path
        The picture with outlines.
    """

    name: str
    file: Path
    labels: Path
    gradcam: Path | None
    overlay: Path


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One run of ``predict``.

    Attributes
    ----------
    folder : Path
        Where it is.
    started : str
        ISO 8601, UTC.
    version : str
        Of this package, at the time.
    model, sha256 : str
        Name of the model and hash of its weights.
    classes : tuple of str
        Of the model, in order.
    images : tuple of RunImage
        That were used.
    failures : tuple of tuple of str
        File and reason of those that were not.
    cells : DataFrame
        ``cells.csv``, with empty reasons as empty text and images as text.
    """

    folder: Path
    started: str
    version: str
    model: str
    sha256: str
    classes: tuple[str, ...]
    images: tuple[RunImage, ...]
    failures: tuple[tuple[str, str], ...]
    cells: pd.DataFrame

    def counts(self, image: str | None = None) -> dict[str, int]:
        """Return the number of cells of each class that count, in one image or in all.

        As in ``differential.csv``, those of an image that is taken for no smear do not.

        Parameters
        ----------
        image : str, optional
            As the table calls it; all images by default.
        """
        cells = self.cells if image is None else self.cells[self.cells["image"] == image]
        cells = counted_cells(cells)
        return {str(name): int(count) for name, count in cells["class"].value_counts().items()}

    def not_counted(self) -> dict[str, int]:
        """Return how many cells do not count of each image that is taken for no smear and has some."""
        others = self.cells.drop(counted_cells(self.cells).index)["image"].value_counts(sort=False)
        return {str(name): int(count) for name, count in others.items()}


def read_run(folder: Path | str, images: Path | None = None) -> Run:
    """Read the folder that ``sgcldff predict`` wrote.

    Parameters
    ----------
    folder : Path or str
        With ``run.json`` and ``cells.csv``.
    images : Path, optional
        Where the images are now; by default where they were.

    Returns
    -------
    Run
        Pixels are not read.

    Raises
    ------
    FormatError
        If one of the files is missing, damaged, or does not fit the other.
    """
    folder = Path(folder)
    told = _read_json(folder / "run.json")
    try:
        classes = tuple(str(name) for name in told["model"]["classes"])
        listed = tuple(_image(folder, entry, images) for entry in told["images"])
        failures = tuple((str(entry["file"]), str(entry["problem"])) for entry in told["failures"])
        started, version = str(told["started"]), str(told["versions"]["sgcldff"])
        model, sha256 = str(told["model"]["name"]), str(told["model"]["sha256"])
    except (KeyError, TypeError, AttributeError) as error:
        raise FormatError(folder / "run.json", f"it lacks what predict writes ({error!r})", _AGAIN) from error
    cells = _read_cells(folder / "cells.csv", classes)
    foreign = sorted(set(cells["image"]) - {image.name for image in listed})
    if foreign:
        raise FormatError(folder / "cells.csv", f"it has cells of {foreign[0]!r}, which run.json does not list", _AGAIN)
    return Run(folder, started, version, model, sha256, classes, listed, failures, cells)


def _read_json(file: Path) -> Mapping[str, Any]:
    if not file.is_file():
        raise FormatError(file, "there is no such file", "name a folder that predict wrote")
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise FormatError(file, f"it cannot be read as JSON ({error})", _AGAIN) from error
    if not isinstance(told, dict):
        raise FormatError(file, "it is not the record of a run", _AGAIN)
    return told


def _image(folder: Path, entry: Mapping[str, Any], images: Path | None) -> RunImage:
    name, file = str(entry["image"]), Path(str(entry["file"]))
    # A name from data is never trusted as a path.
    if not name or name in {".", ".."} or any(letter in name for letter in "/\\\0"):
        raise FormatError(folder / "run.json", f"{name!r} is no name of an image", _AGAIN)
    gradcam = folder / f"{name}_gradcam.tif"
    return RunImage(
        name,
        file if images is None else images / file.name,
        folder / f"{name}_labels.tif",
        gradcam if gradcam.is_file() else None,
        folder / f"{name}_overlay.png",
    )


def _read_cells(file: Path, classes: tuple[str, ...]) -> pd.DataFrame:
    if not file.is_file():
        raise FormatError(file, "there is no such file", "name a folder that predict wrote")
    try:
        cells = pd.read_csv(file, dtype={"image": str, "class": str, "review_reason": str}, keep_default_na=False)
    except (ValueError, pd.errors.ParserError) as error:
        raise FormatError(file, f"it cannot be read as a table ({error})", _AGAIN) from error
    missing = [column for column in cell_columns(classes) if column not in cells]
    if missing:
        raise FormatError(file, f"it has no column {missing[0]}", _AGAIN)
    strange = sorted(set(cells["class"]) - set(classes))
    if strange:
        raise FormatError(file, f"it has cells of class {strange[0]!r}, which the model does not know", _AGAIN)
    cells["needs_review"] = cells["needs_review"].astype(str) == "True"
    numbers = [column for column in cell_columns(classes) if column not in {"image", "class", "needs_review"}]
    try:
        for column in numbers:
            if column != "review_reason":
                cells[column] = pd.to_numeric(cells[column])
    except (ValueError, TypeError) as error:
        raise FormatError(file, f"column {column} holds what is no number ({error})", _AGAIN) from error
    return cells
