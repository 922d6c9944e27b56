"""Random outlines and label layouts for the synthetic scenes.

A `Blob` is a closed curve given as radius over angle, stretched, bent and turned. It is drawn in
its own box as ``rho``, the distance to its centre over the distance of its outline in that
direction: 0 at the centre, 1 on the outline. `settle` lets blobs compete for pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from napari_pvpu.training.synthetic_fields import chance, log_uniform

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_pvpu.training.synthetic_fields import Field, Size

    Labels: TypeAlias = NDArray[np.int32]
    Disc: TypeAlias = tuple[float, float, float]
    Window: TypeAlias = tuple[slice, slice]
    Warp: TypeAlias = tuple[Field, Field]

_STEPS = 1024
_ANGLES = (np.arange(_STEPS) * (2 * np.pi / _STEPS)).astype(np.float32)
_ORDERS = np.arange(1, 17)
_WAVES = np.concatenate(
    [np.cos(_ORDERS[:, None] * _ANGLES), np.sin(_ORDERS[:, None] * _ANGLES)]
).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Blob:
    """One shape: centre (row, col), radius in pixels, aspect, angle, bend and outline table."""

    row: float
    col: float
    radius: float
    outline: Field
    aspect: float = 1.0
    angle: float = 0.0
    bend: float = 0.0


@dataclass(frozen=True, slots=True)
class Layout:
    """Labels (H, W) int32 (0 background) and rho (H, W) float32 of the object that owns a pixel."""

    labels: Labels
    rho: Field

    @property
    def count(self) -> int:
        """Highest label."""
        return int(self.labels.max(initial=0))


def circle() -> Field:
    """Outline of a circle."""
    return np.ones(_STEPS, dtype=np.float32)


def harmonic(
    rng: np.random.Generator, roughness: float, *, first: int = 2, last: int = 8, decay: float = 1.0
) -> Field:
    """Outline whose log-radius is a random Fourier series; roughness 0.05 calm, 0.6 wild."""
    orders = np.arange(first, last + 1)
    amplitude = roughness * (orders / first) ** -decay
    coefficients = np.zeros(2 * len(_ORDERS), dtype=np.float32)
    coefficients[orders - 1] = amplitude * rng.standard_normal(len(orders))
    coefficients[orders - 1 + len(_ORDERS)] = amplitude * rng.standard_normal(len(orders))
    return np.asarray(np.exp(np.clip(coefficients @ _WAVES, -1.6, 0.9)), dtype=np.float32)


def polygon(
    rng: np.random.Generator, sides: int, *, sharpness: float = 12.0, jitter: float = 0.5
) -> Field:
    """Outline of a rounded convex polygon; sharpness 4 is soft, 40 has hard corners."""
    step = 2 * np.pi / sides
    normals = step * (np.arange(sides) + jitter * rng.uniform(-0.5, 0.5, sides))
    distance = 1 + 0.4 * jitter * rng.uniform(-1, 1, sides)
    facing = np.maximum(np.cos(_ANGLES[:, None] - normals), 0) / distance
    inverse = np.maximum((facing**sharpness).sum(axis=1), 1e-9) ** (1 / sharpness)
    return np.asarray(1 / np.maximum(inverse, 0.35), dtype=np.float32)


def superellipse(exponent: float) -> Field:
    """Outline between a circle (2) and a square (large exponents); a capsule when stretched."""
    power = np.abs(np.cos(_ANGLES)) ** exponent + np.abs(np.sin(_ANGLES)) ** exponent
    return np.asarray(power ** (-1 / exponent), dtype=np.float32)


def capsule(aspect: float) -> Field:
    """Outline that a stretch by `aspect` turns into a straight rod with half-round ends."""
    cos, sin = np.abs(np.cos(_ANGLES)), np.abs(np.sin(_ANGLES))
    along = aspect * cos  # in units of the half-width, which is 1
    flat = 1 / np.maximum(sin, 1e-6)
    shift = aspect - 1
    square = along**2 + sin**2
    root = np.sqrt(np.maximum((along * shift) ** 2 - square * (shift**2 - 1), 0))
    cap = (along * shift + root) / square
    return np.asarray(np.where(along * flat <= shift, flat, cap), dtype=np.float32)


def bumps(rng: np.random.Generator, count: int, height: float, width: float) -> Field:
    """Outline with `count` bumps (height > 0: arms) or notches (height < 0), width in radians."""
    total = np.zeros(_STEPS, dtype=np.float32)
    for centre in rng.uniform(0, 2 * np.pi, count):
        delta = np.angle(np.exp(1j * (_ANGLES - centre)))
        reach = height * rng.uniform(0.4, 1.0)
        total += (reach * np.exp(-((delta / (width * rng.uniform(0.6, 1.5))) ** 2))).astype(
            np.float32
        )
    return np.asarray(np.clip(1 + total, 0.15, 3.0), dtype=np.float32)


def random_outline(rng: np.random.Generator) -> Field:
    """An outline of any family."""
    family = rng.integers(0, 7)
    if family == 0:
        return harmonic(rng, rng.uniform(0.02, 0.15))
    if family == 1:
        return harmonic(rng, rng.uniform(0.15, 0.4), last=int(rng.integers(4, 12)))
    if family == 2:
        return polygon(rng, int(rng.integers(3, 9)), sharpness=log_uniform(rng, 4, 40))
    if family == 3:
        return superellipse(log_uniform(rng, 1.3, 8))
    if family == 4:
        arms = bumps(rng, int(rng.integers(1, 7)), rng.uniform(0.3, 1.5), rng.uniform(0.1, 0.4))
        return np.asarray(arms * harmonic(rng, 0.1), dtype=np.float32)
    if family == 5:
        notches = bumps(rng, int(rng.integers(1, 5)), -rng.uniform(0.3, 0.8), rng.uniform(0.1, 0.3))
        return np.asarray(notches * harmonic(rng, 0.1), dtype=np.float32)
    return circle()


def raster(
    blob: Blob, size: Size, warp: Warp | None = None, reach: float = 1.0
) -> tuple[Window, Field] | None:
    """Draw rho of a blob in its own box.

    Parameters
    ----------
    blob
        The shape.
    size
        (rows, cols) of the scene.
    warp
        Displacements (H, W) in pixels added to the coordinates before drawing.
    reach
        Largest rho that the box has to hold.

    Returns
    -------
    tuple or None
        The window (two slices) and rho inside it, or None when the blob lies outside.
    """
    stretch = float(np.sqrt(blob.aspect))
    long, short = blob.radius * stretch, blob.radius / stretch
    half = max(long, short) * float(blob.outline.max()) * reach * (1 + abs(blob.bend)) + 1
    if warp is not None:
        half += min(2.5 * float(np.abs(warp[0]).mean() + np.abs(warp[1]).mean()), 0.5 * half)
    top, bottom = max(int(blob.row - half), 0), min(int(blob.row + half) + 2, size[0])
    left, right = max(int(blob.col - half), 0), min(int(blob.col + half) + 2, size[1])
    if top >= bottom or left >= right:
        return None
    window = (slice(top, bottom), slice(left, right))
    down = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(blob.row)
    across = np.arange(left, right, dtype=np.float32)[None, :] - np.float32(blob.col)
    if warp is not None:
        down, across = down + warp[0][window], across + warp[1][window]
    cos, sin = np.float32(np.cos(blob.angle)), np.float32(np.sin(blob.angle))
    u = (across * cos + down * sin) / np.float32(long)
    v = (down * cos - across * sin) / np.float32(short)
    if blob.bend:
        v = v - np.float32(blob.bend) * (u * u - np.float32(0.4)) * np.float32(blob.aspect)
    index = np.arctan2(v, u) * np.float32(_STEPS / (2 * np.pi))
    rho = np.sqrt(u * u + v * v) / blob.outline[index.astype(np.int32) % _STEPS]
    return window, np.asarray(rho, dtype=np.float32)


def settle(
    blobs: Sequence[Blob],
    size: Size,
    *,
    mode: Literal["over", "under", "split"] = "split",
    warp: Warp | None = None,
    limit: float = 1.0,
) -> Layout:
    """Let blobs compete for pixels.

    Parameters
    ----------
    blobs
        Blob i gets label i + 1.
    size
        (rows, cols) of the scene.
    mode
        "over": later blobs cover earlier ones; "under": earlier ones stay; "split": a pixel goes
        to the blob with the smallest rho, so overlapping blobs share a border.
    warp
        Displacements in pixels for all blobs.
    limit
        Blobs own pixels up to this rho; above 1 neighbours grow into one another (a partition).

    Returns
    -------
    Layout
        Labels and rho (`limit` in the background).
    """
    labels = np.zeros(size, dtype=np.int32)
    best = np.full(size, limit, dtype=np.float32)
    for label, blob in enumerate(blobs, start=1):
        drawn = raster(blob, size, warp, reach=limit)
        if drawn is None:
            continue
        window, rho = drawn
        own, held = labels[window], best[window]
        if mode == "split":
            taken = rho < held
        elif mode == "over":
            taken = rho < limit
        else:
            taken = (rho < limit) & (own == 0)
        own[taken] = label
        held[taken] = rho[taken]
    return Layout(labels, best)


def scatter(
    size: Size,
    count: int,
    radius: Callable[[], float],
    rng: np.random.Generator,
    *,
    gap: float = 1.0,
    clusters: int = 0,
    big_first: bool = False,
) -> list[Disc]:
    """Throw circles that keep their distance.

    Parameters
    ----------
    size
        (rows, cols); centres may lie outside by up to 0.8 radii, so that the border cuts objects.
    count
        Number of tries, hence at most that many circles.
    radius
        Draws one radius in pixels.
    rng
        Source of randomness.
    gap
        Smallest centre distance in units of the sum of the radii; below 1 circles overlap.
    clusters
        If positive, centres gather around that many random places.
    big_first
        Place the largest circles first, so that small ones fill the gaps.

    Returns
    -------
    list
        (row, col, radius) of at least one circle.
    """
    kept = np.zeros((count + 1, 3))
    number = 0
    hubs = rng.uniform(0, 1, (max(clusters, 1), 2)) * size
    spread = min(size) * rng.uniform(0.08, 0.25)
    radii = [radius() for _ in range(count)]
    for r in sorted(radii, reverse=True) if big_first else radii:
        if clusters:
            centre = hubs[rng.integers(clusters)] + rng.normal(0, spread, 2)
        else:
            centre = rng.uniform(-0.8 * r, np.asarray(size) + 0.8 * r)
        old = kept[:number]
        apart = np.hypot(old[:, 0] - centre[0], old[:, 1] - centre[1])
        if number and np.any(apart < gap * (old[:, 2] + r)):
            continue
        kept[number] = (*centre, r)
        number += 1
    return [(r, c, radius) for r, c, radius in kept[:number].tolist()]


def nucleus_blob(rng: np.random.Generator, row: float, col: float, radius: float) -> Blob:
    """A nucleus or cell body: ellipse with gentle irregularities, seldom a bean."""
    return Blob(
        row,
        col,
        radius,
        harmonic(rng, log_uniform(rng, 0.01, 0.09), last=7, decay=1.8),
        aspect=float(np.exp(abs(rng.normal(0, 0.3)))),
        angle=rng.uniform(0, np.pi),
        bend=rng.normal(0, 0.15) if chance(rng, 0.3) else 0.0,
    )
