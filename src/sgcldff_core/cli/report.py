"""``sgcldff report``: what a run found, for people, hospitals and other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sgcldff_core.cli.console import stdout

__all__ = ["ReportFormat", "report"]


class ReportFormat(StrEnum):
    """What a run can be told as."""

    HTML = "html"
    FHIR = "fhir"
    COCO = "coco"


def report(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="What predict wrote; for fhir also a curated folder."),
    ],
    to: Annotated[ReportFormat, typer.Option("--to", help="A page, a FHIR R4 bundle, or COCO instance JSON.")],
    out: Annotated[Path, typer.Option("--out", metavar="PATH", help="A file for html and fhir, a folder for coco.")],
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Where the images are now, if they were moved.")
    ] = None,
    reviewer: Annotated[
        str | None,
        typer.Option("--reviewer", metavar="NAME", help="fhir: who looked through the cells; makes the report final."),
    ] = None,
    patient: Annotated[
        str | None, typer.Option("--patient", metavar="ID", help="fhir: the patient, as Patient/ID or an identifier.")
    ] = None,
    specimen: Annotated[
        str | None, typer.Option("--specimen", metavar="ID", help="fhir: the specimen's identifier.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="coco: replace an earlier data set.")] = False,
) -> None:
    """Write what 'predict' found as a page to read, a message, or a data set.

    html: one file with the count and every cell to look at; opens from disk, prints on A4.
    fhir: a DiagnosticReport with Observations (LOINC, UCUM), preliminary unless --reviewer says who
    looked; needs the extra 'export' of this package.
    coco: images and annotations.json with outlines and classes.
    """
    if to is ReportFormat.FHIR:
        from sgcldff_core.export.fhir import Reference, write_fhir
        from sgcldff_core.export.leukocyte_count import read_count

        count = read_count(run)
        write_fhir(count, out, reference=Reference(patient=patient, specimen=specimen, reviewer=reviewer))
    elif to is ReportFormat.COCO:
        from sgcldff_core.export.run_folder import read_run
        from sgcldff_core.export.run_samples import write_run_as_coco

        write_run_as_coco(read_run(run, images), out, overwrite=overwrite)
    else:
        from sgcldff_core.export.report import write_report
        from sgcldff_core.export.run_folder import read_run

        write_report(read_run(run, images), out)
    stdout.print(f"{run} written to {out}", markup=False, soft_wrap=True)
