"""From a session to a file: what is written, in which format, with which scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_pvpu.axes import Layout
from napari_pvpu.errors import ExportError
from napari_pvpu.napari_side.layer_axes import spacing_of_layer

if TYPE_CHECKING:
    from napari_pvpu.export import ObjectDetails
    from napari_pvpu.napari_side.workspace import Workspace
    from napari_pvpu.session import Session

__all__ = ["Export", "file_filters", "prepare"]


MOST_TRIES = 20
"""Times that labels are copied anew because they were changed in the meantime."""


@dataclass(frozen=True, slots=True, eq=False)
class Export:
    """All that is needed to write a session's labels; `write` may run in any thread."""

    path: str
    format_name: str
    session: Session
    image: Any
    about: dict[str, Any]

    def write(self) -> int:
        """Write the file; return the number of objects in it.

        Raises
        ------
        ExportError
            If it cannot be written.
        """
        from napari_pvpu.export import export_labels

        labels, objects = taken_down(self.session)
        options = self._pixels if self.format_name == "csv" else {}
        export_labels(
            self.path, labels, format_name=self.format_name, objects=objects, **options,
            **self.about,
        )  # fmt: skip
        return len(objects)

    def measure(self) -> dict[str, list[Any]]:
        """Return what a table of the objects would hold, see `napari_pvpu.export.measure`.

        Raises
        ------
        ExportError
            If they cannot be measured.
        """
        from napari_pvpu.export import measure

        labels, objects = taken_down(self.session)
        return measure(labels, objects=objects, **self._pixels, **self.about)

    @property
    def _pixels(self) -> dict[str, Any]:
        return {"image": self.image[0], "channel_axis": self.image[1]}


def taken_down(session: Session) -> tuple[Any, dict[int, ObjectDetails]]:
    """Return a copy of a session's labels with what is known of each object, from any thread.

    The session may go on meanwhile: what was changed while it was copied is copied anew.

    Raises
    ------
    ExportError
        If it is changed faster than it can be copied.
    """
    from napari_pvpu.export import ObjectDetails

    for _ in range(MOST_TRIES):
        done = len(session.operations)
        try:
            objects = {
                object_id: ObjectDetails(score=record.score, prompts=len(record.prompts) or None)
                for object_id, record in session.objects.items()
            }
        except RuntimeError:  # changed its size
            continue
        labels = session.labels.copy()
        if len(session.operations) == done:
            return labels, objects
    raise ExportError("objects change faster than they can be copied; export again in a moment")


def prepare(
    workspace: Workspace, path: str, format_name: str | None = None, *, empty: bool = False
) -> Export:
    """Take down what a file is to hold, so that the session may go on while it is written.

    Parameters
    ----------
    workspace : Workspace
        With the session and its image.
    path : str
        Of the file.
    format_name : str, optional
        One of `FORMATS`; by default told by the path.
    empty : bool
        Whether a file without any object is wanted, too.

    Raises
    ------
    ExportError
        If there is nothing to export, or the file's name tells no format.
    """
    from napari_pvpu.export import format_of

    session, frame, image = workspace.session, workspace.frame, workspace.image
    if session is None or not (session.objects or empty):
        raise ExportError("there is no object to export; accept one first")
    spacing = spacing_of_layer(image, frame.axes)
    axes = frame.plane_axes + "YX"
    about = {
        "axes": axes,
        "scale": [spacing.size(axis) for axis in axes],
        "units": [spacing.unit(axis) for axis in axes],
        "name": image.name,
    }
    return Export(path, format_name or format_of(path), session, _pixels(workspace), about)


def file_filters() -> dict[str, str]:
    """Return the line of a file dialog for each format."""
    from napari_pvpu.export import FORMATS

    return {
        each.name: f"{each.title} ({' '.join(f'*{suffix}' for suffix in each.suffixes)})"
        for each in FORMATS.values()
    }


def _pixels(workspace: Workspace) -> tuple[Any, int | None]:
    """Return the image with its planes first, and where its channels are."""
    image = workspace.image
    full = image.data[0] if image.multiscale else image.data
    layout = Layout(workspace.frame.axes)
    order = [*layout.planes, layout.rows, layout.cols]
    if layout.channel is not None:
        order.append(layout.channel)
    pixels = full if order == sorted(order) else full.transpose(order)
    return pixels, None if layout.channel is None else -1
