"""A model as a package of the BioImage Model Zoo, with tensors to test it by."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

import sgcldff_core
from sgcldff_core.errors import ConfigError
from sgcldff_core.export.graphs import CLASSES_GRAPH, MAP_NAMES, MAPS_GRAPH, OPSET, export_onnx
from sgcldff_core.extras import wants_extra
from sgcldff_core.files import written_atomically
from sgcldff_core.inference.forward import network_input
from sgcldff_core.model import FUSED_STRIDE, STRIDE
from sgcldff_core.saliency import compute_prior
from sgcldff_core.smear import SmearSettings, make_smear

if TYPE_CHECKING:
    from sgcldff_core.model import Model

__all__ = ["PAPER", "export_bioimageio"]

PAPER = "10.48550/arXiv.2510.17278"
"""DOI of the paper whose method this is."""

_SEED, _HEIGHT, _WIDTH = 7, 8 * STRIDE, 10 * STRIDE
_TELLS = {
    "cell": "logit of a pixel being leukocyte",
    "nucleus": "logit of a pixel being nucleus of a leukocyte",
    "distance": "logit of the distance to the cell's outline, over its largest value in the cell",
    "fused": "fused map, on which classes.onnx names cells",
}


def export_bioimageio(model: Model, file: Path, *, card: str = "", license: str = "BSD-3-Clause") -> Path:
    """Write a model as one zip that ``bioimageio.core`` and the programs around it can run.

    It holds ``rdf.yaml``, the graph of maps as weights, the graph of classes as an attachment,
    documentation, and test tensors: a synthetic smear, its prior, and what the network says of it.

    Parameters
    ----------
    model : Model
        On any device; left as it is.
    file : Path
        The zip; appears whole or not at all.
    card : str
        Markdown, taken into the documentation; the model's card.
    license : str
        SPDX name of the licence under which the weights are given away.

    Returns
    -------
    Path
        The zip.

    Raises
    ------
    ConfigError
        If ``bioimageio.core`` or ``onnx`` is not installed, the licence is unknown, or the name of
        the file does not end in ``.zip``.
    """
    with wants_extra("export", "bioimage.io packages"):
        import bioimageio.spec as spec
        from bioimageio.spec.model import v0_5 as rdf
    if file.suffix != ".zip":
        raise ConfigError(f"{file}: a bioimage.io package is a zip; give a name that ends in .zip")
    try:
        licence = rdf.LicenseId(license)
    except ValueError as unknown:
        raise ConfigError(f"licence {license!r} is not one of SPDX; such are BSD-3-Clause, MIT, CC-BY-4.0") from unknown
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        export_onnx(model, folder)
        image, tensors = _test_tensors(model)
        for name, values in tensors.items():
            np.save(folder / f"{name}.npy", values)
        _cover(image, tensors["cell"]).save(folder / "cover.png")
        (folder / "README.md").write_text(_documentation(model, card), encoding="utf-8")
        with spec.ValidationContext(root=folder, perform_io_checks=False):
            try:
                described = rdf.ModelDescr(
                    name=f"SG-CLDFF {model.name}",
                    description="Leukocytes, their nuclei and a map to name them by, in stained blood smears",
                    authors=[rdf.Author(name="The SG-CLDFF authors")],
                    cite=[rdf.CiteEntry(text="SG-CLDFF, arXiv 2510.17278", doi=rdf.Doi(PAPER))],
                    license=licence,
                    documentation=_described(rdf, folder / "README.md"),
                    covers=[_described(rdf, folder / "cover.png")],
                    attachments=[_described(rdf, folder / CLASSES_GRAPH), _described(rdf, folder / "model.json")],
                    tags=["leukocyte", "blood-smear", "haematology", "instance-segmentation", "saliency", "2d"],
                    version=rdf.Version(sgcldff_core.__version__),
                    inputs=_inputs(rdf, folder),
                    outputs=_outputs(rdf, folder, model.config.width),
                    weights=rdf.WeightsDescr(
                        onnx=rdf.OnnxWeightsDescr(source=folder / MAPS_GRAPH, opset_version=OPSET)
                    ),
                )
            except ValueError as refused:
                raise ConfigError(f"bioimageio.spec refuses the description of {model.name}: {refused}") from refused
            with written_atomically(file) as draft:
                spec.save_bioimageio_package(described, output_path=draft, allow_invalid=False)
    return file


def _described(rdf: Any, path: Path) -> Any:
    return rdf.FileDescr(source=path)


def _test_tensors(model: Model) -> tuple[NDArray[np.uint8], dict[str, NDArray[np.float32]]]:
    settings = SmearSettings(
        height=_HEIGHT, width=_WIDTH, diameter=model.config.canonical_diameter, leukocytes=3, cut=0, stain="wright"
    )
    image = np.asarray(make_smear(_SEED, settings).image)
    prior = compute_prior(image, model.config.prior)
    with torch.inference_mode():
        x, p = network_input(model.network, image, prior)
        out = model.network(x, p)
    tensors = {"image": x, "prior": p, **{name: getattr(out, name) for name in MAP_NAMES}}
    return image, {name: np.ascontiguousarray(tensor.float().cpu().numpy()) for name, tensor in tensors.items()}


def _cover(image: NDArray[np.uint8], logits: NDArray[np.float32]) -> Image.Image:
    cell = (logits[0, 0] > 0)[..., None]
    shown = np.where(cell, image, image // 4 + 180).astype(np.uint8)
    return Image.fromarray(np.concatenate([image[:, :_HEIGHT], shown[:, :_HEIGHT]], axis=1))


def _inputs(rdf: Any, folder: Path) -> list[Any]:
    free = rdf.ParameterizedSize(min=2 * STRIDE, step=STRIDE)
    sizes = {
        "image": (free, free),
        "prior": tuple(rdf.SizeReference(tensor_id=rdf.TensorId("image"), axis_id=rdf.AxisId(a)) for a in "yx"),
    }
    channels = {"image": ["red", "green", "blue"], "prior": ["saliency"]}
    tells = {
        "image": "RGB over 255, resized so that a typical leukocyte has the canonical diameter of model.json",
        "prior": "saliency prior of the image, as sgcldff_core.saliency.compute_prior gives it",
    }
    return [
        rdf.InputTensorDescr(
            id=rdf.TensorId(name),
            description=tells[name],
            axes=[
                rdf.BatchAxis(),
                rdf.ChannelAxis(channel_names=[rdf.Identifier(channel) for channel in channels[name]]),
                rdf.SpaceInputAxis(id=rdf.AxisId("y"), size=sizes[name][0]),
                rdf.SpaceInputAxis(id=rdf.AxisId("x"), size=sizes[name][1]),
            ],
            data=rdf.IntervalOrRatioDataDescr(type="float32", range=(0.0, 1.0)),
            test_tensor=_described(rdf, folder / f"{name}.npy"),
        )
        for name in sizes
    ]


def _outputs(rdf: Any, folder: Path, width: int) -> list[Any]:
    outputs = []
    for name in MAP_NAMES:
        names = [f"fused{k}" for k in range(width)] if name == "fused" else [name]
        scale = float(FUSED_STRIDE if name == "fused" else 1)
        axes = [rdf.BatchAxis(), rdf.ChannelAxis(channel_names=[rdf.Identifier(channel) for channel in names])]
        for axis in "yx":
            size = rdf.SizeReference(tensor_id=rdf.TensorId("image"), axis_id=rdf.AxisId(axis))
            axes.append(rdf.SpaceOutputAxis(id=rdf.AxisId(axis), size=size, scale=scale))
        outputs.append(
            rdf.OutputTensorDescr(
                id=rdf.TensorId(name),
                description=_TELLS[name],
                axes=axes,
                data=rdf.IntervalOrRatioDataDescr(type="float32"),
                test_tensor=_described(rdf, folder / f"{name}.npy"),
            )
        )
    return outputs


def _documentation(model: Model, card: str) -> str:
    figures = "\n".join(f"- {name}: {value}" for name, value in model.metrics.items() if not isinstance(value, dict))
    return f"""# SG-CLDFF {model.name}

Written by sgcldff {sgcldff_core.__version__} from the model `{model.name}` (SHA-256 of its weights: {model.sha256}).
Not a medical device: for research, and for first drafts that a person reviews.

## Use

1. Resize the image so that a typical leukocyte is {model.config.canonical_diameter:g} px wide; divide by 255.
2. Fill up height and width to multiples of {STRIDE}: the image with the mean colour of ImageNet, the prior with 0.
3. The prior is `sgcldff_core.saliency.compute_prior(image, "{model.config.prior}")`; it needs no network.
4. Outputs are logits: apply a sigmoid to `cell`, `nucleus` and `distance`. A watershed on `distance` parts the cells.
5. `{CLASSES_GRAPH}` (attached) names them from `fused` and soft masks at a quarter of the size. The classes, in order:
   {", ".join(model.config.classes)}.

`sgcldff predict` does all of this.

## Validation

{figures or "See the card below; figures of the models that ship are in docs/results.md of the source."}

{card}
"""
