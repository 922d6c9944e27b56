"""What napari's command palette and menus call: one function for each action.

napari hands over the viewer because the parameter is annotated with it. What is still being done,
by whatever it was asked for, is done first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_pvpu.napari_side import attach

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = [
    "accept",
    "accept_into",
    "adopt_labels",
    "compare_propagation",
    "copy_as_python",
    "delete_object",
    "divide_here",
    "done_image",
    "end_here",
    "fill_holes",
    "grow_object",
    "hold",
    "keep_off_labels",
    "keyboard_cursor",
    "lose_here",
    "measure",
    "merge_at_cursor",
    "next_image",
    "next_uncertain",
    "open_at_cursor",
    "previous_image",
    "previous_uncertain",
    "propagate",
    "propagate_back",
    "propagate_forward",
    "redo",
    "relabel_object",
    "remove_small_parts",
    "reset",
    "return_to_best",
    "show_tracks",
    "shrink_object",
    "skip",
    "skip_image",
    "smooth_object",
    "split_object",
    "toggle_batch",
    "toggle_filled_polygons",
    "toggle_next_click",
    "toggle_polarity",
    "toggle_probability",
    "toggle_uncertainty",
    "toggle_value_propagation",
    "undo",
    "use_boxes",
    "use_clicks",
    "use_lasso",
    "use_paint",
    "use_polygons",
    "use_scribbles",
]


def accept(viewer: Viewer) -> None:
    """Keep the current object and begin the next."""
    attach(viewer).in_turn("accept")


def undo(viewer: Viewer) -> None:
    """Take back the last prompt, acceptance or reset."""
    attach(viewer).in_turn("undo")


def redo(viewer: Viewer) -> None:
    """Make the step last undone again."""
    attach(viewer).in_turn("redo")


def reset(viewer: Viewer) -> None:
    """Drop the current object with all its prompts."""
    attach(viewer).in_turn("reset")


def return_to_best(viewer: Viewer) -> None:
    """Take the mask, so far, that agrees best with all prompts of the object."""
    attach(viewer).in_turn("return_to_best")


def toggle_polarity(viewer: Viewer) -> None:
    """Turn the polarity of the next prompt round."""
    attach(viewer).in_turn("toggle_polarity")


def toggle_value_propagation(viewer: Viewer) -> None:
    """Turn the EM switch."""
    attach(viewer).in_turn("toggle_value_propagation")


def use_clicks(viewer: Viewer) -> None:
    """Take up the click tool."""
    attach(viewer).in_turn("use_clicks")


def use_boxes(viewer: Viewer) -> None:
    """Take up the box tool."""
    attach(viewer).in_turn("use_boxes")


def use_scribbles(viewer: Viewer) -> None:
    """Take up the scribble tool."""
    attach(viewer).in_turn("use_scribbles")


def use_paint(viewer: Viewer) -> None:
    """Take up napari's brush to paint the object at work."""
    attach(viewer).in_turn("use_paint")


def delete_object(viewer: Viewer) -> None:
    """Delete the object that is open for correction or was touched last."""
    attach(viewer).in_turn("delete_object")


def fill_holes(viewer: Viewer) -> None:
    """Fill the holes of the object."""
    attach(viewer).in_turn("fill_holes")


def smooth_object(viewer: Viewer) -> None:
    """Make the object's outline even."""
    attach(viewer).in_turn("smooth_object")


def grow_object(viewer: Viewer) -> None:
    """Make the object larger by a pixel all round."""
    attach(viewer).in_turn("grow_object")


def shrink_object(viewer: Viewer) -> None:
    """Make the object smaller by a pixel all round."""
    attach(viewer).in_turn("shrink_object")


def split_object(viewer: Viewer) -> None:
    """Let the next line drawn cut the object in two."""
    attach(viewer).in_turn("split_object")


def open_at_cursor(viewer: Viewer) -> None:
    """Take up the object under the mouse, to correct it."""
    attach(viewer).in_turn("open_at_cursor")


def keyboard_cursor(viewer: Viewer) -> None:
    """Show a cross that draws by keys in place of the mouse, or put it away."""
    attach(viewer).in_turn("keyboard_cursor")


def copy_as_python(viewer: Viewer) -> None:
    """Put a script on the clipboard that does all that was done again."""
    attach(viewer).in_turn("copy_as_python")


def next_image(viewer: Viewer) -> None:
    """Go to the next image of the series."""
    attach(viewer).in_turn("next_image")


