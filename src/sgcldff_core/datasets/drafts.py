"""Folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sgcldff_core.errors import DataError

__all__ = ["folder_drafted"]


@contextmanager
def folder_drafted(target: Path | str, *, mark: str, overwrite: bool = False) -> Iterator[Path]:
    """Hand out an empty folder beside `target` and rename it when the block ends well.

    Parameters
    ----------
    target : Path or str
        The folder to make; those above it are made if they are missing.
    mark : str
        A file that each folder of this kind has. An existing folder is replaced only if it has
        it, so that a mistyped target never deletes anything but an earlier result.
    overwrite : bool, default False
        Whether an existing target is replaced; an empty folder always is.

    Yields
    ------
    Path
        The draft. If the block raises, it is removed and `target` is left as it was.

    Raises
    ------
    DataError
        If `target` exists and may not be replaced.
    """
    target = Path(os.path.abspath(target))
    _check_replaceable(target, mark, overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    # A leading dot: no reader takes a half-written folder for a data set.
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield draft
        umask = os.umask(0)
        os.umask(umask)
        draft.chmod(0o777 & ~umask)  # mkdtemp makes folders that only their owner can enter
        _check_replaceable(target, mark, overwrite)
        _swap_in(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _check_replaceable(target: Path, mark: str, overwrite: bool) -> None:
    if not os.path.lexists(target):
        return
    if target.is_symlink() or not target.is_dir():
        raise DataError(target, "this is a link or a file, where a folder is to be written", "choose another folder")
    if not any(target.iterdir()):
        return
    if not overwrite:
        raise DataError(target, "the folder exists already", "choose another one, or allow it to be overwritten")
    if not (target / mark).is_file():
        raise DataError(
            target,
            f"the folder holds no {mark}, so it was not written by this program and is not overwritten",
            "choose another folder, or empty this one yourself",
        )


def _swap_in(draft: Path, target: Path) -> None:
    if not target.exists():
        draft.rename(target)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
    old = aside / target.name
    target.rename(old)
    try:
        draft.rename(target)
    except BaseException:
        old.rename(target)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
