"""The table of cells, one row each, and the differential count."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from sgcldff_core.errors import ConfigError

__all__ = [
    "ALL_IMAGES",
    "UNLIKE_A_SMEAR",
    "cell_columns",
    "cell_shapes",
    "cell_table",
    "class_sets",
    "counted_cells",
    "differential",
    "prediction_sets",
]

ALL_IMAGES = "(all)"
"""What stands for an image's name in the rows of a differential count that are about all images."""

UNLIKE_A_SMEAR = "image unlike a stained smear"
"""The reason of every cell of an image that is taken for no smear, or for one out of focus."""

_SHAPE = (
    "centroid_y",
    "centroid_x",
    "bbox_y0",
    "bbox_x0",
    "bbox_y1",
    "bbox_x1",
    "area_px",
    "equivalent_diameter_px",
    "eccentricity",
    "solidity",
)


def cell_columns(classes: Sequence[str]) -> list[str]:
    """Return the names of the table's columns, in order.

    Parameters
    ----------
    classes : sequence of str
        Of the model, in the order of its logits.
    """
    return [
        *("image", "label", "class", "confidence"),
        *(f"prob_{name}" for name in classes),
        *_SHAPE,
        *("nucleus_area_px", "nc_ratio", "mean_saliency", "saliency_consistency", "needs_review", "review_reason"),
    ]


def cell_table(
    image: str,
    labels: NDArray[np.int32],
    nucleus: NDArray[np.bool_],
    saliency: NDArray[np.float32],
    classes: Sequence[str],
    probabilities: NDArray[np.float32],
    consistency: NDArray[np.float32],
    review_reasons: Sequence[str],
) -> pd.DataFrame:
    """Measure every cell of an image.

    Parameters
    ----------
    image : str
        Name of the image, the first column.
    labels : ndarray
        (H, W) int32 instance labels, 0 background.
    nucleus : ndarray
        (H, W) bool.
    saliency : ndarray
        (H, W) float32 in [0, 1].
    classes : sequence of str
        Of the model.
    probabilities : ndarray
        (N, classes) float32, rows in ascending order of label.
    consistency : ndarray
        (N,) float32 in [0, 1], likewise.
    review_reasons : sequence of str
        Likewise; empty where nobody needs to look.

    Returns
    -------
    DataFrame
        One row a cell, in ascending order of label, with `cell_columns`. Pixels count from 0;
        boxes are half open; ``nc_ratio`` is the nucleus's share of the cell's area, 0 to 1.

    Raises
    ------
    ConfigError
        If shapes or lengths do not fit each other.
    """
    if not labels.shape == nucleus.shape == saliency.shape:
        raise ConfigError(f"labels {labels.shape}, nucleus {nucleus.shape}, saliency {saliency.shape} differ in shape")
    table = cell_shapes(labels)
    if probabilities.shape != (len(table), len(classes)) or not len(table) == len(consistency) == len(review_reasons):
        raise ConfigError(
            f"{len(table)} cells and {len(classes)} classes, but probabilities of shape {probabilities.shape}, "
            f"{len(consistency)} consistencies and {len(review_reasons)} reasons"
        )
    own = table["label"].to_numpy()
    flat, size = labels.ravel(), int(own.max(initial=0)) + 1
    area = table["area_px"].to_numpy(float)
    best = probabilities.argmax(1) if len(table) else np.zeros(0, np.intp)
    nucleus_area = np.bincount(flat[nucleus.ravel()], minlength=size)[own].astype(np.int64)
    columns = {
        **table,
        "image": np.full(len(table), image, object),
        "class": np.array(classes, object)[best],
        "confidence": probabilities.max(1) if len(table) else np.zeros(0, np.float32),
        **{f"prob_{name}": probabilities[:, index] for index, name in enumerate(classes)},
        "nucleus_area_px": nucleus_area,
        "nc_ratio": nucleus_area / area,
        "mean_saliency": (np.bincount(flat, saliency.ravel(), size)[own] / area).astype(np.float32),
        "saliency_consistency": consistency,
        "needs_review": np.array([bool(reason) for reason in review_reasons], bool),
        "review_reason": np.array(review_reasons, object),
    }
    return pd.DataFrame({name: columns[name] for name in cell_columns(classes)})


def prediction_sets(probabilities: NDArray[np.floating], threshold: float) -> NDArray[np.bool_]:
    """Return which classes each cell may be of.

    Parameters
    ----------
    probabilities : ndarray
        (N, classes) float, calibrated.
    threshold : float
        In [0, 1], the least probability of a class in a set: see
        `sgcldff_core.training.conformal.conformal_threshold`.

    Returns
    -------
    ndarray
        (N, classes) bool. The most probable class is always in, so that no set is empty: that can
        only raise the share of cells whose true class is in.
    """
    inside = probabilities >= threshold
    if len(inside):
        inside[np.arange(len(inside)), probabilities.argmax(1)] = True
    return np.asarray(inside)


def class_sets(cells: pd.DataFrame, classes: Sequence[str], threshold: float) -> list[str]:
    """Say in words which classes each cell of a table may be of.

    Parameters
    ----------
    cells : DataFrame
        With the columns ``prob_<class>``, as from `cell_table`.
    classes : sequence of str
        Of the model.
    threshold : float
        See `prediction_sets`.

    Returns
    -------
    list of str
        One a row, such as ``"eosinophil or neutrophil"``, the most probable first.
    """
    probabilities = cells[[f"prob_{name}" for name in classes]].to_numpy(float)
    order = np.argsort(-probabilities, axis=1, kind="stable")
    inside = prediction_sets(probabilities, threshold)
    return [" or ".join(classes[c] for c in row if held[c]) for row, held in zip(order, inside, strict=True)]


