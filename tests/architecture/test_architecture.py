"""The shape of the house: who may import whom, how long a module is, what it may be called."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "src").rglob("*.py"))
SAYS_NOTHING = {"common", "helper", "helpers", "misc", "tools", "util", "utils"}
LONGEST = 300


def _named(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")


def test_imports_run_in_the_direction_of_the_design(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    failed = lint_imports(config_filename="pyproject.toml", no_cache=True)
    assert not failed, capsys.readouterr().out


def test_a_module_can_be_read_at_one_sitting() -> None:
    lengths = {_named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: lines for name, lines in lengths.items() if lines >= LONGEST} == {}


def test_a_module_is_named_for_what_it_does() -> None:
    assert [_named(path) for path in MODULES if SAYS_NOTHING & set(_named(path).split("."))] == []


@pytest.mark.parametrize("path", MODULES, ids=_named)
def test_a_module_says_what_it_is_and_what_it_offers(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "no docstring"
    if path.name in {"__init__.py", "__main__.py"}:
        return
    offered = next(
        (
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        ),
        None,
    )
    assert offered is not None, "no __all__"
    defined = {
        node.name
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        and not node.name.startswith("_")
        and not any("app.command" in ast.unparse(decorator) for decorator in node.decorator_list)
    }
    assert defined <= set(offered), "public, but not in __all__"


@pytest.mark.parametrize("path", MODULES, ids=_named)
def test_nothing_is_unpickled(path: Path) -> None:
    """What import-linter cannot see: loaders that unpickle on request."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        arguments = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        assert "allow_pickle" not in arguments or arguments["allow_pickle"] == "False"
        if ast.unparse(node.func) in {"torch.load", "fabric.load"}:
            assert arguments.get("weights_only") == "True"


@pytest.mark.parametrize("path", MODULES, ids=_named)
def test_xml_and_archives_are_opened_in_the_one_safe_way(path: Path) -> None:
    """XML by defusedxml (the standard library lends names of types), archives by `datasets.archives`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & {"lxml", "xml"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in {"lxml", "xml"}:
            assert {alias.name for alias in node.names} <= {"Element", "ParseError"}
        elif isinstance(node, ast.Attribute):
            assert node.attr not in {"extractall", "unpack_archive"}
            assert node.attr not in {"ZipFile", "TarFile"} or path.name == "archives.py"


TORCH_FREE = ("cells", "cli", "datasets", "errors", "files", "saliency", "sample", "smear", "taxonomy")


@pytest.mark.parametrize(
    ("rooms", "absent"),
    [
        (["sgcldff_core", *(f"sgcldff_core.{room}" for room in TORCH_FREE)], {"torch", "qtpy", "napari"}),
        (["napari_sgcldff"], {"torch"}),
    ],
    ids=["core", "plugin"],
)
def test_importing_loads_nothing_heavy(rooms: list[str], absent: set[str]) -> None:
    names = [
        name for name in map(_named, MODULES) if name in rooms or name.rpartition(".")[0] in rooms[1:] + rooms[-1:]
    ]
    code = (
        "import importlib, sys\n"
        f"for name in {[name for name in names if not name.endswith('__main__')]}:\n"
        "    importlib.import_module(name)\n"
        f"heavy = {absent} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
