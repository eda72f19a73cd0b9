"""Where the command line writes: results to standard output, everything else to standard error."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["progress_bar", "say_error", "stderr", "stdout"]

stdout = Console(highlight=False)
stderr = Console(stderr=True, highlight=False)


def say_error(message: str) -> None:
    """Write one line on standard error that says what went wrong.

    Parameters
    ----------
    message : str
        Printed as it is: brackets in file names are no markup, and long lines are not broken,
        so that a path can be copied.
    """
    line = " ".join(message.split())
    stderr.print("sgcldff:", style="bold red", end=" ")
    stderr.print(line, markup=False, soft_wrap=True)


def progress_bar() -> Progress:
    """Make a progress bar on standard error, which vanishes when it is done.

    Returns
    -------
    rich.progress.Progress
        To be used in a ``with`` block; it shows nothing where standard error is not a terminal.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=stderr,
        transient=True,
        disable=not stderr.is_terminal,
    )
