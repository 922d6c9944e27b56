"""What a session knows: the image, the objects at work, the accepted ones; and their pictures."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_pvpu.current_object import CurrentObject
from napari_pvpu.errors import ImageError, SessionError
from napari_pvpu.history import History, Step
from napari_pvpu.interaction import Interaction
from napari_pvpu.label_boxes import clusters
from napari_pvpu.label_store import LabelStore
from napari_pvpu.masks import MaskRules
from napari_pvpu.operations import Operation, OperationLog
from napari_pvpu.records import ChangedRegion, ObjectRecord, Request, Timing
from napari_pvpu.rendering import paste, render
from napari_pvpu.session_settings import OverlapRule, SessionSettings
from napari_pvpu.view_choice import ViewPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_pvpu.drawing import Drawing
    from napari_pvpu.journal import Journal
    from napari_pvpu.label_store import Labels
    from napari_pvpu.predictor import Predictor
    from napari_pvpu.prompts import Prompt
    from napari_pvpu.records import PixelBox, Plane, Prediction
    from napari_pvpu.source import ImageSource

__all__ = ["SessionState"]


class SessionState:
    """State of a session; `SessionSteps` and then `Session` add what can be done.

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

    def __init__(
        self,
        source: ImageSource,
        predictor: Predictor,
        *,
        policy: ViewPolicy | None = None,
        rules: MaskRules | None = None,
    ) -> None:
        self._source = self._first_source = source
        self._predictor = predictor
        self._policy = policy or ViewPolicy()
        self._rules = rules or MaskRules()
        self._plane_shape = source.plane_shape
        self._grid = source.grid
        self._plane: Plane = (0,) * len(self._plane_shape)
        self._currents: dict[Plane, CurrentObject] = {}
        self._drawing: Drawing | None = None  # of the current object in this plane
        self._labels = LabelStore(self._plane_shape, source.shape)
        self._objects: dict[int, ObjectRecord] = {}
        self._settings = SessionSettings()
        self._overlap: OverlapRule = "keep"
        self._canvas_extent: float | None = None
        self._barred: npt.NDArray[np.bool_] | None = None
        self._history: History[Step] = History()
        self._log = OperationLog()
        self.journal: Journal | None = None
        """The file that everything done goes into, if there is one."""
        self._generation = 0
        self._newest: dict[Plane, int] = {}
        self._timing = Timing()
        self._change: ChangedRegion | None = None
        self._edition = 0
        self._edited: dict[Plane, int] = {}  # edition of each plane's labels

    @property
    def source(self) -> ImageSource:
        """The image."""
        return self._source

    @property
    def first_source(self) -> ImageSource:
        """The image as it was seen when the session was opened, before any `see`."""
        return self._first_source

    @property
    def predictor(self) -> Predictor:
        """The network behind its numpy interface, as a rule a `Segmenter`."""
        return self._predictor

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the image."""
        return self._source.shape

    @property
    def plane_shape(self) -> tuple[int, ...]:
        """Lengths of the image's axes before rows and columns."""
        return self._plane_shape

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distances between pixels along the plane axes, Y and X, in any unit; at first 1 each.

        Sections across the image's planes are seen by the network as they are in the world.

        Raises
        ------
        ImageError
            On setting it to what is no positive number for each of these axes.
        """
        return self._source.spacing

    @spacing.setter
    def spacing(self, spacing: Sequence[float]) -> None:
        source = self._source.spaced(spacing)
        if source.spacing != self._source.spacing:
            self._source = source
            self._note("set", name="spacing", value=list(source.spacing))

    def plane_at(self, **positions: int) -> Plane:
        """Return the plane that cuts these axes at these positions and shows the two others.

        Parameters
        ----------
        **positions : int
            By letters of axes. Of an image ZYX, ``Z=4`` is one of its own planes, and ``Y=30`` the
            section across these along Z and X.

        Raises
        ------
        ImageError
            If there is no such plane.

        Examples
        --------
        >>> session.plane = session.plane_at(Y=30)  # doctest: +SKIP
        >>> session.add(Click((12, 88)))  # z and x  # doctest: +SKIP
        """
        return self._grid.address(positions)

    @property
    def plane(self) -> Plane:
        """Index of the plane at work; setting it goes to another.

        A position for each axis of `plane_shape`; or that of a section across these planes, as
        `plane_at` returns it, whose rows and columns are two other axes. Prompts, `mask` and
        regions are then in rows and columns of the section. Objects are the same in all of them.

        The current object stays with its plane, and is there again when one returns.

        Raises
        ------
        SessionError
            On setting it to what is no plane of the image.
        """
        return self._plane

    @plane.setter
    def plane(self, plane: Sequence[int] | int) -> None:
        wanted = self._check_plane(plane)
        if wanted == self._plane:
            return
        self._enter(wanted)
        self._change = self._region_of(self._plane, self._drawing, self._current_box)
        self._note("set", name="plane", value=list(wanted))

    @property
    def objects(self) -> Mapping[int, ObjectRecord]:
        """Accepted objects of all planes by id, read-only."""
        return MappingProxyType(self._objects)

    @property
    def operations(self) -> tuple[Operation, ...]:
        """All that was done so far, as plain data."""
        return self._log.operations

    def watch(self, listener: Callable[[Operation], None] | None) -> None:
        """Have a function called with every operation from now on; None for no function."""
        self._log.listen(listener)

    @property
    def last_change(self) -> ChangedRegion | None:
        """What the last call that changed something changed; None at first."""
        return self._change

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """Prompts of the current object."""
        return self._current.prompts if self._current else ()

    def prompts_in(self, plane: Plane) -> tuple[Prompt, ...]:
        """Return the prompts of the object at work in a plane."""
        current = self._currents.get(tuple(plane))
        return current.prompts if current else ()

    @property
    def region(self) -> ChangedRegion:
        """The current object over its box, which is of no size if there is no object."""
        return self._region_of(self._plane, self._drawing, self._current_box)

    def lacks_propagation(self, plane: Plane) -> bool:
        """Tell whether going to a plane has to run EM on the object at work there.

        A `request` about that plane, committed before, spares the owner's thread of it.
        """
        current = self._currents.get(tuple(plane))
        state = current.state if current else None
        return self._settings.value_propagation and state is not None and state.propagated is None

    # Inside: the object at work

    @property
    def _current(self) -> CurrentObject | None:
        return self._currents.get(self._plane)

    @property
    def _current_box(self) -> PixelBox | None:
        return self._drawing.box if self._drawing else None

    def _enter(self, plane: Plane) -> None:
        """Go to another plane, with whatever object is at work there."""
        current, drawing = self._drawn(self._currents.get(plane), plane, self._settings)
        if current is not None:
            self._currents[plane] = current
        self._plane, self._drawing = plane, drawing

    def _touch(self, plane: Plane) -> int:
        """Make answers to older requests about a plane stale."""
        self._generation += 1
        self._newest[plane] = self._generation
        return self._generation

    def _note(self, operation: str, result: Any = None, /, **values: Any) -> None:
        self._log.add(Operation(operation, values, result))

    # Inside: pictures

    def compute(self, request: Request) -> Prediction:
        """Second of three steps: run the network. Changes nothing, may run in any thread."""
        source = self._source.at(request.plane)
        work = Interaction(source, self._predictor, request, self._policy, self._rules)
        prediction, shape = work.run(), source.shape
        settings = request.settings
        plain = request.origin is None and request.paint is None
        if plain and not settings.smoothing and settings.min_size <= 1:
            return prediction
        current = CurrentObject.of(prediction.state, request.paint, request.origin)
        return replace(prediction, drawing=render(current, settings, shape, self._rules))

    def _drawn(
        self, current: CurrentObject | None, plane: Plane, settings: SessionSettings
    ) -> tuple[CurrentObject | None, Drawing | None]:
        """Return an object and its drawing, with EM if that is on and was not computed yet."""
        state = current.state if current else None
        if current is None or state is None or not settings.value_propagation:
            return current, self._render(current, plane, settings)
        if state.propagated is not None:
            return current, self._render(current, plane, settings)
        prediction = self.compute(
            Request(
                generation=self._generation,
                prompts=state.prompts,
                base=state,
                value_propagation=True,
                threshold=settings.threshold,
                plane=plane,
                smoothing=settings.smoothing,
                min_size=settings.min_size,
                paint=current.paint,
                origin=current.origin,
            )
        )
        return replace(current, state=prediction.state), prediction.drawing

    def _regions(
        self,
        plane: Plane,
        drawing: Drawing | None,
        boxes: Mapping[Plane, list[PixelBox]],
        with_labels: bool,
    ) -> ChangedRegion:
        """Return what is there now in boxes of several planes, `plane` foremost."""
        first, *away = clusters(boxes[plane]) or [(0, 0, 0, 0)]
        region = self._region_of(plane, drawing, first, with_labels)
        more = [self._region_of(plane, drawing, box, with_labels) for box in away]
        for each, found in boxes.items():
            if each != plane:
                drawn = self._rendered(each)
                more += [self._region_of(each, drawn, box, with_labels) for box in clusters(found)]
        return replace(region, more=tuple(more)) if more else region

    def _rendered(self, plane: Plane) -> Drawing | None:
        """Draw the object at work in a plane as far as that goes without the network."""
        return self._render(self._currents.get(plane), plane, self._settings)

    def _render(
        self, current: CurrentObject | None, plane: Plane, settings: SessionSettings
    ) -> Drawing | None:
        """Draw an object into a plane."""
        return render(current, settings, self._grid.shape(plane), self._rules)

    def _region_of(
        self,
        plane: Plane,
        drawing: Drawing | None,
        box: PixelBox | None,
        with_labels: bool = False,
    ) -> ChangedRegion:
        """Return what is there now in a part of a plane."""
        row0, col0, row1, col1 = box or (0, 0, 0, 0)
        mask = np.zeros((row1 - row0, col1 - col0), bool)
        probability = np.zeros(mask.shape, np.float32)
        if drawing is not None:
            paste(drawing.mask, (drawing.row, drawing.col), mask, (row0, col0))
            paste(drawing.probability, (drawing.row, drawing.col), probability, (row0, col0))
        labels: Labels | None = None
        if with_labels:
            labels = self._labels.window(plane, (row0, col0, row1, col1)).copy()
        return ChangedRegion(row0, col0, mask, probability, labels, plane)

    def _check_plane(self, plane: Any) -> Plane:
        """Return a plane index as a tuple of ints, or raise."""
        given = (plane,) if isinstance(plane, int | np.integer) else plane
        try:
            index = tuple(int(each) for each in given)
        except (TypeError, ValueError) as error:
            raise SessionError(f"a plane is given by whole numbers, not {plane!r}") from error
        try:
            return self._grid.check(index)
        except ImageError as error:
            raise SessionError(
                f"there is no plane {index} in an image whose planes are {self._plane_shape}: "
                f"give {len(self._plane_shape)} whole numbers, each from 0 and below its axis' "
                "length, or what plane_at returns"
            ) from error
