"""Materials: powders, particles, grains, phases, pores, layers, cracks, melt pools."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from napari_pvpu.training.scenes.layouts import bands, islands, partition, strokes
from napari_pvpu.training.scenes.noise import blur, fractal_noise, smooth_noise, texture
from napari_pvpu.training.scenes.optics import Look
from napari_pvpu.training.scenes.painting import (
    Painting,
    border_distance,
    looked_up,
    per_object,
    scene_radius,
    wander,
)
from napari_pvpu.training.scenes.shapes import (
    Discs,
    Outline,
    blobs,
    random_outline,
    scatter,
    warp_field,
)

if TYPE_CHECKING:
    from napari_pvpu.training.scenes.canvas import Canvas


def powder(canvas: Canvas) -> Painting:
    """Spheres and lumps of all sizes in front of each other, as electrons show them."""
    radius = scene_radius(canvas, 0.03, 0.16, 5)
    discs = scatter(canvas, radius, canvas.between(0.5, 1.6), spread=canvas.between(0.2, 0.6))
    outline = Outline(canvas.choose((0.0, 0.03, 0.1)), canvas.choose((1.05, 1.3, 1.8)))
    warp = warp_field(canvas, radius * 0.5, radius * canvas.choose((0.0, 0.05, 0.12)))
    layout = blobs(canvas, discs, outline, over=True, warp=warp)
    rho = layout.rho.clamp(0, 0.96)
    # Electrons leave a steep face more easily: edges are bright.
    slant = 1 / (1 - rho**2).sqrt()
    shade = 0.5 + canvas.uniform(0.02, 0.25) * (slant - 1)
    shade = shade + canvas.uniform(-0.2, 0.2) * (1 - rho)
    # The detector stands to one side.
    turn = canvas.uniform(0, 2 * math.pi)
    lift = blur((1 - rho**2).sqrt(), max(radius * 0.05, 0.7)) * radius
    slope = turn.cos() * (lift - lift.roll(1, 1)) + turn.sin() * (lift - lift.roll(1, 2))
    shade = shade + canvas.uniform(0, 0.25) * slope.clamp(-1, 1)
    skin = texture(canvas, max(radius * canvas.between(0.04, 0.2), 1.0))
    shade = shade * (1 + canvas.uniform(0, 0.3) * skin)
    shade = shade * per_object(canvas, layout.labels, canvas.between(0.4, 0.9), 1.0)
    ground = canvas.uniform(0, 0.25) + canvas.uniform(0, 0.1) * texture(canvas, 3.0)
    near = blur((layout.labels > 0).float(), radius * 0.3)
    image = torch.where(layout.labels > 0, shade, ground * (1 - 0.6 * near))
    return Painting(image, layout.labels, Look(noise=0.08, tint=0.05, dark=0.05))


def particles(canvas: Canvas) -> Painting:
    """Particles, precipitates or crystals on a textured ground, brighter, darker or rimmed."""
    radius = scene_radius(canvas, 0.012, 0.12, 4)
    discs = scatter(
        canvas,
        radius,
        canvas.between(0.1, 0.9),
        spread=canvas.between(0.1, 0.6),
        gap=canvas.between(0.6, 1.1),
        clusters=0.3,
    )
    turn = None
    if canvas.odds(0.3):
        quarter = (canvas.rand(discs.centre.shape[1]) * 4).floor() * (math.pi / 2)
        turn = quarter + canvas.uniform(0, math.pi, 1)
    warp = warp_field(canvas, radius, radius * canvas.between(0, 0.2))
    layout = blobs(canvas, discs, random_outline(canvas), turn=turn, warp=warp)
    tone = canvas.choose((-1.0, 1.0)) * canvas.uniform(0.25, 1.0)
    body = tone * per_object(canvas, layout.labels, canvas.between(0.5, 0.9), 1.0)
    body = body + canvas.uniform(0, 0.2) * texture(canvas, canvas.between(1, 5))
    ground = canvas.uniform(0.02, 0.35) * texture(canvas, canvas.log_between(1, 12))
    image = torch.where(layout.labels > 0, body, ground + 0.1 * wander(canvas))
    rim = torch.exp(-border_distance(layout.labels, 6) / canvas.uniform(0.6, 2.0))
    image = image + canvas.uniform(-0.7, 0.7) * canvas.chance(0.6) * rim
    return Painting(image, layout.labels, Look(noise=0.1, invert=0.0, softest=1.4))


def grains(canvas: Canvas) -> Painting:
    """Grains of a metal or a rock: by tone, colour, hatching, or etched borders alone."""
    spacing = scene_radius(canvas, 0.05, 0.4, 10)
    warp = warp_field(canvas, spacing * 0.7, spacing * canvas.between(0, 0.12))
    sheet = partition(
        canvas,
        spacing,
        stretch=canvas.choose((1.0, 1.0, 2.0)),
        warp=warp,
        uneven=canvas.between(0, 0.5),
    )
    line = torch.exp(-((sheet.edge / canvas.uniform(0.5, 1.4)) ** 2))
    tone = per_object(canvas, sheet.labels, 0, 1)
    look = Look(noise=0.08, invert=0.0, softest=1.4)
    if canvas.odds(0.3):
        colours = looked_up(canvas.rand(2039, 3), sheet.labels)
        grain = canvas.uniform(0, 0.06) * texture(canvas, 2.0) - canvas.uniform(0, 0.6) * line
        return Painting((colours + grain[:, None]).clamp(0, 1), sheet.labels, look)
    turn = looked_up(canvas.uniform(0, math.pi, 2039), sheet.labels)
    rows, cols = canvas.coordinates().unbind(0)
    wave = 2 * math.pi / canvas.log_uniform(3, 14)
    hatch = torch.sin((rows * turn.cos() + cols * turn.sin()) * wave)
    image = canvas.uniform(0.0, 1.0) * tone + canvas.uniform(0, 0.35) * hatch
    image = image + canvas.uniform(0.02, 0.2) * texture(canvas, canvas.between(1, 4))
    image = image + canvas.choose((-1.0, 1.0)) * canvas.uniform(0.5, 1.2) * line
    return Painting(image, sheet.labels, look)


def phases(canvas: Canvas) -> Painting:
    """Islands of another phase in a matrix: any outline, channels, speckled edges."""
    scale = scene_radius(canvas, 0.04, 0.3, 6)
    mark = islands(canvas, scale, canvas.between(0.1, 0.5), canvas.choose((1, 2, 3, 4)))
    labels = mark.long()
    inside = blur(mark.float(), canvas.uniform(0.3, 1.0))
    first = canvas.uniform(0.02, 0.2) * texture(canvas, canvas.log_between(1, 10))
    second = canvas.uniform(0.02, 0.2) * texture(canvas, canvas.log_between(1, 10))
    step = canvas.choose((-1.0, 1.0)) * canvas.uniform(0.25, 1.0)
    image = inside * (first + step) + (1 - inside) * second + 0.08 * wander(canvas)
    edge = torch.exp(-border_distance(labels, 6) / canvas.uniform(0.6, 2.0))
    image = image + canvas.uniform(-0.5, 0.5) * edge * canvas.chance(0.4)
    if canvas.odds(0.4):
        small = islands(canvas, max(scale * 0.15, 2.0), 0.08)
        image = image + canvas.uniform(-0.5, 0.5) * small * ~mark
    return Painting(image, labels, Look(noise=0.1, invert=0.0))


def pores(canvas: Canvas) -> Painting:
    """Holes in a solid: dark, with bright edges and something at their bottom."""
    radius = scene_radius(canvas, 0.015, 0.14, 4)
    discs = scatter(canvas, radius, canvas.between(0.1, 0.7), spread=canvas.between(0.2, 0.6))
    warp = warp_field(canvas, radius, radius * canvas.between(0, 0.3))
    layout = blobs(canvas, discs, Outline(canvas.between(0, 0.25), 2.0), warp=warp)
    hole = layout.labels > 0
    if canvas.odds(0.5):
        hole = hole | islands(canvas, radius * 1.5, 0.1)
    depth = border_distance(hole, 10)
    bottom = 0.3 * torch.exp(-depth / canvas.uniform(1, 6)) + 0.1 * texture(canvas, 3.0)
    wall = 0.7 + canvas.uniform(0.02, 0.15) * texture(canvas, canvas.log_between(1, 10))
    rim = canvas.uniform(0, 0.5) * torch.exp(-depth / canvas.uniform(0.6, 2))
    image = torch.where(hole, bottom * canvas.uniform(0.2, 1.2), wall + rim)
    return Painting(image, hole.long(), Look(noise=0.1, invert=0.1, tint=0.06))


def layers(canvas: Canvas) -> Painting:
    """Coatings and strata: bands with wavy borders, each with a texture of its own."""
    number = canvas.host.randint(1, 6)
    labels = bands(canvas, number, canvas.log_between(0.01, 0.12))
    # Steps of a fifth of the range or more, so that no two bands run into each other.
    tones = (canvas.uniform(0.2, 0.8, 16).cumsum(1)) % 1.0
    first, second = (
        texture(canvas, canvas.log_between(1, 8)),
        texture(canvas, canvas.log_between(1, 8)),
    )
    which = looked_up(canvas.rand(16), labels)
    image = 1.2 * looked_up(tones, labels) + 0.25 * (which * first + (1 - which) * second)
    if canvas.odds(0.5):
        spots = islands(canvas, canvas.size * canvas.log_between(0.01, 0.05), 0.06)
        image = image - canvas.uniform(-0.5, 0.8) * spots * (which > 0.5)
    line = torch.exp(-border_distance(labels, 5) / canvas.uniform(0.5, 2))
    image = image + canvas.uniform(-0.5, 0.5) * line
    # The outermost bands are the mount and the substrate; often nobody wants them.
    if number > 2 and canvas.odds(0.5):
        labels = labels * (labels > 1) * (labels <= number)
    return Painting(image, labels, Look(noise=0.1))


def cracks(canvas: Canvas) -> Painting:
    """Thin dark or bright lines that wander and branch through a textured ground."""
    width = canvas.log_between(0.8, 3.5)
    length = canvas.between(0.4, 1.2) * canvas.size
    number = canvas.host.randint(1, 4)
    start = canvas.uniform(0, canvas.size, number, 2)
    turn = canvas.uniform(0, 2 * math.pi, number)
    arms = 3
    ids = torch.arange(1, number + 1, device=canvas.device).repeat(arms).expand(canvas.count, -1)
    spread = torch.cat([turn, turn + math.pi, turn + canvas.uniform(0.6, 2.5, number)], 1)
    web = strokes(
        canvas,
        number * arms,
        length / 2,
        width,
        wiggle=canvas.between(0.15, 0.5),
        start=start.repeat(1, arms, 1),
        direction=spread,
        ids=ids,
        taper=0.4,
    )
    rough = web.rho + 0.25 * smooth_noise(canvas, 2.0)[:, 0] * (width > 1.5)
    labels = web.labels * ((web.labels > 0) & (rough < 1))
    ground = canvas.uniform(0.02, 0.2) * texture(canvas, canvas.log_between(1, 10))
    ground = ground + 0.1 * wander(canvas)
    mark = canvas.choose((-1.0, -1.0, 1.0)) * canvas.uniform(0.9, 1.8)
    image = ground + mark * blur((labels > 0).float(), 0.5)
    if canvas.odds(0.4):
        scratches = strokes(canvas, 6, canvas.size, 0.8, wiggle=0.01)
        image = image + canvas.uniform(-0.4, 0.4) * (scratches.labels > 0)
    return Painting(image, labels, Look(noise=0.08, softest=1.0, blocks=0.1))


def melt_pools(canvas: Canvas) -> Painting:
    """Overlapping scales of a weld or a printed metal: arcs by a thin line, faint tones."""
    width = scene_radius(canvas, 0.12, 0.36, 16)
    rows = math.ceil(canvas.size / (width * 0.6)) + 1
    cols = math.ceil(canvas.size / (width * 0.9)) + 1
    grid = torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(cols), indexing="ij"), -1)
    centre = grid.view(-1, 2).float().to(canvas.device) - 0.3
    centre = centre * torch.tensor([0.6 * width, 0.9 * width], device=canvas.device)
    centre = centre + canvas.randn(rows * cols, 2) * (0.12 * width)
    radius = 0.62 * width * (0.12 * canvas.randn(rows * cols)).exp().clamp(0.75, 1.15)
    # Later layers melt into earlier ones from above.
    pools = Discs(centre.flip(1), radius, 0.62 * width * 1.15)
    warp = warp_field(canvas, width * 0.4, width * 0.04)
    layout = blobs(
        canvas,
        pools,
        Outline(0.03, 1.3),
        over=True,
        warp=warp,
        turn=0.1 * canvas.randn(rows * cols),
    )
    line = torch.exp(-border_distance(layout.labels, 5) / canvas.uniform(0.5, 1.6))
    tone = per_object(canvas, layout.labels, 0, 1)
    streak = smooth_noise(canvas, 2.0, aspect=canvas.choose((0.15, 1.0, 6.0)))[:, 0]
    image = canvas.uniform(0.05, 0.5) * tone + canvas.uniform(0.03, 0.15) * streak
    image = image - canvas.choose((1.0, 1.0, -1.0)) * canvas.uniform(0.6, 1.4) * line
    image = image + 0.1 * fractal_noise(canvas, canvas.size / 4)
    surface = (
        canvas.coordinates()[0]
        < canvas.uniform(-0.3, 0.3) * canvas.size + 4 * smooth_noise(canvas, canvas.size / 5)[:, 0]
    )
    image = torch.where(surface, -1.0 + 0.05 * streak, image)
    return Painting(image, layout.labels * ~surface, Look(noise=0.1, invert=0.1, tint=0.06))


def strands(canvas: Canvas) -> Painting:
    """Filaments, hyphae, vessels or fibres, thin or with walls, crossing each other."""
    width = canvas.log_between(1.5, 0.04 * canvas.size)
    many = max(3, round(canvas.log_between(0.3, 2.5) * canvas.size / (6 * width)))
    direction = None
    if canvas.odds(0.4):
        direction = canvas.uniform(0, math.pi, 1) + 0.25 * canvas.randn(many)
    layout = strokes(
        canvas,
        many,
        canvas.between(0.4, 1.6) * canvas.size,
        width,
        over=True,
        wiggle=canvas.between(0.03, 0.35),
        direction=direction,
    )
    inside = (layout.labels > 0).float()
    round_ = (1 - layout.rho**2).clamp(min=0).sqrt()
    wall = torch.exp(-(((layout.rho - 0.85) / 0.15) ** 2)) * inside
    tone = per_object(canvas, layout.labels, 0.4, 1.0)
    hollow = canvas.chance(0.4) if width > 3 else 0.0
    body = inside * tone * (hollow * (0.2 + wall) + (1 - hollow) * round_)
    body = body * (1 + canvas.uniform(0, 0.3) * texture(canvas, max(width * 0.4, 1.0)))
    ground = canvas.uniform(0, 0.15) * texture(canvas, canvas.between(1, 8))
    image = body + ground * (1 - inside) + 0.08 * wander(canvas)
    image = image + canvas.uniform(0, 0.4) * blur(body, 2 * width)
    return Painting(image, layout.labels, Look(invert=0.35, tint=0.25, softest=1.4))
