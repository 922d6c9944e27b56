"""Shapes in batches: every object is drawn in a patch of its own, the nearest one wins.

An object is a function of the place in its patch that is 0 at its centre and 1 on its outline
(`rho`). All patches of a batch are computed together and reduced into the scenes with one
`scatter_reduce`: a pixel's key holds how deep it lies in an object and which object that is, and
the largest key stays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from napari_pvpu.training.scenes.noise import smooth_noise

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_pvpu.training.scenes.canvas import Canvas

# Bits of the key for the object's number and for the depth.
_ID_BITS, _DEPTH = 14, 65_535
_MOST_OBJECTS = (1 << _ID_BITS) - 1
# Patch pixels a scene may take, in multiples of its own: what bounds time and memory.
_PATCH_BUDGET = 5.0


class Layout(NamedTuple):
    """Where objects are.

    Attributes
    ----------
    labels : Tensor
        ``(B, S, S)`` int64, 0 for background.
    rho : Tensor
        ``(B, S, S)`` float32, 0 at an object's centre, 1 on its outline and outside.
    """

    labels: Tensor
    rho: Tensor


@dataclass(frozen=True, slots=True)
class Discs:
    """Places for ``K`` objects in each scene.

    Attributes
    ----------
    centre : Tensor
        ``(B, K, 2)`` rows and columns in pixels; may lie outside.
    radius : Tensor
        ``(B, K)`` in pixels; 0 for no object.
    largest : float
        Bound of `radius`, known to the host.
    """

    centre: Tensor
    radius: Tensor
    largest: float


def splat(
    canvas: Canvas,
    centre: Tensor,
    half: int,
    rho: Callable[[Tensor, Tensor], Tensor],
    *,
    ids: Tensor | None = None,
    over: bool = False,
    warp: Tensor | None = None,
) -> Layout:
    """Draw objects into scenes.

    Parameters
    ----------
    canvas : Canvas
        Gives ``B`` and ``S``.
    centre : Tensor
        ``(B, K, 2)`` float.
    half : int
        Half the side of a patch, in pixels; what lies farther from the centre is not drawn.
    rho : callable
        Takes rows and columns from the centre, ``(B, K, P, P)`` or what broadcasts to it; returns
        0 at the centre to 1 on the outline, above 1 outside.
    ids : Tensor, optional
        ``(B, K)`` int64 from 1; 1 to K by default. Patches of one id make one object.
    over : bool
        Whether objects of higher ids hide others; by default they meet half way.
    warp : Tensor, optional
        ``(B, 2, S, S)`` pixels by which places are moved before they are asked about.

    Returns
    -------
    Layout
        Of the nearest or uppermost object.
    """
    count, size = canvas.count, canvas.size
    number = centre.shape[1]
    device = canvas.device
    # Windows of the size of a patch, moved into the scene where the patch would leave it.
    window = torch.arange(min(2 * half + 1, size), device=device)
    start = (centre.round().long() - half).clamp(0, size - len(window))
    rows = (start[..., 0, None] + window)[..., :, None]
    cols = (start[..., 1, None] + window)[..., None, :]
    flat = rows * size + cols
    y: Tensor = rows - centre[..., 0, None, None]
    x: Tensor = cols - centre[..., 1, None, None]
    if warp is not None:
        moved = [w.flatten(1).gather(1, flat.flatten(1)).view(flat.shape) for w in warp.unbind(1)]
        y, x = y + moved[0], x + moved[1]
    # Outside the depth is negative, and so is the key, which then loses against 0.
    depth = (1 - rho(y, x)).clamp_(min=-0.1)
    if ids is None:
        ids = torch.arange(1, number + 1, device=device).expand(count, number)
    fine = depth.mul_(_DEPTH).floor_().int()
    name = ids.int()[..., None, None]
    key = (name << 16) | fine if over else (fine << _ID_BITS) | name
    top = torch.zeros(count, size * size, dtype=torch.int32, device=device)
    top.scatter_reduce_(1, flat.flatten(1), key.flatten(1), "amax")
    top = top.view(count, size, size)
    if over:
        return Layout((top >> 16).long(), 1 - (top & 0xFFFF).float() / _DEPTH)
    return Layout((top & _MOST_OBJECTS).long(), 1 - (top >> _ID_BITS).float() / _DEPTH)


def room(canvas: Canvas, half: float, wanted: float) -> int:
    """Bound a number of objects by what their patches cost; at least 1.

    Parameters
    ----------
    canvas : Canvas
        Gives ``S``.
    half : float
        Half the side of a patch, in pixels.
    wanted : float
        Number of objects.
    """
    budget = _PATCH_BUDGET * canvas.size**2 / min(2 * half + 1, canvas.size) ** 2
    return max(1, min(round(wanted), round(budget), _MOST_OBJECTS, 1500))


def scatter(
    canvas: Canvas,
    radius: float,
    cover: float,
    *,
    spread: float = 0.25,
    gap: float = 0.0,
    clusters: float = 0.0,
    reach: float = 1.3,
    least: float = 3.5,
) -> Discs:
    """Place discs.

    Parameters
    ----------
    canvas : Canvas
        Gives ``B``, ``S`` and randomness.
    radius : float
        Middle radius in pixels.
    cover : float
        Area of all discs over that of the scene, at most; scenes have 0.3 to 1 of it.
    spread : float
        Deviation of the logarithm of radii.
    gap : float
        Smallest distance of centres, over the sum of radii; discs that come nearer are pushed
        apart, and dropped where that does not help. 0 lets them lie as they fall.
    clusters : float
        Share of scenes in which discs come in clusters.
    reach : float
        How far an object may stick out of its disc, over the radius; bounds the number.
    least : float
        Smallest radius.

    Returns
    -------
    Discs
        Some may be cut by the border or lie outside.
    """
    size = canvas.size
    largest = max(radius * math.exp(1.6 * spread), least)
    area = math.pi * (radius * math.exp(spread**2)) ** 2
    number = room(canvas, largest * reach, cover * (size + 2 * radius) ** 2 / area)
    radii = (canvas.randn(number) * spread).exp() * radius
    radii = radii.clamp(least, largest)
    low, high = -0.7 * radius, size + 0.7 * radius
    centre = canvas.uniform(low, high, number, 2)
    centre[:, 0] = canvas.uniform(0.15 * size, 0.85 * size, 2)
    if clusters > 0:
        middles = canvas.uniform(0, size, 6, 2)
        mine = (canvas.rand(number) * canvas.uniform(1, 6, 1)).long()
        away = canvas.randn(number, 2) * canvas.log_uniform(0.06, 0.22, 1, 1) * size
        grouped = middles.gather(1, mine[..., None].expand(-1, -1, 2)) + away
        centre = torch.where(canvas.chance(clusters) > 0, grouped, centre)
    if gap > 0:
        centre, radii = _settle(centre, radii, gap)
    # The first one is always there; a scene of one large object should show it.
    share = canvas.uniform(0.3 if number > 3 else 1.0, 1.0, 1)
    keep = torch.arange(number, device=canvas.device) < (share * number).clamp(min=1)
    return Discs(centre, torch.where(keep, radii, 0.0), largest)


def _settle(centre: Tensor, radii: Tensor, gap: float, rounds: int = 5) -> tuple[Tensor, Tensor]:
    """Push discs apart a few times; drop the later one of two that still overlap too much."""
    number = centre.shape[1]
    apart = (radii[:, :, None] + radii[:, None, :]) * gap
    rows, cols = centre.unbind(-1)
    itself = torch.eye(number, device=centre.device) * 1e6

    def between() -> tuple[Tensor, Tensor, Tensor]:
        dy, dx = rows[:, :, None] - rows[:, None, :], cols[:, :, None] - cols[:, None, :]
        return dy, dx, (dy * dy + dx * dx).add_(1e-2).sqrt_() + itself

    for _ in range(rounds if number <= 400 else 0):
        dy, dx, distance = between()
        push = (apart / distance - 1).clamp_(0, 2) * 0.4
        rows, cols = rows + (push * dy).sum(-1), cols + (push * dx).sum(-1)
    _, _, distance = between()
    clash = torch.tril(distance < 0.85 * apart, diagonal=-1).any(-1)
    return torch.stack([rows, cols], -1), torch.where(clash, 0.0, radii)


class Outline(NamedTuple):
    """What blobs of a batch look like; see `blobs`.

    Attributes
    ----------
    harmonics : float
        Strength of random lobes.
    aspect : float
        Largest ratio of the axes.
    corners : int
        0 for round, else the number of faces of a polygon.
    bend : float
        How far the ends of the long axis may be bent, over the radius.
    power : float
        Exponent of the norm: 2 for an ellipse, above for a box with round corners, below for a
        spindle.
    rod : bool
        Whether it is a straight rod with round ends; the ratio of its axes is near `aspect`.
    """

    harmonics: float = 0.06
    aspect: float = 1.6
    corners: int = 0
    bend: float = 0.0
    power: float = 2.0
    rod: bool = False


def random_outline(canvas: Canvas) -> Outline:
    """Draw what the blobs of a batch look like."""
    family = canvas.choose(("round", "lobed", "polygon", "spindle", "box", "bean", "star"))
    aspect = canvas.choose((1.2, 1.6, 2.5))
    if family == "polygon":
        return Outline(0.0, aspect, canvas.choose((3, 4, 5, 6, 7, 8)))
    table = {
        "round": Outline(0.03, aspect),
        "lobed": Outline(0.15, aspect),
        "spindle": Outline(0.05, max(aspect, 1.8), power=canvas.between(0.9, 1.4)),
        "box": Outline(0.0, aspect, power=canvas.between(3, 8)),
        "bean": Outline(0.05, max(aspect, 1.8), bend=canvas.between(0.2, 0.7)),
        "star": Outline(0.4, 1.3),
    }
    return table[family]


def blobs(
    canvas: Canvas,
    discs: Discs,
    outline: Outline,
    *,
    turn: Tensor | None = None,
    over: bool = False,
    warp: Tensor | None = None,
) -> Layout:
    """Draw blobs of about the area of their discs.

    Parameters
    ----------
    canvas : Canvas
        Gives randomness.
    discs : Discs
        Places and radii.
    outline : Outline
        Shape.
    turn : Tensor, optional
        ``(B, K)`` direction of the long axes in radians; random by default.
    over, warp
        See `splat`.

    Returns
    -------
    Layout
        Labels 1 to K.
    """
    number = discs.centre.shape[1]
    turn = canvas.uniform(0, 2 * math.pi, number) if turn is None else turn
    cos, sin = turn.cos()[..., None, None], turn.sin()[..., None, None]
    least = outline.aspect**0.6 if outline.rod else 1.0
    aspect = canvas.log_uniform(least, outline.aspect, number)
    radius = discs.radius.clamp(min=1e-3)
    short = (aspect.sqrt() / radius)[..., None, None]
    long = short if outline.rod else (1 / (radius * aspect.sqrt()))[..., None, None]
    ends = (aspect - 1)[..., None, None]
    sin_l, cos_l, sin_s, cos_s = sin * long, cos * long, sin * short, cos * short
    bend = (canvas.randn(number) * outline.bend)[..., None, None]
    lobes = canvas.randn(number, 3, 2) * (outline.harmonics * canvas.uniform(0.3, 0.8, 1, 1, 1))
    faces = canvas.uniform(-0.5, 0.5, number, max(outline.corners, 1))
    radii = canvas.uniform(0.75, 1.05, number, max(outline.corners, 1))

    def rho(y: Tensor, x: Tensor) -> Tensor:
        v, u = torch.addcmul(sin_l * x, cos_l, y), torch.addcmul(cos_s * x, sin_s, y, value=-1)
        if outline.rod:
            # A segment with round ends; its half width is 1.
            return ((v.abs() - ends).clamp_(min=0).square_().addcmul_(u, u)).sqrt_()
        if outline.bend:
            u = u + bend * (v * v - 0.5)
        if outline.corners:
            return _polygon(v, u, faces, radii)
        if outline.power == 2.0:
            r = torch.addcmul(v * v, u, u).add_(1e-6).sqrt_()
        else:
            p = outline.power
            r = (v.abs().add_(1e-3) ** p + u.abs().add_(1e-3) ** p) ** (1 / p)
        return _lobed(v, u, r, lobes) if outline.harmonics else r

    half = math.ceil(discs.largest * (1 + 1.2 * outline.harmonics) * outline.aspect**0.5 * 1.1) + 2
    if warp is not None:
        half += 2
    layout = splat(canvas, discs.centre, half, rho, over=over, warp=warp)
    there = discs.radius.gather(1, (layout.labels.flatten(1) - 1).clamp(min=0)) > 0
    # Objects without a radius are a point; they may have taken a pixel.
    labels = layout.labels * there.view(layout.labels.shape)
    return Layout(labels, torch.where(labels > 0, layout.rho, 1.0))


def _lobed(v: Tensor, u: Tensor, r: Tensor, lobes: Tensor) -> Tensor:
    """Divide the radius by a sum of harmonics 2 to 4 of the direction."""
    c1, s1 = v / r, u / r
    c, s = c1, s1
    reach = torch.ones_like(r)
    for order in range(lobes.shape[2]):
        # One more factor of (c1 + i s1), the direction as a complex number.
        c, s = torch.addcmul(c * c1, s, s1, value=-1), torch.addcmul(s * c1, c, s1)
        weight = lobes[:, :, order, :, None, None]
        reach.addcmul_(weight[:, :, 0], c).addcmul_(weight[:, :, 1], s)
    return r / reach.clamp_(0.3, 2.0)


def _polygon(v: Tensor, u: Tensor, jitter: Tensor, radii: Tensor) -> Tensor:
    """Take the farthest of the distances beyond the faces, over the faces' distances."""
    faces = jitter.shape[-1]
    out: Tensor | None = None
    for face in range(faces):
        angle = (face + jitter[..., face]) * (2 * math.pi / faces)
        near = 1 / radii[..., face]
        along = (angle.cos() * near)[..., None, None] * v + (angle.sin() * near)[
            ..., None, None
        ] * u
        out = along if out is None else torch.maximum(out, along)
    assert out is not None
    return out.clamp_(min=0)


def warp_field(canvas: Canvas, scale: float, strength: float) -> Tensor:
    """Draw how far places are moved: ``(B, 2, S, S)`` pixels, of deviation up to `strength`."""
    field = smooth_noise(canvas, max(scale, 2.0), 2)
    return field * (strength * canvas.uniform(0.2, 1.0)[:, None])
