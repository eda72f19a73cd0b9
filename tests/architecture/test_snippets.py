"""What README, CONTRIBUTING and docs show is true: commands and options exist, snippets compile, and what can run runs.

Every ``sh`` and ``python`` block says in a comment before it which of these it is:

- ``<!-- runs -->``: it is run here, in a folder like that of the tutorials (see `prepared`);
- ``<!-- runs, but not train: why -->``: likewise, without the lines of these programs and commands;
- ``<!-- runs in tests/... -->``: another test runs it, from the page;
- ``<!-- not run: why -->``.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, EntryPoints
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
import typer
from PIL import Image
from typer.testing import CliRunner

from sgcldff_core.cli.app import app
from sgcldff_core.datasets import open_dataset, read_rgb
from sgcldff_core.datasets.catalog import CATALOG
from sgcldff_core.datasets.conversion import WRITERS
from sgcldff_core.datasets.curated_writer import write_curated
from sgcldff_core.datasets.history import Change, Provenance
from sgcldff_core.datasets.ome_zarr_writer import write_ome_zarr
from sgcldff_core.datasets.slides import open_slide
from sgcldff_core.model_folders import find_model
from sgcldff_core.saliency import compute_prior, registry
from sgcldff_core.smear import SmearSettings, make_samples, make_smear
from sgcldff_core.smear.slide import make_slide

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w+)\n(?P<body>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL)
_MARK = re.compile(
    r"<!-- (?:(?P<runs>runs)(?:, but not (?P<without>[\w, ]+): (?P<but>.{3,}))?"
    r"|runs in (?P<elsewhere>tests/\S+\.py)|not run: (?P<why>.{3,})) -->$"
)


@dataclass(frozen=True, slots=True)
class Snippet:
    page: Path
    line: int
    language: str
    body: str
    mark: re.Match[str] | None

    @property
    def runs(self) -> bool:
        return self.mark is not None and self.mark["runs"] is not None

    @property
    def without(self) -> set[str]:
        return set(re.findall(r"\w+", (self.mark and self.mark["without"]) or ""))

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"


def _snippets() -> Iterator[Snippet]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in _FENCE.finditer(text):
            indent = len(found["indent"])
            body = "".join(line[indent:] or "\n" for line in found["body"].splitlines(keepends=True))
            line = text.count("\n", 0, found.start()) + 1
            mark = _MARK.match(text.splitlines()[line - 2].strip())
            yield Snippet(page, line, found["language"], body, mark)


SNIPPETS = list(_snippets())


def _lines(snippet: Snippet) -> list[str]:
    return [line for line in snippet.body.replace("\\\n", " ").splitlines() if line.strip()]


def _named(line: str) -> set[str]:
    """Return what a line can be left out by: its program, or the command of ours."""
    words = shlex.split(line, comments=True)
    return {words[0], *(words[1:3] if words[0] == "sgcldff" else ())}


COMMANDS = [(s, line) for s in SNIPPETS if s.language == "sh" for line in _lines(s)]
INLINE = [
    (page, code) for page in PAGES for code in re.findall(r"`(sgcldff [^`\n]+)`", page.read_text(encoding="utf-8"))
]


def _of(language: str) -> list[Any]:
    return [pytest.param(s, id=str(s)) for s in SNIPPETS if s.language == language]


def _command(words: list[str]) -> tuple[Any, list[str]]:
    """Return the typer command that words begin with, and what is left of them."""
    command: Any = typer.main.get_command(app)
    context: Any = typer.Context(command, info_name="sgcldff")
    while hasattr(command, "list_commands") and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"there is no command {words[0]!r}; known are {command.list_commands(context)}"
        command, words = found, words[1:]
    return command, words


def _options(command: Any) -> set[str]:
    return {"--help", "-h"} | {option for param in command.params for option in param.opts}


def _refuse_unknown_sgcldff(words: list[str]) -> None:
    command, rest = _command(words)
    if {"--help", "--version"} & set(rest):
        return
    values = command.make_context(command.name, rest).params  # raises for a wrong option, value or number of arguments
    if command.name == "convert":
        assert values["to"] in WRITERS
    if command.name == "download":
        assert values["name"] in CATALOG
    for path in (str(value) for value in values.values() if str(value).startswith("docs/")):
        assert (ROOT / path).is_file(), f"{path} is not there"


def _refuse_unknown_extras(words: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extras in re.findall(r"\[([\w,]+)\]", " ".join(words)):
        assert set(extras.split(",")) <= set(project["optional-dependencies"])
    for name in words:
        if name.endswith(".txt"):
            assert (ROOT / name).is_file()


def _refuse_unknown_environment(words: list[str]) -> None:
    known = ConfigParser()
    known.read(ROOT / "tox.ini")
    for name in words[words.index("-e") + 1].split(",") if "-e" in words else ():
        assert f"testenv:{name}" in known


def _refuse_missing_file(words: list[str]) -> None:
    paths = [word for word in words if not word.startswith("-") and ("/" in word or word.endswith(".py"))]
    made = (".venv", "docs/images", "docs/results")
    for path in paths:
        if path.split("/")[0] in {"scripts", "benchmarks", "tests", "docs"} and not path.startswith(made):
            assert (ROOT / path).exists(), f"{path} is not there"


PROGRAMS = {
    "sgcldff": _refuse_unknown_sgcldff,
    "pip": _refuse_unknown_extras,
    "tox": _refuse_unknown_environment,
    "sh": _refuse_missing_file,
    "python": _refuse_missing_file,
    "python3": _refuse_missing_file,
    "pytest": _refuse_missing_file,
    ".": _refuse_missing_file,
    "zensical": _refuse_missing_file,
    **dict.fromkeys(
        ("bioimageio", "dask", "fabric", "git", "lint-imports", "mypy", "napari", "pre-commit", "ruff", "torchrun"),
        lambda words: None,
    ),
}


@pytest.mark.parametrize(
    ("snippet", "line"), [pytest.param(s, line, id=f"{s}-{i}") for i, (s, line) in enumerate(COMMANDS)]
)
def test_a_command_can_be_typed_as_it_stands(snippet: Snippet, line: str) -> None:
    words = shlex.split(line, comments=True)
    for part in " ".join(shlex.quote(word) for word in words).replace("'&&'", "&&").split(" && "):
        program, *rest = [word for word in shlex.split(part) if not re.match(r"[A-Z_]+=", word)]
        assert program in PROGRAMS, f"{snippet}: {program} is not known to this test; teach it what may follow"
        PROGRAMS[program](rest)


@pytest.mark.parametrize(
    ("page", "code"), [pytest.param(p, c, id=f"{p.relative_to(ROOT).as_posix()}-{c}") for p, c in INLINE]
)
def test_a_command_in_the_text_has_these_options(page: Path, code: str) -> None:
    command, rest = _command([word for word in code.split()[1:] if word != "COMMAND"])
    wanted = {word for word in rest if word.startswith("--")}
    assert wanted <= _options(command), f"{page}: {command.name} has no {wanted - _options(command)}"


@pytest.mark.parametrize("snippet", _of("python"))
def test_python_compiles_and_imports_what_there_is(snippet: Snippet) -> None:
    """Without importing it: half of these would load torch."""
    for node in ast.walk(ast.parse(snippet.body)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("sgcldff_core", "napari_sgcldff")):
            missing = {alias.name for alias in node.names} - _names_in(str(node.module))
            assert not missing, f"{snippet}: {node.module} has no {', '.join(missing)}"


def _names_in(module: str) -> set[str]:
    base = ROOT.joinpath("src", *module.split("."))
    path = base.with_suffix(".py") if base.with_suffix(".py").is_file() else base / "__init__.py"
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


@pytest.mark.parametrize("snippet", [*_of("sh"), *_of("python")])
def test_a_block_says_whether_it_runs(snippet: Snippet) -> None:
    assert snippet.mark is not None, (
        f"{snippet}: the line before this block must be <!-- runs -->, <!-- runs, but not WORD: why -->, "
        "<!-- runs in tests/... --> or <!-- not run: why -->"
    )
    if snippet.without:
        names = [_named(line) for line in _lines(snippet)]
        assert any(not snippet.without & own for own in names), f"{snippet}: nothing of it runs"
        assert snippet.without <= set().union(*names), f"{snippet}: it has no {snippet.without}"
    if snippet.mark["elsewhere"]:
        assert snippet.page.name in (ROOT / snippet.mark["elsewhere"]).read_text(encoding="utf-8")


def test_no_mark_stands_where_no_block_follows() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        marks = re.findall(r"^ *<!-- (?:runs|not run)\b.*\n(.*)", text, re.MULTILINE)
        assert all(re.match(r" *```(?:sh|python)$", after) for after in marks), f"{page}: {marks}"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder like that of the tutorials: drawn smears, what predict says of them, annotation, a model.

    Data sets that pages call ``path/to/BCCD`` and the like are drawn ones here, in the curated format.
    """
    folder = tmp_path_factory.mktemp("prepared")
    look = SmearSettings(height=160, width=200, diameter=60, leukocytes=2)
    for images in ("smears", "mine", "slides"):
        (folder / images).mkdir()
    Image.fromarray(make_smear(12, look).image).save(folder / "smears" / "a.png")
    for copy in ("mine/a.png", "huge.png"):
        shutil.copy(folder / "smears" / "a.png", folder / copy)
    Image.fromarray(make_smear(13, look).image).save(folder / "slides" / "b.tif")
    # Cells that do not touch, each large enough for a crop of its own.
    apart = SmearSettings(height=160, width=200, diameter=48, leukocytes=2, touching=0)
    samples = [
        replace(sample, split=split)
        for sample, split in zip(make_samples(3, 1, apart), ("train", "train", "val"), strict=True)
    ]
    drawn = Provenance("curated", "drawn", (Change.now("the tests", "drawn"),))
    write_curated(samples, folder / "curated", provenance=drawn)
    for name in ("data/bccd", "path/to/BCCD", "path/to/LISC", "path/to/curated", "path/to/data"):
        shutil.copytree(folder / "curated", folder / name)
    for name in ("path/to/mine", "path/to/unseen"):
        shutil.copytree(folder / "curated", folder / name)
    # Explanations are measured by every method on every cell of these.
    alone = SmearSettings(height=96, width=96, diameter=48, leukocytes=1, touching=0)
    write_curated(make_samples(1, 2, alone), folder / "annotated", provenance=drawn)
    (folder / "path" / "to" / "BCCD" / "JPEGImages").symlink_to("images")
    mine = shutil.copytree(find_model("leukocytes-small"), folder / "runs" / "mine") / "model.json"
    description = json.loads(mine.read_text(encoding="utf-8"))
    held_out = [sample.group for sample in open_dataset(folder / "curated") if sample.split == "val"]
    description["training"] |= {"validation_groups": held_out, "validation_images": {"curated": len(held_out)}}
    mine.write_text(json.dumps(description), encoding="utf-8")
    shutil.copytree(find_model("leukocytes-small"), folder / "home" / "data" / "sgcldff" / "models" / "mine")
    (folder / "few.toml").write_text('train = "heads"\nepochs = 20\nlearning_rate = 5e-4\n', encoding="utf-8")
    slide = make_slide(21, 256, 320, SmearSettings(height=256, width=256, diameter=48, leukocytes=2, stain="wright"))
    write_ome_zarr(slide.image, folder / "slide.ome.zarr")
    done = CliRunner().invoke(app, ["predict", str(folder / "smears"), "--out", str(folder / "results")])
    assert done.exit_code == 0, done.output
    cells = pd.read_csv(folder / "results" / "cells.csv")
    assert len(cells)
    cells.to_parquet(folder / "results" / "slide_cells.parquet")
    return folder


