"""Where models are on disk, and what they say of themselves: all that can be known without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import platformdirs

from sgcldff_core.errors import CorruptModelError, ModelNotFoundError

__all__ = [
    "DEFAULT_MODEL",
    "DESCRIPTION",
    "FORMAT_VERSION",
    "MEMORY",
    "SMALL_MODEL",
    "available_models",
    "describe",
    "find_model",
    "user_models",
]

DEFAULT_MODEL = "leukocytes"
"""The model that is shipped, and used when none is named."""

SMALL_MODEL = "leukocytes-small"
"""A quicker one, for looks at what moves."""

DESCRIPTION = "model.json"
"""Name of the file that makes a folder a model's."""

FORMAT_VERSION = 1
"""Of the description; no other is read."""

MEMORY = "memory.safetensors"
"""Features of cells that the model learned from, where it has them; `sgcldff_core.training.memory` writes it."""

_SHIPPED = Path(__file__).resolve().parent / "models"


def user_models() -> Path:
    """Return the folder in which this user's own models live."""
    return Path(platformdirs.user_data_dir("sgcldff", appauthor=False)) / "models"


def available_models() -> dict[str, Path]:
    """Return the folders of all models by name, shipped ones first; a user's own may shadow them."""
    found: dict[str, Path] = {}
    for home in (_SHIPPED, user_models()):
        if home.is_dir():
            found |= {p.parent.name: p.parent for p in sorted(home.glob(f"*/{DESCRIPTION}"))}
    return found


def find_model(name_or_path: str | Path | None = None) -> Path:
    """Return the folder of a model.

    Parameters
    ----------
    name_or_path : str or Path, optional
        A name as `available_models` lists them, or a folder. The shipped model by default.

    Raises
    ------
    ModelNotFoundError
        If there is none; the message lists those that there are.
    """
    wanted = DEFAULT_MODEL if name_or_path is None else name_or_path
    known = available_models()
    if str(wanted) in known:
        return known[str(wanted)]
    folder = Path(wanted)
    if (folder / DESCRIPTION).is_file():
        return folder
    raise ModelNotFoundError(
        f"no model {str(wanted)!r}: neither a folder with {DESCRIPTION} nor one of {', '.join(known) or '(none)'}"
    )


def describe(folder: Path) -> dict[str, Any]:
    """Read a model's description without its weights.

    Parameters
    ----------
    folder : Path
        The model's folder, with its ``model.json``.

    Raises
    ------
    CorruptModelError
        If the description is no JSON object, or of a version that this release does not know.
    """
    file = folder / DESCRIPTION
    try:
        description = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as broken:
        raise CorruptModelError(f"{file}: cannot be read as JSON ({broken}); get the model again") from broken
    if not isinstance(description, dict) or description.get("format") != FORMAT_VERSION:
        version = description.get("format") if isinstance(description, dict) else None
        raise CorruptModelError(
            f"{file}: format version {version!r}, this release reads {FORMAT_VERSION}; update sgcldff or the model"
        )
    return description
