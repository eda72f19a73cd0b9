"""Slides of every kind are opened without being read, and read where they are asked for."""

from __future__ import annotations

import json
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr
from dask import delayed
from numpy.typing import NDArray
from PIL import Image

from sgcldff_core.datasets.ome_zarr import create_levels, level_shapes, multiscales
from sgcldff_core.datasets.ome_zarr_writer import write_ome_zarr
from sgcldff_core.datasets.pyramids import Pyramid
from sgcldff_core.datasets.slides import is_slide, open_slide
from sgcldff_core.errors import FormatError, UnreadableImageError

Pixels = NDArray[Any]


@pytest.fixture
def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (300, 420, 3), dtype=np.uint8)


def write_tiff(path: Path, pixels: Pixels, *, planar: bool = False, levels: int = 3, tile: int = 64) -> Path:
    axes = "CYX" if planar else "YXS"
    with tifffile.TiffWriter(path, ome=True) as tiff:
        for index in range(levels):
            part = pixels[:: 1 << index, :: 1 << index]
            options: dict[str, Any] = {"photometric": "rgb", "tile": (tile, tile), "compression": "zlib"}
            options |= {"planarconfig": "separate"} if planar else {}
            options |= {"subfiletype": 1} if index else {"subifds": levels - 1, "metadata": {"axes": axes}}
            tiff.write(np.moveaxis(part, -1, 0) if planar else part, **options)
    return path


def write_zarr(path: Path, pixels: Pixels, *, version: str = "0.5", levels: int = 3) -> Path:
    group = zarr.open_group(str(path), mode="w", zarr_format=2 if version == "0.4" else 3)
    shapes = []
    for index in range(levels):
        part = np.moveaxis(pixels[:: 1 << index, :: 1 << index], -1, 0)
        group.create_array(str(index), data=part, chunks=(3, 64, 64))
        shapes.append((part.shape[1], part.shape[2]))
    group.attrs.update(multiscales("slide", shapes, channels=True, version=version))
    return path