def cell_shapes(labels: NDArray[np.int32]) -> pd.DataFrame:
    """Measure what the outlines alone tell of cells.

    Parameters
    ----------
    labels : ndarray
        (H, W) int32 instance labels, 0 background.

    Returns
    -------
    DataFrame
        One row a cell, in ascending order of label: the columns ``label`` and ``centroid_y`` to
        ``solidity`` of `cell_columns`.
    """
    # What skimage's regionprops_table gives, for all cells at once: that one takes a minute for
    # 10,000 cells, most of it for convex hulls drawn as images.
    y, x = np.nonzero(labels)
    value = labels[y, x]
    order = np.argsort(value, kind="stable")
    y, x, value = y[order], x[order], value[order]
    own, start = np.unique(value, return_index=True)
    if not len(own):
        return pd.DataFrame({name: np.zeros(0) for name in ("label", *_SHAPE)}).astype({"label": int, "area_px": int})
    area = np.diff(np.append(start, len(value)))
    centre_y, centre_x = np.add.reduceat(y, start) / area, np.add.reduceat(x, start) / area
    off_y, off_x = y - np.repeat(centre_y, area), x - np.repeat(centre_x, area)
    # A pixel is a square, not a point: 1/12 is its own second moment.
    yy = np.add.reduceat(off_y**2, start) / area + 1 / 12
    xx = np.add.reduceat(off_x**2, start) / area + 1 / 12
    xy = np.add.reduceat(off_x * off_y, start) / area
    middle, spread = (yy + xx) / 2, np.hypot((yy - xx) / 2, xy)
    hull = [_hull_area(py, px) for py, px in zip(np.split(y, start[1:]), np.split(x, start[1:]), strict=True)]
    return pd.DataFrame(
        {
            "label": own.astype(np.int64),
            "centroid_y": centre_y,
            "centroid_x": centre_x,
            "bbox_y0": np.minimum.reduceat(y, start),
            "bbox_x0": np.minimum.reduceat(x, start),
            "bbox_y1": np.maximum.reduceat(y, start) + 1,
            "bbox_x1": np.maximum.reduceat(x, start) + 1,
            "area_px": area.astype(np.int64),
            "equivalent_diameter_px": np.sqrt(4 / np.pi * area),
            "eccentricity": np.sqrt(np.clip(1 - (middle - spread) / (middle + spread), 0, 1)),
            "solidity": np.minimum(area / np.array(hull), 1),
        }
    )


def _hull_area(y: NDArray[np.intp], x: NDArray[np.intp]) -> float:
    # Rows come in order, and each row's pixels from left to right: only row ends can be corners.
    first = np.flatnonzero(np.diff(y, prepend=-1))
    last = np.append(first[1:], len(y)) - 1
    # The middles of a pixel's sides stand for its square, as in skimage.
    rows = np.concatenate([y[first], y[first], y[first[[0, 0]]] - 0.5, y[last[[-1, -1]]] + 0.5])
    columns = np.concatenate([x[first] - 0.5, x[last] + 0.5, x[[first[0], last[0], first[-1], last[-1]]]])
    return float(ConvexHull(np.stack([rows, columns], 1)).volume)  # in two dimensions: the area


def counted_cells(cells: pd.DataFrame) -> pd.DataFrame:
    """Leave out the cells of images that are taken for no smear: what they show is not to be counted.

    Parameters
    ----------
    cells : DataFrame
        As from `cell_table`; of one without reasons, all are counted.
    """
    if "review_reason" not in cells:
        return cells
    reasons = cells["review_reason"].fillna("").astype(str)
    return cells[~reasons.str.startswith(UNLIKE_A_SMEAR)]


def differential(cells: pd.DataFrame, classes: Sequence[str], images: Sequence[str] | None = None) -> pd.DataFrame:
    """Count the cells of each class, for each image and for all together.

    Parameters
    ----------
    cells : DataFrame
        With the columns ``image`` and ``class``, as from `cell_table`.
    classes : sequence of str
        All classes, so that one that was not found is listed with 0.
    images : sequence of str, optional
        All images, so that one without cells is listed; those in `cells` by default.

    Returns
    -------
    DataFrame
        Columns ``image``, ``class``, ``count``, ``percent`` (of the image's cells); images and
        classes in the order given, at last the rows of `ALL_IMAGES`. The
        percentage of nothing is missing (NaN), not 0.

    Raises
    ------
    ConfigError
        If `cells` holds a class that is not in `classes`, or an image that is not in `images`.
    """
    unknown = sorted(set(cells["class"]) - set(classes))
    if unknown:
        raise ConfigError(f"cells of class {', '.join(unknown)}, which is not among {', '.join(classes)}")
    listed = list(dict.fromkeys(cells["image"] if images is None else images))
    foreign = sorted(set(cells["image"]) - set(listed))
    if foreign:
        raise ConfigError(f"cells of {', '.join(foreign)}, which is not among the images")
    counts = pd.crosstab(cells["image"], cells["class"]).reindex(index=listed, columns=list(classes), fill_value=0)
    counts.loc[ALL_IMAGES] = counts.sum()
    total = counts.sum(axis=1)
    rows = pd.DataFrame(
        {
            "image": np.repeat(counts.index.to_numpy(object), len(classes)),
            "class": np.tile(np.array(classes, object), len(counts)),
            "count": counts.to_numpy(np.int64).ravel(),
        }
    )
    rows["percent"] = (100 * counts.div(total.where(total > 0), axis=0)).to_numpy(float).ravel()
    return rows
