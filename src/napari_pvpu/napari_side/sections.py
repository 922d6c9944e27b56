"""Parts of the panel that fold away: how the image is seen, the mask's settings, the history."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible, QLabeledDoubleSlider, QLabeledSlider

from napari_pvpu.errors import ImageError
from napari_pvpu.napari_side.engine import Look
from napari_pvpu.napari_side.overlay_layers import HINT, PROBABILITY, UNCERTAINTY
from napari_pvpu.napari_side.telling import tell

if TYPE_CHECKING:
    from napari_pvpu.napari_side.controller import Controller

__all__ = ["HistorySection", "ImageSection", "MaskSection", "folding"]

PROJECTIONS = {"mean": "mean of all", "max": "maximum", "first three": "first three"}
OVERLAPS = {
    "keep": "older object's",
    "overwrite": "newer object's",
    "ask": "ask each time",
}
SHOWN = {
    PROBABILITY: ("Show probability", "How sure the network is that a pixel is the object's"),
    UNCERTAINTY: ("Show uncertainty", "Bright where the network cannot decide"),
    HINT: ("Show where to click next", "A ring where a mark would tell most: blue for positive"),
}
"""What can be shown over the object, with a tooltip."""
MOST_SHOWN = 200
"""Steps that the list of the history shows, the newest."""
LIST_HEIGHT = 130


def folding(title: str, content: QWidget) -> QCollapsible:
    """Put a widget under a title that folds it away, folded at first."""
    section = QCollapsible(title)
    section.setDuration(0)
    section.addWidget(content)
    section.layout().setContentsMargins(0, 0, 0, 0)
    section.toggleButton().setObjectName("fold")
    section.toggleButton().setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return section


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


class MaskSection(QWidget):
    """Settings of the mask that need no network, and whose contested pixels are."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self.smoothing = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.smoothing.setRange(0.0, 10.0)
        self.smoothing.setSingleStep(0.1)  # type: ignore[arg-type]  # its stubs are the int slider's
        self.smoothing.setDecimals(1)
        self.smoothing.setToolTip("Make the outline even, at this many pixels")
        self.min_size = QLabeledSlider(Qt.Orientation.Horizontal)
        self.min_size.setRange(0, 1000)
        self.min_size.setToolTip("Leave out parts of fewer pixels; the largest always stays")
        self.overlap = QComboBox()
        for name, text in OVERLAPS.items():
            self.overlap.addItem(text, name)
        self.overlap.setToolTip("Whose a pixel is that two objects claim")
        self.overlap.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.overlap.setMinimumContentsLength(6)
        self.overlays = {name: QCheckBox(text) for name, (text, _) in SHOWN.items()}
        self.best = QPushButton("Return to best mask")
        self.best.setToolTip("Take the mask, so far, that agrees best with all marks")
        self.best.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Smoothing", self.smoothing)
        form.addRow("Smallest part", self.min_size)
        form.addRow("Shared pixels", self.overlap)
        for name, box in self.overlays.items():
            box.setToolTip(SHOWN[name][1])
            box.toggled.connect(partial(controller.show_overlay, name))
            form.addRow(box)
        form.addRow(self.best)
        self.best.clicked.connect(controller.return_to_best)
        self.smoothing.valueChanged.connect(self._on_smoothing)
        self.min_size.valueChanged.connect(self._on_min_size)
        self.overlap.activated.connect(self._on_overlap)

    def render_state(self) -> None:
        """Show the state of the controller."""
        controller = self._controller
        with QSignalBlocker(self.smoothing), QSignalBlocker(self.min_size):
            self.smoothing.setValue(controller.smoothing)
            self.min_size.setValue(controller.min_size)
        self.overlap.setCurrentIndex(self.overlap.findData(controller.overlap))
        for name, box in self.overlays.items():
            with QSignalBlocker(box):
                box.setChecked(controller.overlay(name))
            box.setEnabled(controller.workspace is not None)
        work = controller.workspace
        self.best.setEnabled(work is not None and work.has_object)

    def _on_smoothing(self, value: float) -> None:
        self._controller.smoothing = value

    def _on_min_size(self, value: int) -> None:
        self._controller.min_size = value

    def _on_overlap(self, index: int) -> None:
        self._controller.overlap = self.overlap.itemData(index)


class HistorySection(QWidget):
    """Every step so far; a click on one goes there."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self._shown: tuple[tuple[str, ...], int] = ((), 0)
        self.steps = QListWidget()
        self.steps.setFixedHeight(LIST_HEIGHT)
        self.steps.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.steps.setToolTip("Click on a step to go back, or forth, to where it was just done")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.steps)
        self.steps.itemClicked.connect(self._on_item)
        self.steps.addItem(_step("Beginning", 0))

    def render_state(self) -> None:
        """Show the state of the controller."""
        titles, position = self._controller.history, self._controller.history_position
        if (titles, position) == self._shown:
            return
        self._shown = (titles, position)
        first = max(len(titles) - MOST_SHOWN, 0)
        with QSignalBlocker(self.steps):
            self.steps.clear()
            if first == 0:
                self.steps.addItem(_step("Beginning", 0))
            for number, title in enumerate(titles[first:], start=first + 1):
                item = _step(title, number)
                if number > position:
                    item.setForeground(QColor("gray"))
                    item.setToolTip("Taken back")
                self.steps.addItem(item)
            row = position - first if first == 0 else position - first - 1
            self.steps.setCurrentRow(row)

    def _on_item(self, item: QListWidgetItem) -> None:
        self._controller.go_to(int(item.data(Qt.ItemDataRole.UserRole)))


def _step(title: str, position: int) -> QListWidgetItem:
    item = QListWidgetItem(title)
    item.setData(Qt.ItemDataRole.UserRole, position)
    return item


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