WRITERS = {
    "slide.ome.tif": write_tiff,
    "planar.ome.tif": lambda path, pixels: write_tiff(path, pixels, planar=True),
    "new.ome.zarr": write_zarr,
    "old.zarr": lambda path, pixels: write_zarr(path, pixels, version="0.4"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_each_level_of_each_format_holds_its_pixels(tmp_path: Path, pixels: NDArray[np.uint8], name: str) -> None:
    path = WRITERS[name](tmp_path / name, pixels)
    assert is_slide(path)
    slide = open_slide(path)
    try:
        assert [level.shape for level in slide.levels] == [(300, 420), (150, 210), (75, 105)]
        assert slide.shape == (300, 420)
        np.testing.assert_array_equal(slide.levels[0].read((17, 40, 170, 300)), pixels[17:170, 40:300])
        np.testing.assert_array_equal(slide.levels[2].read((0, 3, 75, 105)), pixels[::4, 12::4])
        np.testing.assert_array_equal(np.asarray(slide.levels[1].as_dask(64)), pixels[::2, ::2])
        assert [slide.level_for(most) for most in (0.5, 1, 1.9, 2, 3.9, 4, 100)] == [0, 0, 0, 1, 1, 2, 2]
    finally:
        slide.close()


def test_what_bioformats2raw_writes_is_opened(tmp_path: Path, pixels: NDArray[np.uint8]) -> None:
    zarr.open_group(str(tmp_path / "raw.zarr"), mode="w").attrs["bioformats2raw.layout"] = 3
    write_zarr(tmp_path / "raw.zarr" / "0", pixels)
    assert open_slide(tmp_path / "raw.zarr").shape == (300, 420)


def test_images_are_no_slides(tmp_path: Path, pixels: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(pixels).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb")
    (tmp_path / "text.tif").write_text("II*")
    (tmp_path / "folder").mkdir()
    for name in ("a.png", "a.tif", "text.tif", "folder", "none.tif"):
        assert not is_slide(tmp_path / name)
    monkeypatch.setattr("sgcldff_core.datasets.slides.LARGEST_FIELD", 300 * 420 - 1)
    assert is_slide(tmp_path / "a.tif")
    assert not is_slide(tmp_path / "a.png")


def test_arrays_of_any_depth_and_layout_are_read_as_rgb(pixels: NDArray[np.uint8]) -> None:
    box, want = (5, 6, 50, 70), pixels[5:50, 6:70]
    for array in (pixels, np.moveaxis(pixels, -1, 0), np.dstack([pixels, pixels[..., 0]])):
        found = Pyramid.of_arrays(da.from_array(array, chunks=40)).levels[0].read(box)
        np.testing.assert_array_equal(found, want)
    grey = Pyramid.of_arrays(da.from_array(pixels[..., 1], chunks=40)).levels[0].read(box)
    np.testing.assert_array_equal(grey, np.repeat(want[..., 1:2], 3, 2))


def test_the_depth_of_the_camera_is_that_of_the_slide_not_of_a_part(pixels: NDArray[np.uint8]) -> None:
    """A dark region must stay dark."""
    deep = pixels.astype(np.uint16) * 16  # 12 bits
    deep[:50, :50] //= 8
    level = Pyramid.of_arrays(da.from_array(deep, chunks=64)).levels[0]
    np.testing.assert_allclose(level.read((100, 100, 200, 200)), pixels[100:200, 100:200], atol=1)
    np.testing.assert_allclose(level.read((0, 0, 50, 50)), pixels[:50, :50] // 8, atol=1)


def test_a_pyramid_ends_where_it_is_small_and_its_description_says_where_pixels_lie(tmp_path: Path) -> None:
    shapes = level_shapes((3001, 2050))
    assert shapes == [(3001, 2050), (1501, 1025), (751, 513)]
    group = zarr.open_group(str(tmp_path / "x.zarr"), mode="w", zarr_format=3)
    arrays = create_levels(group, (3001, 2050), np.uint32)
    assert [array.shape for array in arrays] == shapes
    (image,) = multiscales("x", shapes)["ome"]["multiscales"]
    moves = image["datasets"][2]["coordinateTransformations"]
    assert moves[0]["scale"] == [3001 / 751, 2050 / 513]
    assert moves[1]["translation"] == pytest.approx([1.498, 1.498], abs=1e-3)


def _attributes(path: Path, change: Any) -> None:
    file = path / "zarr.json"
    content = json.loads(file.read_text())
    change(content["attributes"])
    file.write_text(json.dumps(content))


def test_what_is_no_slide_is_refused_by_name(tmp_path: Path, pixels: NDArray[np.uint8]) -> None:
    zarr.open_group(str(tmp_path / "bare.zarr"), mode="w")
    (tmp_path / "empty.zarr").mkdir()
    gone = write_zarr(tmp_path / "gone.zarr", pixels)
    _attributes(gone, lambda a: a["ome"]["multiscales"][0]["datasets"].append({"path": "7"}))
    outside = write_zarr(tmp_path / "outside.zarr", pixels)
    _attributes(outside, lambda a: a["ome"]["multiscales"][0]["datasets"].append({"path": "../gone.zarr/0"}))
    five = zarr.open_group(str(tmp_path / "five.zarr"), mode="w")
    five.create_array("0", shape=(5, 90, 90), dtype="uint8", chunks=(5, 30, 30))
    five.attrs.update(multiscales("five", [(90, 90)], channels=True))
    other = write_zarr(tmp_path / "other.zarr", pixels, levels=1)
    zarr.open_group(str(other)).create_array("1", shape=(3, 20, 90), dtype="uint8", chunks=(3, 20, 20))
    _attributes(other, lambda a: a["ome"]["multiscales"][0]["datasets"].append({"path": "1"}))
    reasons = {
        "bare": "no multiscale metadata",
        "empty": "no OME-Zarr image",
        "gone": "no OME-Zarr image",
        "outside": "no OME-Zarr image",
        "five": r"\[5\] channels",
        "other": "a level of",
    }
    for name, reason in reasons.items():
        with pytest.raises(FormatError, match=rf"{name}\.zarr: .*{reason}"):
            open_slide(tmp_path / f"{name}.zarr")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"compressor": {"id": "pickle", "protocol": 5}}, "no OME-Zarr image|its chunks are packed with 'pickle'"),
        ({"filters": [{"id": "pickle", "protocol": 5}], "dtype": "|O"}, "no OME-Zarr image|packed with 'pickle'"),
        ({"filters": [{"id": "base64"}]}, "its chunks are packed with 'base64'"),
    ],
    ids=["compressor", "objects", "unknown to us"],
)
def test_chunks_that_only_a_program_unpacks_are_refused(
    tmp_path: Path, pixels: NDArray[np.uint8], change: dict[str, Any], reason: str
) -> None:
    """Numcodecs knows pickle; whoever opens such a file would run what its author wrote."""
    path = write_zarr(tmp_path / "hostile.zarr", pixels, version="0.4")
    file = path / "0" / ".zarray"
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | change))
    with pytest.raises(FormatError, match=reason):
        open_slide(path)


