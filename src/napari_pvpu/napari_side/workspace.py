"""All that belongs to one image: its session, its prompts, and the masks it shows.

A change of the prompts takes three steps: `Session.request` here on the GUI thread,
`Session.compute` in the worker, `Session.commit` here again when the worker has told. Only the
newest request counts.
"""

from __future__ import annotations

import logging
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import QObject, Signal

from napari_pvpu.errors import PvpuError
from napari_pvpu.napari_side.engine import Engine, image_of
from napari_pvpu.napari_side.geometry import visible_extent
from napari_pvpu.napari_side.prompt_layers import PromptLayers
from napari_pvpu.napari_side.result_layers import Preview, Results

if TYPE_CHECKING:
    from napari.layers import Image, Layer
    from napari.viewer import Viewer

    from napari_pvpu.napari_side.worker import Worker
    from napari_pvpu.prompts import Prompt
    from napari_pvpu.records import Timing
    from napari_pvpu.session import Session

    Prompts = tuple[Prompt, ...]

__all__ = ["Workspace"]

LOGGER = logging.getLogger(__name__)
PATIENCE = 0.04
"""Seconds for which napari may stand still for an answer, so that a prompt and its mask are drawn
in one go."""

TRANSFORM_EVENTS = ("scale", "translate", "rotate", "shear", "affine", "units")


