"""One image, prompts in, masks out.

A session knows no screen and no network: it keeps what the user said and what came of it, and
hands out what changed. All methods but `Session.compute` belong to one thread, its owner's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pvpu.batches import Batches
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

if TYPE_CHECKING:
    from napari_pvpu.records import Plane
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
        return self._current.score if self._current else None

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
    def planes_at_work(self) -> tuple[Plane, ...]:
        """Planes, and sections across them, in which there is an object at work."""
        return tuple(sorted(self._currents))

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
