"""Freed memory that a process keeps."""

from __future__ import annotations

import subprocess
import sys

import pytest

_FAULTS = """
import resource, sys
import numpy as np
from sgcldff_core.inference.allocation import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit("cannot")
np.ones(20_000_000).sum()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    np.ones(20_000_000)  # 160 MB: more than glibc ever keeps by itself
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _page_faults(way: str) -> int:
    done = subprocess.run([sys.executable, "-c", _FAULTS, way], check=False, capture_output=True, text=True)
    if done.stderr.strip() == "cannot":
        pytest.skip("this C library cannot be told to keep memory")
    assert not done.returncode, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_pages_that_are_kept_are_not_cleared_anew() -> None:
    assert _page_faults("keep") * 10 < _page_faults("give back")
