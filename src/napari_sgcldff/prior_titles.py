"""The saliency priors as a person may choose them; SciPy, which they need, is not loaded for it."""

from __future__ import annotations

from importlib.metadata import entry_points

__all__ = ["PRIOR_TITLES", "listed_priors"]

PRIOR_TITLES: dict[str, tuple[str, str]] = {
    "fused": (
        "fused (guides the model)",
        "Nuclear stain, its surroundings, stained bodies and barriers, weighed by what real images say. "
        "The best by measurement.",
    ),
    "stain": ("nuclear stain", "Amount of nuclear stain after colour deconvolution with the image's own stains."),
    "barrier": ("barrier to the border", "How high a barrier of colour parts a pixel from the border of the image."),
    "border_distance": ("unlike the border", "Distance in colour to the bright part of the image's border."),
    "frequency_tuned": ("rare colour", "Distance in colour of the softened image to its mean (Achanta 2009)."),
    "inverse_green": ("dark in green", "How little green light comes through: nuclei and red cells are dark in it."),
    "saturation_green": ("saturation less green", "Saturation minus green: strong violet."),
    "spectral_residual": ("spectral residual", "What is unexpected in the spectrum of the image (Hou 2007)."),
}
"""Title and explanation of each prior of this package, the default first."""


def listed_priors() -> list[tuple[str, str, str]]:
    """Return name, title and explanation of each prior, those of other installed packages last."""
    others = sorted({point.name for point in entry_points(group="sgcldff.priors")} - set(PRIOR_TITLES))
    own = [(name, title, about) for name, (title, about) in PRIOR_TITLES.items()]
    return own + [(name, name, "A prior of another installed package.") for name in others]
