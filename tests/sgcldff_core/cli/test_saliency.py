"""`sgcldff saliency`: what it writes, and how it reports what it cannot use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import typer
from PIL import Image
from typer.testing import CliRunner

from sgcldff_core.cli.saliency import saliency
from sgcldff_core.errors import ConfigError
from sgcldff_core.saliency import PRIORS, compute_prior

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run() -> Run:
    """Return a function that runs the command and returns exit code and output; errors come through."""
    app = typer.Typer()
    app.command()(saliency)

    def _run(*arguments: object) -> tuple[int, str]:
        result = CliRunner().invoke(app, list(map(str, arguments)))
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    return _run


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for seed, name in enumerate(("a.png", "b.tif", "b.bmp")):
        pixels = np.random.default_rng(seed).integers(120, 255, (30 + seed, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


def test_each_image_gets_its_map(run: Run, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    code, text = run(images, "--out", out)
    assert code == 0
    assert "3 of 3 maps written" in text
    assert sorted(p.name for p in out.iterdir()) == ["a_saliency.tif", "b-2_saliency.tif", "b_saliency.tif"]
    written = tifffile.imread(out / "a_saliency.tif")
    assert written.dtype == np.float32
    np.testing.assert_array_equal(written, compute_prior(np.asarray(Image.open(images / "a.png"))))


@pytest.mark.parametrize("method", PRIORS)
def test_the_method_is_used(run: Run, images: Path, tmp_path: Path, method: str) -> None:
    assert run(images / "a.png", "--out", tmp_path, "--method", method)[0] == 0
    expected = compute_prior(np.asarray(Image.open(images / "a.png")), method)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a_saliency.tif"), expected)


def test_bad_files_are_named_and_the_rest_is_written(run: Run, images: Path, tmp_path: Path) -> None:
    (images / "broken.png").write_bytes((images / "a.png").read_bytes()[:200])
    (images / "empty.png").touch()
    out = tmp_path / "out"
    code, text = run(images, "--out", out)
    assert code == 1
    assert "3 of 5 maps written" in text
    assert "broken.png: " in text
    assert "empty.png: the file is empty" in text
    assert sorted(p.name for p in out.iterdir()) == ["a_saliency.tif", "b-2_saliency.tif", "b_saliency.tif"]


def test_a_second_run_does_not_map_the_maps(run: Run, images: Path) -> None:
    run(images, "--out", images)
    before = sorted(p.name for p in images.iterdir())
    assert run(images, "--out", images)[0] == 0
    assert sorted(p.name for p in images.iterdir()) == before


def test_a_folder_of_nothing_but_maps_is_refused(run: Run, images: Path, tmp_path: Path) -> None:
    run(images, "--out", tmp_path / "out")
    with pytest.raises(ConfigError, match="holds only saliency maps; name the folder of the images"):
        run(tmp_path / "out", "--out", tmp_path / "out")


def test_bad_usage_is_refused_before_anything_is_written(run: Run, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match="unknown saliency prior 'magic'; known are fused, stain"):
        run(images, "--out", out, "--method", "magic")
    with pytest.raises(ConfigError, match=r"none\.png: there is no such file"):
        run(images / "none.png", "--out", out)
    with pytest.raises(ConfigError, match=r"a\.png is a file; name a folder"):
        run(images, "--out", images / "a.png")
    assert run("--out", out)[0] == 2
    assert not out.exists()
