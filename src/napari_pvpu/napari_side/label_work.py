"""What can be done with Labels layers of others: take their objects over, or keep off them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np
from napari.layers import Labels
from napari.utils.notifications import show_info

from napari_pvpu.errors import PvpuError, SessionError
from napari_pvpu.napari_side.picking import ObjectScan
from napari_pvpu.napari_side.steps import Steps
from napari_pvpu.napari_side.telling import tell

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_pvpu.napari_side.picking import Found, Picked
    from napari_pvpu.napari_side.workspace import Workspace
    from napari_pvpu.session import Session

__all__ = ["LabelWork"]

LARGEST = 65535
"""Number of an object that every layer of ours can hold."""


class LabelWork(Steps):
    """Steps that take up labels from elsewhere; see `Stage` for the parameters."""

    def __init__(self, viewer: Any) -> None:
        super().__init__(viewer)
        self._told_of: WeakSet[Labels] = WeakSet()
        """Layers of which the user knows that they are copied."""

    def adopt(self, layer: Labels | None = None) -> None:
        """Begin with a copy of all objects of a Labels layer; they keep their ids.

        The layer stays as it is, also one that cannot be painted on (read-only, dask, several
        scales). napari goes on while they are read.

        Parameters
        ----------
        layer : napari.layers.Labels, optional
            Of the image's size; by default the one that is selected, or the only one.
        """
        self._adopt(layer)
        self.wait()

    def _adopt(self, layer: Labels | None) -> None:
        self.wait()
        workspace = self._workspace
        if workspace is None:
            return
        try:
            labels = self._labels_of(layer, workspace)
            session = workspace.session
            if session is not None and (session.objects or session.history or workspace.has_object):
                raise SessionError(
                    "objects are adopted when a session begins; Alt+click takes single ones over, "
                    "and undoing all steps makes room for a new beginning"
                )
        except SessionError as error:
            tell(error)
            return
        workspace.begin_with(labels)
        self._tell_of_copy(self._chosen(layer))

    def adopt_labels(self) -> None:
        """Begin with a copy of the objects of the Labels layer that is selected, or only one."""
        self._adopt(None)

    def keep_off_labels(self) -> None:
        """Have objects leave out what is labelled in the selected, or only, Labels layer."""
        self.keep_off()

    def keep_off(self, layer: Labels | None = None) -> None:
        """Have no object gain pixels that are labelled in another layer as it now is.

        Called again for the same layer, it ends that.

        Parameters
        ----------
        layer : napari.layers.Labels, optional
            Of the image's size; by default the one that is selected, or the only one.
        """
        self.wait()
        workspace = self._workspace
        if workspace is None or workspace.session is None:
            return
        try:
            labels = self._labels_of(layer, workspace)
        except SessionError as error:
            tell(error)
            return
        name = self._chosen(layer).name
        if workspace.kept_off == name:
            workspace.kept_off = None
            workspace.perform(lambda session: session.keep_off(None))
            show_info(f"Objects may cover what is labelled in “{name}” again.")
            return
        shape = (*workspace.session.plane_shape, *workspace.session.shape)
        # Reading may take long, for instance of labels that dask computes.
        self._worker.submit(
            "keep off",
            partial(_barred, labels, shape),
            partial(self._on_barred, workspace, workspace.session, name),
            tell,
        )

    def _tell_of_copy(self, layer: Labels) -> None:
        """Tell, once, that labels which cannot be changed are not."""
        if _can_be_changed(layer) or layer in self._told_of:
            return
        self._told_of.add(layer)
        show_info(
            f"“{layer.name}” cannot be changed and stays as it is; what you change goes into our "
            "own layer of objects, as a copy."
        )

    def _take_label(self, picked: Picked, workspace: Workspace) -> None:
        """Open an object of somebody else's labels as soon as it is found."""
        plane, session = workspace.frame.plane, workspace.session
        try:
            scan = ObjectScan(picked, workspace.frame)
            quickly = scan.find() if scan.quick else None
        except PvpuError as error:
            tell(error)
            return

        def take(found: Found | None) -> None:
            if (
                found is None
                or workspace is not self._workspace
                or workspace.session is not session
            ):
                return
            if workspace.frame.plane == plane:
                told = workspace.perform(lambda session: _open_found(session, picked, found))
                if told is not None:
                    self._tell_of_copy(picked.layer)
                    if told:
                        show_info(told)
                self.changed.emit()
            else:
                show_info(
                    f"Object {picked.object_id} of “{picked.layer.name}” was found when another "
                    "plane was at work; go back and Alt+click on it again."
                )

        if scan.quick:
            take(quickly)
            return
        self._worker.submit(
            "label", scan.find, take, tell, cancel=scan.stop, progress=lambda: scan.progress
        )

    @property
    def kept_off(self) -> str | None:
        """Name of the layer whose labels objects keep off; None if they keep off nothing."""
        return self._workspace.kept_off if self._workspace is not None else None

    def _on_barred(self, workspace: Workspace, session: Session, name: str, barred: Any) -> None:
        if workspace.session is session:
            workspace.kept_off = name
            workspace.perform(lambda session: session.keep_off(barred))
            show_info(f"Objects now leave out what is labelled in “{name}”.")

    def _labels_of(self, layer: Labels | None, workspace: Workspace) -> Any:
        """Return the labels of a layer, plane axes first, if they fit the image.

        Raises
        ------
        SessionError
            If not, or if there is no such layer.
        """
        layer, frame = self._chosen(layer), workspace.frame
        data: Any = layer.data[0] if layer.multiscale else layer.data
        shape = frame.grid.lengths
        if tuple(data.shape) == shape:
            return data
        if tuple(data.shape) == frame.layer_shape:  # with an axis for the channels, or turned
            return TurnedLabels(data, frame.places)
        raise SessionError(
            f"“{layer.name}” has labels of shape {tuple(data.shape)}, and the planes of "
            f"“{workspace.image.name}” give {shape}; Alt+click takes over single objects of labels "
            "of any size"
        )

    def _chosen(self, layer: Any) -> Labels:
        """Return the Labels layer that is meant, or raise."""
        layer = getattr(layer, "__wrapped__", layer)  # napari hands plugins proxies
        if isinstance(layer, Labels):
            return layer
        if layer is not None:
            kind = type(layer).__name__
            raise SessionError(f"“{layer.name}” is of the kind {kind}; choose a Labels layer")
        viewer, ours = self._viewer(), set()
        for work in self._workspaces.values():
            ours |= {*work.layers, *([work.results.layer] if work.results is not None else [])}
        layers = viewer.layers if viewer is not None else ()
        theirs = [each for each in layers if isinstance(each, Labels) and each not in ours]
        selected = [each for each in theirs if viewer and each in viewer.layers.selection]
        found = selected or theirs
        if len(found) == 1:
            return found[0]
        raise SessionError(
            "select the Labels layer that is meant in the layer list"
            if theirs
            else "there is no Labels layer but ours; open or make one first"
        )


