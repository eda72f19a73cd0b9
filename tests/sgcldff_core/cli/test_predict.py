"""``predict``, ``demo`` and ``models`` as a user types them, with the shipped model."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner, Result

from sgcldff_core.cells import ALL_IMAGES, cell_columns
from sgcldff_core.cli.app import app
from sgcldff_core.datasets.ome_zarr import open_ome_zarr
from sgcldff_core.datasets.ome_zarr_writer import write_ome_zarr
from sgcldff_core.errors import ConfigError, CorruptModelError, ModelNotFoundError
from sgcldff_core.model import find_model, load_model
from sgcldff_core.smear import Smear, SmearSettings, make_smear
from sgcldff_core.taxonomy import LEUKOCYTES

CLASSES = [c.name for c in LEUKOCYTES]
SETTINGS = SmearSettings(height=160, width=200, diameter=60, leukocytes=2, stain="wright", cut=0, touching=0)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.fixture(scope="module")
def smears() -> list[Smear]:
    return [make_smear(seed, SETTINGS) for seed in (1, 2)]


@pytest.fixture(scope="module")
def inputs(smears: list[Smear], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good images of the same name, a truncated one, an empty one, one that is text, one without cells."""
    folder = tmp_path_factory.mktemp("smears")
    (folder / "b").mkdir()
    Image.fromarray(smears[0].image).save(folder / "one.png")
    Image.fromarray(smears[1].image).save(folder / "b" / "one.tif")
    Image.fromarray(np.full((90, 120, 3), 235, np.uint8)).save(folder / "blank.png")
    (folder / "cut.png").write_bytes((folder / "one.png").read_bytes()[:4000])
    (folder / "zero.jpg").touch()
    return folder


