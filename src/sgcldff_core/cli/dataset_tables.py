"""How data sets are shown in a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from rich import box
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from sgcldff_core.datasets.catalog import PublicDataset
from sgcldff_core.datasets.conversion import Conversion
from sgcldff_core.datasets.kinds import NOT_LEUKOCYTES
from sgcldff_core.datasets.near_duplicates import NearDuplicate
from sgcldff_core.datasets.report import Problem
from sgcldff_core.datasets.summary import UNKNOWN, ClassSummary, DatasetSummary, SourceSummary
from sgcldff_core.taxonomy import colour_of

__all__ = ["class_table", "conversion_lines", "duplicate_table", "public_table", "source_table", "summary_lines"]

_KINDS = ("masks", "nuclei", "classes", "boxes", "points", "image class")
_SPLITS = ("train", "val", "test")
_SHOWN = 12  # files with a problem, before the rest are only counted


def source_table(summary: DatasetSummary) -> Table:
    """Return one column a source: images, sizes, kinds of labels and published splits.

    Parameters
    ----------
    summary : DatasetSummary
        What was counted.

    Returns
    -------
    rich.table.Table
        With a column for all of them where there are several.
    """
    sources = summary.sources
    several = len(sources) > 1
    table = _table(None)
    table.add_column("", no_wrap=True)
    for source in sources:
        table.add_column(escape(source.source), justify="right")
    if several:
        table.add_column("all", justify="right")

    def row(name: str, figures: list[int], whole: int | None = None) -> None:
        table.add_row(name, *map(_number, figures), *([_number(sum(figures) if whole is None else whole)] * several))

    row("images", [s.images for s in sources])
    row("scenes", [s.groups for s in sources], summary.groups)
    table.add_row("height × width", *map(_sizes, sources), *([""] * several))
    table.add_section()
    for kind in _KINDS:
        if any(kind in s.kinds for s in sources):
            row(f"with {kind}", [s.kinds.get(kind, 0) for s in sources])
    table.add_section()
    for split in _SPLITS:
        if any(split in s.splits for s in sources):
            row(f"in {split}", [s.splits.get(split, 0) for s in sources])
    return table


def class_table(summary: DatasetSummary) -> Table:
    """Return one row a class of each source: cells, boxes, points, sizes.

    Parameters
    ----------
    summary : DatasetSummary
        What was counted.

    Returns
    -------
    rich.table.Table
        Sizes in px; a dot where there is nothing.
    """
    every = [c for source in summary.sources for c in source.classes]
    names = [c.name for c in every]
    counts = {
        title: field
        for title, field in (("outlined", "outlined"), ("boxes", "boxed"), ("points", "pointed"), ("images", "images"))
        if any(getattr(c, field) for c in every)
    }
    splits = [s for s in _SPLITS if any(s in c.splits for c in every)]
    sized, nuclear = any(c.diameters_px for c in every), any(c.nucleus_share is not None for c in every)
    table = _table(f"cells by class ({summary.cells:,} outlined)")
    table.add_column("", no_wrap=True)
    for title in (*counts, *splits):
        table.add_column(title, justify="right", no_wrap=True, style="dim" if title in splits else "")
    if sized:
        table.add_column("diameter, px\n(5–95 %)", justify="right", no_wrap=True)
    if nuclear:
        table.add_column("nucleus\nof cell", justify="right", no_wrap=True)
    for source in summary.sources:
        table.add_section()
        if len(summary.sources) > 1:
            table.add_row(Text(source.source, style="bold"))
        for of in source.classes:
            table.add_row(
                _swatch(of.name, names),
                *(_number(getattr(of, field)) for field in counts.values()),
                *(_number(of.splits.get(s, 0)) for s in splits),
                *([_diameter(of)] if sized else []),
                *([f"{of.nucleus_share:.0%}" if of.nucleus_share is not None else "·"] if nuclear else []),
            )
    return table


def summary_lines(summary: DatasetSummary, *, all_files: bool) -> Iterator[Text]:
    """Yield what is worth knowing, and files with problems, as lines.

    Parameters
    ----------
    summary : DatasetSummary
        What was counted.
    all_files : bool
        Name all files, not only the first dozen.

    Yields
    ------
    rich.text.Text
    """
    if not summary.images:
        yield Text("no image could be read", style="bold red")
    for finding in summary.findings:
        yield Text("! ", style="yellow").append(finding, style="default")
    yield from _problem_lines(summary, "left out as unusable", summary.unusable, "red", all_files)
    yield from _problem_lines(summary, "mended or noted", summary.notes, "dim", all_files)


def duplicate_table(pairs: Sequence[NearDuplicate]) -> Table:
    """Return one row for every pair of images that show the same cell.

    Parameters
    ----------
    pairs : sequence of NearDuplicate
        What was found.
    """
    table = _table(None)
    for title in ("image", "shows the cell of", "called", "and"):
        table.add_column(title, overflow="fold")
    for title in ("cell", "around it"):
        table.add_column(title, justify="right")
    for pair in pairs:
        called = [escape(name or "") for name in pair.classes]
        alike = ["" if np.isnan(value) else f"{value:.2f}" for value in (pair.inside, pair.outside)]
        style = "bold red" if pair.two_names else None
        table.add_row(escape(pair.one), escape(pair.other), *called, *alike, style=style)
    return table


def conversion_lines(done: Conversion) -> Iterator[Text]:
    """Yield what a conversion wrote, what it left out and why.

    Parameters
    ----------
    done : Conversion
        What was done.

    Yields
    ------
    rich.text.Text
    """
    written = done.written
    yield Text(f"{written.images:,} images with {written.cells:,} outlined cells written to {written.folder}")
    for lost in written.lost:
        yield Text("! ", style="yellow").append(lost, style="default")
    reasons = Counter(skipped.reason for skipped in written.skipped)
    for reason, n in reasons.most_common():
        names = [skipped.name for skipped in written.skipped if skipped.reason == reason]
        yield Text(f"left out {n}: ", style="red").append(f"{reason}: {_first(names)}", style="default")
    unusable = [p for p in done.problems if p.unusable]
    if unusable:
        yield Text(f"{len(unusable)} left out as unusable:", style="red")
        yield from (Text(f"  {p.path}: {p.problem}") for p in unusable)


def public_table(catalog: Mapping[str, PublicDataset]) -> Table:
    """Return a few lines on each public data set.

    Parameters
    ----------
    catalog : mapping of str to PublicDataset
        The data sets by name.

    Returns
    -------
    rich.table.Table
        Name, licence, size, and who vouches for the files.
    """
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for n, (name, entry) in enumerate(catalog.items()):
        rows = {"": entry.title, "holds": entry.contents, "licence": entry.licence, "home": entry.homepage}
        if entry.assets:
            rows["get"] = f"sgcldff datasets download {name} ({_size_of(entry)})"
            rows["checksum"] = _vouched(entry)
        rows["note"] = entry.request or entry.remark
        if n:
            table.add_row()
        for m, (what, text) in enumerate((w, t) for w, t in rows.items() if t):
            table.add_row(name if m == 0 else "", what, Text(text, style="bold" if m == 0 else ""))
    return table


def _size_of(entry: PublicDataset) -> str:
    sizes = [asset.size or asset.about for asset in entry.assets]
    if None in sizes:
        return "size unknown"
    exact = all(asset.size for asset in entry.assets)
    return f"{'' if exact else 'about '}{sum(size or 0 for size in sizes) / 1e6:.0f} MB"


def _vouched(entry: PublicDataset) -> str:
    if all(asset.sha256 for asset in entry.assets):
        return "published; a file that differs is refused"
    return "none published: the first download is trusted and noted, a later one that differs is refused"


def _table(title: str | None) -> Table:
    """Return an empty table that is narrow enough for 80 columns, which is what a pipe has."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


