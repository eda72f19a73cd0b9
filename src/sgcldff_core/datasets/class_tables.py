"""Tables that name the class of an image, as spreadsheets save them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from sgcldff_core.errors import FormatError
from sgcldff_core.taxonomy import LEUKOCYTES, canonical_name

if TYPE_CHECKING:
    from sgcldff_core.datasets.report import ReadReport

__all__ = ["bccd_classes", "image_key", "read_table", "zheng_classes"]


def read_table(path: Path) -> list[list[str]]:
    """Return the rows of a CSV file, cells stripped.

    Parameters
    ----------
    path : Path
        UTF-8 with or without byte order mark, else Windows' Latin-1; separated by comma,
        semicolon or tab.

    Returns
    -------
    list of list of str
        The header too, if there is one; rows may differ in length.

    Raises
    ------
    FormatError
        If it is no text.
    """
    raw = path.read_bytes()
    if b"\0" in raw:
        raise FormatError(path, "this is no text", "export the table as CSV in UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        return [[cell.strip() for cell in row] for row in csv.reader(text.splitlines(), delimiter=delimiter)]
    except csv.Error as error:
        raise FormatError(path, f"this is no table ({error})", "export the table as CSV in UTF-8") from error


def zheng_classes(path: Path, report: ReadReport) -> dict[str, str]:
    """Read Zheng's table: number of the image, number of the class.

    Parameters
    ----------
    path : Path
        ``Class Labels of Dataset 1.csv``.
    report : ReadReport
        Receives rows that cannot be used.

    Returns
    -------
    dict of str to str
        Canonical class by the image's number without leading zeros, or by its stem in lower case.
    """
    classes: dict[str, str] = {}
    for n, row in enumerate(read_table(path), start=1):
        if n == 1 or not any(row):
            continue
        image, told = (row[0], row[1]) if len(row) > 1 else (row[0], "")
        if not image or not told:
            report.note(path, f"row {n} names no class; its image has none")
        elif not told.isdecimal():
            classes[image_key(image)] = canonical_name(told)
        elif 1 <= int(told) <= len(LEUKOCYTES):
            classes[image_key(image)] = LEUKOCYTES[int(told) - 1].name
        else:
            report.note(path, f"row {n} has the class {told}, known are 1 to {len(LEUKOCYTES)}; its image has none")
    return classes


def image_key(stem: str) -> str:
    """Return what a table and a file name agree on: ``"007"`` and ``"7"`` are the same image.

    Parameters
    ----------
    stem : str
        What a table gives as an image, or a file name without suffix.
    """
    return str(int(stem)) if stem.isdecimal() else stem.casefold()


def bccd_classes(path: Path, report: ReadReport) -> dict[str, tuple[str, ...]]:
    """Read Kaggle's ``labels.csv``: a blank column, number of the image, class or classes.

    Parameters
    ----------
    path : Path
        The table.
    report : ReadReport
        Receives rows without a class or with several.

    Returns
    -------
    dict of str to tuple of str
        Canonical class of each leukocyte that is named, by `image_key` of the image's number.
    """
    rows = read_table(path)
    header = [cell.casefold() for cell in rows[0]] if rows else []
    if "image" not in header or "category" not in header:
        raise FormatError(path, "it has no columns Image and Category", "take labels.csv as Kaggle publishes it")
    image, category = header.index("image"), header.index("category")
    classes: dict[str, tuple[str, ...]] = {}
    blank = 0
    for row in rows[1:]:
        if len(row) <= max(image, category) or not row[image] or not row[category]:
            blank += 1
            continue
        names = tuple(canonical_name(name) for name in row[category].split(",") if name.strip())
        classes[image_key(row[image])] = names
        if len(set(names)) > 1:
            report.note(path, f"image {row[image]} has several classes ({', '.join(names)}); as a whole it has none")
    if blank:
        report.note(path, f"{blank} rows name no class")
    return classes
