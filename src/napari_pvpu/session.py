"""One image, prompts in, masks out.

A session knows no screen and no network: it keeps what the user said and what came of it, and
hands out what changed. All methods but `Session.compute` belong to one thread, its owner's.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pvpu.batches import Batches
from napari_pvpu.errors import SessionError
from napari_pvpu.history import Step
from napari_pvpu.keeping_off import KeepingOff
from napari_pvpu.label_painting import LabelPainting
from napari_pvpu.lineages import Lineages
from napari_pvpu.object_edits import ObjectEdits
from napari_pvpu.records import ChangedRegion, ObjectRecord, Timing
from napari_pvpu.rendering import paste
from napari_pvpu.reopening import Reopening
from napari_pvpu.scripts import to_python
from napari_pvpu.second_thoughts import SecondThoughts
from napari_pvpu.seeing import Seeing
from napari_pvpu.ties import Ties

if TYPE_CHECKING:
    from napari_pvpu.records import PixelBox
    from napari_pvpu.session_settings import OverlapRule
    from napari_pvpu.views import View

__all__ = ["ChangedRegion", "ObjectRecord", "Session"]


class Session(
    Batches,
    Seeing,
    Reopening,
    ObjectEdits,
    LabelPainting,
    KeepingOff,
    Lineages,
    SecondThoughts,
):
    """Interactive segmentation of one image, object by object.

    Made by `Segmenter.open`. An image of several planes is worked on plane by plane (see `plane`);
    each plane has an object at work of its own, and one history holds the steps in all of them.

    Parameters
    ----------
    source : ImageSource
        The image.
    predictor : Predictor
        The network behind its numpy interface.
    policy : ViewPolicy, optional
        Numbers that decide on views.
    rules : MaskRules, optional
        Numbers that shape masks.
    """

    # What is there

    @property
    def score(self) -> float | None:
        """Intersection over union that the network expects of the current mask, 0 to 1."""
        state = self._current.state if self._current else None
        return None if state is None or np.isnan(state.score) else state.score

    @property
    def view(self) -> View | None:
        """View through which the current object was seen last."""
        state = self._current.state if self._current else None
        return state.view if state else None

    @property
    def opened(self) -> int | None:
        """Id of the accepted object that is open for correction, None if none is."""
        origin = self._current.origin if self._current else None
        return origin.object_id if origin else None

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """The current object, (H, W) bool; made anew at each call."""
        out = np.zeros(self._grid.shape(self._plane), bool)
        if self._drawing is not None:
            paste(self._drawing.mask, (self._drawing.row, self._drawing.col), out, (0, 0))
        return out

    @property
    def probability(self) -> npt.NDArray[np.float32]:
        """Probability of the current object, (H, W) float32; made anew at each call.

        Zero away from the object.
        """
        out = np.zeros(self._grid.shape(self._plane), np.float32)
        if self._drawing is not None:
            paste(self._drawing.probability, (self._drawing.row, self._drawing.col), out, (0, 0))
        return out

    @property
    def painted(self) -> npt.NDArray[np.int8]:
        """What the user painted of the current object over the box of `region`, (h, w) int8.

        1 added, -1 erased, 0 left to the network.
        """
        region = self.region
        out = np.zeros(region.mask.shape, np.int8)
        paint = self._current.paint if self._current else None
        if paint is not None:
            paste(paint.values, (paint.row, paint.col), out, (region.row, region.col))
        return out

    @property
    def labels(self) -> Any:
        """Accepted objects, plane axes first, 0 where there is none; a read-only view.

        (H, W) for an image of one plane. uint16, or uint32 if larger ids were adopted. Of an
        image of more than 2**28 pixels in all planes not a numpy array but `SparseLabels`, which
        slices into arrays just so.
        """
        return self._labels.read_only

    @property
    def last_timing(self) -> Timing:
        """What the last interaction took."""
        return self._timing

    # Steps

    def accept(self, *, overlap: OverlapRule | None = None) -> int:
        """Keep the current object and begin the next.

        Parameters
        ----------
        overlap : {"keep", "overwrite", "ask"}, optional
            What happens to pixels of objects accepted before: they stay theirs, or become this
            object's, or `OverlapError` says how many there are. By default as the session's rule
            says.

        Returns
        -------
        int
            The object's id, its value in `labels`; the one it had if it was opened.

        Raises
        ------
        SessionError
            If there is no object, it lies wholly within others, or there are no ids left.
        OverlapError
            If there are such pixels and the rule is to ask.
        """
        current, drawing = self._current, self._drawing
        if current is None or drawing is None:
            raise SessionError("there is no object to accept; add a positive prompt first")
        origin = current.origin
        known = origin.object_id if origin else None
        object_id = self._free_ids()[0] if known is None else known
        after = self._claim(object_id, drawing.box, drawing.mask, overlap)
        if not (after == object_id).any():
            raise SessionError(
                "the object lies wholly within accepted ones, whose pixels stay theirs; undo "
                "those or mark another"
            )
        ties = origin.record.ties.noted(self._plane, None) if origin and origin.record else Ties()
        made = ObjectRecord(
            current.prompts, self.score, drawing.box, self._plane, (), current.paint, ties
        )
        record = self._with_other_parts(made, object_id)
        self._touch(self._plane)
        title = f"Accept object {object_id}"
        windows = [(self._plane, drawing.box, after)]
        self._change_labels(title, windows, {object_id: record}, current=(None, None))
        # With a checksum, by which a replay can tell whether it comes to the same.
        crc = zlib.crc32(np.ascontiguousarray(after).tobytes())
        result = {"id": object_id, "box": list(drawing.box), "crc": crc}
        self._note("accept", result, overlap=self._rule(overlap))
        return object_id

    def reset(self) -> ChangedRegion:
        """Drop the current object; one that was opened goes back as it was. Can be undone."""
        self._touch(self._plane)
        current = self._current
        if current is None:
            return self._show(self._plane, None, None)
        origin = current.origin
        if origin is None or origin.object_id is None or origin.record is None:
            region = self._perform(Step("Reset", self._plane, current, None), None)
        else:
            top, left = origin.prior.offset
            height, width = origin.prior.mask.shape
            window: PixelBox = (top, left, top + height, left + width)
            # What has become another object's in the meantime stays so.
            after = self._claim(origin.object_id, window, origin.prior.mask, "keep")
            record = origin.record
            if self._grid.is_section(self._plane):
                record = self._put_back(record, origin.object_id, window)
            elif record.plane == self._plane:
                record = self._with_other_parts(record, origin.object_id)
            else:  # which was made in another plane, and is still there
                note = record.ties.confidence(self._plane)
                record = self._objects[origin.object_id]
                record = replace(record, ties=record.ties.noted(self._plane, note))
            region = self._change_labels(
                f"Cancel object {origin.object_id}",
                [(self._plane, window, after)],
                {origin.object_id: record},
                current=(None, None),
            )
        self._note("reset")
        return region

    def cancel(self) -> ChangedRegion:
        """Do as `reset` does, by the name that fits an object opened for correction."""
        return self.reset()

    # For a script

    def to_python(self, image: str | None = None, model: str | None = None) -> str:
        """Return the session so far as a script that does the same again.

        Parameters
        ----------
        image : str, optional
            Path of the image; by default the script takes it from its command line.
        model : str, optional
            As `Segmenter` takes it; by default the name in the model's config.
        """
        return to_python(self, image, model)
