"""SG-CLDFF: saliency-guided cross-layer deep feature fusion for white blood cells in smears."""

__version__ = "0.1.0"
