"""What to tell the user: the next step, and what the last one took."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_pvpu.napari_side.board import NO_PLANE
from napari_pvpu.napari_side.controller import Tool

if TYPE_CHECKING:
    from napari_pvpu.napari_side.controller import Controller

__all__ = ["measured", "next_step"]

FIRST_STEPS = {
    Tool.CLICK: "Click on an object.",
    Tool.BOX: "Drag a box around an object.",
    Tool.PAINT: "Paint the object with napari's brush; {toggle_polarity} turns it into the eraser.",
    Tool.SCRIBBLE: "Draw a line along an object, with the button held down.",
    Tool.LASSO: "Draw a line round an object, with the button held down.",
    Tool.POLYGON: "Click corners round an object; a double click ends the polygon.",
}
GETTING_READY = "Getting the model ready, a few seconds at first."
CORRECTION = (
    "Something missing? Mark it. Too much? Mark it with Shift held. {accept} keeps the object."
)
PAINTING = (
    "Paint what is missing; {toggle_polarity} turns the brush into the eraser. {accept} keeps the "
    "object."
)
ON_ACCEPTED = (
    "What napari's tools paint in this layer changes accepted objects, each stroke one step; a "
    "label that there is not makes a new one. To mark objects, choose a tool above."
)
GATHERING = "Marks are gathered. They are answered together as soon as the key is released."
BATCH = (
    "The next click or box is the next object. Shift+click takes away from this one, a scribble "
    "adds to it. {accept} keeps the last."
)
REVIEW = (
    "Is this one right? {next_uncertain} goes on to the next uncertain one and keeps what you "
    "correct; {skip} leaves it as it was."
)


def next_step(controller: Controller) -> str:
    """Say in a sentence or two what to do now, as to somebody who is here for the first time."""
    if not controller.images:
        return "Open an image: File > Open, or drop a file onto the window."
    if controller.trouble is not None:
        text = str(controller.trouble)
        return f"{text[:1].upper()}{text[1:]}."
    workspace, tool = controller.workspace, controller.tool
    if workspace is None:
        return GETTING_READY if controller.busy else "Choose an image."
    if controller.loading:
        return f"{GETTING_READY} You can draw already."
    if not workspace.on_plane:
        return NO_PLANE
    if tool is None:
        return ON_ACCEPTED if _on_accepted(controller) else "Choose a tool to draw with."
    if controller.exporting is not None:
        return f"Writing {Path(controller.exporting).name}…"
    if workspace.cutting is not None:
        return f"Draw a line right across object {workspace.cutting} to cut it in two."
    if controller.holding:
        return GATHERING
    if workspace.has_object:
        if tool is Tool.PAINT:
            return _with_keys(PAINTING, controller)
        text = REVIEW if controller.reviewing else BATCH if controller.batch else CORRECTION
        return _with_keys(text, controller)
    if not controller.positive:
        return "Marks now say what is not part of an object. To begin one, switch to positive."
    count = workspace.object_count
    kept = f"{count} object{'s' if count > 1 else ''} kept; Alt+click corrects one. "
    return (kept if count else "") + _with_keys(FIRST_STEPS[tool], controller)


def _on_accepted(controller: Controller) -> bool:
    """Whether the layer of accepted objects is the one in hand."""
    viewer, work = controller.viewer, controller.workspace
    if viewer is None or work is None or work.results is None:
        return False
    return viewer.layers.selection.active is work.results.layer


def _with_keys(text: str, controller: Controller) -> str:
    """Put the keys of actions into a text, in the places of their names."""
    return controller.shortcuts.write_into(text)


def measured(controller: Controller) -> str:
    """Return the device and what the last interaction took, for instance "cpu · answer 12 ms"."""
    workspace = controller.workspace
    parts = [controller.device]
    timing = workspace.timing if workspace is not None else None
    if timing is not None and timing.decode_ms > 0:
        if timing.encode_ms > 0:
            parts.append(f"encode {timing.encode_ms:.0f} ms")
        parts.append(f"answer {timing.decode_ms + timing.em_ms:.0f} ms")
    score = workspace.session.score if workspace is not None and workspace.session else None
    if score is not None:
        parts.append(f"score {score:.2f}")
    return " · ".join(parts)
