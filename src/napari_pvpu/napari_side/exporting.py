"""From a session to a file: what is written, in which format, with which scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pvpu.axes import Layout
from napari_pvpu.errors import ExportError
from napari_pvpu.napari_side.layer_axes import spacing_of_layer

if TYPE_CHECKING:
    from napari_pvpu.napari_side.workspace import Workspace

__all__ = ["Export", "file_filters", "prepare"]


@dataclass(frozen=True, slots=True, eq=False)
class Export:
    """All that is needed to write a session's labels; `write` may run in any thread."""

    path: str
    format_name: str
    labels: Any
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

        options: dict[str, Any] = {}
        if self.format_name == "csv":
            options = {"image": self.image[0], "channel_axis": self.image[1]}
        export_labels(self.path, self.labels, format_name=self.format_name, **options, **self.about)
        return len(self.about["objects"])


def prepare(workspace: Workspace, path: str, format_name: str | None = None) -> Export:
    """Take down what a file is to hold, so that the session may go on while it is written.

    Raises
    ------
    ExportError
        If there is nothing to export, or the file's name tells no format.
    """
    from napari_pvpu.export import ObjectDetails, format_of

    session, frame, image = workspace.session, workspace.frame, workspace.image
    if session is None or not session.objects:
        raise ExportError("there is no object to export; accept one first")
    spacing = spacing_of_layer(image, frame.axes)
    axes = frame.plane_axes + "YX"
    objects = {
        object_id: ObjectDetails(score=record.score, prompts=len(record.prompts) or None)
        for object_id, record in session.objects.items()
    }
    about = {
        "axes": axes,
        "scale": [spacing.size(axis) for axis in axes],
        "units": [spacing.unit(axis) for axis in axes],
        "objects": objects,
        "name": image.name,
    }
    return Export(
        path, format_name or format_of(path), np.array(session.labels), _pixels(workspace), about
    )


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
