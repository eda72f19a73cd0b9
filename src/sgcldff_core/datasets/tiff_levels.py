"""TIFF slides, OME or as scanners write them: tiles at several sizes, read one by one."""

from __future__ import annotations

from pathlib import Path

from tifffile import TiffFile, TiffPageSeries

from sgcldff_core.datasets.ome_zarr import load_zarr
from sgcldff_core.datasets.pyramids import Level, Pyramid, checked_level
from sgcldff_core.datasets.tiffs import check_whole, refuse_truncated
from sgcldff_core.extras import wants_extra

__all__ = ["is_tiled_pyramid", "open_tiff_levels"]


def is_tiled_pyramid(path: Path) -> bool:
    """Tell whether a TIFF holds its first image at several sizes.

    Parameters
    ----------
    path : Path
        A TIFF file.
    """
    with TiffFile(path) as tiff:
        return len(tiff.series[0].levels) > 1


def open_tiff_levels(path: Path) -> Pyramid:
    """Open the first image of a TIFF without reading its pixels.

    Parameters
    ----------
    path : Path
        An OME-TIFF, or a TIFF of a scanner that has the same structure (SVS and others).

    Returns
    -------
    Pyramid
        To be closed.

    Raises
    ------
    FormatError
        If it is no plane of a smear, or is stored in one piece.
    UnreadableImageError
        If it is truncated.
    ConfigError
        If zarr or imagecodecs is not installed.
    """
    check_whole(path)
    load_zarr()
    # It knows what scanners pack tiles with; and no tile unpacks to more than its pixels, as tifffile's own would.
    with wants_extra("slides", "slides"):
        import imagecodecs  # noqa: F401
    tiff = TiffFile(path)
    try:
        levels = [_level(path, tiff.series[0].levels[index], index) for index in range(len(tiff.series[0].levels))]
        return Pyramid.of_levels(levels, path, tiff.close)
    except BaseException:
        tiff.close()
        raise


def _level(path: Path, series: TiffPageSeries, index: int) -> Level:
    zarr = load_zarr()
    for page in series.pages:
        if page is not None:
            blocks = list(zip(page.dataoffsets, page.databytecounts, strict=True))
            refuse_truncated(path, page, blocks)
    # Here a series is one level; its own index among the levels is always 0.
    array = zarr.open_array(series.aszarr(level=0), mode="r")
    return checked_level(path, array, series.axes.lower())
