"""Sample data for *File > Open Sample*."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_sgcldff.layers import annotation_layer
from sgcldff_core.smear import SmearSettings, make_smear

if TYPE_CHECKING:
    from napari.types import LayerDataTuple

__all__ = ["curated_example", "synthetic_field", "synthetic_slide"]

_SLIDE = 8192  # px, of each side
_FACTORS = (2, 4, 8, 16)  # of its coarser levels
_SEED = 21
_IMAGES = 6
_VERSION = 1  # of the curated example; another one is drawn anew


def synthetic_field() -> list[LayerDataTuple]:
    """Draw a synthetic field of a Wright-stained smear with the outline and class of every leukocyte.

    Returns
    -------
    list of (data, dict, str)
        An image layer and a labels layer.
    """
    smear = make_smear(12, SmearSettings(height=768, width=1024, diameter=110, leukocytes=9, cut=0, stain="wright"))
    return [
        (smear.image, {"name": "synthetic field", "rgb": True}, "image"),
        annotation_layer(smear.labels, smear.classes, "synthetic field truth"),
    ]


def synthetic_slide() -> list[LayerDataTuple]:
    """Return a synthetic slide of 8192 × 8192 px whose tiles are drawn when they are looked at.

    Returns
    -------
    list of (data, dict, str)
        A multi-scale image layer and a multi-scale labels layer, both lazy, with the class of each cell.
    """
    from sgcldff_core.smear.overview import draw_overviews
    from sgcldff_core.smear.slide import make_slide

    settings = SmearSettings(height=1024, width=1024, diameter=80, leukocytes=6, stain="wright")
    slide = make_slide(_SEED, _SLIDE, _SLIDE, settings)
    # All tiles take minutes to draw; from afar the cells are discs.
    views = [(slide.image, slide.labels), *draw_overviews(slide, _FACTORS)]
    pyramid, truth = [image for image, _ in views], [labels for _, labels in views]
    classes = slide.classes_in(0, 0, _SLIDE, _SLIDE)
    data, attributes, kind = annotation_layer(truth, classes, "synthetic slide truth")
    return [
        (pyramid, {"name": "synthetic slide", "rgb": True, "multiscale": True, "contrast_limits": (0, 255)}, "image"),
        (data, {**attributes, "multiscale": True, "visible": False}, kind),
    ]


def curated_example() -> list[LayerDataTuple]:
    """Return a curated folder of synthetic fields, as *Correct cells* writes and *Train* reads it.

    It is drawn at the first call, into the cache folder of this user.

    Returns
    -------
    list of (data, dict, str)
        A stack of images and one of labels, with the class of each cell.
    """
    from napari_sgcldff.readers import read_data_set

    return read_data_set(str(_curated_folder()))


def _curated_folder() -> Path:
    import platformdirs

    from sgcldff_core.datasets.curated_writer import write_curated
    from sgcldff_core.datasets.history import CURATED_INDEX, Change, Provenance
    from sgcldff_core.smear import make_samples

    folder = Path(platformdirs.user_cache_dir("sgcldff", appauthor=False)) / f"curated-example-{_VERSION}"
    if not (folder / CURATED_INDEX).is_file():
        settings = SmearSettings(height=480, width=640, diameter=90, leukocytes=5, stain="wright")
        made = Change.now("napari-sgcldff", f"drew {_IMAGES} synthetic fields")
        provenance = Provenance("Curated example", "synthetic smears of sgcldff_core.smear", (made,))
        write_curated(make_samples(_IMAGES, _SEED, settings), folder, provenance=provenance)
    return folder
