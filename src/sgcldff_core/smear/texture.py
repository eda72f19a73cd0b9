"""Random streams and random textures, each a function of its stream alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ripples", "smooth_noise", "splat", "stream"]

# Standard deviation of white noise after interpolation with a cubic B-spline along two axes.
_SPLINE_DEVIATION = 0.479


def stream(seed: int, *key: int) -> np.random.Generator:
    """Return the random stream of one structure.

    Parameters
    ----------
    seed : int
        Of the smear.
    *key : int
        Names the structure: its kind, then its number or its place (may be negative). Streams of
        different keys are independent, so one more cell does not change the others.

    Returns
    -------
    numpy.random.Generator
        Always in the same state for the same arguments.
    """
    spawn = tuple(k & 0xFFFFFFFF for k in key)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=spawn)))


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], period: float) -> NDArray[np.float32]:
    """Return noise whose grain has a given size.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    shape : tuple of int
        (H, W) of the result.
    period : float
        Distance between independent values in pixels; below 1 it is taken as 1.

    Returns
    -------
    ndarray
        (H, W) float32, mean about 0, standard deviation about 1.
    """
    period = max(period, 1.0)
    rows = _spline_basis(shape[0], period, rng.random())
    columns = _spline_basis(shape[1], period, rng.random())
    knots = rng.standard_normal((rows.shape[1], columns.shape[1]), dtype=np.float32)
    return np.asarray(rows @ knots @ columns.T, np.float32) / np.float32(_SPLINE_DEVIATION)


def _spline_basis(count: int, period: float, phase: float) -> NDArray[np.float32]:
    position = np.arange(count) / period + phase
    knot = position.astype(np.intp)
    t = position - knot
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
    basis = np.zeros((count, int(knot[-1]) + 4), np.float32)
    for shift in range(4):
        basis[np.arange(count), knot + shift] = weights[shift]
    return basis


def splat(
    shape: tuple[int, int],
    y: NDArray[np.floating],
    x: NDArray[np.floating],
    radius: NDArray[np.floating],
    strength: NDArray[np.floating],
    hollow: float = 0.0,
) -> NDArray[np.float32]:
    """Draw many small discs, of which the stronger one wins where they overlap.

    Parameters
    ----------
    shape : tuple of int
        (H, W) of the result.
    y, x : ndarray
        (N,) centres in pixels; discs that reach over the border are clipped.
    radius : ndarray
        (N,) in pixels. Discs under a pixel keep their integrated strength.
    strength : ndarray
        (N,) value at full coverage.
    hollow : float, optional
        Share by which the centre is weaker than the rim, as in refractile granules.

    Returns
    -------
    ndarray
        (H, W) float32.
    """
    out = np.zeros(shape, np.float32)
    if len(y) == 0:
        return out
    reach = int(np.ceil(float(radius.max()) + 1))
    offsets = np.arange(-reach, reach + 1)
    iy = np.floor(y).astype(np.intp)[:, None, None] + offsets[None, :, None]
    ix = np.floor(x).astype(np.intp)[:, None, None] + offsets[None, None, :]
    distance = np.hypot(iy + 0.5 - y[:, None, None], ix + 0.5 - x[:, None, None])
    drawn = np.maximum(radius, 0.7)[:, None, None]
    faded = np.minimum(1.0, (radius / 0.7) ** 2)[:, None, None]
    cover = np.clip(drawn + 0.5 - distance, 0, 1)
    if hollow:  # a ball, paler where light passes through its middle
        cover = np.minimum(cover, 1.15 * np.exp(-((distance / (1.1 * drawn)) ** 2)))
        cover = cover * (1 - hollow * np.exp(-((distance / (0.55 * drawn)) ** 2)))
    value = (cover * faded * strength[:, None, None]).astype(np.float32)
    iy, ix = np.broadcast_arrays(iy, ix)
    inside = (iy >= 0) & (iy < shape[0]) & (ix >= 0) & (ix < shape[1]) & (value > 0)
    np.maximum.at(out, (iy[inside], ix[inside]), value[inside])
    return out


class Ripples:
    """Smooth noise on an endless plane, so that any window of it can be had by itself.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    wavelength : float
        Typical distance between crests in pixels.
    waves : int, optional
        Number of plane waves that are summed.
    """

    __slots__ = ("_phase", "_vector")

    def __init__(self, rng: np.random.Generator, wavelength: float, waves: int = 7) -> None:
        angle = rng.uniform(0, 2 * np.pi, waves)
        number = 2 * np.pi / (wavelength * rng.uniform(0.6, 1.8, waves))
        self._vector = np.stack([np.sin(angle), np.cos(angle)]) * number
        self._phase = rng.uniform(0, 2 * np.pi, waves)

    def at(self, y: NDArray[np.floating], x: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the noise at points, of mean 0 and standard deviation about 1.

        Parameters
        ----------
        y, x : ndarray
            (N,) coordinates in pixels.

        Returns
        -------
        ndarray
            (N,) float64.
        """
        angle = np.outer(y, self._vector[0]) + np.outer(x, self._vector[1]) + self._phase
        return np.asarray(np.cos(angle).sum(1) * np.sqrt(2 / len(self._phase)), np.float64)

    def window(self, y0: int, x0: int, height: int, width: int) -> NDArray[np.float32]:
        """Return the noise on a window of pixels.

        Parameters
        ----------
        y0, x0 : int
            Top-left pixel.
        height, width : int
            In pixels.

        Returns
        -------
        ndarray
            (height, width) float32.
        """
        # cos(a + b) by rows and columns: far cheaper than one cosine for each pixel and wave.
        rows = np.exp(1j * np.outer(np.arange(y0, y0 + height), self._vector[0])).astype(np.complex64)
        columns = np.exp(1j * (np.outer(np.arange(x0, x0 + width), self._vector[1]) + self._phase)).astype(np.complex64)
        return np.asarray((rows @ columns.T).real * np.sqrt(2 / len(self._phase)), np.float32)
