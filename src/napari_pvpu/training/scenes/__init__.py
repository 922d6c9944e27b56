"""Synthetic scenes of many kinds with exact labels, drawn in batches on the training device."""

from napari_pvpu.training.scenes.render import KINDS, SceneBatch, render_scenes

__all__ = ["KINDS", "SceneBatch", "render_scenes"]
