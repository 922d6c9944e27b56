"""The number that napari's brush paints with in the layer of accepted objects.

napari begins with 1, which is the first object as a rule. A brush that is taken up there is meant
to make a new object, unless the user has chosen a number himself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_pvpu.errors import SessionError

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_pvpu.session import Session

__all__ = ["NextLabel"]


class NextLabel:
    """Keeps the selected label of a layer at the number that a new object would get.

    A number that somebody else has selected is left alone. So is the one that was painted with,
    because an object may take several strokes, until another object is accepted.
    """

    def __init__(self) -> None:
        self._layer: Labels | None = None
        self._proposed = self._free = 0
        self._seen = -1

    def follow(self, layer: Labels) -> None:
        """Propose numbers in this layer from now on, and in no other."""
        self._layer, self._seen = layer, -1
        self._proposed = self._free = int(layer.selected_label)

    def propose(self, session: Session) -> None:
        """Select the number of the next object, if that has become another one."""
        layer, free = self._layer, self._look_up(session)
        if layer is None or free is None:
            return
        if layer.selected_label == free:  # also by napari's own key for a new label
            self._proposed = free
        elif layer.selected_label == self._proposed and not layer.show_selected_label:
            layer.selected_label = self._proposed = free

    def painted(self, session: Session) -> None:
        """Leave the number selected that was just painted with."""
        if self._layer is not None and self._layer.selected_label == self._free:
            self._proposed = self._free
        self._look_up(session)

    def _look_up(self, session: Session) -> int | None:
        """Return the number of the next object; None if it is the same as the last time."""
        count = len(session.operations)
        if count == self._seen:
            return None
        before, self._seen = self._free, count
        try:
            self._free = session.next_id
        except SessionError:  # all are taken
            return None
        return self._free if self._free != before else None