@pytest.fixture(scope="module")
def predicted(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    out = tmp_path_factory.mktemp("out") / "new" / "folder"
    return run("predict", inputs, inputs / "b", "--out", out, "--explain", "--diameter", 60), out


def test_bad_files_are_named_and_the_rest_is_written(predicted: tuple[Result, Path], inputs: Path) -> None:
    done, out = predicted
    assert done.exit_code == 1
    errors = done.stderr.splitlines()
    assert len(errors) == 2
    assert errors[0].startswith(f"sgcldff: {inputs / 'cut.png'}: ")
    assert errors[1].startswith(f"sgcldff: {inputs / 'zero.jpg'}: ")
    kinds = ("_labels.tif", "_saliency.tif", "_gradcam.tif", "_overlay.png")
    written = {f"{stem}{kind}" for stem in ("one", "one-2", "blank") for kind in kinds}
    assert {p.name for p in out.iterdir()} == written | {"cells.csv", "differential.csv", "run.json"}


def test_label_images_have_the_inputs_size_and_find_the_cells(
    predicted: tuple[Result, Path], smears: list[Smear]
) -> None:
    _, out = predicted
    for stem, smear in zip(("one-2", "one"), smears, strict=True):
        labels = tifffile.imread(out / f"{stem}_labels.tif")
        assert labels.dtype == np.uint16
        assert labels.shape == (160, 200)
        assert iou(labels > 0, smear.labels > 0) > 0.8
        for kind in ("saliency", "gradcam"):
            values = tifffile.imread(out / f"{stem}_{kind}.tif")
            assert values.dtype == np.float32
            assert values.shape == (160, 200)
            assert 0 <= values.min() <= values.max() <= 1
        with Image.open(out / f"{stem}_overlay.png") as overlay:
            assert overlay.mode == "RGB"
            assert overlay.width >= 200
    assert not tifffile.imread(out / "blank_labels.tif").any()


def test_cells_csv_keeps_the_contract(predicted: tuple[Result, Path]) -> None:
    _, out = predicted
    cells = pd.read_csv(out / "cells.csv", keep_default_na=False)
    assert list(cells.columns) == cell_columns(CLASSES)
    assert set(cells["image"]) == {"one", "one-2"}
    for stem, own in cells.groupby("image"):
        labels = tifffile.imread(out / f"{stem}_labels.tif")
        assert own["label"].tolist() == list(range(1, labels.max() + 1))
        assert own["area_px"].tolist() == np.bincount(labels.ravel())[1:].tolist()
    assert set(cells["class"]) <= set(CLASSES)
    assert ((cells["review_reason"] != "") == cells["needs_review"]).all()


def test_the_differential_count_adds_up(predicted: tuple[Result, Path]) -> None:
    done, out = predicted
    cells, counts = pd.read_csv(out / "cells.csv"), pd.read_csv(out / "differential.csv")
    assert list(counts.columns) == ["image", "class", "count", "percent"]
    assert counts["image"].unique().tolist() == ["one", "blank", "one-2", ALL_IMAGES]
    assert counts["class"].tolist() == CLASSES * 4
    for name in CLASSES:
        total = counts[(counts["image"] == ALL_IMAGES) & (counts["class"] == name)]["count"].item()
        assert total == (cells["class"] == name).sum()
    assert counts[counts["image"] == "blank"]["percent"].isna().all()
    assert f"{len(cells)} cells in 3 of 5 images" in done.stdout


def test_run_json_says_what_was_done(predicted: tuple[Result, Path], inputs: Path) -> None:
    _, out = predicted
    report = json.loads((out / "run.json").read_text())
    assert report["model"]["sha256"] == load_model().sha256
    assert report["parameters"] == {
        "diameter": 60.0,
        "explain": True,
        "workers": 1,
        "device": report["parameters"]["device"],
        "engine": "torch",
    }
    assert {"sgcldff", "python", "torch", "numpy"} <= set(report["versions"])
    assert [i["image"] for i in report["images"]] == ["one", "blank", "one-2"]
    assert report["images"][0]["file"] == str(inputs / "b" / "one.tif")
    assert report["images"][0]["diameter_px"] == 60
    assert all(i["seconds"] > 0 for i in report["images"])
    assert [f["file"] for f in report["failures"]] == [str(inputs / "cut.png"), str(inputs / "zero.jpg")]
    assert report["seconds"] > 0


def test_results_do_not_depend_on_the_number_of_workers(inputs: Path, tmp_path: Path) -> None:
    for workers in (1, 3):
        assert run("predict", inputs, "--out", tmp_path / str(workers), "--workers", workers).exit_code == 1
    for name in ("cells.csv", "differential.csv", "one_labels.tif", "one_overlay.png"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes()


def test_without_explain_there_is_no_grad_cam_and_a_second_run_takes_no_results_for_images(
    smears: list[Smear], tmp_path: Path
) -> None:
    Image.fromarray(smears[0].image).save(tmp_path / "a.png")
    for _ in range(2):
        assert run("predict", tmp_path, "--out", tmp_path).exit_code == 0
        names = {
            "a.png",
            "a_labels.tif",
            "a_saliency.tif",
            "a_overlay.png",
            "cells.csv",
            "differential.csv",
            "run.json",
        }
        assert {p.name for p in tmp_path.iterdir()} == names
    (tmp_path / "a.png").unlink()
    done = run("predict", tmp_path, "--out", tmp_path)
    assert isinstance(done.exception, ConfigError)
    assert "holds only what predict wrote" in str(done.exception)


@pytest.mark.parametrize("mode", ["16-bit", "CMYK", "palette", "alpha", "grey"])
def test_images_of_every_kind(smears: list[Smear], tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(smears[0].image)
    if mode == "16-bit":
        tifffile.imwrite(tmp_path / "a.tif", smears[0].image.astype(np.uint16) * 257)
    elif mode == "CMYK":
        image.convert("CMYK").save(tmp_path / "a.tif")
    else:
        image.convert({"palette": "P", "alpha": "RGBA", "grey": "L"}[mode]).save(tmp_path / "a.png")
    done = run("predict", tmp_path, "--out", tmp_path / "out", "--diameter", 60)
    assert done.exit_code == 0, done.stderr
    found = tifffile.imread(tmp_path / "out" / "a_labels.tif")
    assert found.shape == (160, 200)
    if mode != "grey":  # without colour nobody promises to find anything
        assert iou(found > 0, smears[0].labels > 0) > 0.75


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--diameter", "-1"), "diameter must be at least 1 px, got -1"),
        (("--workers", "0"), "workers must be at least 1, got 0"),
        (("--device", "abacus"), "device 'abacus' cannot be used here .*; use auto or cpu"),
    ],
)
def test_settings_out_of_range_are_refused(inputs: Path, tmp_path: Path, arguments: tuple[str, str], text: str) -> None:
    done = run("predict", inputs / "one.png", "--out", tmp_path, *arguments)
    assert isinstance(done.exception, ConfigError)
    assert re.search(text, str(done.exception))
    assert not list(tmp_path.iterdir())


def test_slides_stand_beside_images(smears: list[Smear], tmp_path: Path) -> None:
    folder = tmp_path / "smears"
    write_ome_zarr(smears[0].image, folder / "one.ome.zarr")
    write_ome_zarr(np.full((70, 90, 3), 235, np.uint8), folder / "glass.zarr")
    (folder / "broken.zarr").mkdir()
    Image.fromarray(smears[1].image).save(folder / "two.png")
    for _ in range(2):  # what the first run wrote is no input of the second
        done = run("predict", folder, "--out", folder, "--diameter", 60, "--model", "leukocytes-small")
        assert done.exit_code == 1
        assert "broken.zarr" in done.stderr
        assert "in 3 of 4 images" in done.stdout
    written = {"one_labels.ome.zarr", "one_cells.parquet", "one_overview.png", "glass_cells.parquet", "two_labels.tif"}
    assert written <= {p.name for p in folder.iterdir()}
    assert not list(folder.glob(".*"))
    table = pd.read_parquet(folder / "one_cells.parquet")
    assert list(table.columns) == cell_columns(CLASSES)
    labels = open_ome_zarr(folder / "one_labels.ome.zarr" / "labels" / "cells").levels[0].array[:]
    assert iou(labels > 0, smears[0].labels > 0) > 0.8
    assert set(pd.read_csv(folder / "cells.csv")["image"]) == {"two"}
    counts = pd.read_csv(folder / "differential.csv")
    assert counts[counts["image"] == "one"]["count"].sum() == len(table) == labels.max()
    assert counts[counts["image"] == "glass"]["count"].sum() == 0
    report = json.loads((folder / "run.json").read_text())
    assert [slide["image"] for slide in report["slides"]] == ["glass", "one"]
    assert report["slides"][0]["regions_empty"] == report["slides"][0]["regions"] == 1
    assert [image["image"] for image in report["images"]] == ["two"]


def test_every_region_is_looked_at_where_that_is_asked_for(tmp_path: Path) -> None:
    write_ome_zarr(np.full((70, 90, 3), 235, np.uint8), tmp_path / "glass.zarr")
    out = tmp_path / "out"
    arguments = ("--diameter", 60, "--model", "leukocytes-small", "--every-region")
    assert run("predict", tmp_path / "glass.zarr", "--out", out, *arguments).exit_code == 0
    assert json.loads((out / "run.json").read_text())["slides"][0]["regions_empty"] == 0
    assert not (out / "cells.csv").exists()


def test_an_unknown_model_is_refused_before_anything_is_written(inputs: Path, tmp_path: Path) -> None:
    done = run("predict", inputs / "one.png", "--out", tmp_path / "out", "--model", "no-such")
    assert isinstance(done.exception, ModelNotFoundError)
    assert "no model 'no-such'" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_a_flipped_byte_in_the_model_is_noticed(inputs: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(find_model(), tmp_path / "mine")
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    done = run("predict", inputs / "one.png", "--out", tmp_path / "out", "--model", folder)
    assert isinstance(done.exception, CorruptModelError)
    assert "its sha256 is not the one in model.json" in str(done.exception)


def test_demo_needs_nothing_and_counts(tmp_path: Path) -> None:
    done = run("demo", "--out", tmp_path / "demo")
    assert done.exit_code == 0, done.output
    assert "Differential count" in done.stdout
    names = {p.name for p in (tmp_path / "demo").iterdir()}
    assert {"smear.png", "smear_labels.tif", "smear_overlay.png", "smear_gradcam.tif", "cells.csv"} <= names
    assert len(pd.read_csv(tmp_path / "demo" / "cells.csv")) >= 7


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("sgcldff_core.model_folders.user_models", lambda: tmp_path / "models")
    return tmp_path / "models"


def test_models_are_listed_shown_and_added(own_folder: Path) -> None:
    assert "leukocytes (default)" in run("models", "list").stdout
    added = run("models", "add", find_model(), "--name", "mine")
    assert added.exit_code == 0, added.output
    assert str(own_folder / "mine") in added.stdout
    assert "mine" in run("models", "list").stdout
    shown = run("models", "info", "mine")
    assert shown.exit_code == 0
    assert "neutrophil, lymphocyte" in shown.stdout
    assert json.loads(run("models", "info", "mine", "--json").stdout)["config"]["classes"] == CLASSES
    assert isinstance(run("models", "add", find_model(), "--name", "mine").exception, ConfigError)


def test_a_damaged_model_is_listed_as_such(own_folder: Path) -> None:
    (own_folder / "broken").mkdir(parents=True)
    (own_folder / "broken" / "model.json").write_text("{")
    assert "damaged" in run("models", "list").stdout
    assert isinstance(run("models", "info", "broken").exception, CorruptModelError)


def test_ten_real_fields(real_data: Path, tmp_path: Path) -> None:
    """The main job on real input: every field has a cell near where its annotators drew one."""
    from sgcldff_core.datasets import open_dataset

    samples = [s for s in open_dataset(real_data / "bccd") if s.source == "bccd" and s.boxes and s.image.path]
    samples = samples[::25][:10]
    done = run("predict", *(s.image.path for s in samples), "--out", tmp_path)
    assert done.exit_code == 0, done.stderr
    cells = pd.read_csv(tmp_path / "cells.csv")
    hits = 0
    for sample in samples:
        own = cells[cells["image"] == sample.image.path.stem]
        box = next(b for b in sample.boxes if b.kind not in ("erythrocyte", "platelet"))
        hits += bool((own["centroid_y"].between(box.y0, box.y1) & own["centroid_x"].between(box.x0, box.x1)).any())
    assert hits == len(samples) == 10
    assert len(cells) <= 14


def test_the_page_is_written_at_once_or_later(predicted: tuple[Result, Path], inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("predict", inputs / "one.png", "--out", out, "--report", "--diameter", 60).exit_code == 0
    assert (out / "one_gradcam.tif").is_file()
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Differential leukocyte count" in page
    later = run("report", predicted[1], "--to", "html", "--out", tmp_path / "later.html")
    assert later.exit_code == 0, later.output
    assert "cut.png" in (tmp_path / "later.html").read_text(encoding="utf-8")  # which could not be used


def test_a_run_becomes_a_message_and_a_data_set(predicted: tuple[Result, Path], tmp_path: Path) -> None:
    pytest.importorskip("fhir.resources")
    message = run("report", predicted[1], "--to", "fhir", "--out", tmp_path / "a.json", "--patient", "Patient/1")
    assert message.exit_code == 0, message.output
    told = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert told["entry"][0]["resource"]["status"] == "preliminary"
    assert run("report", predicted[1], "--to", "coco", "--out", tmp_path / "coco").exit_code == 0
    cells = pd.read_csv(predicted[1] / "cells.csv")
    annotations = json.loads((tmp_path / "coco" / "annotations.json").read_text(encoding="utf-8"))["annotations"]
    assert len(annotations) == len(cells)


def test_a_model_is_exported(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    out = tmp_path / "graphs"
    assert run("export", "leukocytes-small", "--to", "onnx", "--out", out).exit_code == 0
    assert sorted(file.name for file in out.iterdir()) == ["classes.onnx", "maps.onnx", "model.json"]
    assert run("export", "leukocytes-small", "--to", "cookies", "--out", out).exit_code == 2


def test_engines_are_named_as_the_library_names_them() -> None:
    from sgcldff_core.cli.predict import Engine
    from sgcldff_core.inference.engines import ENGINES

    assert tuple(engine.value for engine in Engine) == ENGINES
