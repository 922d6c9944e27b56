"""Other channels, another projection or other contrast, without losing anything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_pvpu.history import Step
from napari_pvpu.interaction import Interaction
from napari_pvpu.tuning import Tuning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_pvpu.current_object import CurrentObject
    from napari_pvpu.normalisation import Limits
    from napari_pvpu.records import ChangedRegion, Prediction, Request
    from napari_pvpu.source import ImageSource

__all__ = ["Seeing", "Sight", "SightRequest"]


@dataclass(frozen=True, slots=True, eq=False)
class SightRequest:
    """How an image is to be seen from now on.

    Attributes
    ----------
    settings : dict
        Arguments of `ImageSource.adjusted`.
    request : Request or None
        What is to be asked again then: the object at work, if there is one.
    """

    settings: dict[str, Any]
    request: Request | None


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """The image seen so.

    Attributes
    ----------
    asked : SightRequest
        What was asked.
    source : ImageSource
        The image.
    prediction : Prediction or None
        The object at work in it.
    """

    asked: SightRequest
    source: ImageSource
    prediction: Prediction | None


class Seeing(Tuning):
    """A session whose image can be seen otherwise.

    Accepted objects, prompts and history stay. Of the object at work in this plane new views are
    taken, which is a step that can be undone; those in other planes follow with their next prompt.
    """

    def see(
        self,
        *,
        channels: int | Sequence[int] | None = None,
        rgb: bool | None = None,
        projection: str = "mean",
        limits: Limits | None = None,
        gamma: float = 1.0,
        canvas_extent: float | None = None,
    ) -> ChangedRegion:
        """See the image otherwise from now on.

        Parameters
        ----------
        channels, rgb, projection, limits, gamma
            All to be named, as for `ImageSource`.
        canvas_extent : float, optional
            Data pixels visible on the short side of the canvas, see `canvas_extent`.

        Raises
        ------
        ImageError
            If they do not fit the image; then nothing has changed.
        """
        if canvas_extent is not None:
            self.canvas_extent = canvas_extent
        asked = self.request_sight(
            channels=channels, rgb=rgb, projection=projection, limits=limits, gamma=gamma
        )
        return self.commit_sight(self.compute_sight(asked))

    def request_sight(self, **settings: Any) -> SightRequest:
        """First of three steps of `see`: write down what is asked."""
        current = self._current
        if current is None or current.state is None or _as_opened(current):
            return SightRequest(settings, None)
        # From the beginning: what was seen before says nothing of what will be.
        return SightRequest(settings, replace(self.request(current.prompts), base=None))

    def compute_sight(self, asked: SightRequest) -> Sight:
        """Second of three steps: read the image, run the network. In any thread.

        Raises
        ------
        ImageError
            If the settings do not fit the image.
        """
        source = self._source.adjusted(**asked.settings)
        request = asked.request
        if request is None or source.token == self._source.token:
            return Sight(asked, source, None)
        work = Interaction(
            source.at(request.plane), self._predictor, request, self._policy, self._rules
        )
        return Sight(asked, source, work.run())

    def commit_sight(self, sight: Sight) -> ChangedRegion:
        """Last of three steps: see the image so, in the owner's thread."""
        source, prediction = sight.source, sight.prediction
        changed = source.token != self._source.token
        self._source = source
        if prediction is None or not self.is_current(prediction.request):
            # Without an object, or if something newer has been asked of it in the meantime.
            region = self._region_of(self._plane, self._drawing, self._current_box)
            self._change = region
        else:
            region = self._look_again(prediction)
        if changed:
            self._note(
                "see",
                channels=list(source.channels),
                rgb=sight.asked.settings.get("rgb"),
                projection=source.projection,
                limits=[list(values) for values in source.limits],
                gamma=source.gamma,
                canvas_extent=self._canvas_extent,
            )
        return region

    def _look_again(self, prediction: Prediction) -> ChangedRegion:
        plane = prediction.request.plane
        before = self._currents[plane]
        after = replace(before, state=prediction.state)
        drawing = self._render(after, plane, self._settings)
        self._touch(plane)
        self._timing = prediction.timing
        return self._perform(Step("Image seen otherwise", plane, before, after), drawing)


def _as_opened(current: CurrentObject) -> bool:
    """Tell whether an object is the mask that it was opened from, which no network has made."""
    return current.origin is not None and current.state is current.origin.state