def _open_found(session: Session, picked: Picked, found: Found) -> str:
    """Take up a mask from elsewhere, under the number that it has there if that is free here.

    Returns
    -------
    str
        What the user should know of the number, nothing if it stays.
    """
    mask, offset = found
    number, told = picked.object_id, ""
    if number in session.objects:
        told = f"there is an object {number} already"
    elif number > LARGEST:
        told = f"numbers here end at {LARGEST}"
    if told:
        number = session.next_id
        told = (
            f"Object {picked.object_id} of “{picked.layer.name}” becomes object {number}: {told}."
        )
    session.open_mask(mask, number, offset=offset)
    return told


def _can_be_changed(layer: Labels) -> bool:
    """Tell whether somebody could paint on a layer."""
    data: Any = layer.data
    return not layer.multiscale and isinstance(data, np.ndarray) and bool(data.flags.writeable)


class TurnedLabels:
    """Labels of a layer with the axes of the image's planes first, turned when they are read.

    Parameters
    ----------
    labels : array-like
        As the layer has them.
    places : tuple of int
        Axes of the layer, in the order in which they are wanted; the others have one pixel.
    """

    def __init__(self, labels: Any, places: tuple[int, ...]) -> None:
        self._labels, self._places = labels, places
        self.shape = tuple(int(labels.shape[axis]) for axis in places)
        self.ndim, self.dtype = len(places), np.dtype(labels.dtype)

    def __getitem__(self, index: Any) -> npt.NDArray[Any]:
        index = index if isinstance(index, tuple) else (index,)
        index += (slice(None),) * (self.ndim - len(index))
        asked: list[Any] = [0] * len(self._labels.shape)
        for axis, part in zip(self._places, index, strict=True):
            asked[axis] = part
        kept = [axis for axis in self._places if isinstance(asked[axis], slice)]
        order = [sorted(kept).index(axis) for axis in kept]
        return np.asarray(self._labels[tuple(asked)]).transpose(order)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self[()], dtype)


def _barred(labels: Any, shape: tuple[int, ...]) -> Any:
    """Return where labels are not 0; for the worker's thread, which loads what it takes."""
    from napari_pvpu.keeping_off import barred_pixels

    return barred_pixels(labels, shape)
