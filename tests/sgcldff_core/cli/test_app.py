"""`sgcldff` itself: listing, lazy imports, and how errors reach the user."""

from __future__ import annotations

import inspect
import subprocess
import sys
import types
from collections.abc import Callable
from importlib import import_module

import pytest
import typer

import sgcldff_core
from sgcldff_core.cli.app import COMMANDS, Command, main
from sgcldff_core.errors import ConfigError, FormatError, ModelNotFoundError

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `main` with arguments and returns its exit code."""

    def _run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["sgcldff", *arguments])
        with pytest.raises(SystemExit) as leaving:
            main()
        return int(leaving.value.code or 0)

    return _run


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Return a function that adds a command ``trial``."""

    def _register(body: Callable[[], None]) -> None:
        module = types.ModuleType("sgcldff_core.cli.trial")
        module.trial = body  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(COMMANDS, "trial", Command("trial", "trial", "Try something."))

    return _register


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (FormatError("a/b[1].xml", "has no <size>", "add one"), 1, "a/b[1].xml: has no <size>; add one"),
        (ModelNotFoundError("no model 'x'; known: small"), 1, "no model 'x'; known: small"),
        (ConfigError("diameter must be positive,\ngot -3"), 2, "diameter must be positive, got -3"),
        (PermissionError(13, "Permission denied", "/out"), 1, "/out: Permission denied"),
    ],
)
def test_an_error_becomes_one_line_on_stderr(
    run: Run,
    register: Callable[[Callable[[], None]], None],
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: int,
    text: str,
) -> None:
    def trial() -> None:
        raise error

    register(trial)
    assert run("trial") == code
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith(f"sgcldff: {text}")
    assert written.err.count("\n") == 1


def test_a_bug_keeps_its_traceback(
    register: Callable[[Callable[[], None]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def trial() -> None:
        raise KeyError("not a mistake of the user")

    register(trial)
    monkeypatch.setattr(sys, "argv", ["sgcldff", "trial"])
    with pytest.raises(KeyError, match="not a mistake of the user"):
        main()


def test_ctrl_c_exits_130(run: Run, register: Callable[[Callable[[], None]], None]) -> None:
    def trial() -> None:
        raise KeyboardInterrupt

    register(trial)
    assert run("trial") == 130


def test_a_command_that_does_well_exits_0(
    run: Run, register: Callable[[Callable[[], None]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def trial() -> None:
        typer.echo("done")

    register(trial)
    assert run("trial") == 0
    assert capsys.readouterr().out == "done\n"


@pytest.mark.parametrize("arguments", [("no-such-command",), ("--no-such-option",)])
def test_bad_usage_exits_2(run: Run, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    assert run(*arguments) == 2
    assert "No such" in capsys.readouterr().err


def test_version(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"sgcldff {sgcldff_core.__version__}\n"


def test_help_lists_every_command_and_imports_none() -> None:
    code = (
        "import sys\n"
        "from sgcldff_core.cli.app import main\n"
        "sys.argv = ['sgcldff', '--help']\n"
        "try:\n    main()\nexcept SystemExit as leaving:\n    assert not leaving.code\n"
        "heavy = {'torch', 'numpy', 'scipy', 'skimage', 'pandas', 'qtpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(f" {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_summary_is_the_first_line_of_the_commands_help(name: str) -> None:
    command = COMMANDS[name]
    target = getattr(import_module(f"sgcldff_core.cli.{command.module}"), command.attribute)
    text = inspect.getdoc(target) if inspect.isfunction(target) else target.info.help
    assert text.splitlines()[0] == command.summary


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_needs_no_torch(name: str) -> None:
    code = (
        "import sys\n"
        "from sgcldff_core.cli.app import main\n"
        f"sys.argv = ['sgcldff', {name!r}, '--help']\n"
        "try:\n    main()\nexcept SystemExit as leaving:\n    assert not leaving.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
