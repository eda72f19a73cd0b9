"""All methods of explanation by name; each takes a `Subject` and gives one map a cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sgcldff_core.errors import ConfigError
from sgcldff_core.explain.gradcam import scaled_to_one
from sgcldff_core.explain.gradient_free_maps import eigen_cam, score_cam
from sgcldff_core.explain.gradient_maps import grad_cam, grad_cam_plus_plus, hires_cam
from sgcldff_core.explain.reference_maps import integrated_gradients, occlusion

if TYPE_CHECKING:
    from torch import Tensor

    from sgcldff_core.explain.subject import Subject

__all__ = ["METHODS", "Method", "explain_subject", "find_method"]


@dataclass(frozen=True, slots=True)
class Method:
    """One way to explain a score.

    Attributes
    ----------
    name : str
        What the command line and file names call it.
    title : str
        What the literature calls it.
    compute : callable
        `Subject` of N cells to (N, h, w) float, not negative, not scaled.
    confined : bool
        Whether a pixel that the score does not look at is zero by construction. The score of a cell
        looks at its own outline only, so that of these methods the energy inside the outline says
        nothing on the fused map.
    slow : bool
        Whether it is too slow for daily use.
    on_image : bool
        Whether it makes sense on the image itself, whose three channels are no features.
    """

    name: str
    title: str
    compute: Callable[[Subject], Tensor]
    confined: bool = False
    slow: bool = False
    on_image: bool = False


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("gradcam", "Grad-CAM", grad_cam),
        Method("gradcam++", "Grad-CAM++", grad_cam_plus_plus),
        Method("hirescam", "HiResCAM", hires_cam, confined=True, on_image=True),
        Method("eigencam", "Eigen-CAM", eigen_cam),
        Method("scorecam", "Score-CAM", score_cam, slow=True),
        Method("occlusion", "Occlusion", occlusion, confined=True, slow=True, on_image=True),
        Method(
            "integrated-gradients",
            "Integrated gradients",
            integrated_gradients,
            confined=True,
            slow=True,
            on_image=True,
        ),
    )
}
"""By name, the usual one first."""


def find_method(name: str) -> Method:
    """Return a method by its name.

    Parameters
    ----------
    name : str
        As the command line calls it.

    Raises
    ------
    ConfigError
        If there is none of that name; the message lists them.
    """
    if name not in METHODS:
        raise ConfigError(f"unknown method of explanation {name!r}; known are {', '.join(METHODS)}")
    return METHODS[name]


def explain_subject(subject: Subject, method: str) -> Tensor:
    """Explain cells by a method, each map scaled to a largest value of 1.

    Parameters
    ----------
    subject : Subject
        N cells.
    method : str
        See `METHODS`.

    Returns
    -------
    Tensor
        (N, h, w) float in [0, 1]; zero everywhere where nothing speaks for the score.

    Raises
    ------
    ConfigError
        If there is no such method, or its package is missing.
    """
    return scaled_to_one(find_method(method).compute(subject))