class Workspace(QObject):
    """Segmentation of one image layer.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Kept weakly.
    image : napari.layers.Image
        Two-dimensional; it is never changed.
    engine : Engine
        Opens the session, in the worker.
    worker : Worker
        Runs what takes time.
    """

    changed = Signal()
    opened = Signal()

    def __init__(self, viewer: Viewer, image: Image, engine: Engine, worker: Worker) -> None:
        super().__init__()
        self._viewer = weakref.ref(viewer)
        self.image = image
        self._engine, self._worker = engine, worker
        self.session: Session | None = None
        self.trouble: PvpuError | None = None
        self.shown = False
        self.value_propagation, self.threshold = False, 0.5
        # What the user has asked for since the session answered last, oldest first, and for
        # each answer that served several edits at once, the edits it skipped.
        self._asked: list[Prompts] = []
        self._skipped: dict[Prompts, list[Prompts]] = {}
        self._ticket = 0
        self._known_change: object = None
        self.prompts = PromptLayers(viewer, image, self._on_edit, show_info)
        self.preview = Preview(image)
        self.results: Results | None = None

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The working layers, from the bottom up; the accepted objects' layer is not among them."""
        clicks, strokes = self.prompts.layers
        return self.preview.layer, strokes, clicks

    @property
    def waiting(self) -> bool:
        """Whether an edit has not been answered yet."""
        return bool(self._asked)

    @property
    def has_object(self) -> bool:
        """Whether there is a current object, or an edit on its way that may make one."""
        return bool(self._latest)

    @property
    def object_count(self) -> int:
        """How many objects have been accepted."""
        return len(self.session.objects) if self.session is not None else 0

    @property
    def timing(self) -> Timing | None:
        """What the last answer took; None as long as there is none."""
        return self.session.last_timing if self.session is not None else None

    @property
    def can_undo(self) -> bool:
        """Whether there is anything to take back."""
        return bool(self._asked) or (self.session is not None and self.session.can_undo)

    @property
    def can_redo(self) -> bool:
        """Whether there is anything to make again."""
        return not self._asked and self.session is not None and self.session.can_redo

    # On and off the screen

    def show(self) -> None:
        """Put the layers into the viewer and open the session if there is none yet."""
        viewer = self._viewer()
        if viewer is None or self.shown:
            return
        if self.results is None:
            self._add_results()
        self.match()
        for layer in self.layers:
            viewer.add_layer(layer)
        self.shown = True
        for name in TRANSFORM_EVENTS:
            getattr(self.image.events, name).connect(self.match)
        self.image.events.data.connect(self._on_new_image)
        viewer.scene.camera.events.zoom.connect(self._fit_to_zoom)
        self._fit_to_zoom()
        if self.session is None:
            self.open()
        elif self._asked:
            self._ask(self._asked.pop())

    def hide(self) -> None:
        """Take the working layers out of the viewer; everything is kept for `show`."""
        if not self.shown:
            return
        self.shown = False
        for name in TRANSFORM_EVENTS:
            getattr(self.image.events, name).disconnect(self.match)
        self.image.events.data.disconnect(self._on_new_image)
        viewer = self._viewer()
        if viewer is None:
            return
        viewer.scene.camera.events.zoom.disconnect(self._fit_to_zoom)
        here = [layer for layer in self.layers if layer in viewer.layers]
        if here:
            # In one go: napari collects garbage each time, a third of a second with torch loaded.
            with viewer.layers.batched_update():
                for layer in here:
                    viewer.layers.remove(layer)

    def discard(self) -> None:
        """Hide for good."""
        self.hide()
        self._ticket += 1
        self.prompts.disconnect()

    def forget_results(self) -> None:
        """Note that the user has deleted the layer of accepted objects."""
        self.results = None

    def _fit_to_zoom(self, event: Any = None) -> None:
        viewer = self._viewer()
        if viewer is not None:
            self.prompts.fit_to_zoom(viewer)

    def match(self, event: Any = None) -> None:
        """Follow the image's transform."""
        self.prompts.match()
        self.preview.match()
        if self.results is not None:
            self.results.match()

    def _on_new_image(self, event: Any) -> None:
        """Begin anew: the session knows an image that is there no more."""
        show_info(
            f"The image of “{self.image.name}” has changed: segmentation begins afresh. Accepted "
            "objects stay in their layer."
        )
        self._drop_asked()
        self._skipped.clear()
        self.session = self.results = None
        self.prompts.write(())
        self.preview.clear()
        self.open()

    # Asking and answering

    def open(self) -> None:
        """Have the worker open the session, and the model if need be."""
        self.trouble = None
        work = partial(self._engine.open, image_of(self.image), self.image.rgb)
        self._worker.submit("open", work, self._on_opened, self._on_unopened)
        self.changed.emit()

    @property
    def _latest(self) -> Prompts:
        """The prompts as the user last left them."""
        if self._asked:
            return self._asked[-1]
        return self.session.prompts if self.session is not None else ()

    def _on_opened(self, session: Session) -> None:
        self.session = session
        session.value_propagation, session.threshold = self.value_propagation, self.threshold
        if self._asked:
            self._ask(self._asked.pop())
        self.opened.emit()
        self.changed.emit()

    def _on_unopened(self, error: Exception) -> None:
        self.trouble = error if isinstance(error, PvpuError) else PvpuError(repr(error))
        self._tell(error)
        self.changed.emit()

    def _on_edit(self) -> None:
        prompts = self.prompts.read()
        if prompts != self._latest:
            self._ask(prompts)

    def _ask(self, prompts: Prompts) -> None:
        """Have the prompts answered; whatever was asked before is no longer wanted."""
        if self.session is not None:
            self._hint_at_zoom()
            try:
                request = self.session.request(prompts, value_propagation=self.value_propagation)
            except PvpuError as error:
                self.prompts.write(self._latest)
                self._tell(error)
                return
            self._ticket += 1
            self._worker.submit(
                "predict",
                partial(self.session.compute, request),
                partial(self._on_answer, self._ticket),
                partial(self._on_no_answer, self._ticket),
                patience=PATIENCE,
            )
        self._asked.append(prompts)
        self.changed.emit()

    def _on_answer(self, ticket: int, prediction: Any) -> None:
        if ticket != self._ticket or self.session is None:
            return
        if self._asked[-1] != self.session.prompts:
            self._skipped[self._asked[-1]] = self._asked[:-1]
        self._asked.clear()
        self.session.commit(prediction)  # nothing happens if the console has been faster
        self.refresh()

    def _on_no_answer(self, ticket: int, error: Exception) -> None:
        if ticket == self._ticket:
            self._asked.clear()
            self._tell(error)
            self.refresh()

    def _drop_asked(self) -> None:
        """Forget what is not answered yet; an answer on its way will find no taker."""
        self._asked.clear()
        self._ticket += 1

    # Steps

    def add(self, prompt: Prompt) -> None:
        """Add a prompt as if the user had drawn it."""
        self.prompts.add(prompt)

    def undo(self) -> None:
        """Take back the last edit, acceptance or reset."""
        unanswered = self._asked and (self.session is None or self._latest != self.session.prompts)
        if unanswered:
            self._asked.pop()
            self._ticket += 1
            self.prompts.write(self._latest)
            if self._asked:
                self._ask(self._asked.pop())
            self.changed.emit()
        elif self.session is not None:
            self._drop_asked()
            self.session.value_propagation = self.value_propagation  # may be on its way
            known = self.session.prompts
            self.session.undo()
            self._take_settings()
            changed = self.session.prompts != known
            skipped = self._skipped.pop(known, []) if changed else []
            if skipped:
                # One answer served several quick edits: only the last of them is taken back.
                self._asked = skipped[:-1]
                self.prompts.write(skipped[-1])
                self._ask(skipped[-1])
            else:
                self.refresh()

    def redo(self) -> None:
        """Make the step last undone again."""
        if self.can_redo and self.session is not None:
            self.session.redo()
            self._take_settings()
            self.refresh()

    def reset(self) -> None:
        """Drop the current object; this can be undone."""
        self._drop_asked()
        if self.session is not None:
            self.session.reset()
        self.refresh()

    def accept(self) -> int | None:
        """Keep the current object; return its id, or None after telling why not."""
        if self.session is None:
            return None
        try:
            object_id = self.session.accept()
        except PvpuError as error:
            show_info(_sentence(error))
            return None
        self._skipped.clear()
        self.refresh()
        return object_id

    # Settings

    def set_value_propagation(self, on: bool) -> None:
        """Turn the EM switch; the mask follows as soon as the worker has computed it."""
        self.value_propagation = on
        if self._latest:
            prompts = self._asked.pop() if self._asked else self._latest
            self._ask(prompts)
        elif self.session is not None:
            self.session.value_propagation = on

    def set_threshold(self, threshold: float) -> None:
        """Set the probability above which a pixel belongs to the object."""
        self.threshold = threshold
        if self.session is not None and threshold != self.session.threshold:
            self.session.threshold = threshold
            self.refresh()

    # Showing

    def follow(self) -> None:
        """Show what has been done to the session behind our back, from the console."""
        if self.session is not None and self.session.last_change is not self._known_change:
            self._take_settings()
            self._drop_asked()
            self.refresh()

    def _take_settings(self) -> None:
        """Take the settings from the session, whose steps they may have been."""
        assert self.session is not None
        self.value_propagation = self.session.value_propagation
        self.threshold = self.session.threshold

    def refresh(self) -> None:
        """Bring all layers to the session's state."""
        if self.session is not None:
            region = self.session.region
            self._known_change = self.session.last_change
            self.preview.show(region.mask, region.row, region.col)
            self._write_results()
        if self.prompts.read() != self._latest:
            self.prompts.write(self._latest)
        self.changed.emit()

    def _write_results(self) -> None:
        assert self.session is not None
        objects = self.session.objects
        if self.results is None and objects:
            self._add_results()
        if self.results is not None:
            boxes = {object_id: record.box for object_id, record in objects.items()}
            self.results.update(self.session.labels, boxes)

    def _add_results(self) -> None:
        viewer = self._viewer()
        if viewer is None:
            return
        extent = self.image.extent.data
        height, width = (int(side) for side in (extent[1] - extent[0] + 1).round())
        self.results = Results(self.image, (height, width))
        above = viewer.layers.index(self.image) + 1 if self.image in viewer.layers else None
        viewer.layers.insert(len(viewer.layers) if above is None else above, self.results.layer)

    def _hint_at_zoom(self) -> None:
        viewer = self._viewer()
        if viewer is not None and self.session is not None:
            self.session.canvas_extent = visible_extent(viewer, self.image)

    def _tell(self, error: Exception) -> None:
        if isinstance(error, PvpuError):
            show_warning(_sentence(error))
        else:
            LOGGER.error("unexpected error while segmenting", exc_info=error)
            show_error(f"Something unexpected went wrong ({error!r}); nothing accepted is lost.")


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]
