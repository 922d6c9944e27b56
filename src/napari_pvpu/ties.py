"""What ties an object together over its planes and frames, and to the object it came from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from napari_pvpu.sections import SHOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Ties"]

Plane: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ties:
    """Ties of an object; planes that are not named here were annotated by the user.

    Attributes
    ----------
    carried : tuple of (plane, confidence)
        Planes to which the mask was carried from others, in order, and what speaks for it there,
        0 to 1.
    ends : tuple of plane
        Planes in which the user has said that the object is not.
    parent : int or None
        The object that divided into this one and others.
    across : tuple of plane
        Sections across the image's own planes that the user has annotated.
    touched : tuple of plane
        The image's own planes that have pixels of the object by way of sections only.
    """

    carried: tuple[tuple[Plane, float], ...] = ()
    ends: tuple[Plane, ...] = ()
    parent: int | None = None
    across: tuple[Plane, ...] = ()
    touched: tuple[Plane, ...] = ()

    def confidence(self, plane: Plane) -> float | None:
        """Return what speaks for the mask in a plane, None if it was not carried there."""
        return dict(self.carried).get(plane)

    def is_annotated(self, plane: Plane) -> bool:
        """Whether the user has annotated the object in a plane in which it has pixels."""
        if SHOWN in plane:
            return plane in self.across
        return plane not in self.touched and self.confidence(plane) is None

    def noted(self, plane: Plane, confidence: float | None) -> Ties:
        """Return the ties with a plane that is carried, or annotated if `confidence` is None."""
        if confidence == self.confidence(plane) and self.is_annotated(plane) == (
            confidence is None
        ):
            return self
        return self.renewed({plane: confidence})

    def renewed(self, planes: Mapping[Plane, float | None]) -> Ties:
        """Return the ties with several planes noted anew, each as by `noted`."""
        known: dict[Plane, float | None] = {**dict(self.carried), **planes}
        left = {plane: value for plane, value in known.items() if value is not None}
        across = {*self.across} - {*planes} | {
            plane for plane, value in planes.items() if value is None and SHOWN in plane
        }
        touched = tuple(plane for plane in self.touched if plane not in planes)
        return replace(
            self,
            carried=tuple(sorted(left.items())),
            across=tuple(sorted(across)),
            touched=touched,
        )

    def touching(self, planes: Iterable[Plane]) -> Ties:
        """Return the ties with more planes that have pixels by way of sections only."""
        return replace(self, touched=tuple(sorted({*self.touched, *planes})))

    def joined(self, other: Ties) -> Ties:
        """Return the ties of two objects that become one, which has this one's parent."""
        carried = tuple(sorted({**dict(other.carried), **dict(self.carried)}.items()))
        ends = tuple(sorted({*self.ends, *other.ends}))
        across = tuple(sorted({*self.across, *other.across}))
        touched = tuple(sorted({*self.touched, *other.touched}))
        return replace(self, carried=carried, ends=ends, across=across, touched=touched)