def test_a_slide_stored_in_one_piece_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sgcldff_core.datasets.pyramids._MOST_OF_A_CHUNK", 1000)
    with pytest.raises(FormatError, match="stored in pieces of"):
        Pyramid.of_arrays(da.zeros((200, 200, 3), dtype=np.uint8, chunks=-1))


def test_a_truncated_slide_is_refused(tmp_path: Path, pixels: NDArray[np.uint8]) -> None:
    path = write_tiff(tmp_path / "cut.ome.tif", pixels)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert not is_slide(path)
    with pytest.raises(UnreadableImageError, match="truncated or damaged"):
        open_slide(path)


def test_an_array_is_written_with_its_coarser_levels(tmp_path: Path) -> None:
    image = np.random.default_rng(1).integers(0, 255, (1101, 2051, 3), dtype=np.uint8)
    write_ome_zarr(da.from_array(image, chunks=700), tmp_path / "x.ome.zarr")
    slide = open_slide(tmp_path / "x.ome.zarr")
    assert [level.shape for level in slide.levels] == [(1101, 2051), (551, 1026), (276, 513)]
    np.testing.assert_array_equal(slide.levels[0].read((0, 0, 1101, 2051)), image)
    half = slide.levels[1].read((0, 0, 551, 1026))
    want = image[:1100, :2050].reshape(550, 2, 1025, 2, 3).mean((1, 3))
    np.testing.assert_allclose(half[:550, :1025], want, atol=0.5)
    np.testing.assert_allclose(half[550, :1025], image[1100, :2050].reshape(1025, 2, 3).mean(1), atol=0.5)
    assert [p.name for p in tmp_path.iterdir()] == ["x.ome.zarr"]


def test_a_slide_whose_writing_fails_does_not_appear(tmp_path: Path) -> None:
    broken = da.from_delayed(delayed(_fails)(), (90, 90, 3), np.uint8)
    with pytest.raises(OSError, match="gone"):
        write_ome_zarr(broken, tmp_path / "x.ome.zarr")
    assert not list(tmp_path.iterdir())


def _fails() -> None:
    raise OSError("gone")


def test_a_tile_that_unpacks_to_far_more_than_its_pixels_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.ome.tif"
    with tifffile.TiffWriter(path) as tiff:
        for index in range(2):
            options: dict[str, Any] = {"subfiletype": 1} if index else {"subifds": 1}
            tiff.write(
                iter([zlib.compress(bytes(300_000_000 if index == 0 else 3072), 9)]),
                **{"shape": (32, 32, 3), "dtype": "uint8", "photometric": "rgb", "tile": (32, 32)},
                **{"compression": "zlib", **options},
            )
    slide = open_slide(path)
    tracemalloc.start()
    try:
        with suppress(RuntimeError, ValueError):  # refused, or cut to its pixels
            slide.levels[0].read((0, 0, 32, 32))
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
        slide.close()
