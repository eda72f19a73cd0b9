"""What a user names: image files, folders of images, and patterns."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from pathlib import Path

from sgcldff_core.datasets.rasters import IMAGE_SUFFIXES
from sgcldff_core.errors import ConfigError

__all__ = ["expand_inputs", "output_stems"]


def expand_inputs(patterns: Iterable[str | Path]) -> list[Path]:
    """Return the files that are meant.

    Parameters
    ----------
    patterns : iterable of str or Path
        Each is a file (of any suffix: the user knows), a folder (the images directly in it, by
        suffix, and OME-Zarr slides), or a pattern with ``*``, ``?``, ``[...]`` and ``**`` (the
        images among what matches). A name that exists is taken literally, whatever signs are in
        it; ``~`` is the home folder. Hidden files are images only if named in full.

    Returns
    -------
    list of Path
        Sorted, each file once, as the user wrote it where there are several ways.

    Raises
    ------
    ConfigError
        If there is no pattern, or one of them finds nothing; the message names it.
    """
    files: dict[Path, Path] = {}
    for pattern in patterns:
        found = _matches(Path(pattern).expanduser())
        if not found:
            raise ConfigError(f"{pattern}: {_nothing(Path(pattern).expanduser())}")
        for path in found:
            files.setdefault(path.resolve(), path)
    if not files:
        raise ConfigError("no input; name image files, folders or patterns")
    return sorted(files.values())


def _matches(named: Path) -> list[Path]:
    if _is_slide_folder(named) or named.is_file():
        return [named]
    if named.is_dir():
        return [path for path in named.iterdir() if _is_image(path)]
    return [path for path in map(Path, glob.glob(str(named), recursive=True)) if _is_image(path)]


def _is_image(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    return _is_slide_folder(path) or (path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())


def _is_slide_folder(path: Path) -> bool:
    return path.suffix.lower() == ".zarr" and path.is_dir()


def _nothing(named: Path) -> str:
    kinds = ", ".join(IMAGE_SUFFIXES)
    if named.is_dir():
        return f"no image directly in this folder ({kinds}); for those in folders below write {named / '**' / '*'}"
    if glob.has_magic(str(named)):
        return f"the pattern matches no image ({kinds}); check it, and put it in quotes"
    return "there is no such file or folder; check the spelling"


def output_stems(paths: Sequence[Path]) -> list[str]:
    """Return what the outputs of each input begin with: its stem, with a number where that is taken.

    Parameters
    ----------
    paths : sequence of Path
        Inputs, possibly of the same name in several folders or with several suffixes.

    Returns
    -------
    list of str
        In the order of `paths`. The first of a name keeps it, the next get ``-2``, ``-3`` and so
        on, leaving out what another input is called. All differ by more than upper and lower case.

    Examples
    --------
    >>> output_stems([Path("a/1.png"), Path("b/1.png"), Path("b/1-2.png")])
    ['1', '1-3', '1-2']
    """
    own = {_stem(path).lower() for path in paths}
    taken: set[str] = set()
    stems = []
    for path in paths:
        stem, number = _stem(path), 1
        while stem.lower() in taken or (number > 1 and stem.lower() in own):
            number += 1
            stem = f"{_stem(path)}-{number}"
        taken.add(stem.lower())
        stems.append(stem)
    return stems


def _stem(path: Path) -> str:
    return path.stem.removesuffix(".ome") if _is_slide_folder(path) else path.stem
