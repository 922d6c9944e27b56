"""Correcting what is there: opening objects by Alt+click, and edits of whole objects."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info
from qtpy.QtCore import QTimer

from napari_pvpu.napari_side.label_work import LabelWork
from napari_pvpu.napari_side.picking import pick
from napari_pvpu.napari_side.questions import ask_number

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari.viewer import Viewer

    from napari_pvpu.napari_side.picking import Picked
    from napari_pvpu.session import Session
    from napari_pvpu.session_settings import OverlapRule

__all__ = ["Editing"]

ONE_PIXEL = 1.0
SMOOTHING_RADIUS = 2.0
"""Pixels by which an object grows, shrinks and is smoothed at a time."""

SMALL = 20
"""Pixels below which a part is small, unless the user says otherwise."""

NO_TARGET = "There is no object to edit; hold Alt and click on one first."


class Editing(LabelWork):
    """Steps that correct accepted objects, too; see `Stage` for the parameters."""

    def open(self) -> None:
        viewer = self._viewer()
        if not self._open and viewer is not None:
            viewer.mouse_drag_callbacks.append(self._on_mouse)
        super().open()

    def close(self) -> None:
        viewer = self._viewer()
        if self._open and viewer is not None and self._on_mouse in viewer.mouse_drag_callbacks:
            viewer.mouse_drag_callbacks.remove(self._on_mouse)
        super().close()

    @property
    def target(self) -> int | None:
        """Accepted object that edits are for: the one opened, or the one touched last."""
        workspace = self._workspace
        session = workspace.session if workspace is not None else None
        if workspace is None or session is None:
            return None
        if session.plane == workspace.frame.plane and session.opened is not None:
            return session.opened
        return self._selected if self._selected in session.objects else None

    # Opening

    def open_object(self, object_id: int) -> None:
        """Take an accepted object up again, with its prompts; accepting it keeps its id."""
        self.wait()
        if self._workspace is not None:
            self._selected = object_id
            self._workspace.perform(lambda session: session.open_object(object_id))
            self.changed.emit()

    def open_label(self, picked: Picked) -> None:
        """Take up an object of any Labels layer, to correct it; that layer stays as it is.

        Of a large plane it is looked for in the background; `wait` for it in a script.
        """
        self.wait()
        workspace = self._workspace
        if workspace is None:
            return
        if workspace.results is not None and picked.layer is workspace.results.layer:
            session = workspace.session
            if session is not None and picked.object_id in session.objects:
                self.open_object(picked.object_id)
                return
        self._take_label(picked, workspace)

    def open_at_cursor(self) -> None:
        """Take up the object under the mouse, or the keyboard's cross, as Alt+click does."""
        viewer = self._viewer()
        if viewer is not None:
            self._take_up(self._pointed_at(viewer), merging=False)

    def _pointed_at(self, viewer: Viewer) -> tuple[float, ...]:
        """Return the position, in a viewer, that the user points at."""
        return tuple(viewer.cursor.position)

    # Edits, each one step of undo

    def delete_object(self) -> None:
        """Delete the object that is open for correction or was touched last."""
        self.wait()
        workspace, target = self._workspace, self.target
        if workspace is None or workspace.session is None:
            return
        if workspace.has_object and workspace.session.opened is None:
            workspace.reset()
        elif target is None:
            show_info(NO_TARGET)
        elif workspace.session.opened == target:
            # It has to go back first, which is no step to the user.
            workspace.perform(lambda session: session.cancel())
            workspace.perform(
                lambda session: session.delete(target), joins=f"Cancel object {target}"
            )
        else:
            workspace.perform(lambda session: session.delete(target))

    def fill_holes(self) -> None:
        """Fill the holes of the object."""
        self._edit(lambda session, target, rule: session.fill_holes(target, overlap=rule))

    def smooth_object(self) -> None:
        """Make the object's outline even."""
        self._edit(
            lambda session, target, rule: session.smooth(target, SMOOTHING_RADIUS, overlap=rule)
        )

    def grow_object(self) -> None:
        """Make the object larger by a pixel all round."""
        self._edit(lambda session, target, rule: session.grow(target, ONE_PIXEL, overlap=rule))

    def shrink_object(self) -> None:
        """Make the object smaller by a pixel all round."""
        self._edit(lambda session, target, _: session.shrink(target, ONE_PIXEL))

    def remove_small_parts(self) -> None:
        """Ask how small parts of the object may be, and leave the smaller ones out."""
        target = self._coming_target()
        if target is not None:
            text = f"Pixels that a part of object {target} must have at least:"
            limits = (self.min_size or SMALL, 1, 10**9)
            self._ask_number("Remove small parts", text, limits, self.remove_small)

    def remove_small(self, min_area: int) -> None:
        """Leave out parts of the object, in this plane, that have fewer pixels."""
        self._edit(lambda session, target, _: session.remove_small(target, min_area))

    def relabel_object(self) -> None:
        """Ask for another id of the object, and give it that."""
        target, workspace = self._coming_target(), self._workspace
        if target is not None and workspace is not None and workspace.session is not None:
            free = max((*workspace.session.objects, target)) + 1
            text = f"New number of object {target}:"
            self._ask_number("Number of the object", text, (free, 1, 65535), self.relabel)

    def relabel(self, new: int) -> None:
        """Give the object another id."""

        def change(session: Session, target: int, _: OverlapRule | None) -> None:
            session.relabel(target, new)
            self._selected = new

        self._edit(change)

    def merge_at_cursor(self) -> None:
        """Make one object of the one touched last and that under the mouse or the cross."""
        viewer = self._viewer()
        if viewer is not None:
            self._take_up(self._pointed_at(viewer), merging=True)

    def merge_with(self, object_id: int) -> None:
        """Make one object of the one touched last and another."""
        self._edit(lambda session, target, _: session.merge([target, object_id]))

    def split_object(self) -> None:
        """Let the next line drawn cut the object in two."""
        self._with_target(self._begin_cut)

    def _begin_cut(
        self, target: int, rule: OverlapRule | None = None, joins: str | None = None
    ) -> None:
        if self._workspace is not None:
            self._workspace.cutting, self._workspace.cut_joins = target, joins
            self.use_scribbles()
            show_info(f"Draw a line right across object {target} to cut it in two.")

    def _ask_number(
        self, title: str, text: str, limits: tuple[int, int, int], answer: Callable[[int], None]
    ) -> None:
        """Ask for a number, `limits` being what is proposed, the least and the most."""
        self._ask(ask_number(title, text, *limits, answer))

    def _edit(self, change: Callable[[Session, int, OverlapRule | None], Any]) -> None:
        """Change the object, having asked whose the pixels are if that is the rule for overlaps."""
        self._with_target(partial(self._change, change))

    def _change(
        self,
        change: Callable[[Session, int, OverlapRule | None], Any],
        target: int,
        known_rule: OverlapRule | None = None,
        joins: str | None = None,
    ) -> None:
        workspace = self._workspace
        if workspace is None:
            return

        def work(rule: OverlapRule | None) -> Any:
            rule = rule or known_rule
            return workspace.perform(
                lambda session: change(session, target, rule), asks=True, joins=joins
            )

        self._try(workspace, work, lambda result, rule: None)
        self.changed.emit()

    def _with_target(self, go_on: Callable[[int, OverlapRule | None, str | None], None]) -> None:
        """Go on with the object that edits are for, accepted if it was open; tell if none is.

        `go_on` gets its id, the user's answer to whose pixels are that others have too, and the
        title of the step of accepting it, which what follows is to become one with.
        """
        self.wait()
        workspace = self._workspace
        if workspace is not None and workspace.has_object:
            self._accept_and(lambda target, rule: go_on(target, rule, f"Accept object {target}"))
        elif workspace is not None:
            target = self._coming_target()
            if target is not None:
                go_on(target, None, None)

    def _coming_target(self) -> int | None:
        """Return what the object that edits are for is, or will be once accepted; tell if none."""
        self.wait()
        workspace = self._workspace
        session = workspace.session if workspace is not None else None
        if workspace is None or session is None:
            return None
        if workspace.has_object and session.opened is None:
            return session.next_id
        target = self.target
        if target is None:
            show_info(NO_TARGET)
        return target

    # The mouse

    def _on_mouse(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        """Open, or merge, what is clicked on with Alt held."""
        workspace = self._workspace
        if workspace is None or "Alt" not in event.modifiers or event.button != 1:
            return
        active = viewer.layers.selection.active
        ours = active in workspace.layers
        if ours:
            active.mode = "pan_zoom"  # what the tool would draw is not meant
        position, merging = tuple(event.position), "Shift" in event.modifiers
        moved = False
        yield
        while event.type == "mouse_move":
            moved = True
            yield
        # Not in here: napari is still telling others of the event.
        QTimer.singleShot(0, lambda: self._after_alt(position, merging, moved, ours))

    def _after_alt(
        self, position: tuple[float, ...], merging: bool, moved: bool, ours: bool
    ) -> None:
        viewer, workspace = self._viewer(), self._workspace
        if viewer is None or workspace is None:
            return
        if ours:
            self._arm()
        if moved:
            return
        self._take_up(position, merging)

    def _take_up(self, position: tuple[float, ...], merging: bool) -> None:
        viewer, workspace = self._viewer(), self._workspace
        if viewer is None or workspace is None:
            return
        picked = pick(viewer, workspace, position)
        if picked is None:
            show_info("There is no object here; Alt+click opens one for correction.")
        elif merging and workspace.results is not None and picked.layer is workspace.results.layer:
            self.merge_with(picked.object_id)
        else:
            self.open_label(picked)
