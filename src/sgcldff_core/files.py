"""Files that appear whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["write_json", "written_atomically"]


@contextmanager
def written_atomically(path: Path | str) -> Iterator[Path]:
    """Hand out a temporary name beside `path` and rename it when the block ends well.

    Parameters
    ----------
    path : Path or str
        The file to write; its folder is made if it is missing.

    Yields
    ------
    Path
        A file name in the same folder with the same suffix, to be written inside the block.
        If the block raises, it is removed and `path` is left as it was.

    Examples
    --------
    >>> with written_atomically("table.csv") as draft:  # doctest: +SKIP
    ...     draft.write_text("label,class")
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix is kept because many writers choose the format by it.
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
        umask = os.umask(0)
        os.umask(umask)
        draft.chmod(0o666 & ~umask)  # mkstemp makes files that only their owner can read
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def write_json(path: Path | str, content: Any) -> None:
    """Write plain JSON types to a file, whole or not at all.

    Parameters
    ----------
    path : Path or str
        The file; its folder is made if it is missing.
    content : Any
        What `json.dumps` takes.
    """
    with written_atomically(path) as draft:
        draft.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
