"""What the session of an image leaves to the one that follows it, with another model, say."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_pvpu.errors import PvpuError, SessionError
from napari_pvpu.operations import unpack_array
from napari_pvpu.prompts import PriorMask

if TYPE_CHECKING:
    from napari_pvpu.records import Plane
    from napari_pvpu.session import Session

__all__ = ["Left"]


@dataclass(frozen=True, slots=True, eq=False)
class Left:
    """Objects of a session that has ended.

    Attributes
    ----------
    labels : array or None
        The accepted ones, plane axes first; None if there are none.
    at_work : tuple of (plane, PriorMask or int)
        Masks of those that were not accepted, and ids of those open for correction.
    kept_off : object
        What objects keep off, as its operation has it; None for nothing.
    """

    labels: Any
    at_work: tuple[tuple[Plane, PriorMask | int], ...]
    kept_off: Any

    @classmethod
    def of(cls, session: Session) -> Left:
        """Return what a session leaves, which is about to end.

        An object that is open for correction is accepted as it is: the next session knows only
        what is in the labels, and opens it again.
        """
        at_work: list[tuple[Plane, PriorMask | int]] = []
        here = session.plane
        for plane in session.planes_at_work:
            session.plane = plane
            opened, region = session.opened, session.region
            if opened is not None:
                try:
                    session.accept(overlap="keep")
                    at_work.append((plane, opened))
                except SessionError:  # nothing is left of it
                    session.reset()
            elif region.mask.any():
                at_work.append((plane, PriorMask(region.mask, (region.row, region.col))))
        session.plane = here
        barring = [each for each in session.operations if each.name == "keep_off"]
        kept_off = barring[-1].values["occupied"] if session.keeps_off else None
        return cls(session.labels if session.objects else None, tuple(at_work), kept_off)

    @property
    def anything(self) -> bool:
        """Whether there is anything that the next session is to have."""
        return self.labels is not None or bool(self.at_work) or self.kept_off is not None

    def keep_off(self, session: Session) -> None:
        """Have objects of the next session keep off what those of this one did."""
        if self.kept_off is not None:
            session.keep_off(unpack_array(self.kept_off))

    def take_up(self, session: Session) -> None:
        """Take what was at work up again in the next session, which has the labels by now."""
        here = session.plane
        for plane, what in self.at_work:
            with suppress(PvpuError):  # what cannot be taken up is in the labels, or was nothing
                session.plane = plane
                if isinstance(what, PriorMask):
                    session.open_mask(what.mask, offset=what.offset)
                else:
                    session.open_object(what)
        session.plane = here
