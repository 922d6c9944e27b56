"""Masks that are there already: adopted, opened for correction, painted by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pvpu.current_object import CurrentObject, Origin, Paint, state_of_mask
from napari_pvpu.errors import PromptError, SessionError
from napari_pvpu.history import Step
from napari_pvpu.label_boxes import tight_box
from napari_pvpu.label_edits import LabelEdits
from napari_pvpu.operations import pack_labels
from napari_pvpu.prompts import PriorMask
from napari_pvpu.rendering import paste

if TYPE_CHECKING:
    from napari_pvpu.edits import Bits
    from napari_pvpu.label_store import Labels
    from napari_pvpu.prompts import Prompt
    from napari_pvpu.records import ChangedRegion, ObjectRecord, PixelBox

__all__ = ["Reopening"]


class Reopening(LabelEdits):
    """A session that takes up masks where others, or it itself, have left them."""

    def adopt(self, labels: Any) -> None:
        """Begin with objects from elsewhere, as if they had been accepted here.

        Parameters
        ----------
        labels : array of int, plane_shape + shape
            Objects, 0 where there is none. They keep their ids. The array is copied; one too
            large for memory is read block by block, `SparseLabels` at once.

        Raises
        ------
        SessionError
            If anything has been done before, or dtype, shape or values do not fit.
        """
        if self._objects or self._history.steps or self._currents:
            raise SessionError(
                "labels are adopted when a session begins; open another session, or use open_mask "
                "for a single object"
            )
        self._objects.update(self._labels.adopt(labels))
        self._note_edited(plane for record in self._objects.values() for plane in record.boxes)
        # Of labels too large for an array nothing is handed out: they are to be looked up.
        whole = self._grid.shape(self._plane)
        everywhere: PixelBox | None = None if self._labels.sparse else (0, 0, *whole)
        self._change = self._region_of(self._plane, None, everywhere, with_labels=True)
        self._note("adopt", labels=pack_labels(self._labels.array))  # small: kept for good

    def open_object(self, object_id: int) -> ChangedRegion:
        """Take an accepted object up again, to correct it.

        Its mask in this plane becomes the first prompt (a `PriorMask`), the prompts that made it
        follow if they are known, and it leaves the labels until it is accepted again, with the
        same id, or `reset` puts it back. The mask is shown pixel for pixel as it was, and
        corrections change it where the network changes its mind.

        Raises
        ------
        SessionError
            If there is no such object in this plane, or another is at work.
        """
        self._check_idle()
        window, record = self._box_here(object_id), self._record(object_id)
        labels = self._labels.window(self._plane, window)
        mask = labels == object_id
        known: tuple[Prompt, ...] = ()
        paint = None
        if record.home == self._plane:
            known = tuple(each for each in record.prompts if not isinstance(each, PriorMask))
            paint = record.paint
        prior = PriorMask(mask, window[:2])
        origin = self._origin(prior, known, object_id, record)
        current = CurrentObject(origin.state, paint, origin)
        drawing = self._render(current, self._plane, self._settings)
        after: Labels = np.where(mask, labels.dtype.type(0), labels)
        self._touch(self._plane)
        region = self._change_labels(
            f"Open object {object_id}",
            [(self._plane, window, after)],
            current=(current, drawing),
        )
        self._note("open_object", object_id=int(object_id))
        return region

    def open_mask(
        self,
        mask: npt.ArrayLike,
        object_id: int | None = None,
        *,
        offset: tuple[int, int] = (0, 0),
    ) -> ChangedRegion:
        """Take up a mask from elsewhere, to correct or accept it.

        Parameters
        ----------
        mask : array of bool, (h, w)
            The object.
        object_id : int, optional
            The id that it is to have; by default the next one.
        offset : (row, col)
            Data pixel at which the mask begins.

        Raises
        ------
        SessionError
            If another object is at work, or the id is taken.
        PromptError
            If the mask is no mask, or holds no pixel of the image.
        """
        self._check_idle()
        if object_id is not None:
            object_id = self._check_free(object_id)
        prior = self._within_image(PriorMask(np.asarray(mask), offset))
        origin = self._origin(prior, (), object_id, None)
        current = CurrentObject(origin.state, None, origin)
        self._touch(self._plane)
        step = Step("Open mask", self._plane, None, current)
        region = self._perform(step, self._render(current, self._plane, self._settings))
        values = {"mask": prior.mask, "object_id": object_id, "offset": list(prior.offset)}
        self._note("open_mask", **values)
        return region

    def paint(self, mask: npt.ArrayLike, *, offset: tuple[int, int] = (0, 0)) -> ChangedRegion:
        """Take what the user has painted of the current object.

        Pixels that this adds to the object or takes from it stay so, whatever the network says
        later. Without an object, painting begins one.

        Parameters
        ----------
        mask : array of bool, (h, w)
            The object as it is to be in a part of the plane, for instance under the brush.
        offset : (row, col)
            Data pixel at which that part begins.

        Raises
        ------
        PromptError
            If the mask is no mask, lies outside the image, or marks nothing and there is no
            object to erase from.
        """
        wanted, (row, col) = self._clipped(mask, offset)
        current = self._current
        shown = np.zeros(wanted.shape, bool)
        if self._drawing is not None:
            paste(self._drawing.mask, (self._drawing.row, self._drawing.col), shown, (row, col))
        values = np.zeros(wanted.shape, np.int8)
        values[wanted & ~shown], values[shown & ~wanted] = 1, -1
        if not values.any():
            return self._region_of(self._plane, self._drawing, None)
        # A brush may hand in far more than it has touched.
        tight = tight_box(values != 0, 0, 0)
        assert tight is not None  # something is painted
        window = (slice(tight[0], tight[2]), slice(tight[1], tight[3]))
        values, wanted = values[window].copy(), wanted[window].copy()
        row, col = row + tight[0], col + tight[1]
        paint = Paint(row, col, values)
        if current is None:
            origin = self._origin(PriorMask(wanted, (row, col)), (), None, None)
            after = CurrentObject(origin.state, paint, origin)
            self._touch(self._plane)
        else:
            after = replace(current, paint=paint.over(current.paint))
        title = "Paint" if (values > 0).any() else "Erase"
        step = Step(title, self._plane, current, after)
        region = self._perform(step, self._render(after, self._plane, self._settings))
        self._note("paint", mask=wanted, offset=[row, col])
        return region

    def _origin(
        self,
        prior: PriorMask,
        prompts: tuple[Prompt, ...],
        object_id: int | None,
        record: ObjectRecord | None,
    ) -> Origin:
        score = None if record is None else record.score
        size, here = self._predictor.view_size, self._source.at(self._plane)
        state = state_of_mask(prior, prompts, score, here.shape, size, self._policy, here.aspect)
        return Origin(prior, state, object_id, record)

    def _check_idle(self) -> None:
        if self._current is not None:
            raise SessionError("there is an object at work; accept it or reset first")

    def _within_image(self, prior: PriorMask) -> PriorMask:
        """Return the part of a mask that lies in the image, or raise if there is none."""
        mask, offset = self._clipped(prior.mask, prior.offset)
        return PriorMask(mask, offset)

    def _clipped(
        self, mask: npt.ArrayLike, offset: tuple[int, int]
    ) -> tuple[Bits, tuple[int, int]]:
        """Return the part of a window that lies in the image, and where it begins."""
        given = np.asarray(mask)
        if given.ndim != 2 or given.dtype.kind not in "biu":
            raise PromptError(
                f"a mask is a two-dimensional array of bool, not {given.ndim}-dimensional of "
                f"{given.dtype}"
            )
        row, col = (int(each) for each in offset)
        top, left = max(-row, 0), max(-col, 0)
        rows, cols = self._grid.shape(self._plane)
        inside = given[top : max(rows - row, 0), left : max(cols - col, 0)].astype(bool)
        if inside.size == 0:
            raise PromptError(
                f"a mask of shape {given.shape} at {(row, col)} lies outside the image of shape "
                f"{(rows, cols)}"
            )
        return inside, (row + top, col + left)
