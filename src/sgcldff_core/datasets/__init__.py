"""Data sets: every format on disk becomes a stream of `Sample`."""

from __future__ import annotations

from sgcldff_core.datasets.layout import Format
from sgcldff_core.datasets.rasters import (
    IMAGE_SUFFIXES,
    check_label_shape,
    read_image_size,
    read_labels,
    read_rgb,
)
from sgcldff_core.datasets.registry import DataSet, formats, open_dataset
from sgcldff_core.datasets.report import Problem, ReadReport

__all__ = [
    "IMAGE_SUFFIXES",
    "DataSet",
    "Format",
    "Problem",
    "ReadReport",
    "check_label_shape",
    "formats",
    "open_dataset",
    "read_image_size",
    "read_labels",
    "read_rgb",
]
