"""The package that docs/how-to/extend.md shows, written from the page, installed, and found by its entry points."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

from sgcldff_core.cli.app import app
from sgcldff_core.datasets import formats
from sgcldff_core.saliency import available_priors

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "extend.md"


def _files() -> dict[str, str]:
    shown = re.compile(r"^`([\w./-]+)`:\n\n(?:<!-- [^\n]* -->\n)?```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return dict(shown.findall(PAGE.read_text(encoding="utf-8")))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Lay the package out as pip does: the modules, and beside them what says which entry points there are."""
    for name, text in _files().items():
        path = tmp_path / "smear-lab" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    project = tomllib.loads((tmp_path / "smear-lab" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    site = tmp_path / "smear-lab" / "src"
    about = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", encoding="utf-8"
    )
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()))
    ]
    (about / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    assert "violet" not in available_priors()
    monkeypatch.syspath_prepend(site)
    yield tmp_path / "smear-lab"
    for name in [name for name in sys.modules if name.split(".")[0] == "smear_lab"]:
        del sys.modules[name]


def _its_tests(package: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("test_smear_lab", package / "tests" / "test_smear_lab.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_shows_every_file_that_it_draws() -> None:
    text = PAGE.read_text(encoding="utf-8")
    drawn = set(re.findall(r"[\w/]+\.(?:py|toml)$", text.split("```text")[1].split("```")[0], re.MULTILINE))
    assert {Path(name).name for name in drawn} == {Path(name).name for name in _files()}


def test_open_dataset_finds_the_format(package: Path, tmp_path: Path) -> None:
    reader = formats()["point_tables"]
    assert not reader.sniff(tmp_path)
    (tmp_path / "slides").mkdir()
    _its_tests(package).test_a_folder_of_point_tables(tmp_path / "slides")
    assert reader.sniff(tmp_path)


def test_compute_prior_finds_the_prior(package: Path) -> None:
    assert "violet" in available_priors()
    (point,) = entry_points(group="sgcldff.priors", name="violet")
    assert point.dist is not None
    assert point.dist.name == "smear-lab"
    _its_tests(package).test_violet_is_salient()


def test_the_command_line_knows_both(package: Path, tmp_path: Path) -> None:
    slides, maps = tmp_path / "slides", tmp_path / "maps"
    slides.mkdir()
    _its_tests(package).test_a_folder_of_point_tables(slides)
    told = CliRunner().invoke(app, ["datasets", "inspect", str(slides)])
    assert "(point_tables)" in told.output
    done = CliRunner().invoke(app, ["saliency", str(slides / "slide_1.png"), "--out", str(maps), "--method", "violet"])
    assert done.exit_code == 0, done.output
    assert [path.name for path in maps.iterdir()] == ["slide_1_saliency.tif"]


def test_the_package_is_gone_when_it_is_not_installed() -> None:
    assert "violet" not in available_priors()
    assert "point_tables" not in formats()
