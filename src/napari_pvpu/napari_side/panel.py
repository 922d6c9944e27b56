"""The dock panel "Segment": buttons and lines of text around a controller, nothing else."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, QSignalBlocker, QSize, Qt
from qtpy.QtGui import QColor, QKeySequence
from qtpy.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QLabeledDoubleSlider, QToggleSwitch

from napari_pvpu.export import FORMATS
from napari_pvpu.napari_side import attach
from napari_pvpu.napari_side.controller import KEYS, Tool
from napari_pvpu.napari_side.engine import bundled_models
from napari_pvpu.napari_side.exporting import file_filters
from napari_pvpu.napari_side.hints import measured, next_step
from napari_pvpu.napari_side.icons import draw_icon
from napari_pvpu.napari_side.prompt_rows import COLORS, NEGATIVE, POSITIVE
from napari_pvpu.napari_side.sections import HistorySection, ImageSection, MaskSection, folding

if TYPE_CHECKING:
    from qtpy.QtGui import QCloseEvent

__all__ = ["Panel"]

NARROWEST = 260
SPREAD = "Spread corrections (EM)"
OTHER_WEIGHTS = "Other weights…"

TOOLS = (
    (Tool.CLICK, "Click", "use_clicks", "Click on the object, or on what is not part of it"),
    (Tool.BOX, "Box", "use_boxes", "Drag a box around the object"),
    (Tool.SCRIBBLE, "Scribble", "use_scribbles", "Draw a line along the object"),
)
EDITS = (
    ("open_at_cursor", "Open under the mouse"),
    ("split_object", "Split along a line"),
    ("fill_holes", "Fill holes"),
    ("smooth_object", "Smooth"),
    ("grow_object", "Grow by a pixel"),
    ("shrink_object", "Shrink by a pixel"),
    ("delete_object", "Delete"),
)
ON_POSITIVE, ON_NEGATIVE = "#ffffff", "#1c1208"
"""Colours of text on the polarities' own, for contrast."""

STYLE = """
QPushButton:checked {{ background-color: {current}; }}
QPushButton#positive:checked {{ background-color: {positive}; color: {on_positive}; }}
QPushButton#negative:checked {{ background-color: {negative}; color: {on_negative}; }}
QPushButton#accept {{ padding: 7px; font-weight: bold; }}
QPushButton#accept:enabled {{ background-color: {current}; }}
QPushButton#accept:enabled:hover {{ background-color: {highlight}; }}
QPushButton#fold, QPushButton#fold:checked {{
    background: transparent; text-align: left; padding: 2px;
}}
QPushButton#fold:hover {{ background-color: {foreground}; }}
QLabel#hint {{
    background-color: {foreground}; border-left: 3px solid {current};
    border-radius: 2px; padding: 6px;
}}
"""


