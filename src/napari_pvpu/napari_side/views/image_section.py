"""How the network sees the image: which axes, which channels, with which contrast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QLineEdit, QWidget

from napari_pvpu.errors import ImageError
from napari_pvpu.napari_side.engine import Look
from napari_pvpu.napari_side.telling import tell

if TYPE_CHECKING:
    from napari_pvpu.napari_side.controller import Controller

__all__ = ["ImageSection"]

PROJECTIONS = {"mean": "mean of all", "max": "maximum", "first three": "first three"}


class ImageSection(QWidget):
    """What the axes of the image are, and how it is shown to the network."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self._shown: tuple[object, ...] | None = None
        self.axes, self.channels = QLineEdit(), QLineEdit()
        self.axes.setToolTip(
            "One letter for each axis of the image: Y and X are rows and columns, C its channels; "
            "T, Z and others have planes to go through"
        )
        self.channels.setToolTip("Numbers of the channels to use, such as 0, 2; empty for all")
        self.channels.setPlaceholderText("all")
        self.projection = QComboBox()
        for name, text in PROJECTIONS.items():
            self.projection.addItem(text, name)
        self.projection.setToolTip("The network sees three channels: what becomes of more")
        self.displayed = QCheckBox("Use contrast limits, gamma")
        self.displayed.setToolTip(
            "Segment the image as it is displayed: with the layer's contrast limits and gamma as "
            "they are now. Otherwise the range of its values is found."
        )
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Axes", self.axes)
        form.addRow("Channels", self.channels)
        form.addRow("4 or more", self.projection)
        form.addRow(self.displayed)
        self.axes.editingFinished.connect(self._apply)
        self.channels.editingFinished.connect(self._apply)
        self.projection.activated.connect(self._apply)
        self.displayed.clicked.connect(self._apply)

    def render_state(self) -> None:
        """Show the state of the controller."""
        workspace, look = self._controller.workspace, self._controller.look
        self.setEnabled(workspace is not None)
        frame = workspace.frame if workspace is not None else None
        state = (look, frame.axes if frame is not None else None)
        if state == self._shown:
            return  # a text being typed stays
        self._shown = state
        self.axes.setText(frame.axes if frame is not None else "")
        self.channels.setText(", ".join(map(str, look.channels or ())))
        many = frame is not None and frame.channel_count > 1
        self.channels.setEnabled(many)
        self.projection.setEnabled(frame is not None and frame.channel_count > 3)
        self.projection.setCurrentIndex(self.projection.findData(look.projection))
        self.displayed.setChecked(look.limits is not None)

    def _apply(self) -> None:
        workspace, image = self._controller.workspace, self._controller.image
        if workspace is None or image is None:
            return
        try:
            channels = _numbers(self.channels.text())
        except ImageError as error:
            tell(error)
            return
        axes = self.axes.text().strip().upper()
        look = self._controller.look
        as_displayed = self.displayed.isChecked()
        low, high = image.contrast_limits
        limits = look.limits if look.limits is not None else (float(low), float(high))
        wanted = Look(
            axes=look.axes if axes == workspace.frame.axes else axes,
            channels=channels,
            projection=str(self.projection.currentData()),
            limits=limits if as_displayed else None,
            gamma=(look.gamma if look.limits is not None else float(image.gamma))
            if as_displayed
            else 1.0,
        )
        self._shown = None  # what is refused is shown as it was
        if wanted != look:
            self._controller.look = wanted
        else:
            self.render_state()


def _numbers(text: str) -> tuple[int, ...] | None:
    words = text.replace(",", " ").split()
    if not words:
        return None
    try:
        return tuple(int(word) for word in words)
    except ValueError as error:
        raise ImageError(
            f"channels are whole numbers such as 0, 2, and not {text!r}; leave empty for all"
        ) from error
