"""Every kind of image file that a laboratory has, and every kind of broken one."""

from __future__ import annotations

import lzma
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from sgcldff_core.datasets import check_label_shape, read_image_size, read_labels, read_rgb
from sgcldff_core.datasets.decoding import naming_the_file
from sgcldff_core.datasets.depth import full_scale, to_uint8
from sgcldff_core.datasets.rasters import read_grey
from sgcldff_core.errors import ConfigError, FormatError, UnreadableImageError

RGB = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
GREY = RGB[..., 0]


def sixteen_bit_png(path: Path, pixels: np.ndarray, colour_type: int) -> Path:
    """Write a PNG that Pillow can read but not write."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp"])
def test_lossless_rgb_comes_back_as_it_is(tmp_path, suffix):
    Image.fromarray(RGB).save(tmp_path / f"a.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_array_equal(read_rgb(tmp_path / f"a.{suffix}"), RGB)
    assert read_image_size(tmp_path / f"a.{suffix}") == (6, 9)


def test_a_jpeg_is_close(tmp_path):
    smooth = np.tile(np.linspace(0, 255, 64).astype(np.uint8)[:, None, None], (1, 64, 3))
    Image.fromarray(smooth).save(tmp_path / "a.JPG", quality=95)
    assert np.abs(read_rgb(tmp_path / "a.JPG").astype(int) - smooth).max() < 8


def test_grey_is_repeated(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), np.repeat(GREY[..., None], 3, axis=2))
    np.testing.assert_array_equal(read_grey(tmp_path / "a.png"), GREY)


def test_one_bit_is_black_and_white(tmp_path):
    bits = GREY > 127
    Image.fromarray(bits).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png")[..., 1], bits * 255)


def test_a_palette_gives_its_colours(tmp_path):
    few = RGB // 128 * 255
    Image.fromarray(few).convert("P", palette=Image.Palette.ADAPTIVE, colors=8).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), few)


def test_cmyk_is_turned_into_rgb(tmp_path):
    Image.new("CMYK", (4, 3), (255, 0, 255, 0)).save(tmp_path / "a.tif")
    assert read_rgb(tmp_path / "a.tif")[0, 0].tolist() == [0, 255, 0]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_on_white(tmp_path, mode):
    image = Image.new(mode, (3, 1), (0,) * (len(mode) - 1) + (0,))
    image.putpixel((1, 0), (0,) * (len(mode) - 1) + (255,))
    image.putpixel((2, 0), (0,) * (len(mode) - 1) + (51,))
    image.save(tmp_path / "a.png")
    assert read_rgb(tmp_path / "a.png")[0, :, 0].tolist() == [255, 0, 204]


def test_a_transparent_palette_colour_is_white(tmp_path):
    image = Image.new("P", (2, 1), 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    image.save(tmp_path / "a.png", transparency=0)
    assert read_rgb(tmp_path / "a.png")[0].tolist() == [[255, 255, 255], [40, 50, 60]]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_exif_rotation_is_applied(tmp_path, orientation, suffix):
    # Four flat quarters, so that JPEG keeps them.
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16], upright[:8, 16:], upright[8:, 16:] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(
        tmp_path / f"a.{suffix}", exif=exif, **({"quality": 100, "subsampling": 0} if suffix == "jpg" else {})
    )
    read = read_rgb(tmp_path / f"a.{suffix}")
    assert read_image_size(tmp_path / f"a.{suffix}") == read.shape[:2] == (16, 32)
    assert np.abs(read.astype(int) - upright).max() < 10


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled_by_the_depth_of_the_camera(tmp_path, bits, channels, suffix):
    top = (1 << bits) - 1
    deep = np.linspace(0, top, 48 * channels).astype(np.uint16).reshape(6, 8, channels)
    if channels == 4:
        deep[..., 3] = 65535
        deep[0, 0, 0] = top
    path = tmp_path / f"a.{suffix}"
    if suffix == "png":
        sixteen_bit_png(path, deep, {1: 0, 3: 2, 4: 6}[channels])
    else:
        extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
        tifffile.imwrite(path, deep.squeeze(), photometric="minisblack" if channels == 1 else "rgb", **extra)
    read = read_rgb(path)
    wanted = np.rint(deep[..., :3] * (255.0 / top))
    assert read.dtype == np.uint8
    assert np.abs(read - np.broadcast_to(wanted, read.shape)).max() <= 1


def lzw(data: bytes) -> bytes:
    """Encode as TIFF's LZW without compressing: literals of nine bits, the table cleared before it grows to ten."""
    codes = [code for n, byte in enumerate(data) for code in ([256, byte] if n % 200 == 0 else [byte])]
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def lzw_tiff(path: Path, pages: np.ndarray, orientation: int, description: str = "") -> None:
    """Write pages (N, H, W[, C]) of 16 bits as TIFF with LZW, for which tifffile needs an optional package."""
    samples = pages.shape[3] if pages.ndim == 4 else 1
    body = b"II*\0"
    for n, page in enumerate(pages):
        strip = lzw(page.tobytes())
        text = description.encode() + b"\0"
        depths = struct.pack(f"<{samples}H", *[16] * samples)
        at = len(body) + 4
        tags = [
            (256, 4, 1, page.shape[1]),
            (257, 4, 1, page.shape[0]),
            (258, 3, samples, 16 if samples == 1 else at + len(strip)),
            (259, 3, 1, 5),
            (262, 3, 1, 1 if samples == 1 else 2),
            *([(270, 2, len(text), at + len(strip) + len(depths))] if description and not n else []),
            (273, 4, 1, at),
            (274, 3, 1, orientation),
            (277, 3, 1, samples),
            (278, 4, 1, page.shape[0]),
            (279, 4, 1, len(strip)),
            *([(338, 3, 1, 2)] if samples == 4 else []),
        ]
        data = strip + depths + text
        directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
        body += struct.pack("<I", at + len(data)) + data + directory
    path.write_bytes(body + struct.pack("<I", 0))


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3), (4, 5, 4), (3, 4, 5)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_lzw_of_sixteen_bits_keeps_its_low_bytes(tmp_path, shape, orientation):
    deep = np.linspace(0, 4095, np.prod(shape)).astype("<u2").reshape(shape)
    planes = shape[0] == 3
    ome = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        '<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="5" SizeY="4" SizeC="3" SizeZ="1" SizeT="1">'
        "<TiffData/></Pixels></Image></OME>"
    )
    lzw_tiff(tmp_path / "a.tif", deep if planes else deep[None], orientation, ome if planes else "")
    wanted = np.moveaxis(deep, 0, -1) if planes else deep.reshape(4, 5, -1)
    if shape[-1] == 4:
        opacity = wanted[..., 3:] / 4095
        wanted = wanted[..., :3] * opacity + 4095 * (1 - opacity)
    wanted = np.broadcast_to(wanted * (255 / 4095), (4, 5, 3))
    read = read_rgb(tmp_path / "a.tif")
    np.testing.assert_allclose(read, np.rot90(wanted, -1) if orientation == 6 else wanted, atol=2)
    assert read_image_size(tmp_path / "a.tif") == read.shape[:2]


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_planar_tiff(tmp_path, compression):
    planes = np.moveaxis(RGB, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", planes, planarconfig="separate", photometric="rgb", compression=compression)
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.tif"), RGB)


def test_of_several_pages_the_first_counts(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([RGB, 255 - RGB]), photometric="rgb")
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.tif"), RGB)
    with tifffile.TiffWriter(tmp_path / "b.tif") as writer:
        writer.write(RGB, photometric="rgb")
        writer.write(RGB[:3, :3], photometric="rgb")
    np.testing.assert_array_equal(read_rgb(tmp_path / "b.tif"), RGB)


@pytest.mark.parametrize("axes", ["CYX", "TCYX", "ZCYX", "YXS", "TYXS"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_ome_tiff(tmp_path, axes, dtype):
    plane = RGB.astype(dtype) if dtype == np.uint8 else RGB.astype(dtype) * 257
    array = np.moveaxis(plane, -1, 0) if "C" in axes else plane
    if len(axes) == 4:
        array = np.stack([array, array[..., ::-1, :]])
    photometric = "rgb" if "S" in axes else "minisblack"
    tifffile.imwrite(tmp_path / "a.ome.tif", array, metadata={"axes": axes}, photometric=photometric)
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.ome.tif"), RGB)
    assert read_image_size(tmp_path / "a.ome.tif") == (6, 9)


def test_imagej_stack_of_channels(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", np.stack([np.moveaxis(RGB, -1, 0)] * 2), imagej=True, metadata={"axes": "ZCYX"}
    )
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.tif"), RGB)


def test_float_tiff_from_zero_to_one(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", RGB.astype(np.float32) / 255, photometric="rgb")
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.tif"), RGB)


def test_min_is_white_is_inverted(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY.astype(np.uint16) * 257, photometric="miniswhite")
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.tif")[..., 0], 255 - GREY)


def test_channels_that_are_no_colours_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 6, 7), np.uint8), metadata={"axes": "CYX"}, ome=True)
    with pytest.raises(UnreadableImageError, match=r"a\.tif: it has 5 channels, a stained smear has 3 \(RGB\) or 1"):
        read_rgb(tmp_path / "a.tif")


def test_floats_without_a_scale_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((4, 4), 900, np.float32))
    with pytest.raises(UnreadableImageError, match="on no known scale"):
        read_rgb(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif"])
def test_a_truncated_image_is_refused(tmp_path, suffix):
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 5])
    with pytest.raises(
        UnreadableImageError, match=rf"a\.{suffix}: the image is truncated.*; (copy it again|save it anew)"
    ):
        read_rgb(path)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_truncated_deep_tiff_is_refused(tmp_path, compression):
    noise = np.random.default_rng(1).integers(0, 65536, (64, 64, 3), np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise, photometric="rgb", compression=compression, rowsperstrip=16)
    path.write_bytes(path.read_bytes()[:16000])
    with pytest.raises(UnreadableImageError, match="the image is truncated"):
        read_rgb(path)


