from __future__ import annotations

import pytest

from sgcldff_core.errors import ConfigError
from sgcldff_core.extras import wants_extra


def test_what_is_missing_is_named_with_its_remedy() -> None:
    said = r"slides need no_such_package, which is not installed: pip install 'napari-sgcldff\[slides\]'"
    with pytest.raises(ConfigError, match=said), wants_extra("slides", "slides"):
        import no_such_package  # type: ignore[import-not-found] # noqa: F401


def test_other_faults_are_left_as_they_are() -> None:
    with pytest.raises(KeyError), wants_extra("slides", "slides"):
        raise KeyError("x")
