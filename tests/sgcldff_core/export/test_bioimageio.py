"""A package of the model zoo: valid, and its own test tensors come out when it is run."""

from __future__ import annotations

import re
import shlex
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sgcldff_core.cli.app import app
from sgcldff_core.errors import ConfigError
from sgcldff_core.export.bioimageio import export_bioimageio
from sgcldff_core.model import Model, load_model

PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "export.md"


def _release(package: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version(package).split(".")[:3] if part.isdigit())


bioimageio_core = pytest.importorskip("bioimageio.core")
pytestmark = [
    pytest.mark.skipif(
        _release("pydantic") >= (2, 14) and _release("bioimageio.spec") < (0, 5, 13),
        reason="bioimageio.spec before 0.5.13 cannot be used with pydantic 2.14; constraints-ci.txt asks for 2.13",
    ),
    pytest.mark.filterwarnings("ignore"),  # what bioimageio.core and its parts do among themselves
]


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("leukocytes-small")


def test_it_is_valid_and_runs_with_its_own_test_tensors(model: Model, tmp_path: Path) -> None:
    """At the size of its test tensors, and at other sizes and batches, as bioimageio.core draws them."""
    package = export_bioimageio(model, tmp_path / "small.zip", card="## Figures\n\nIoU 0.935 on fold 0.")
    summary = bioimageio_core.test_model(package)
    assert summary.status == "passed", summary.format()
    with zipfile.ZipFile(package) as files:
        names = set(files.namelist())
        assert {"rdf.yaml", "maps.onnx", "classes.onnx", "model.json", "README.md", "image.npy", "fused.npy"} <= names
        rdf = files.read("rdf.yaml").decode()
        readme = files.read("README.md").decode()
    assert "BSD-3-Clause" in rdf
    assert "10.48550/arXiv.2510.17278" in rdf
    assert "IoU 0.935 on fold 0." in readme
    assert "not a medical device" in readme.lower()


def test_a_licence_that_nobody_knows_is_refused(model: Model, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="licence 'free-for-all' is not one of SPDX"):
        export_bioimageio(model, tmp_path / "small.zip", license="free-for-all")
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_no_zip_is_refused(model: Model, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"small: a bioimage.io package is a zip; give a name that ends in .zip"):
        export_bioimageio(model, tmp_path / "small")


def test_the_command_that_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its second line, ``bioimageio test``, is what `test_model` above does."""
    text = PAGE.read_text(encoding="utf-8")
    ((command, package),) = re.findall(r"^sgcldff (export .*)\nbioimageio test (\S+)$", text, re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, shlex.split(command))
    assert done.exit_code == 0, done.output
    with zipfile.ZipFile(package) as files:
        assert "rdf.yaml" in {Path(name).name for name in files.namelist()}