@pytest.mark.parametrize("read", [read_rgb, read_labels, read_image_size, read_grey])
def test_an_empty_file_is_refused(tmp_path, read):
    (tmp_path / "a.png").touch()
    with pytest.raises(UnreadableImageError, match=r"a\.png: the file is empty; copy it again from its source"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("content", [b"hello, this is no image", b"II*\0rubbish that is no TIFF", b"%PDF-1.7 a report"])
@pytest.mark.parametrize("read", [read_rgb, read_labels, read_image_size])
def test_what_is_no_image_is_refused(tmp_path, read, content):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(
        UnreadableImageError, match=r"a\.tif: (this is no image of a known kind|the image is truncated or damaged)"
    ):
        read(tmp_path / "a.tif")


def test_too_little_memory_is_named(tmp_path):
    """As for a PNG of a few bytes that announces a chunk of gigabytes."""
    (tmp_path / "a.png").write_bytes(b"x")
    with (
        pytest.raises(UnreadableImageError, match=r"a\.png: there is not enough memory to read it; close other"),
        naming_the_file(tmp_path / "a.png"),
    ):
        raise MemoryError


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(UnreadableImageError, match="there is no such file; check the spelling"):
        read_rgb(tmp_path / "none.png")
    with pytest.raises(UnreadableImageError, match="this is a folder, not an image"):
        read_rgb(tmp_path)


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path):
    path = sixteen_bit_png(tmp_path / "a.png", np.zeros((1, 1), np.uint16), 0)
    whole = bytearray(path.read_bytes())
    whole[16:24] = struct.pack(">II", 40_000, 40_000)
    whole[29:33] = struct.pack(">I", zlib.crc32(bytes(whole[12:29])))
    path.write_bytes(bytes(whole))
    assert read_image_size(path) == (40_000, 40_000)
    with pytest.raises(
        UnreadableImageError, match="40000×40000 = 1600000000 pixels are more than the 100000000 allowed; if"
    ):
        read_rgb(path)


