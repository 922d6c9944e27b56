"""What napari's command palette and menus call: one function for each action.

napari hands over the viewer because the parameter is annotated with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_pvpu.napari_side import attach

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = [
    "accept",
    "copy_as_python",
    "delete_object",
    "fill_holes",
    "grow_object",
    "keyboard_cursor",
    "open_at_cursor",
    "redo",
    "reset",
    "shrink_object",
    "smooth_object",
    "split_object",
    "toggle_polarity",
    "toggle_value_propagation",
    "undo",
    "use_boxes",
    "use_clicks",
    "use_paint",
    "use_scribbles",
]


def accept(viewer: Viewer) -> None:
    """Keep the current object and begin the next."""
    attach(viewer).accept()


def undo(viewer: Viewer) -> None:
    """Take back the last prompt, acceptance or reset."""
    attach(viewer).undo()


def redo(viewer: Viewer) -> None:
    """Make the step last undone again."""
    attach(viewer).redo()


def reset(viewer: Viewer) -> None:
    """Drop the current object with all its prompts."""
    attach(viewer).reset()


def toggle_polarity(viewer: Viewer) -> None:
    """Turn the polarity of the next prompt round."""
    attach(viewer).toggle_polarity()


def toggle_value_propagation(viewer: Viewer) -> None:
    """Turn the EM switch."""
    attach(viewer).toggle_value_propagation()


def use_clicks(viewer: Viewer) -> None:
    """Take up the click tool."""
    attach(viewer).use_clicks()


def use_boxes(viewer: Viewer) -> None:
    """Take up the box tool."""
    attach(viewer).use_boxes()


def use_scribbles(viewer: Viewer) -> None:
    """Take up the scribble tool."""
    attach(viewer).use_scribbles()


def use_paint(viewer: Viewer) -> None:
    """Take up napari's brush to paint the object at work."""
    attach(viewer).use_paint()


def delete_object(viewer: Viewer) -> None:
    """Delete the object that is open for correction or was touched last."""
    attach(viewer).delete_object()


def fill_holes(viewer: Viewer) -> None:
    """Fill the holes of the object."""
    attach(viewer).fill_holes()


def smooth_object(viewer: Viewer) -> None:
    """Make the object's outline even."""
    attach(viewer).smooth_object()


def grow_object(viewer: Viewer) -> None:
    """Make the object larger by a pixel all round."""
    attach(viewer).grow_object()


def shrink_object(viewer: Viewer) -> None:
    """Make the object smaller by a pixel all round."""
    attach(viewer).shrink_object()


def split_object(viewer: Viewer) -> None:
    """Let the next line drawn cut the object in two."""
    attach(viewer).split_object()


def open_at_cursor(viewer: Viewer) -> None:
    """Take up the object under the mouse, to correct it."""
    attach(viewer).open_at_cursor()


def keyboard_cursor(viewer: Viewer) -> None:
    """Show a cross that draws by keys in place of the mouse, or put it away."""
    attach(viewer).keyboard_cursor()


def copy_as_python(viewer: Viewer) -> None:
    """Put a script on the clipboard that does all that was done again."""
    attach(viewer).copy_as_python()