class Panel(QWidget):
    """Everything needed to segment, usable at a width of 260 pixels.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        napari passes it because of the parameter's name.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self._docked = self._is_shut = False
        self.controller = attach(napari_viewer)
        self._build()
        self._connect()
        self._on_theme()
        self._render()

    # Building

    def _build(self) -> None:
        self.setMinimumWidth(NARROWEST)
        self.image = self._combo("Image layer to segment")
        self.image.setPlaceholderText("none")
        self.model = self._combo("Network that finds the objects")
        self.tools = {tool: self._button(*row) for tool, *row in TOOLS}
        self.positive = self._button(
            "Positive", "toggle_polarity", "Marks say: this is part of the object"
        )
        self.negative = self._button(
            "Negative",
            "toggle_polarity",
            "Marks say: this is not part of the object; Shift or Ctrl while drawing does the same",
        )
        self.propagation = QToggleSwitch()
        self.propagation.setAccessibleName(SPREAD)
        self.propagation.setToolTip(
            _tooltip(
                "A correction also reaches what looks like the corrected place",
                "toggle_value_propagation",
            )
        )
        self.threshold = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.threshold.setRange(0.05, 0.95)
        self.threshold.setSingleStep(0.01)  # type: ignore[arg-type]  # its stubs are the int slider's
        self.threshold.setDecimals(2)
        self.threshold.setToolTip("Lower: larger object. Higher: smaller object.")
        self.accept = self._button("Accept object", "accept", "Keep this object, begin the next")
        self.undo = self._button("Undo", "undo", "Take the last step back")
        self.redo = self._button("Redo", "redo", "Make it again")
        self.reset = self._button("Reset", "reset", "Drop this object and its prompts")
        self.edit = QPushButton("Edit object")
        self.edit.setToolTip(
            "Alt+click on an object opens it for correction; Alt+Shift+click on another one merges "
            "the two"
        )
        self.edit.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.edit.setMenu(self._edit_menu())
        self.export = QPushButton("Export")
        self.export.setToolTip("Write the accepted objects to a file")
        self.export.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.export.setMenu(self._export_menu())
        self._build_resuming()
        self.seen = ImageSection(self.controller)
        self.mask = MaskSection(self.controller)
        self.history = HistorySection(self.controller)
        self._folds = [
            folding(title, section)
            for title, section in (
                ("Axes and channels", self.seen),
                ("More about the mask", self.mask),
                ("History", self.history),
            )
        ]
        self.hint, self.measured = QLabel(), QLabel()
        self._name_parts()
        self._lay_out()

    def _combo(self, tooltip: str) -> QComboBox:
        combo = QComboBox()
        combo.setToolTip(tooltip)
        # Long layer names must not make the panel wide.
        combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        combo.setMinimumContentsLength(8)
        return combo

    def _button(self, text: str, action: str, tooltip: str) -> QPushButton:
        button = QPushButton(text)
        button.setToolTip(_tooltip(tooltip, action))
        # The keyboard stays with the canvas after a click on a button.
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return button

    def _build_resuming(self) -> None:
        self.earlier = QFrame()
        self.earlier_text = QLabel()
        self.earlier_text.setWordWrap(True)
        self.resume, self.dismiss = QPushButton("Resume"), QPushButton("Not now")
        self.resume.setToolTip("Go on with the earlier session: its objects, prompts and history")
        self.dismiss.setToolTip("Begin anew; the earlier session's file stays")
        layout = QVBoxLayout(self.earlier)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.earlier_text)
        layout.addLayout(_row(self.resume, self.dismiss))

    def _edit_menu(self) -> QMenu:
        menu = QMenu(self)
        self.edits = {}
        for action, text in EDITS:
            entry = menu.addAction(f"{text}\t{_shortcut(action)}")
            entry.triggered.connect(getattr(self.controller, action))
            self.edits[action] = entry
        return menu

    def _export_menu(self) -> QMenu:
        menu = QMenu(self)
        self.exports = {}
        for name, each in FORMATS.items():
            entry = menu.addAction(f"{each.title}…")
            entry.triggered.connect(partial(self._on_export, name))
            self.exports[name] = entry
        return menu

    def _name_parts(self) -> None:
        for name in ("positive", "negative", "accept", "hint", "measured"):
            getattr(self, name).setObjectName(name)
        groups = (list(self.tools.values()), [self.positive, self.negative])
        self._groups = [QButtonGroup(self) for _ in groups]
        for group, buttons in zip(self._groups, groups, strict=True):
            for button in buttons:
                button.setCheckable(True)
                button.setIconSize(QSize(16, 16))
                group.addButton(button)
        self.hint.setWordWrap(True)
        self.measured.setWordWrap(True)
        self.hint.setMinimumHeight(self.hint.fontMetrics().lineSpacing() * 4 + 12)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.hint.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Image", self.image)
        form.addRow("Model", self.model)
        switch = QHBoxLayout()
        switch.addWidget(QLabel(SPREAD), 1)
        switch.addWidget(self.propagation)
        threshold = QFormLayout()
        threshold.addRow("Threshold", self.threshold)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(5, 8, 5, 8)
        layout.setSpacing(6)
        layout.addLayout(form)
        layout.addWidget(self.earlier)
        layout.addWidget(self._folds[0])
        layout.addLayout(_row(*self.tools.values()))
        layout.addLayout(_row(self.positive, self.negative))
        layout.addSpacing(6)
        layout.addLayout(switch)
        layout.addLayout(threshold)
        layout.addWidget(self._folds[1])
        layout.addWidget(self.accept)
        layout.addLayout(_row(self.undo, self.redo, self.reset))
        layout.addLayout(_row(self.edit, self.export))
        layout.addWidget(self._folds[2])
        layout.addWidget(self.hint)
        layout.addWidget(self.measured)
        layout.addStretch(1)

    def _connect(self) -> None:
        controller = self.controller
        controller.changed.connect(self._render)
        for tool, _, action, _ in TOOLS:
            self.tools[tool].clicked.connect(getattr(controller, action))
        self.positive.clicked.connect(self._choose_positive)
        self.negative.clicked.connect(self._choose_negative)
        for action in ("accept", "undo", "redo", "reset"):
            getattr(self, action).clicked.connect(getattr(controller, action))
        self.resume.clicked.connect(self._on_resume)
        self.dismiss.clicked.connect(self._on_dismiss)
        self.propagation.toggled.connect(self._on_propagation)
        self.threshold.valueChanged.connect(self._on_threshold)
        self.image.activated.connect(self._on_image)
        self.model.activated.connect(self._on_model)
        viewer = controller.viewer
        if viewer is not None:
            viewer.events.theme.connect(self._on_theme)

    # What the user does

    def _on_resume(self) -> None:
        if self.controller.workspace is not None:
            self.controller.workspace.resume()

    def _on_dismiss(self) -> None:
        if self.controller.workspace is not None:
            self.controller.workspace.forget_earlier()

    def _choose_positive(self) -> None:
        self.controller.positive = True

    def _choose_negative(self) -> None:
        self.controller.positive = False

    def _on_propagation(self, on: bool) -> None:
        self.controller.value_propagation = on

    def _on_threshold(self, value: float) -> None:
        self.controller.threshold = value

    def _on_image(self, index: int) -> None:
        self.controller.image = self.controller.images[index]

    def _on_model(self, index: int) -> None:
        model = self.model.itemData(index)
        if model is None:
            model, _ = QFileDialog.getOpenFileName(
                self, "Weights of a model", "", "Weights (*.safetensors)"
            )
        if model:
            self.controller.model = model
        self._render()

    def _on_export(self, name: str, checked: bool = False) -> None:
        image = self.controller.image
        start = f"{image.name if image is not None else 'objects'}{FORMATS[name].suffixes[0]}"
        path, _ = QFileDialog.getSaveFileName(
            self, f"Export {FORMATS[name].title}", start, file_filters()[name]
        )
        if path:
            suffixes = FORMATS[name].suffixes
            path = path if path.lower().endswith(suffixes) else path + suffixes[0]
            self.controller.export(path, name)

    # Showing

    def _render(self) -> None:
        """Show the state of the controller."""
        controller = self.controller
        work, tool = controller.workspace, controller.tool
        images = controller.images
        index = images.index(controller.image) if controller.image in images else -1
        _fill(self.image, [(image.name, image.name) for image in images], index)
        self._render_models()
        _check(self._groups[0], self.tools[tool] if tool is not None else None)
        _check(self._groups[1], self.positive if controller.positive else self.negative)
        with QSignalBlocker(self.propagation), QSignalBlocker(self.threshold):
            self.propagation.setChecked(controller.value_propagation)
            self.threshold.setValue(controller.threshold)
        for button in self.tools.values():
            button.setEnabled(work is not None or controller.paused)
        self.accept.setEnabled(work is not None and work.has_object)
        self.reset.setEnabled(work is not None and work.has_object)
        self.undo.setEnabled(work is not None and work.can_undo)
        self.redo.setEnabled(work is not None and work.can_redo)
        self._render_earlier()
        self.edit.setEnabled(work is not None and (work.has_object or work.object_count > 0))
        self.export.setEnabled(
            work is not None and work.object_count > 0 and controller.exporting is None
        )
        for section in (self.seen, self.mask, self.history):
            section.render_state()
        self.hint.setText(next_step(controller))
        self.measured.setText(measured(controller))

    def _render_earlier(self) -> None:
        work = self.controller.workspace
        earlier = work.earlier if work is not None else None
        self.earlier.setVisible(earlier is not None)
        if earlier is not None:
            count = earlier.objects
            self.earlier_text.setText(
                f"This image was worked on before, until {earlier.left:%d %B %Y %H:%M} ({count} "
                f"object{'s' if count != 1 else ''})."
            )

    def _render_models(self) -> None:
        current = self.controller.model
        names = [*bundled_models()]
        if current not in names:
            names.append(current)
        rows: list[tuple[str, str | None]] = [(Path(name).stem, name) for name in names]
        _fill(self.model, [*rows, (OTHER_WEIGHTS, None)], names.index(current))

    def _on_theme(self, event: Any = None) -> None:
        viewer = self.controller.viewer
        if viewer is None:
            return
        theme = get_theme(viewer.theme)
        colors = {
            name: getattr(theme, name).as_hex()
            for name in ("current", "highlight", "foreground", "secondary", "text")
        }
        self.setStyleSheet(
            STYLE.format(
                positive=COLORS[POSITIVE],
                negative=COLORS[NEGATIVE],
                on_positive=ON_POSITIVE,
                on_negative=ON_NEGATIVE,
                **colors,
            )
        )
        # The switch paints itself and knows nothing of style sheets.
        self.propagation.onColor = QColor(colors["current"])
        self.propagation.offColor = QColor(colors["secondary"])
        self.propagation.handleColor = QColor(colors["text"])
        for tool, name in ((Tool.CLICK, "click"), (Tool.BOX, "box"), (Tool.SCRIBBLE, "scribble")):
            self.tools[tool].setIcon(draw_icon(name, colors["text"]))
        for fold in self._folds:
            fold.setExpandedIcon(draw_icon("unfolded", colors["text"]))
            fold.setCollapsedIcon(draw_icon("folded", colors["text"]))
        self.positive.setIcon(draw_icon("plus", colors["text"], ON_POSITIVE))
        self.negative.setIcon(draw_icon("minus", colors["text"], ON_NEGATIVE))

    # The end

    def event(self, event: QEvent) -> bool:
        """Notice being taken out of the dock, which is how napari closes a panel."""
        if event.type() == QEvent.Type.ParentChange:
            if self._docked and self.parent() is None:
                self._shut()
                self.deleteLater()  # napari leaves it lying about
            self._docked = self.parent() is not None
        return super().event(event)

    def closeEvent(self, event: QCloseEvent) -> None:
        self._shut()
        super().closeEvent(event)

    def _shut(self) -> None:
        if self._is_shut:
            return
        self._is_shut = True
        viewer = self.controller.viewer
        if viewer is not None:
            viewer.events.theme.disconnect(self._on_theme)
        self.controller.changed.disconnect(self._render)
        self.controller.close()


def _row(*buttons: QPushButton) -> QHBoxLayout:
    layout = QHBoxLayout()
    layout.setSpacing(4)
    for button in buttons:
        layout.addWidget(button, 1)
    return layout


def _fill(combo: QComboBox, rows: list[tuple[str, Any]], index: int) -> None:
    """Show these (text, data) rows with one of them chosen, without any signal."""
    with QSignalBlocker(combo):
        if rows != [(combo.itemText(i), combo.itemData(i)) for i in range(combo.count())]:
            combo.clear()
            for text, data in rows:
                combo.addItem(text, data)
        combo.setCurrentIndex(index)


def _check(group: QButtonGroup, button: QPushButton | None) -> None:
    """Press one button of a group, or none."""
    group.setExclusive(False)
    for other in group.buttons():
        other.setChecked(other is button)
    group.setExclusive(True)


def _tooltip(text: str, action: str) -> str:
    return f"{text} ({_shortcut(action)})"


def _shortcut(action: str) -> str:
    keys = KEYS[action].replace("Control", "Ctrl").replace("-", "+")
    return QKeySequence.fromString(keys).toString(QKeySequence.SequenceFormat.NativeText)
