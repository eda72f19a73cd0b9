"""``sgcldff adapt`` as a user types it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from sgcldff_core.adaptation.choosing import FEWEST_IMAGES, MOST_IMAGES
from sgcldff_core.cli.adapt import adapt
from sgcldff_core.cli.app import app
from sgcldff_core.errors import ConfigError
from sgcldff_core.model import find_model, load_model
from sgcldff_core.smear import SmearSettings, make_smear


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("laboratory")
    settings = SmearSettings(height=100, width=100, diameter=50, leukocytes=1, touching=0, cut=0, stain="wright")
    for seed in range(3):
        Image.fromarray(np.asarray(make_smear(seed, settings).image)).save(folder / f"{seed}.png")
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["adapt", *map(str, arguments)])


def test_a_model_is_written_and_the_scores_are_shown(images: Path, tmp_path: Path) -> None:
    (images / "broken.png").write_bytes(b"no image")
    done = run("leukocytes", images, "--out", tmp_path / "here", "--reference", images / "[0-2].png", "--steps", 0)
    (images / "broken.png").unlink()
    assert done.exit_code == 1, done.output
    assert "broken.png" in done.stderr
    for name in ("frozen", "macenko to", "reinhard to", "statistics 1", "chosen:"):
        assert name in done.stdout
    # The reference is the laboratory itself: there is nothing to gain.
    assert "chosen: frozen; nothing is better" in done.stdout
    kept = load_model(str(tmp_path / "here"))
    assert kept.training["adapted"]["chosen"] == "frozen"
    assert kept.stain is None


def test_the_stains_that_a_model_notes_are_tried_without_a_reference(images: Path, tmp_path: Path) -> None:
    done = run("leukocytes-small", images, "--out", tmp_path / "here")
    assert done.exit_code == 0, done.output
    assert "only with --reference" not in done.stderr
    for name in ("macenko to zheng1", "reinhard to zheng2", "macenko to bccd"):
        assert name in done.stdout
    assert "statistics" not in done.stdout  # what that costs on the old images cannot be told


def test_without_knowledge_of_the_source_it_says_so(images: Path, tmp_path: Path) -> None:
    shutil.copytree(find_model("leukocytes-small"), tmp_path / "ignorant")
    file = tmp_path / "ignorant" / "model.json"
    description = json.loads(file.read_text(encoding="utf-8"))
    del description["training"]["stains"]
    file.write_text(json.dumps(description), encoding="utf-8")
    done = run(tmp_path / "ignorant", images, "--out", tmp_path / "here")
    assert done.exit_code == 0, done.output
    assert "only with --reference" in done.stderr


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["0.png", "1.png"], "2 usable images are too few to tell a stain; give 3 or more, better 5 to 50"),
        (["0.png"], "1 usable image is too few to tell a stain; give 3 or more, better 5 to 50"),
        (["nowhere"], "there is no such file or folder"),
    ],
)
def test_too_few_or_missing_images_are_refused(images: Path, tmp_path: Path, files: list[str], message: str) -> None:
    done = run("leukocytes", *(images / file for file in files), "--out", tmp_path / "here")
    assert isinstance(done.exception, ConfigError)
    assert message in str(done.exception)
    assert not (tmp_path / "here").exists()


def test_the_help_names_the_numbers_that_are_enforced() -> None:
    (patterns,) = get_type_hints(adapt, include_extras=True)["patterns"].__metadata__
    assert f"{FEWEST_IMAGES} or more, better 5 to {MOST_IMAGES}" in patterns.help


def test_negative_steps_are_refused(images: Path, tmp_path: Path) -> None:
    done = run("leukocytes", images, "--out", tmp_path / "here", "--steps", -1)
    assert "--steps must not be negative" in str(done.exception)


def test_a_model_is_never_overwritten(images: Path) -> None:
    done = run("leukocytes", images, "--out", "leukocytes")
    assert isinstance(done.exception, ConfigError)
    assert "already, and it stays as it is" in str(done.exception)