def _number(n: int) -> str:
    return f"{n:,}" if n else "·"


def _sizes(source: SourceSummary) -> str:
    if not source.sizes:
        return "·"
    if len(source.sizes) <= 2:
        return ", ".join(f"{height} × {width}" for height, width in source.sizes)
    heights, widths = ([size[axis] for size in source.sizes] for axis in (0, 1))
    return f"{min(heights)}–{max(heights)} × {min(widths)}–{max(widths)}"


def _swatch(name: str, names: Sequence[str]) -> Text:
    if name == UNKNOWN or name in NOT_LEUKOCYTES:
        return Text(f"  {name}", style="dim")
    red, green, blue = colour_of(name, names)
    return Text("■ ", style=f"rgb({red},{green},{blue})").append(name, style="default")


def _diameter(of: ClassSummary) -> str:
    if of.diameters_px is None:
        return "·"
    low, median, high = of.diameters_px
    return f"{median:.0f} ({low:.0f}–{high:.0f})" if of.outlined > 1 else f"{median:.0f}"


def _first(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _problem_lines(
    summary: DatasetSummary, what: str, problems: Sequence[Problem], style: str, all_files: bool
) -> Iterator[Text]:
    if not problems:
        return
    yield Text(f"{len(problems)} {what}:", style="red" if style == "red" else "default")
    alike: dict[str, list[str]] = {}
    for problem in problems:
        path = problem.path.relative_to(summary.path) if problem.path.is_relative_to(summary.path) else problem.path
        alike.setdefault(problem.problem, []).append(str(path))
    for n, (what, paths) in enumerate(alike.items()):
        if n == _SHOWN and not all_files:
            rest = sum(len(others) for others in list(alike.values())[n:])
            yield Text(f"  and {rest} more (--all-files names them, --json keeps them)", style=style)
            return
        names = ", ".join(paths) if all_files else _first(paths)
        line = f"  {names}: {what}" if len(paths) == 1 else f"  {what} ({len(paths)}): {names}"
        yield Text(line, style="default" if style == "red" else style)