def previous_image(viewer: Viewer) -> None:
    """Go to the image of the series before."""
    attach(viewer).in_turn("previous_image")


def done_image(viewer: Viewer) -> None:
    """Note that the image at work is done, and go to the next unfinished one."""
    attach(viewer).in_turn("done_image")


def skip_image(viewer: Viewer) -> None:
    """Leave the image at work out, and go to the next unfinished one."""
    attach(viewer).in_turn("skip_image")


def merge_at_cursor(viewer: Viewer) -> None:
    """Make one object of the one touched last and that under the mouse."""
    attach(viewer).in_turn("merge_at_cursor")


def relabel_object(viewer: Viewer) -> None:
    """Give the object another number."""
    attach(viewer).in_turn("relabel_object")


def remove_small_parts(viewer: Viewer) -> None:
    """Leave out small parts of the object."""
    attach(viewer).in_turn("remove_small_parts")


def adopt_labels(viewer: Viewer) -> None:
    """Begin with a copy of the objects of the selected Labels layer."""
    attach(viewer).in_turn("adopt_labels")


def keep_off_labels(viewer: Viewer) -> None:
    """Have objects leave out what is labelled in the selected Labels layer."""
    attach(viewer).in_turn("keep_off_labels")


def use_lasso(viewer: Viewer) -> None:
    """Take up the lasso: a polygon drawn in one go."""
    attach(viewer).in_turn("use_lasso")


def use_polygons(viewer: Viewer) -> None:
    """Take up the polygon tool: a click for each corner."""
    attach(viewer).in_turn("use_polygons")


def toggle_filled_polygons(viewer: Viewer) -> None:
    """Have polygons be filled, or outlines again."""
    attach(viewer).in_turn("toggle_filled_polygons")


def toggle_batch(viewer: Viewer) -> None:
    """Have each positive click, box or polygon be an object of its own, or not."""
    attach(viewer).in_turn("toggle_batch")


def hold(viewer: Viewer) -> None:
    """Gather marks without an answer, or have those gathered answered."""
    attach(viewer).in_turn("hold")


def next_uncertain(viewer: Viewer) -> None:
    """Open the least certain object that was not looked at yet."""
    attach(viewer).in_turn("next_uncertain")


def previous_uncertain(viewer: Viewer) -> None:
    """Open the object that was looked at before this one."""
    attach(viewer).in_turn("previous_uncertain")


def skip(viewer: Viewer) -> None:
    """Leave the object at work as it was, and go on."""
    attach(viewer).in_turn("skip")


def compare_propagation(viewer: Viewer) -> None:
    """Show the mask without and with spreading of corrections next to each other."""
    attach(viewer).in_turn("compare_propagation")


def propagate(viewer: Viewer) -> None:
    """Carry the object to the planes on both sides of this one."""
    attach(viewer).in_turn("propagate")


def propagate_forward(viewer: Viewer) -> None:
    """Carry the object to the planes after this one."""
    attach(viewer).in_turn("propagate_forward")


def propagate_back(viewer: Viewer) -> None:
    """Carry the object to the planes before this one."""
    attach(viewer).in_turn("propagate_back")


def end_here(viewer: Viewer) -> None:
    """Say that the object is not in this plane."""
    attach(viewer).in_turn("end_here")


def accept_into(viewer: Viewer) -> None:
    """Keep what is marked as part of the object touched last."""
    attach(viewer).in_turn("accept_into")


def divide_here(viewer: Viewer) -> None:
    """Take two objects that begin in this frame for daughters."""
    attach(viewer).in_turn("divide_here")


def lose_here(viewer: Viewer) -> None:
    """Say that the object is not there from this frame on."""
    attach(viewer).in_turn("lose_here")


def show_tracks(viewer: Viewer) -> None:
    """Show the objects of a movie as a Tracks layer."""
    attach(viewer).in_turn("show_tracks")


def toggle_probability(viewer: Viewer) -> None:
    """Show the probability of each pixel over the image, or hide it."""
    attach(viewer).in_turn("toggle_probability")


def toggle_uncertainty(viewer: Viewer) -> None:
    """Show where the network cannot decide, or hide it."""
    attach(viewer).in_turn("toggle_uncertainty")


def toggle_next_click(viewer: Viewer) -> None:
    """Show where a click would tell most, or hide it."""
    attach(viewer).in_turn("toggle_next_click")


def measure(viewer: Viewer) -> None:
    """Show measurements of all objects in a table of napari's."""
    attach(viewer).in_turn("measure")
