"""What the trials of one folder have in common, written down so that two recipes are not mixed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgcldff_core.errors import FormatError
from sgcldff_core.files import write_json

if TYPE_CHECKING:
    from sgcldff_core.training import TrainingConfig

__all__ = ["changed_settings", "note_settings", "shared_settings"]


def shared_settings(config: TrainingConfig) -> dict[str, Any]:
    """Return what all trials of one run share, as plain JSON types.

    Each network has a seed of its own, and machines that share the work may draw views differently fast.

    Parameters
    ----------
    config : TrainingConfig
        The settings of one of its trials.
    """
    return {name: value for name, value in config.to_dict().items() if name not in ("seed", "workers")}


def changed_settings(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the names of settings that are not the same, sorted.

    Parameters
    ----------
    then, now : mapping of str to object
        Settings as plain types; one that only one of them has is changed too.
    """
    return sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))


def note_settings(path: Path, settings: Mapping[str, Any]) -> list[str]:
    """Write down what the trials of a folder share, or tell what is noted otherwise there.

    Trials that are done are not run again, so a folder must not mix two recipes.

    Parameters
    ----------
    path : Path
        The note.
    settings : mapping
        Plain JSON types.

    Returns
    -------
    list of str
        Names of settings that are other than noted; none where nothing was noted before.

    Raises
    ------
    FormatError
        If the note cannot be read.
    """
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    if not path.is_file():
        write_json(path, plain)
        return []
    try:
        then = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as broken:
        remedy = "delete it if its trials are of these settings, or choose another folder"
        raise FormatError(path, f"does not hold settings ({broken})", remedy) from broken
    return changed_settings(then, plain)
