"""What a user can do with a series of images, as methods of the controller."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info

from napari_pvpu.napari_side.editing import Editing

if TYPE_CHECKING:
    from napari_pvpu.napari_side.series_desk import SeriesDesk

__all__ = ["SERIES_KEYS", "SeriesActions"]

SERIES_KEYS = {
    "next_image": "PageDown",
    "previous_image": "PageUp",
    "done_image": "Control-Enter",
    "skip_image": "Shift-PageDown",
}
"""Key of each action, by the name of the method."""

NO_SERIES = "No series is open: open a folder of images with the panel “Series” first."


class SeriesActions(Editing):
    """A stage on which one image of a series follows the other; see `Stage` for its parameters."""

    @cached_property
    def series(self) -> SeriesDesk:
        """A folder or list of images, worked on one after the other."""
        from napari_pvpu.napari_side.series_desk import SeriesDesk

        return SeriesDesk(self)

    def next_image(self) -> None:
        """Go to the next image of the series, whatever its state."""
        if self._has_series():
            self.series.next_image()

    def previous_image(self) -> None:
        """Go to the image of the series before, whatever its state."""
        if self._has_series():
            self.series.previous_image()

    def done_image(self) -> None:
        """Note that the image at work is done, and go to the next unfinished one."""
        if self._has_series():
            self.series.done_image()

    def skip_image(self) -> None:
        """Note that the image at work is skipped, and go to the next unfinished one."""
        if self._has_series():
            self.series.skip_image()

    def _has_series(self) -> bool:
        if self.series.series is None:
            show_info(NO_SERIES)
        return self.series.series is not None
