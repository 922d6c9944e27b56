"""Where planes lie in a stack: the image's own, and sections across them.

The *grid* of an image are its plane axes followed by Y and X, such as ZYX. One of its own planes
is told by a position along each plane axis: ``(4,)``. A *section* shows any other two axes of the
grid, the earlier one as its rows. It is told by one number for each axis of the grid: -1 for the
two that it shows, else the position at which it cuts. Of ZYX, ``(-1, 30, -1)`` is the section along
Z and X through row 30, and ``(-1, -1, 12)`` the one along Z and Y through column 12.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from operator import index as as_int
from typing import TYPE_CHECKING, Any

from napari_pvpu.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from napari_pvpu.records import PixelBox, Plane

__all__ = ["SHOWN", "Grid"]

SHOWN = -1
"""What stands in a section's address for an axis that it shows."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The axes along which an image has pixels, channels aside.

    Parameters
    ----------
    axes : str
        Letters of the plane axes, then ``"YX"``.
    lengths : tuple of int
        Pixels along each.

    Examples
    --------
    >>> grid = Grid("ZYX", (10, 40, 50))
    >>> grid.address({"Y": 30}), grid.shape((-1, 30, -1)), grid.fixed_axes((-1, 30, -1))
    ((-1, 30, -1), (10, 50), 'Y')
    """

    axes: str
    lengths: tuple[int, ...]

    @property
    def depth(self) -> int:
        """Number of plane axes."""
        return len(self.axes) - 2

    def is_section(self, plane: Plane) -> bool:
        """Whether a plane lies across the image's own."""
        return len(plane) != self.depth

    def check(self, plane: Any) -> Plane:
        """Return the address of a plane as a tuple of ints; the image's own by their short one.

        Raises
        ------
        ImageError
            If there is no such plane.
        """
        try:
            given = tuple(as_int(position) for position in plane)
        except TypeError as error:
            raise ImageError(f"a plane is a tuple of whole numbers, not {plane!r}") from error
        if len(given) == self.depth:
            if all(0 <= at < n for at, n in zip(given, self.lengths, strict=False)):
                return given
        elif len(given) == len(self.axes) and given.count(SHOWN) == 2:
            if all(SHOWN <= at < n for at, n in zip(given, self.lengths, strict=True)):
                own = given[-2:] == (SHOWN, SHOWN)
                return given[:-2] if own else given
        raise ImageError(self._no_such_plane(given))

    def _no_such_plane(self, given: tuple[int, ...]) -> str:
        if not self.depth:
            return f"there is no plane {given} in a single plane; its index is ()"
        ranges = ", ".join(
            f"{letter} 0 to {length - 1}"
            for letter, length in zip(self.axes[:-2], self.lengths, strict=False)
        )
        return (
            f"there is no plane {given}; an index has one number for each of {ranges}, and that of "
            f"a section one for each of {', '.join(self.axes)}, -1 for the two that it shows"
        )

    def address(self, positions: Mapping[str, int]) -> Plane:
        """Return the plane that cuts the given axes at these positions and shows the other two.

        Raises
        ------
        ImageError
            If an axis is unknown, or not just two are left.
        """
        wrong = sorted(set(positions) - set(self.axes))
        if wrong or len(positions) != self.depth:
            raise ImageError(
                f"a plane of an image with the axes {', '.join(self.axes)} is told by its "
                f"positions along {self.depth} of them, not along {sorted(positions)}"
            )
        return self.check([positions.get(letter, SHOWN) for letter in self.axes])

    def whole(self, plane: Plane) -> Plane:
        """Return an address with a number for each axis of the grid."""
        return plane if self.is_section(plane) else (*plane, SHOWN, SHOWN)

    def shown(self, plane: Plane) -> tuple[int, int]:
        """Return which axes of the grid are a plane's rows and columns."""
        rows, cols = (axis for axis, at in enumerate(self.whole(plane)) if at == SHOWN)
        return rows, cols

    def shape(self, plane: Plane) -> tuple[int, int]:
        """Return rows and columns of a plane."""
        rows, cols = self.shown(plane)
        return self.lengths[rows], self.lengths[cols]

    def fixed_axes(self, plane: Plane) -> str:
        """Return the letters of the axes that a plane cuts at one position."""
        whole = self.whole(plane)
        return "".join(letter for letter, at in zip(self.axes, whole, strict=True) if at != SHOWN)

    def told(self, plane: Plane) -> str:
        """Name a plane: ``"plane (4,)"``, or ``"section Y = 30"``."""
        if not self.is_section(plane):
            return f"plane {plane}"
        cut = [
            f"{letter} = {at}" for letter, at in zip(self.axes, plane, strict=True) if at != SHOWN
        ]
        return f"section {', '.join(cut)}"

    def window(self, plane: Plane, box: PixelBox) -> tuple[int | slice, ...]:
        """Return the index of a part of a plane in an array with the grid's axes."""
        index: list[int | slice] = list(self.whole(plane))
        rows, cols = self.shown(plane)
        index[rows], index[cols] = slice(box[0], box[2]), slice(box[1], box[3])
        return tuple(index)

    def own_windows(
        self, section: Plane, box: PixelBox
    ) -> Iterator[tuple[Plane, PixelBox, tuple[slice, slice]]]:
        """Take a part of a section apart into lines that each lie in one of the image's own planes.

        Yields
        ------
        plane : tuple of int
            One of the image's own.
        box : (row0, col0, row1, col1)
            The line in that plane.
        where : (slice, slice)
            The same line in the part, (h, w).
        """
        shown, spans = self.shown(section), ((box[0], box[2]), (box[1], box[3]))
        through = [
            range(*span) if axis < self.depth else (None,)
            for axis, span in zip(shown, spans, strict=True)
        ]
        for steps in product(*through):
            at = list(section)
            where = [slice(None), slice(None)]
            line = [(position, position + 1) for position in section[-2:]]
            for side, step in enumerate(steps):
                axis, span = shown[side], spans[side]
                if step is None:
                    line[axis - self.depth] = span
                else:
                    at[axis] = step
                    where[side] = slice(step - span[0], step - span[0] + 1)
            (row0, row1), (col0, col1) = line
            yield tuple(at[:-2]), (row0, col0, row1, col1), (where[0], where[1])

    def section_box(self, section: Plane, boxes: Mapping[Plane, PixelBox]) -> PixelBox | None:
        """Return the part of a section that boxes in the image's own planes reach into.

        None if none does.
        """
        shown = self.shown(section)
        spans = []
        for plane, box in boxes.items():
            each = [*((at, at + 1) for at in plane), (box[0], box[2]), (box[1], box[3])]
            if all(
                at == SHOWN or low <= at < high
                for at, (low, high) in zip(section, each, strict=True)
            ):
                spans.append((*each[shown[0]], *each[shown[1]]))
        if not spans:
            return None
        row0, row1, col0, col1 = zip(*spans, strict=True)
        return min(row0), min(col0), max(row1), max(col1)

    def crossing(self, plane: Plane, other: Plane, box: PixelBox) -> tuple[slice, slice] | None:
        """Return where another plane meets a part of a plane, in the part; None if it does not.

        Parameters
        ----------
        plane, other : tuple of int
            Addresses.
        box : (row0, col0, row1, col1)
            The part.
        """
        here, there, shown = self.whole(plane), self.whole(other), self.shown(plane)
        where = [slice(None), slice(None)]
        for axis, at in enumerate(there):
            if at == SHOWN:
                continue
            if axis in shown:
                side = shown.index(axis)
                if not box[side] <= at < box[side + 2]:
                    return None
                where[side] = slice(at - box[side], at - box[side] + 1)
            elif here[axis] != at:
                return None
        return where[0], where[1]
