"""``sgcldff export``: models for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sgcldff_core.cli.console import stdout

__all__ = ["ModelFormat", "export"]


class ModelFormat(StrEnum):
    """What a model can be written as."""

    ONNX = "onnx"
    BIOIMAGEIO = "bioimageio"


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name or folder of a model.")],
    to: Annotated[ModelFormat, typer.Option("--to", help="ONNX graphs, or a package of the BioImage Model Zoo.")],
    out: Annotated[Path, typer.Option("--out", metavar="PATH", help="A folder for onnx, a .zip for bioimageio.")],
    licence: Annotated[
        str, typer.Option("--license", metavar="SPDX", help="Under which the package is given away.")
    ] = "BSD-3-Clause",
) -> None:
    """Write a model for other programs: as ONNX graphs, or as a bioimage.io package.

    onnx: maps.onnx (image and prior to cell, nucleus, distance and fused map; any batch, any height
    and width that 32 divides), classes.onnx (cells on the fused map to their classes) and model.json.
    bioimageio: a zip with rdf.yaml, the graphs, documentation and test tensors.
    Needs the extra 'export' of this package.
    """
    from sgcldff_core.model import find_model, load_model

    folder = find_model(model)
    loaded = load_model(folder)
    if to is ModelFormat.ONNX:
        from sgcldff_core.export.graphs import export_onnx

        export_onnx(loaded, out)
    else:
        from sgcldff_core.export.bioimageio import export_bioimageio

        card = folder / "CARD.md"
        text = card.read_text(encoding="utf-8") if card.is_file() else ""
        export_bioimageio(loaded, out, card=text, license=licence)
    stdout.print(f"{loaded.name} written to {out}", markup=False, soft_wrap=True)
