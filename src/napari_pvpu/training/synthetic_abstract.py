"""Synthetic scenes of no domain: random shapes from random texture processes, shaded objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_pvpu.training.synthetic_appearance import (
    Look,
    illumination,
    painted,
    per_object,
    radial_profile,
)
from napari_pvpu.training.synthetic_fields import (
    blur,
    chance,
    fractal_noise,
    log_uniform,
    smooth_noise,
    smoothstep,
    texture,
    warp_field,
)
from napari_pvpu.training.synthetic_layouts import edge_distance, islands, partition
from napari_pvpu.training.synthetic_painting import (
    Painting,
    elongation,
    painting,
    scene_radius,
    seam_line,
    tries,
    varied,
)
from napari_pvpu.training.synthetic_shapes import (
    Blob,
    Layout,
    harmonic,
    random_outline,
    raster,
    scatter,
    settle,
)

if TYPE_CHECKING:
    from napari_pvpu.training.synthetic_fields import Size


def _any_blobs(size: Size, rng: np.random.Generator, *, gap: float, largest: float) -> list[Blob]:
    """Blobs of all outlines, or all of one outline."""
    radius = scene_radius(size, rng, 0.03, largest)
    spread = rng.uniform(0.1, 0.7)
    count = tries(size, radius, rng.uniform(0.3, 1.5), 100)
    discs = scatter(size, count, lambda: varied(radius, spread, rng, 4.0), rng, gap=gap)
    shared = random_outline(rng) if chance(rng, 0.4) else None
    blobs = []
    for disc in discs:
        outline = random_outline(rng) if shared is None else shared
        bend = rng.normal(0, 0.2) if chance(rng, 0.3) else 0.0
        blobs.append(Blob(*disc, outline, elongation(rng, 0.4), rng.uniform(0, np.pi), bend))
    return blobs


def any_layout(size: Size, rng: np.random.Generator, *, largest: float = 0.45) -> Layout:
    """A layout from any of the processes: blobs of all outlines, islands, partitions."""
    family = rng.integers(0, 6)
    if family <= 3:
        blobs = _any_blobs(size, rng, gap=rng.uniform(0.5, 1.3), largest=largest)
        radius = float(np.median([b.radius for b in blobs]))
        warp = warp_field(size, radius * rng.uniform(0.3, 1.5), radius * rng.uniform(0, 0.2), rng)
        mode = ("split", "over", "under", "split")[family]
        return settle(blobs, size, mode=mode, warp=warp)  # type: ignore[arg-type]
    scale = min(size) * log_uniform(rng, 0.06, largest)
    if family == 4:
        return islands(size, scale, rng.uniform(0.1, 0.6), rng)
    warp = warp_field(size, scale, scale * rng.uniform(0, 0.3), rng)
    return partition(size, scale * 1.5, rng, stretch=log_uniform(rng, 1, 3), warp=warp)


def _opened(layout: Layout, rng: np.random.Generator) -> Layout:
    """A layout with ground: half of the cells of one that fills the scene become ground."""
    if float((layout.labels > 0).mean()) < 0.95:
        return layout
    drop = rng.random(layout.count + 1) < rng.uniform(0.3, 0.7)
    ground = drop[layout.labels]
    return Layout(np.where(ground, 0, layout.labels), np.where(ground, 1, layout.rho))


def textures(size: Size, rng: np.random.Generator) -> Painting:
    """Objects that differ from their ground by texture alone: same mean, same contrast."""
    layout = _opened(any_layout(size, rng, largest=0.5), rng)
    inside = layout.labels > 0
    families = ["fractal", "grain", "streaks", "stripes", "ridges", "checker", "spots"]
    pair = rng.choice(families, 2, replace=chance(rng, 0.3))
    scales = np.array([log_uniform(rng, 1.5, 12), log_uniform(rng, 1.5, 12)])
    if pair[0] == pair[1]:
        scales[1] = scales[0] * rng.choice([0.4, 2.5])
    first = texture(size, rng, scale=max(float(scales[0]), 1.2), family=str(pair[0]))
    second = texture(size, rng, scale=max(float(scales[1]), 1.2), family=str(pair[1]))
    mix = blur(inside.astype(np.float32), rng.uniform(0.3, 1.2))
    image = mix * first + (1 - mix) * second + rng.normal(0, 0.4) * mix
    return painting(image, layout.labels, Look(tint=0.2, noise=0.04, softest=1.0))


def leaves(size: Size, rng: np.random.Generator) -> Painting:
    """Dead leaves: opaque shapes, each with a colour and a texture of its own, on a busy ground."""
    blobs = _any_blobs(size, rng, gap=rng.uniform(0.2, 1.0), largest=0.5)
    radius = float(np.median([b.radius for b in blobs]))
    warp = warp_field(size, radius, radius * rng.uniform(0, 0.15), rng)
    layout = settle(blobs, size, mode="over", warp=warp)
    sheets = np.stack([texture(size, rng) for _ in range(4)])
    pick = rng.integers(0, 4, layout.count + 1)
    pattern = np.take_along_axis(sheets, pick[layout.labels][None], axis=0)[0]
    centre, width = rng.uniform(0.3, 0.7, 3), log_uniform(rng, 0.08, 0.4)
    colours = np.clip(centre + width * rng.standard_normal((layout.count + 1, 3)), 0, 1)
    strength = rng.uniform(0, 0.15, (layout.count + 1, 1))
    image = colours[layout.labels] + strength[layout.labels] * pattern[..., None]
    image = image * illumination(size, rng, 0.3)[..., None]
    shade = 1 - rng.uniform(0, 0.4) * np.exp(-edge_distance(layout.labels) / rng.uniform(1, 6))
    image = (image * shade[..., None]).astype(np.float32)
    if chance(rng, 0.4):
        return painting(image.mean(axis=2), layout.labels, Look(invert=0.3, tint=0.15))
    return painting(image, layout.labels, Look(blocks=0.4, noise=0.05))


def solids(size: Size, rng: np.random.Generator) -> Painting:
    """Shaded coloured bodies with highlights and cast shadows in front of a cluttered ground."""
    blobs = _any_blobs(size, rng, gap=rng.uniform(0.5, 1.0), largest=0.5)[:40]
    ground = rng.uniform(0, 1, 3) + rng.uniform(0.02, 0.25) * texture(size, rng)[..., None]
    clutter = any_layout(size, rng, largest=0.3)
    tones = rng.normal(0, rng.uniform(0, 0.2), (clutter.count + 1, 3))
    image = (ground + tones[clutter.labels]).astype(np.float32)
    labels = np.zeros(size, dtype=np.int32)
    light = rng.uniform(-0.6, 0.6, 2)
    gloss, dark = rng.uniform(0, 0.8), rng.uniform(0.2, 0.9)
    for label, blob in enumerate(blobs, start=1):
        drawn = raster(blob, size, reach=1.3)
        if drawn is None:
            continue
        window, rho = drawn
        inside = rho < 1
        down = (np.arange(*window[0].indices(size[0])) - blob.row)[:, None] / blob.radius
        across = (np.arange(*window[1].indices(size[1])) - blob.col)[None, :] / blob.radius
        away = (down - light[0]) ** 2 + (across - light[1]) ** 2
        shade = 1 - dark * np.clip(away, 0, 2) / 2 * np.clip(rho, 0, 1)
        colour = np.clip(rng.uniform(0.05, 1, 3), 0, 1)
        body = colour * shade[..., None] + gloss * np.exp(-away / 0.04)[..., None]
        shadow = image[window] * (1 - 0.4 * smoothstep(1.3, 1.0, rho))[..., None]
        image[window] = np.where(inside[..., None], body, shadow)
        labels[window][inside] = label
    return painting(image, labels, Look(blocks=0.5, noise=0.04, uneven=0.2))


def rings(size: Size, rng: np.random.Generator) -> Painting:
    """Rings, tubes and shells: labels are the wall, the hole or the whole."""
    blobs = [b for b in _any_blobs(size, rng, gap=1.05, largest=0.35) if b.radius >= 7]
    blobs = blobs or [Blob(size[0] / 2, size[1] / 2, max(min(size) / 4, 7), harmonic(rng, 0.1))]
    layout = settle(blobs, size)
    inner = rng.uniform(0.4, 0.8)
    wall = (layout.labels > 0) & (layout.rho > inner)
    hole = (layout.labels > 0) & ~wall
    tones = rng.permutation(np.linspace(0.1, 0.9, 3)) * rng.uniform(0.4, 1)
    if chance(rng, 0.4):
        tones[2] = tones[0]
    image = np.where(wall, tones[1], np.where(hole, tones[2], tones[0]))
    image = image + per_object(layout.labels, rng, 0, rng.uniform(0, 0.1)) * wall
    image = image + rng.uniform(0, 0.12) * texture(size, rng)
    choice = rng.random()
    mask = wall if choice < 0.5 else layout.labels > 0
    if choice > 0.75:
        mask = hole
    return painting(image, np.where(mask, layout.labels, 0), Look(invert=0.3, tint=0.15))


def regions(size: Size, rng: np.random.Generator) -> Painting:
    """Any layout, any profile, any ground, contrast from faint to strong, with distractors."""
    layout = any_layout(size, rng, largest=0.5)
    if chance(rng, 0.7):
        layout = _opened(layout, rng)
    inside = (layout.labels > 0).astype(np.float32)
    contrast = log_uniform(rng, 0.1, 0.9) * rng.choice([-1, 1])
    ground = painted(size, rng, 0.5, abs(contrast) * rng.uniform(0, 0.4))
    floor = rng.uniform(0.2, 0.9)
    body = (floor + (1 - floor) * radial_profile(layout.rho, rng)) * inside
    body = body * (1 + rng.uniform(0, 0.3) * texture(size, rng))
    body = body * (1 + per_object(layout.labels, rng, 0, rng.uniform(0, 0.3)))
    image = ground + contrast * body
    if chance(rng, 0.5):
        other = any_layout(size, rng, largest=0.15)
        free = (other.labels > 0) & (layout.labels == 0) & (other.rho < 0.9)
        soft = blur(free.astype(np.float32), rng.uniform(0.5, 4))
        image = image + contrast * rng.uniform(0.2, 0.8) * soft
    if chance(rng, 0.3):
        line = seam_line(layout.labels, rng.uniform(0.8, 3))
        image = image + rng.normal(0, 0.4) * abs(contrast) * line
    image = image + rng.uniform(0, 0.5) * abs(contrast) * smooth_noise(size, min(size) / 2, rng)
    return painting(image, layout.labels, Look(invert=0.2, tint=0.15))


def _loose(size: Size, radius: float, rng: np.random.Generator, *, wild: bool) -> Layout:
    """Blobs apart from one another, of any outline or rounded."""
    count = tries(size, radius, 0.5, 80)
    discs = scatter(size, count, lambda: radius * rng.uniform(0.6, 1.4), rng)
    blobs = []
    for disc in discs:
        outline = random_outline(rng) if wild else harmonic(rng, 0.1, decay=1.5)
        blobs.append(Blob(*disc, outline, rng.uniform(1, 1.8), rng.uniform(0, np.pi)))
    return settle(blobs, size)


def ghosts(size: Size, rng: np.random.Generator) -> Painting:
    """Sharp objects among out-of-focus ones of the same look, which stay background."""
    radius = scene_radius(size, rng, 0.03, 0.2)
    wild = chance(rng, 0.5)
    sharp, soft = (_loose(size, radius, rng, wild=wild) for _ in range(2))
    tone = 0.6 + per_object(soft.labels, rng, 0, 0.2)
    behind = blur(((soft.labels > 0) * tone).astype(np.float32), radius * rng.uniform(0.25, 0.7))
    front = radial_profile(sharp.rho, rng) * (sharp.labels > 0)
    front = front * np.exp(per_object(sharp.labels, rng, 0, 0.3))
    image = front + rng.uniform(0.4, 1.2) * behind * (1 - 0.6 * (sharp.labels > 0))
    image = image + rng.uniform(0, 0.1) * fractal_noise(size, radius, rng)
    return painting(image, sharp.labels, Look(invert=0.4, tint=0.15, softest=1.2))
