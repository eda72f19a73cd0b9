"""Open layers become samples: on stacks, on parts of an image, and tile by tile on large ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from napari.layers import Image, Labels

from napari_sgcldff.layer_samples import LayerPair
from napari_sgcldff.layers import KEY
from sgcldff_core.errors import ConfigError
from sgcldff_core.smear import Smear


def _features(classes: dict[int, str]) -> pd.DataFrame:
    return pd.DataFrame({"index": list(classes), "class": list(classes.values())})


def test_one_image_with_its_cells_and_their_classes(smear: Smear) -> None:
    image = Image(smear.image, name="my field/1", rgb=True, scale=(0.5, 0.5))
    labels = Labels(
        smear.labels * 10, features=_features({10 * k: c for k, c in smear.classes.items()}), scale=(0.5, 0.5)
    )
    pair = LayerPair.of(image, labels)
    labels.data[:] = 0  # painted over after it was taken
    (sample,) = pair.samples()
    assert sample.name == "my_field_1"
    np.testing.assert_array_equal(sample.read_image(), smear.image)
    np.testing.assert_array_equal(sample.read_labels() > 0, smear.labels > 0)
    found = sample.read_labels()
    for label, name in smear.classes.items():
        (number,) = np.unique(found[smear.labels == label])
        assert sample.classes[number] == name


def test_a_stack_gives_each_plane_that_has_cells_in_its_own_size(smear: Smear) -> None:
    height, width = smear.labels.shape
    stack = np.stack([smear.image, smear.image, smear.image])
    marks = np.stack([smear.labels, np.zeros_like(smear.labels), np.where(smear.labels, smear.labels + 50, 0)])
    about = {"names": ["a", "b", "c"], "sizes": [(height, width), (height, width), (height - 20, width - 30)]}
    image = Image(stack, name="set", rgb=True, metadata={KEY: about})
    pair = LayerPair.of(image, Labels(marks, features=_features({51: "monocyte"})))
    first, last = pair.samples()
    assert [first.name, last.name] == ["set_0000_a", "set_0002_c"]
    assert first.classes is None
    assert last.read_image().shape == (height - 20, width - 30, 3)
    assert set(last.classes.values()) == {"monocyte"}
    assert first.group != last.group


def test_labels_of_one_plane_of_a_stack_and_of_a_part_of_an_image(smear: Smear) -> None:
    stack = np.stack([np.zeros_like(smear.image), smear.image])
    part = smear.labels[40:200, 30:250]
    labels = Labels(part[None], scale=(1, 2, 2), translate=(1, 80, 60))
    (sample,) = LayerPair.of(Image(stack, name="s", rgb=True, scale=(1, 2, 2)), labels).samples()
    np.testing.assert_array_equal(sample.read_image(), smear.image[40:200, 30:250])


def test_a_large_image_is_cut_so_that_every_cell_is_whole_in_one_tile() -> None:
    labels = np.zeros((2048, 2100), np.int32)
    centres = [(500, 500), (1020, 300), (1500, 1500)]  # the second lies across the border of two tiles
    for number, (y, x) in enumerate(centres, start=1):
        labels[y - 30 : y + 30, x - 30 : x + 30] = number
    image = np.full((*labels.shape, 3), 200, np.uint8)
    names = {1: "neutrophil", 2: "monocyte", 3: "basophil"}
    samples = list(
        LayerPair.of(Image(image, name="slide", rgb=True), Labels(labels, features=_features(names))).samples()
    )
    told = sorted(name for s in samples for name in s.classes.values())
    assert told == sorted(names.values())
    for sample in samples:
        assert max(sample.read_image().shape[:2]) < 1200
        areas = np.bincount(sample.read_labels().ravel())
        assert all(areas[number] == 3600 for number in sample.classes)


def test_layers_without_labels_give_nothing_and_those_that_do_not_fit_are_refused(smear: Smear) -> None:
    image = Image(smear.image, name="field", rgb=True)
    assert list(LayerPair.of(image, Labels(np.zeros_like(smear.labels))).samples()) == []
    with pytest.raises(ConfigError, match="do not lie on the pixels of 'field'"):
        LayerPair.of(image, Labels(smear.labels, scale=(2, 2)))
    with pytest.raises(ConfigError, match="reach beyond the image 'field'"):
        LayerPair.of(image, Labels(smear.labels, translate=(10, 0)))
    with pytest.raises(ConfigError, match="'grey' is no RGB image"):
        LayerPair.of(Image(smear.image[..., 0], name="grey"), Labels(smear.labels))
