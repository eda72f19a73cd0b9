"""``sgcldff explain`` and ``sgcldff evaluate --explain``: what they write, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from sgcldff_core.cli.app import app
from sgcldff_core.errors import ConfigError
from sgcldff_core.smear import SmearSettings, make_smear

CROP = SmearSettings(height=110, width=120, diameter=60, leukocytes=1, centred=True, cut=0, stain="wright")


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crops")
    Image.fromarray(np.asarray(make_smear(4, CROP).image)).save(folder / "a.png")
    return folder


def test_each_image_gets_its_map_and_picture(crops: Path, tmp_path: Path) -> None:
    out = tmp_path / "maps"
    code, text = run("explain", crops, "--out", out)
    assert (code, text) == (0, f"1 of 1 images explained in {out}\n")
    shown = tifffile.imread(out / "a_gradcam.tif")
    assert (shown.shape, shown.dtype) == ((110, 120), np.float32)
    assert (shown.min(), shown.max()) == (0, 1)
    with Image.open(out / "a_gradcam.png") as picture:
        assert picture.width >= 120
    record = json.loads((out / "explain.json").read_text())
    assert record["method"] == "gradcam"
    assert [cell["evidence"] for cell in record["images"][0]["cells"]] == [True]


def test_other_levels_and_targets_have_names_of_their_own(crops: Path, tmp_path: Path) -> None:
    out = tmp_path / "maps"
    assert run("explain", crops, "--out", out, "--method", "hirescam", "--level", "16", "--target", "mask")[0] == 0
    assert {p.name for p in out.iterdir()} == {"a_hirescam_16_mask.tif", "a_hirescam_16_mask.png", "explain.json"}


def test_a_second_run_does_not_take_results_for_images(tmp_path: Path) -> None:
    Image.fromarray(np.full((64, 64, 3), 225, np.uint8)).save(tmp_path / "empty.png")
    for _ in range(2):
        assert run("explain", tmp_path, "--out", tmp_path, "--diameter", 40)[1].startswith("1 of 1 ")
    assert not tifffile.imread(tmp_path / "empty_gradcam.tif").any()


def test_a_bad_image_stops_nobody(crops: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    code, text = run("explain", bad, crops / "a.png", "--out", tmp_path / "maps")
    assert code == 1
    assert "1 of 2 images explained" in text
    assert "bad.png" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--method", "smoothgrad"], "unknown method of explanation 'smoothgrad'"),
        (["--level", "deep"], "level must be fused, image, or the stride of a level such as 16, got 'deep'"),
        (["--level", "5"], "level must be one of 4, 8, 16, 32 in this model, got 5"),
        (["--level", "image"], "gradcam looks at features, not at the image itself"),
        (["--target", "nucleus"], "target must be one of class, mask, got 'nucleus'"),
    ],
)
def test_bad_settings_are_refused(crops: Path, tmp_path: Path, options: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run("explain", crops, "--out", tmp_path / "maps", *options)
    assert not (tmp_path / "maps").exists()


def test_inputs_and_a_place_are_asked_for(crops: Path) -> None:
    with pytest.raises(ConfigError, match="no input; name images or folders to explain"):
        run("explain")
    with pytest.raises(ConfigError, match="no place to write to; name a folder with --out"):
        run("explain", crops)


def test_sanity_writes_tables_and_a_picture(crops: Path, tmp_path: Path) -> None:
    """For the mask, so that no labels are taught; Eigen-CAM knows nothing of the head and fails."""
    code, text = run("explain", crops, "--sanity", "--target", "mask", "--method", "eigencam", "--out", tmp_path)
    assert code == 1
    assert "Eigen-CAM, fused map, mask: fails; its maps do not change with the weights of the mask head" in text
    assert {p.name for p in tmp_path.iterdir()} == {"sanity.json", "sanity.md", "sanity.png"}
    assert json.loads((tmp_path / "sanity.json").read_text())["depths"]["mask head"]["rank"] == pytest.approx(1)


def test_evaluate_measures_explanations(make_data: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_data(tmp_path, 3, views=2)
    table, figures = tmp_path / "table.md", tmp_path / "figures.json"
    options = ["--method", "even", "--method", "gradcam", "--quick", "--sample", 2]
    code, text = run("evaluate", folder / "curated", "--explain", *options, "--markdown", table, "--json", figures)
    assert code == 0, text
    assert "gradcam, fused map, class" in text
    assert "| Grad-CAM | fused map | class |" in table.read_text()
    summary = json.loads(figures.read_text())["summary"]["synthetic"]
    assert summary["images"] == 2
    even, shown = summary["rows"]
    assert even["energy"] == pytest.approx(even["chance"])
    assert shown["gain"] > 0.5


def test_options_of_explanations_need_them(make_data: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_data(tmp_path, 1, views=2)
    with pytest.raises(ConfigError, match="go with --explain; add it"):
        run("evaluate", folder / "curated", "--quick")
    with pytest.raises(ConfigError, match="--level goes with --method"):
        run("evaluate", folder / "curated", "--explain", "--level", "16")