def quick_lzma(data: bytes) -> bytes:
    return lzma.compress(data, preset=0)


def tiff_of_one_strip(path: Path, shape: tuple[int, int], compression: int, data: bytes) -> Path:
    """Write a 16-bit grey TIFF whose only strip is the data given, whatever it unpacks to."""
    height, width = shape
    tags = {256: width, 257: height, 258: 16, 259: compression, 262: 1, 273: 8, 277: 1, 278: height, 279: len(data)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory)
    return path


@pytest.mark.parametrize(("compression", "pack"), [(8, zlib.compress), (32946, zlib.compress), (34925, quick_lzma)])
def test_a_small_tiff_that_unpacks_to_very_much_is_refused_without_unpacking_it(tmp_path, compression, pack):
    path = tiff_of_one_strip(tmp_path / "a.tif", (8, 8), compression, pack(bytes(100_000_000)))
    assert path.stat().st_size < 100_000
    tracemalloc.start()
    with pytest.raises(UnreadableImageError, match=r"a\.tif: a part of it unpacks to more than the 128 bytes of its"):
        read_labels(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize(("compression", "pack"), [(8, zlib.compress), (34925, quick_lzma)])
def test_a_tiff_that_unpacks_to_its_pixels_is_no_bomb(tmp_path, compression, pack):
    pixels = np.random.default_rng(0).integers(0, 2**16, (300, 300), np.uint16)  # enough data to be looked into
    path = tiff_of_one_strip(tmp_path / "a.tif", pixels.shape, compression, pack(pixels.astype("<u2").tobytes()))
    np.testing.assert_array_equal(read_labels(path), pixels)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_the_limit_of_pixels_can_be_set(tmp_path, monkeypatch, name):
    Image.fromarray(RGB).save(tmp_path / name)
    with pytest.raises(UnreadableImageError, match="9×6 = 54 pixels are more than the 53 allowed"):
        read_rgb(tmp_path / name, max_pixels=53)
    monkeypatch.setenv("SGCLDFF_MAX_IMAGE_PIXELS", "53")
    with pytest.raises(UnreadableImageError, match="set SGCLDFF_MAX_IMAGE_PIXELS higher"):
        read_labels(tmp_path / name)
    assert read_rgb(tmp_path / name, max_pixels=54).shape == (6, 9, 3)
    monkeypatch.setenv("SGCLDFF_MAX_IMAGE_PIXELS", "many")
    with pytest.raises(ConfigError, match="SGCLDFF_MAX_IMAGE_PIXELS is 'many'; set it to a whole number"):
        read_rgb(tmp_path / name)


def test_the_limit_of_other_users_of_pillow_is_left_alone(tmp_path):
    before = Image.MAX_IMAGE_PIXELS
    Image.fromarray(RGB).save(tmp_path / "a.png")
    read_rgb(tmp_path / "a.png")
    with pytest.raises(UnreadableImageError):
        read_rgb(tmp_path / "none.png")
    assert before == Image.MAX_IMAGE_PIXELS is not None


@settings(max_examples=25, deadline=None)
@given(labels=arrays(np.uint16, st.tuples(st.integers(1, 12), st.integers(1, 12))), compress=st.booleans())
def test_labels_come_back_unchanged(tmp_path_factory, labels, compress):
    folder = tmp_path_factory.mktemp("labels")
    tifffile.imwrite(folder / "a.tif", labels, compression="zlib" if compress else None, photometric="minisblack")
    Image.fromarray(labels).save(folder / "a.png")
    for read in (read_labels(folder / "a.tif"), read_labels(folder / "a.png")):
        assert read.dtype == np.int32
        np.testing.assert_array_equal(read, labels)


def test_labels_beyond_sixteen_bits(tmp_path):
    labels = np.array([[0, 70_000], [2_000_000_000, 1]], np.uint32)
    tifffile.imwrite(tmp_path / "a.tif", labels)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), labels)


