"""What the plugin writes into the metadata of a layer."""

from __future__ import annotations

__all__ = ["KEY"]

KEY = "sgcldff"
"""Under this key of a layer's metadata stands what the layer is and how it was made."""
