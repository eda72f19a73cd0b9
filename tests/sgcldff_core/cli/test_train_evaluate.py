"""``train`` and ``evaluate`` as a user types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sgcldff_core.cli.app import app
from sgcldff_core.errors import ConfigError


@pytest.fixture(scope="module")
def curated(make_data: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"), 6, views=8) / "curated"


@pytest.fixture(scope="module")
def trained(curated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "mine"
    done = CliRunner().invoke(
        app, ["train", str(curated), "--out", str(out), "--config", str(curated.parent / "run.toml")]
    )
    assert done.exit_code == 0, done.output
    return out


def test_train_leaves_a_model_with_its_origin(trained: Path) -> None:
    description = json.loads((trained / "model.json").read_text())
    held = description["training"]["validation_groups"]
    assert description["training"]["images"] == {"synthetic": 6 - len(held)}
    assert held
    assert description["training"]["settings"]["size"] == 64
    for name in ("model.safetensors", "checkpoint.safetensors", "log.csv", "curves.png"):
        assert (trained / name).stat().st_size > 0


def test_a_run_is_not_overwritten_by_accident(trained: Path, curated: Path) -> None:
    done = CliRunner().invoke(app, ["train", str(curated), "--out", str(trained)])
    assert isinstance(done.exception, ConfigError)
    assert "holds a run already; go on with --resume" in str(done.exception)


def test_training_goes_on_from_a_model(trained: Path, curated: Path, tmp_path: Path) -> None:
    command = ["train", str(curated), "--out", str(tmp_path / "next"), "--config", str(curated.parent / "run.toml")]
    done = CliRunner().invoke(app, [*command, "--init", str(trained)])
    assert done.exit_code == 0, done.output
    settings = json.loads((tmp_path / "next" / "model.json").read_text())["training"]["settings"]
    assert settings["start"] == str(trained)


def test_evaluate_shows_and_writes_every_figure(trained: Path, curated: Path, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    done = CliRunner().invoke(app, ["evaluate", str(curated), "--model", str(trained), "--json", str(file)])
    assert done.exit_code == 0, done.output
    assert "IoU, leukocyte mask" in done.output
    report = json.loads(file.read_text())
    assert report["summary"]["synthetic"]["images"] == 6 == len(report["images"])
    assert 0 <= report["summary"]["synthetic"]["figures"]["iou"] <= 1


def test_the_split_is_the_one_that_the_model_held_out(trained: Path, curated: Path, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    common = ["evaluate", str(curated), "--model", str(trained), "--json", str(file)]
    held = set(json.loads((trained / "model.json").read_text())["training"]["validation_groups"])
    for split, names in (("val", held), ("train", {f"s{i}" for i in range(6)} - held)):
        done = CliRunner().invoke(app, [*common, "--split", split])
        assert done.exit_code == 0, done.output
        assert {image["name"] for image in json.loads(file.read_text())["images"]} == names


@pytest.mark.parametrize(
    ("extra", "message"), [(["--split", "best"], "unknown split 'best'"), (["--split", "test"], "no annotated image")]
)
def test_splits_that_are_not_there_are_refused(trained: Path, curated: Path, extra: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["evaluate", str(curated), "--model", str(trained), *extra])
    assert isinstance(done.exception, ConfigError)
    assert message in str(done.exception)


def test_an_unusable_image_is_named_and_the_rest_goes_on(trained: Path, curated: Path, tmp_path: Path) -> None:
    import shutil

    broken = tmp_path / "curated"
    shutil.copytree(curated, broken)
    victim = sorted((broken / "images").iterdir())[0]
    victim.write_bytes(b"")
    done = CliRunner().invoke(app, ["evaluate", str(broken), "--model", str(trained)])
    assert done.exit_code == 1
    assert victim.name in done.output
