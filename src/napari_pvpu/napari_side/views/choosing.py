"""Which image is segmented, by which network, and whether an earlier session is gone on with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QFrame,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_pvpu.napari_side.engine import bundled_models
from napari_pvpu.napari_side.views.widgets import combo, fill, row

if TYPE_CHECKING:
    from napari_pvpu.napari_side.controller import Controller

__all__ = ["OTHER_WEIGHTS", "Choosing", "EarlierSession"]

OTHER_WEIGHTS = "Other weights…"


class Choosing(QWidget):
    """The image and the model."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self.image = combo("Image layer to segment")
        self.image.setPlaceholderText("none")
        self.model = combo("Network that finds the objects")
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Image", self.image)
        form.addRow("Model", self.model)
        self.image.activated.connect(self._on_image)
        self.model.activated.connect(self._on_model)

    def render_state(self) -> None:
        """Show the state of the controller."""
        controller = self._controller
        images = controller.images
        index = images.index(controller.image) if controller.image in images else -1
        fill(self.image, [(image.name, image.name) for image in images], index)
        current, names = controller.model, bundled_models()
        if current not in names:
            names.append(current)
        rows: list[tuple[str, str | None]] = [(Path(name).stem, name) for name in names]
        fill(self.model, [*rows, (OTHER_WEIGHTS, None)], names.index(current))

    def _on_image(self, index: int) -> None:
        self._controller.image = self._controller.images[index]

    def _on_model(self, index: int) -> None:
        model = self.model.itemData(index)
        if model is None:
            model, _ = QFileDialog.getOpenFileName(
                self, "Weights of a model", "", "Weights (*.safetensors)"
            )
        if model:
            self._controller.model = model
        self.render_state()


class EarlierSession(QFrame):
    """An offer to go on with what was done to this image before; hidden if there is nothing."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.resume, self.dismiss = QPushButton("Resume"), QPushButton("Not now")
        self.resume.setToolTip("Go on with the earlier session: its objects, prompts and history")
        self.dismiss.setToolTip("Begin anew; the earlier session's file stays")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.text)
        layout.addLayout(row(self.resume, self.dismiss))
        self.resume.clicked.connect(self._on_resume)
        self.dismiss.clicked.connect(self._on_dismiss)

    def render_state(self) -> None:
        """Show the state of the controller."""
        earlier = self._controller.earlier
        self.setVisible(earlier is not None)
        if earlier is not None:
            done = f" ({earlier.summary})" if earlier.summary else ""
            why = f" To go on with it: {earlier.hindrance}." if earlier.hindrance else ""
            self.text.setText(
                f"This image was worked on before, until {earlier.left:%d %B %Y %H:%M}{done}.{why}"
            )
            self.resume.setVisible(not earlier.hindrance)

    def _on_resume(self) -> None:
        self._controller.resume()

    def _on_dismiss(self) -> None:
        self._controller.forget_earlier()