def test_labels_in_a_palette_one_bit_or_equal_channels(tmp_path):
    numbers = Image.fromarray(np.array([[0, 1, 2]], np.uint8), mode=None).convert("P")
    numbers.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    numbers.putdata([0, 1, 2])
    numbers.save(tmp_path / "p.png")
    assert read_labels(tmp_path / "p.png").tolist() == [[0, 1, 2]]
    Image.fromarray(np.array([[False, True]])).save(tmp_path / "b.png")
    assert read_labels(tmp_path / "b.png").tolist() == [[0, 1]]
    Image.fromarray(np.repeat(np.array([[[3]], [[9]]], np.uint8), 3, axis=2)).save(tmp_path / "e.png")
    assert read_labels(tmp_path / "e.png").tolist() == [[3], [9]]


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (RGB, "this is a colour image, not a label image; save the labels as"),
        (np.array([[0.5, 1]], np.float32), "are no labels; save whole numbers"),
        (np.array([[-1, 1]], np.int16), "values, -1 to 1, are no labels"),
        (np.array([[2**31, 1]], np.uint32), "are no labels"),
    ],
)
def test_what_is_no_label_image_is_refused(tmp_path, array, problem):
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb" if array.ndim == 3 else "minisblack")
    with pytest.raises(FormatError, match=problem):
        read_labels(tmp_path / "a.tif")


def test_labels_of_another_size_are_refused_by_both_names(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "cell.png")
    check_label_shape(tmp_path / "labels.tif", (6, 9), tmp_path / "cell.png")
    with pytest.raises(FormatError, match=r"labels\.tif: .*\(5, 9\), its image .*cell\.png has \(6, 9\)"):
        check_label_shape(tmp_path / "labels.tif", (5, 9), tmp_path / "cell.png")


@settings(max_examples=40, deadline=None)
@given(arrays(np.uint16, (4, 4)))
def test_eight_bits_keep_the_order_of_brightness(deep):
    shallow = to_uint8(deep)
    assert (np.diff(shallow.ravel()[np.argsort(deep, axis=None, kind="stable")].astype(int)) >= 0).all()
    assert full_scale(deep) >= deep.max()


def test_negative_values_have_no_scale():
    with pytest.raises(ValueError, match="negative values, down to -3"):
        to_uint8(np.array([-3, 4], np.int16))
