"""``sgcldff datasets``: look into data sets, doubt their classes, convert them, and fetch public ones."""

from __future__ import annotations

import getpass
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from sgcldff_core.cli.console import progress_bar, say_error, stderr, stdout
from sgcldff_core.cli.dataset_tables import (
    class_table,
    conversion_lines,
    duplicate_table,
    public_table,
    source_table,
    summary_lines,
)
from sgcldff_core.datasets.catalog import CATALOG, Asset
from sgcldff_core.datasets.conversion import WRITERS, convert
from sgcldff_core.datasets.inspection import inspect_dataset
from sgcldff_core.files import written_atomically
from sgcldff_core.sample import Sample

if TYPE_CHECKING:
    from sgcldff_core.evaluation.doubts import SourceDoubts

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Look into data sets, convert them, and fetch public ones.")

_TELLING = 5  # cells of a class, of which a share means anything
_FORMAT_HELP = "Format to read; told by content unless given."


@app.command("inspect")
def inspect_command(
    path: Annotated[Path, typer.Argument(help="A folder, or the JSON file of a COCO data set.")],
    format: Annotated[str, typer.Option("--format", metavar="FORMAT", help=_FORMAT_HELP)] = "auto",
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all of it as JSON.")] = None,
    all_files: Annotated[bool, typer.Option("--all-files", help="Name every file with a problem.")] = False,
) -> None:
    """Show what a data set holds: images, cells by class, labels, sizes, splits, unusable files and why.

    Exit code 0: every file could be used; 1: some could not, and are named.
    """
    with _counting("reading") as step:
        summary = inspect_dataset(path, format, progress=step)
    # Not as the table's title, which would be broken at the table's width.
    stdout.print(f"{summary.path} ({summary.format})", style="bold", markup=False, soft_wrap=True)
    stdout.print(source_table(summary), "")
    if any(source.classes for source in summary.sources):
        stdout.print(class_table(summary), "")
    for line in summary_lines(summary, all_files=all_files):
        stdout.print(line, soft_wrap=True)
    if json_file is not None:
        with written_atomically(json_file) as draft:
            draft.write_text(json.dumps(summary.as_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    raise typer.Exit(1 if summary.unusable else 0)


@app.command("convert")
def convert_command(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="The data set to read.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="The folder to make.")],
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help=f"One of {', '.join(WRITERS)}.")],
    source_format: Annotated[str, typer.Option("--from", metavar="FORMAT", help=_FORMAT_HELP)] = "auto",
    crop: Annotated[bool, typer.Option("--crop", help="For zheng: each cell becomes an image of its own.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier data set of this format.")] = False,
    who: Annotated[str | None, typer.Option("--who", metavar="NAME", help="Your name, for the history.")] = None,
) -> None:
    """Convert a data set; pixels and classes stay as they are, and what cannot be expressed is named.

    curated and coco keep everything. zheng has one class an image and no boxes, points, splits or groups.

    Exit code 0: everything was written; 1: something was left out, and is named.
    """
    with _counting("converting") as step:
        done = convert(
            source,
            target,
            to,
            who=who or _login_name(),
            source_format=source_format,
            overwrite=overwrite,
            crop=crop,
            progress=step,
        )
    for line in conversion_lines(done):
        stdout.print(line, soft_wrap=True)
    raise typer.Exit(1 if done.written.skipped or any(p.unusable for p in done.problems) else 0)


@app.command("download")
def download_command(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(CATALOG)}.")],
    to: Annotated[Path | None, typer.Option("--to", metavar="DIR", help="Where the folder NAME is made.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier download.")] = False,
) -> None:
    """Download a public data set, check and unpack it; a broken transfer goes on where it stopped."""
    from sgcldff_core.datasets.download import download

    with _transfer_bar() as bar:

        def told(asset: Asset) -> Callable[[int, int | None], None]:
            task = bar.add_task(asset.file, total=asset.size or asset.about)
            return lambda here, there: bar.update(task, completed=here, total=there)

        got = download(name, to, overwrite=overwrite, progress=told)
    entry = CATALOG[name]
    stdout.print(f"{got.files:,} files in {got.folder}", soft_wrap=True, markup=False)
    stdout.print(f"licence: {entry.licence}", markup=False)
    stdout.print(f"cite: {entry.citation}", markup=False)
    for url in got.first_seen:
        stderr.print(
            f"nobody publishes a checksum of {url}: the one of this first download was noted, and later ones must "
            "have it",
            soft_wrap=True,
            markup=False,
        )
    for archive in got.left_packed:
        stderr.print(f"{archive} must be opened with 7-Zip, unar or unrar", soft_wrap=True, markup=False)


