"""Measuring a stain, and bringing one stain to another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sgcldff_core.adaptation.stains import StainStatistics, macenko, reinhard, stain_statistics
from sgcldff_core.errors import ConfigError

Images = list[np.ndarray]
WAYS = (macenko, reinhard)


@pytest.fixture(scope="module")
def source(source_images: Images) -> StainStatistics:
    return stain_statistics(source_images)


@pytest.fixture(scope="module")
def target(target_images: Images) -> StainStatistics:
    return stain_statistics(target_images)


@pytest.mark.parametrize("way", WAYS)
def test_another_stain_is_brought_most_of_the_way_back(
    way, source: StainStatistics, target: StainStatistics, source_images: Images, target_images: Images
) -> None:
    back = [way(target, source).apply(image) for image in target_images]
    before = np.mean([np.abs(a.astype(float) - b).mean() for a, b in zip(target_images, source_images, strict=True)])
    after = np.mean([np.abs(a.astype(float) - b).mean() for a, b in zip(back, source_images, strict=True)])
    assert after < 0.4 * before


@pytest.mark.parametrize("way", WAYS)
def test_the_models_own_images_are_left_alone(
    way, source: StainStatistics, target: StainStatistics, source_images: Images
) -> None:
    transform = way(target, source)
    assert all(transform.apply(image) is image for image in source_images)


@pytest.mark.parametrize("way", WAYS)
def test_a_stain_brought_to_itself_is_what_it_was(way, source: StainStatistics) -> None:
    transform = way(source, source)
    assert np.allclose(transform.matrix, np.eye(3), atol=1e-4)
    assert np.allclose(transform.offset, 0, atol=1e-3)


def test_which_stain_is_called_nuclear_does_not_matter(source: StainStatistics, target: StainStatistics) -> None:
    swapped = replace(target, stains=target.stains[::-1], strengths=target.strengths[::-1])
    assert np.allclose(macenko(swapped, source).matrix, macenko(target, source).matrix, atol=1e-5)


def test_the_share_of_background_does_not_matter(source_images: Images, source: StainStatistics) -> None:
    wide = [np.pad(image, ((60, 60), (60, 60), (0, 0)), mode="reflect") for image in source_images]
    tight = [image[15:-15, 15:-15] for image in source_images]
    for other in (stain_statistics(wide), stain_statistics(tight)):
        assert np.abs(other.lab_mean - source.lab_mean).max() < 6
        assert np.allclose(other.lab_std, source.lab_std, rtol=0.25)


def test_statistics_survive_json(source: StainStatistics) -> None:
    again = StainStatistics.from_dict(source.to_dict())
    assert again.images == source.images
    assert np.allclose(again.stains, source.stains, atol=1e-4)
    assert np.allclose(again.palettes, source.palettes, atol=1e-4)


@pytest.mark.parametrize(
    ("key", "value"),
    [("stains", [[1, 0, 0]]), ("lab_std", None), ("palettes", [[1.0, 2.0]]), ("background", [1, float("nan"), 1])],
)
def test_a_damaged_record_is_refused(source: StainStatistics, key: str, value: object) -> None:
    with pytest.raises(ConfigError, match="the record of a stain"):
        StainStatistics.from_dict({**source.to_dict(), key: value})


def test_images_without_cells_tell_no_stain() -> None:
    with pytest.raises(ConfigError, match="both stained cells and empty slide"):
        stain_statistics([np.full((40, 40, 3), 230, np.uint8)])