@pytest.fixture
def work(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a copy of what is prepared, with a home of its own."""
    shutil.copytree(prepared, tmp_path, symlinks=True, dirs_exist_ok=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home" / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(prepared / "home" / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("snippet", [pytest.param(s, id=str(s)) for s in SNIPPETS if s.runs and s.language == "sh"])
def test_commands_that_are_marked_to_run_run(snippet: Snippet, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each in this process, since a start costs more than most of them; a pattern is left to the command."""
    if "models add" in snippet.body:
        shutil.rmtree("home/data")
    for line in _lines(snippet):
        if snippet.without & _named(line):
            continue
        words = shlex.split(line, comments=True)
        while "=" in words[0]:
            monkeypatch.setenv(*words.pop(0).split("=", 1))
        assert words[0] == "sgcldff", f"{snippet}: this test cannot run {words[0]}"
        done = CliRunner().invoke(app, words[1:])
        if "not installed: pip install" in str(done.exception):
            pytest.skip(str(done.exception))
        assert done.exit_code == 0, f"{line}: {done.output} {done.exception!r}"
        for option, value in pairwise(words):
            if option in {"--out", "--json", "--markdown"}:
                assert Path(value).exists(), f"{line}: no {value}"


@pytest.mark.parametrize("snippet", [pytest.param(s, id=str(s)) for s in SNIPPETS if s.runs and s.language == "python"])
def test_python_that_is_marked_to_run_runs(snippet: Snippet, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if snippet.page.name == "correct.md":
        shutil.rmtree("curated")
    found: dict[str, Any] = {"__name__": "snippet", "image": read_rgb("smears/a.png")}
    exec(compile(snippet.body, str(snippet), "exec"), found)
    if snippet.page.name == "correct.md":
        (sample,) = open_dataset("curated")
        assert sample.kinds == ("masks", "classes")
        assert sample.classes == pd.read_csv("results/cells.csv").set_index("label")["class"].to_dict()
    if snippet.page.name == "own.md":
        _announce(monkeypatch, "sgcldff_core.datasets.registry", found["SideBySide"])
        tifffile.imwrite(work / "smears" / "x.tif", np.zeros((8, 9, 3), np.uint8), photometric="rgb")
        Image.fromarray(np.ones((8, 9), np.uint8)).save(work / "smears" / "x.cells.png")
        (work / "smears" / "a.png").unlink()
        dataset = open_dataset("smears")
        assert [(s.name, s.kinds) for s in dataset] == [("x", ("masks",))]
        assert dataset.format == "side_by_side"
    if snippet.page.name == "architecture.md":
        _announce(monkeypatch, registry.__name__, found["darkness"])
        assert compute_prior(np.full((2, 3, 3), 51, np.uint8), "darkness") == pytest.approx(0.8)
    if snippet.page.name == "slide.md" and "write_ome_zarr" in snippet.body:
        assert open_slide("slide.ome.zarr").shape == (512, 640)


def _announce(monkeypatch: pytest.MonkeyPatch, module: str, offered: Any) -> None:
    """Let an entry point be found as if a package that has it were installed."""
    point = EntryPoint(name=getattr(offered, "__name__", "it"), value="somewhere:it", group="sgcldff")
    monkeypatch.setattr(EntryPoint, "load", lambda self: offered)
    monkeypatch.setattr(f"{module}.entry_points", lambda group, **query: EntryPoints([point]).select(**query))


@pytest.mark.parametrize("snippet", _of("toml"))
def test_settings_are_settings(snippet: Snippet) -> None:
    values = tomllib.loads(snippet.body)
    if "project" in values:
        return
    classes = {
        "TrainingConfig": {k: v for k, v in values.items() if not isinstance(v, dict)},
        "ModelConfig": values.get("model", {}),
        "LossConfig": values.get("loss", {}),
        "AugmentationConfig": values.get("augmentation", {}),
    }
    for name, given in classes.items():
        assert set(given) <= SETTINGS[name], f"{snippet}: {name} has no {set(given) - SETTINGS[name]}"
    assert set(values) - set(classes["TrainingConfig"]) <= {"model", "loss", "augmentation"}


def _fields_of_settings() -> dict[str, set[str]]:
    """Read them from the sources, since importing them loads torch."""
    modules = ("training/config.py", "model/config.py", "losses/multitask.py")
    nodes = [n for m in modules for n in ast.parse((ROOT / "src/sgcldff_core" / m).read_text(encoding="utf-8")).body]
    return {
        node.name: {n.target.id for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
        for node in nodes
        if isinstance(node, ast.ClassDef)
    }


SETTINGS = _fields_of_settings()


@pytest.mark.parametrize("snippet", _of("json"))
def test_json_is_json(snippet: Snippet) -> None:
    json.loads(snippet.body)
