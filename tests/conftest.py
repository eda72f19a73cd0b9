"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real images, or skip where it is absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SGCLDFF_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real images at {folder}; set SGCLDFF_DATA to a folder that holds zheng/, bccd/ and all_idb2/")
    return folder
