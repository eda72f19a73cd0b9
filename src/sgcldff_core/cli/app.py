"""The application ``sgcldff``: which commands there are, and how errors reach the user."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

import sgcldff_core
from sgcldff_core.cli.console import say_error, stdout
from sgcldff_core.errors import ConfigError, SgcldffError

__all__ = ["COMMANDS", "Command", "app", "main"]


@dataclass(frozen=True, slots=True)
class Command:
    """Where a command lives, so that it is imported only when it runs.

    Attributes
    ----------
    module : str
        Name of the module in this package.
    attribute : str
        A function (one command) or a `typer.Typer` (a group) in it.
    summary : str
        One line for ``sgcldff --help``; the first line of the command's own help.
    """

    module: str
    attribute: str
    summary: str


COMMANDS: dict[str, Command] = {
    "demo": Command(
        "predict", "demo", "Draw a synthetic smear, find its leukocytes with the shipped model, and count them."
    ),
    "predict": Command("predict", "predict", "Outline, name and explain every leukocyte in images of smears."),
    "explain": Command("explain", "explain", "Map where the evidence for each cell's class, or for its mask, lies."),
    "train": Command("train", "train", "Train a network, and keep the weights that did best on held-out images."),
    "evaluate": Command(
        "evaluate", "evaluate", "Measure a model on annotated images, each predicted just as 'predict' does it."
    ),
    "crossval": Command(
        "crossval", "crossval", "Train on all folds but one, judge on that one, and so on through all of them."
    ),
    "ablate": Command("ablate", "ablate", "Train the recipe without each of its parts, and table what that costs."),
    "compare": Command(
        "compare",
        "compare",
        "Train our network and others on the same images, and table how they do and what they cost.",
    ),
    "adapt": Command("adapt", "adapt", "Fit a model to the stain of another laboratory, without any annotation."),
    "saliency": Command("saliency", "saliency", "Map where the leukocytes are likely to be, before any network looks."),
    "datasets": Command("datasets", "app", "Look into data sets, convert them, and fetch public ones."),
    "export": Command(
        "export", "export", "Write a model for other programs: as ONNX graphs, or as a bioimage.io package."
    ),
    "report": Command("report", "report", "Write what 'predict' found as a page to read, a message, or a data set."),
    "models": Command("models", "app", "List models, look at one, or add one."),
}
"""All commands, in the order in which ``sgcldff --help`` lists them."""


class _LazyGroup(TyperGroup):
    """Lists commands from `COMMANDS` and imports only the one that runs."""

    # typer brings its own copy of click from 0.26 on and the real one before, so contexts are Any here.

    _listing = False

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self._listing = True
        super().format_help(ctx, formatter)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        command = COMMANDS.get(cmd_name)
        if command is None:
            return None
        if self._listing:
            return TyperCommand(name=cmd_name, help=command.summary)
        return _load(cmd_name, command)


def _load(name: str, command: Command) -> Any:
    target = getattr(import_module(f"sgcldff_core.cli.{command.module}"), command.attribute)
    if isinstance(target, typer.Typer):
        group = typer.main.get_group(target)
        group.name = name
        return group
    single = typer.Typer(add_completion=False)
    single.command(name)(target)
    return typer.main.get_command(single)


app = typer.Typer(
    cls=_LazyGroup,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,  # what arrives there is a bug, and its plain traceback reports best
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        stdout.print(f"sgcldff {sgcldff_core.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Find, outline, name and explain every white blood cell in a stained smear."""


def main() -> None:
    """Run ``sgcldff`` with the arguments of the process and leave with its exit code.

    Raises
    ------
    SystemExit
        Always: 0 all well, 1 something failed, 2 bad usage or settings, 130 stopped by Ctrl-C.
    """
    try:
        app(prog_name="sgcldff")
    except ConfigError as error:
        say_error(str(error))
        sys.exit(2)
    except SgcldffError as error:
        say_error(str(error))
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise
        say_error(f"{error.filename}: {error.strerror}; check that the path exists and can be written or read")
        sys.exit(1)
