"""The settings that a user turns while looking at a mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_pvpu.errors import SessionError
from napari_pvpu.history import Step
from napari_pvpu.prompting import Prompting
from napari_pvpu.session_settings import check_overlap

if TYPE_CHECKING:
    from napari_pvpu.session_settings import OverlapRule

__all__ = ["Tuning"]


class Tuning(Prompting):
    """A session with its settings.

    A setting that is turned while there is anything to undo is a step of the history; a slider
    being dragged is one step.
    """

    @property
    def value_propagation(self) -> bool:
        """The EM switch; setting it changes the mask (see `last_change`)."""
        return self._settings.value_propagation

    @value_propagation.setter
    def value_propagation(self, on: bool) -> None:
        if bool(on) != self.value_propagation:
            self.commit(self.compute(self.request(self.prompts, value_propagation=on)))

    @property
    def threshold(self) -> float:
        """Probability above which a pixel belongs to the object, between 0 and 1.

        Setting it changes the mask (see `last_change`) without running the network.

        Raises
        ------
        SessionError
            On setting it to a value that is not between 0 and 1.
        """
        return self._settings.threshold

    @threshold.setter
    def threshold(self, value: float) -> None:
        self._set("threshold", value)

    @property
    def smoothing(self) -> float:
        """Standard deviation, in data pixels, of the Gaussian over the probability; 0 for none.

        Setting it changes the mask (see `last_change`) without running the network.

        Raises
        ------
        SessionError
            On setting it to a value that is not between 0 and 100.
        """
        return self._settings.smoothing

    @smoothing.setter
    def smoothing(self, value: float) -> None:
        self._set("smoothing", value)

    @property
    def min_size(self) -> int:
        """Pixels that a part of the object has to have; the largest part always stays.

        Setting it changes the mask (see `last_change`) without running the network.

        Raises
        ------
        SessionError
            On setting it to a negative value.
        """
        return self._settings.min_size

    @min_size.setter
    def min_size(self, value: int) -> None:
        self._set("min_size", value)

    def _set(self, name: str, value: float) -> None:
        """Change a setting that needs no network."""
        old, settings = self._settings, self._settings.with_(name, value)
        if settings == old:
            return
        before = self._current
        after, drawing = self._drawn(before, self._plane, settings)
        if before is None and not self._history.steps:
            self._settings = settings  # how the session begins is no step
            self._show(self._plane, after, drawing)
        else:
            title = settings.title(name)
            self._perform(
                Step(title, self._plane, before, after, (old, settings), joins=name), drawing
            )
        self._note("set", name=name, value=getattr(settings, name))

    @property
    def overlap(self) -> OverlapRule:
        """Whose a pixel is that two objects claim: "keep", "overwrite" or "ask".

        Of the older object, of the newer one, or as the answer to `OverlapError` says.

        Raises
        ------
        SessionError
            On setting it to anything else.
        """
        return self._overlap

    @overlap.setter
    def overlap(self, rule: OverlapRule) -> None:
        self._overlap = check_overlap(rule)
        self._note("set", name="overlap", value=rule)

    @property
    def canvas_extent(self) -> float | None:
        """Data pixels visible on the short side of the canvas, a hint for the first view.

        Raises
        ------
        SessionError
            On setting it to a value that is not positive.
        """
        return self._canvas_extent

    @canvas_extent.setter
    def canvas_extent(self, value: float | None) -> None:
        if value is not None and not 0 < value < float("inf"):
            raise SessionError(f"the canvas extent has to be a positive number, not {value}")
        self._canvas_extent = value  # noted with each prompt that it has a bearing on
