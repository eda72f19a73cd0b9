"""Settings that make no sense are refused with the rule that they break."""

from __future__ import annotations

import math
from typing import Any

import pytest

from sgcldff_core.errors import ConfigError
from sgcldff_core.smear import SmearSettings


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"height": 0}, "height is 0; it must be at least 1"),
        ({"width": -3}, "width is -3; it must be at least 1"),
        ({"diameter": 7}, "diameter is 7; it must be between 8 and 2000"),
        ({"diameter": math.nan}, "diameter is nan"),
        ({"leukocytes": -1}, "leukocytes is -1; it must be at least 0"),
        ({"erythrocytes": 1.6}, "erythrocytes is 1.6; it must be between 0 and 1.5"),
        ({"platelets": -0.1}, "platelets is -0.1"),
        ({"touching": 1.1}, "touching is 1.1; it must be between 0 and 1"),
        ({"cut": 2}, "cut is 2"),
        ({"defocus": -1.0}, "defocus is -1.0; it must be between 0 and 50"),
        ({"noise": 101.0}, "noise is 101.0; it must be between 0 and 100"),
        ({"vignetting": 0.95}, "vignetting is 0.95; it must be between 0 and 0.9"),
        ({"classes": ()}, "classes is empty; name one or more of neutrophil, lymphocyte"),
        ({"classes": ("blast",)}, "class 'blast' cannot be drawn; known are neutrophil"),
        ({"weights": (1.0,)}, "1 weights for 5 classes; give one for each"),
        ({"classes": ("neutrophil",), "weights": (0.0,)}, "must be 0 or more, and not all 0"),
        ({"classes": ("neutrophil",), "weights": (-1.0,)}, "must be 0 or more, and not all 0"),
        ({"stain": "wrihgt"}, "stain 'wrihgt' is unknown; known are wright, pink, rapid"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SmearSettings(**wrong)


def test_limits_themselves_are_allowed() -> None:
    SmearSettings(height=1, width=1, diameter=8, leukocytes=0, erythrocytes=1.5, platelets=0, touching=1, cut=1)