@app.command("list")
def list_command() -> None:
    """List the public data sets: what is in them, what they may be used for, how to get them."""
    stdout.print(public_table(CATALOG))


@app.command("doubts")
def doubts_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a cross-validation.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write; made if it is missing.")],
    data: Annotated[
        list[Path] | None, typer.Option("--data", metavar="DATASET", help="A data set that was judged; repeatable.")
    ] = None,
) -> None:
    """List cells whose annotated class is likely wrong, as told by models that had not learned from them.

    Writes doubts.csv, the least self-confident first; and doubts.png, a picture of each cell, where --data
    is given. What is listed is a question to a person: a model may be wrong with confidence.

    Exit code 0: all well; 1: some cells have no picture, or an image could not be used, and they are named.
    """
    from sgcldff_core.evaluation.doubts import doubt_table, find_doubts, read_judged
    from sgcldff_core.evaluation.doubts_sheet import doubt_pictures, draw_doubts
    from sgcldff_core.evaluation.named_cells import named_cells
    from sgcldff_core.training import read_annotated

    cells = named_cells(read_judged(run))
    sources = find_doubts(cells)
    with written_atomically(out / "doubts.csv") as draft:
        doubt_table(sources).to_csv(draft, index=False, float_format="%.4f")
    stdout.print(_noise_table(sources))
    stdout.print(
        f"{len(cells.keys)} cells judged, {cells.missed} not found and so not judged; written to {out}",
        markup=False,
        soft_wrap=True,
    )
    problems: list[str] = []
    if data:
        samples, failures = read_annotated(data)
        pictures = doubt_pictures(sources, samples)
        doubts = [doubt for source in sources for doubt in source.doubts]
        draw_doubts(doubts, pictures, out / "doubts.png")
        problems += map(str, failures)
        problems += [
            f"{d.key.source} {d.key.name}: is in none of the data sets given, so it has no picture"
            for d in doubts
            if d.key not in pictures
        ]
    for problem in problems:
        say_error(problem)
    raise typer.Exit(1 if problems else 0)


@app.command("duplicates")
def duplicates_command(
    paths: Annotated[list[Path], typer.Argument(metavar="DATASET...", help="Data sets with masks.")],
) -> None:
    """List images that show the same cell, photographed or cut out twice, and cells that bear two names.

    Both of a pair belong on one side of a split: give them the same group (formats curated and coco).
    The 29 pairs of Zheng 1 and BCCD are known, and no split that is drawn parts them.

    Exit code 0: all well; 1: an image could not be used, and is named.
    """
    from sgcldff_core.datasets.near_duplicates import find_near_duplicates
    from sgcldff_core.training import read_annotated

    samples, told = read_annotated(paths)
    failures = list(told)
    with _counting("comparing") as step:
        pairs = find_near_duplicates(samples, watch=step, failed=failures.append)
    if pairs:
        stdout.print(duplicate_table(pairs))
    stdout.print(
        f"images that show the same cell: {len(pairs)}; cells with two names: {sum(p.two_names for p in pairs)}"
    )
    for failure in failures:
        say_error(str(failure))
    raise typer.Exit(1 if failures else 0)


def _noise_table(sources: Sequence[SourceDoubts]) -> Table:
    table = Table(title="Likely wrong classes")
    for title in ("source", "annotated"):
        table.add_column(title)
    for title in ("cells", "estimated wrong", "listed"):
        table.add_column(title, justify="right")
    for source in sources:
        listed = Counter(doubt.annotated for doubt in source.doubts)
        counts = dict(zip(source.classes, source.cells.tolist(), strict=True))
        for name, rate in source.noise_rates.items():
            shown = f"{rate:.1%}" if counts[name] >= _TELLING else "too few cells"
            table.add_row(escape(source.source), escape(name), str(counts[name]), shown, str(listed[name]))
        whole = sum(counts.values())
        shown = f"{source.noise_rate:.1%}" if whole >= _TELLING else "too few cells"
        total = (str(whole), shown, str(len(source.doubts)))
        table.add_row(escape(source.source), "all", *total, style="bold", end_section=True)
    return table


@contextmanager
def _counting(verb: str) -> Iterator[Callable[[Sample], None]]:
    with progress_bar() as bar:
        task = bar.add_task(verb, total=None)
        yield lambda sample: bar.update(task, advance=1, description=f"{verb} {sample.name}")


def _transfer_bar() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=stderr,
        transient=True,
        disable=not stderr.is_terminal,
    )


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container without that user, or Windows without the variable
        return "unknown"
