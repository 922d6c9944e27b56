"""What is played in napari for the pictures of the guide: one function for each scene."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from napari.utils.notifications import notification_manager
from PIL import Image
from qtpy.QtCore import QPoint, QRect
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from scipy import ndimage
from skimage import filters

from napari_pvpu import Box, Click, Scribble, samples
from napari_pvpu.demo.recording import load_all

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW, LOWEST = (1240, 780), 600
QUIET_MS, TRIES = 60.0, 2
"""A machine that is busy with other things is given so many tries to answer as fast as this."""

BEGINNERS = "coins"
"""The sample on which the card with the first steps is shown."""

CONSOLE = (
    "from napari_pvpu import Box, Click, attach",
    "controller = attach(viewer)",
    "controller.add(Click((43, 334)))",
    "controller.wait(), controller.accept()",
    "controller.add(Box((28, 131), (74, 180)))",
    "controller.wait(), round(controller.session.score, 2)",
)
"""What is typed into napari's console."""

LEFT_BEHIND = """
import os

from napari_pvpu import Click, Segmenter, samples
from napari_pvpu.napari_side.journaling import sessions_folder
from napari_pvpu.session_files import begin_file

image = samples.load("coins").image
session = Segmenter("pvpu-nano").open(image)
begin_file(sessions_folder(), session, image)
for position in ((43, 334), (51, 155), (51, 215)):
    session.add(Click(position))
    session.accept()
os._exit(1)  # as if it had been killed
"""

SCENES: dict[str, Callable[[Path], None]] = {}


class Stage:
    """A viewer with the panel, and a camera.

    Parameters
    ----------
    out : Path
        Folder of the pictures.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self.viewer = napari.Viewer(show=False, show_welcome_screen=False)
        self.viewer.theme = "dark"
        _, self.panel = self.viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
        self.controller = self.panel.controller
        self.viewer.show()
        self.viewer.window.resize(*WINDOW)  # ignored before the window is shown
        self.rest()

    def open(self, name: str, zoom: tuple[float, float, float] | None = None) -> Any:
        """Show a sample; `zoom` is the (row, column) in the middle and how many times larger."""
        if name != BEGINNERS:
            self.panel.first_steps.dismiss.click()
        layer = self.viewer.add_image(samples.load(name).image, name=name)
        self.look(zoom)
        return layer

    def look(self, zoom: tuple[float, float, float] | None = None) -> None:
        """Turn the camera, then wait for the model."""
        self.rest()
        self.viewer.reset_view()
        if zoom is not None:
            row, col, factor = zoom
            self.viewer.scene.camera.center = (0.0, row, col)
            self.viewer.scene.camera.zoom *= factor
        self.wait()

    def add(self, *prompts: Any) -> None:
        """Give prompts, each answered before the next."""
        for prompt in prompts:
            self.controller.add(prompt)
            self.wait()

    def accept(self) -> None:
        """Keep the object at work."""
        self.controller.accept()
        self.wait()

    def play(self, recording: Any) -> None:
        """Do what was recorded, but for accepting the last object."""
        for number, one in enumerate(recording.objects):
            if number:
                self.accept()
            self.add(*one.prompts[:-1])
            self.add_in_peace(one.prompts[-1])

    def add_in_peace(self, prompt: Any) -> None:
        """Give a prompt anew until the machine had time for it: the panel tells what it took."""
        for _ in range(TRIES):
            self.add(prompt)
            timing = self.controller.session.last_timing
            if timing.encode_ms == 0 and timing.decode_ms < QUIET_MS:
                return
            self.controller.undo()
            self.wait()
        self.add(prompt)

    def wait(self) -> None:
        """Wait until everything is answered and drawn."""
        if not self.controller.wait(180):
            raise RuntimeError("no answer; is the machine overloaded?")
        self.rest()

    def rest(self, milliseconds: int = 300) -> None:
        """Let the window live for a while."""
        QTest.qWait(milliseconds)

    # The camera

    def quiet(self) -> None:
        """Put notices away that would hide the picture."""
        self.viewer.window._qt_window.statusBar()
        for dialog in self.viewer.window._qt_viewer.findChildren(_notification_class()):
            dialog.close()
        notification_manager.records.clear()
        self.rest(100)

    def window(self, name: str) -> None:
        """Take the whole window."""
        self.quiet()
        self._save(name, self.viewer.screenshot(canvas_only=False, flash=False))

    def canvas(self, name: str) -> None:
        """Take the canvas, without what is around it and around the image."""
        self.rest()
        picture = self.viewer.screenshot(canvas_only=True, flash=False)[..., :3]
        lit = picture.max(axis=2) > 0
        rows, cols = (np.flatnonzero(lit.any(axis=axis)) for axis in (1, 0))
        self._save(name, picture[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1])

    def panel_only(self, name: str) -> None:
        """Take the panel, as high as what is in it."""
        self.fit_height()
        self.panel_now(name)

    def panel_now(self, name: str) -> None:
        """Take the panel as it is at this moment."""
        picture = _pixels(self.panel.grab())
        background = picture[-1, 2]
        used = np.flatnonzero((np.abs(picture.astype(int) - background) > 6).any(axis=(1, 2)))
        self._save(name, picture[: used[-1] + 12])

    def fit_height(self) -> None:
        """Make the window as high as the panel needs it, so that nothing has to be scrolled."""
        self.viewer.window.resize(WINDOW[0], LOWEST)
        self.rest()
        hidden = self.panel.scrolled.verticalScrollBar().maximum()
        self.viewer.window.resize(WINDOW[0], LOWEST + hidden)
        self.rest()

    def unfold(self, name: str) -> None:
        """Unfold a part of the panel, and scroll to it."""
        fold = self.panel.folds[name]
        fold.expand(animate=False)
        self.rest()
        self.panel.scrolled.ensureWidgetVisible(fold.content(), 0, 20)
        self.rest()

    def fold_only(self, name: str) -> None:
        """Take a part of the panel that folds away."""
        self.unfold(name)
        self.rest(1000)  # for what is looked up when it is shown
        self._save(f"panel-fold-{name}", _pixels(self.panel.folds[name].grab()))
        self.panel.folds[name].collapse(animate=False)

    def menu_of(self, name: str, button: Any) -> None:
        """Take the panel with a button's menu open."""
        self.fit_height()
        menu = button.menu()
        corner = button.mapToGlobal(QPoint(0, button.height()))
        # Within the window, beside which the screen is black.
        last = _place(self.panel).right() - menu.sizeHint().width()
        menu.popup(QPoint(min(corner.x(), last), corner.y()))
        self.rest()
        seen = _place(self.panel).united(_place(menu).adjusted(-6, 0, 0, 6))
        seen.setBottom(_place(menu).bottom() + 1)  # above what is written below it
        grabbed = QApplication.primaryScreen().grabWindow(
            0, seen.x(), seen.y(), seen.width(), seen.height()
        )
        menu.close()
        self._save(name, _pixels(grabbed))

    def _save(self, name: str, picture: np.ndarray[Any, Any]) -> None:
        image = Image.fromarray(np.ascontiguousarray(picture[..., :3]))
        few = image.quantize(256, method=Image.Quantize.MAXCOVERAGE)
        palette = image.quantize(256, palette=few, dither=Image.Dither.FLOYDSTEINBERG)
        palette.save(self._out / f"{name}.png", optimize=True)


def scene(play: Callable[[Stage], None]) -> Callable[[Path], None]:
    """Make a function a scene of its own."""

    @wraps(play)
    def run(out: Path) -> None:
        stage = Stage(out)
        play(stage)
        stage.wait()
        stage.viewer.close()

    SCENES[play.__name__] = run
    return run


def _place(widget: Any) -> QRect:
    """Return where a widget is on the screen."""
    return QRect(widget.mapToGlobal(QPoint(0, 0)), widget.size())


def _pixels(pixmap: Any) -> np.ndarray[Any, Any]:
    """Return what Qt has grabbed as (H, W, 3) uint8."""
    image = pixmap.toImage().convertToFormat(pixmap.toImage().Format.Format_RGB888)
    line = np.frombuffer(image.constBits().asstring(image.sizeInBytes()), np.uint8)
    rows = line.reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)


def _notification_class() -> Any:
    from napari._qt.dialogs.qt_notification import NapariQtNotification

    return NapariQtNotification


def _recorded(name: str) -> Any:
    """Return a recorded session of the demo."""
    return next(recording for recording in load_all() if recording.name == name)


def _labels_of_a_threshold() -> np.ndarray[Any, Any]:
    """Segment the coins as a program would that knows no better."""
    coins = samples.load("coins").image
    bright = ndimage.binary_fill_holes(coins > filters.threshold_otsu(coins))
    return ndimage.label(ndimage.binary_opening(bright, iterations=3))[0].astype(np.uint16)


# The guide, page by page


@scene
def first_object(stage: Stage) -> None:
    """Coins: a click, and more of them."""
    stage.open("coins")
    stage.add_in_peace(Click((43, 334)))
    stage.window("first-click")
    stage.accept()
    for position in ((51, 155), (51, 215), (53, 277)):
        if stage.controller.workspace.has_object:
            stage.accept()
        stage.add_in_peace(Click(position))
    stage.window("first-objects")


@scene
def boxes(stage: Stage) -> None:
    """Boxes around cells, and clicks on what came along."""
    stage.open("simulated")
    stage.controller.use_boxes()
    stage.play(_recorded("simulated-boxes"))
    stage.window("boxes")


@scene
def scribbles(stage: Stage) -> None:
    """Strokes along glands."""
    stage.open("ihc")
    stage.controller.use_scribbles()
    stage.play(_recorded("ihc-scribbles"))
    stage.window("segment-panel")


@scene
def correcting(stage: Stage) -> None:
    """Labels of another program, and one of them opened and corrected."""
    stage.panel.first_steps.dismiss.click()
    stage.open("coins")
    stage.viewer.add_labels(_labels_of_a_threshold(), name="threshold", opacity=0.4)
    stage.controller.use_clicks()
    stage.wait()
    stage.canvas("correcting-before")
    stage.viewer.cursor.position = (186.0, 330.0)
    stage.controller.open_at_cursor()
    stage.wait()
    stage.add_in_peace(Click((222, 345), positive=False))
    stage.window("correcting-open")


@scene
def overlays(stage: Stage) -> None:
    """Probability, uncertainty and the next click."""
    stage.open("simulated", (150, 410, 2.6))
    stage.add(Click((148, 407)))
    for name in ("probability", "uncertainty", "hint"):
        stage.controller.show_overlay(name)
        stage.wait()
        stage.canvas(f"overlay-{name}")
        stage.controller.show_overlay(name, False)


@scene
def volume(stage: Stage) -> None:
    """A nucleus carried through a stack."""
    stage.panel.first_steps.dismiss.click()
    [(stack, about, _)] = samples.stack()
    stage.viewer.add_image(stack, **about)
    stage.viewer.dims.set_current_step(0, 16)
    stage.look()
    stage.add(Click((143, 166)))
    stage.accept()
    stage.controller.propagate()
    stage.wait()
    stage.controller.go_to_position(20)
    stage.wait()
    stage.unfold("volume")
    stage.window("volume")
    stage.fold_only("volume")


@scene
def series(stage: Stage) -> None:
    """A folder of images, one after another."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "experiment"
        folder.mkdir()
        cells = samples.load("simulated").image
        corners = [cells[r : r + 300, c : c + 300] for r in (0, 200) for c in (0, 200)]
        for number, picture in enumerate(corners, start=1):
            Image.fromarray(picture).save(folder / f"field{number}.png")
        stage.panel.first_steps.dismiss.click()
        _, panel = stage.viewer.window.add_plugin_dock_widget("napari-pvpu", "Series", tabify=True)
        desk = stage.controller.series
        desk.open(folder)
        desk.wait()
        stage.look()
        stage.add(Click((132, 161)))
        stage.accept()
        desk.done_image()
        desk.wait()
        stage.look()
        stage.add(Click((20, 132)))
        panel.parentWidget().raise_()
        stage.window("series")
        desk.close()
        desk.wait()


@scene
def console(stage: Stage) -> None:
    """The same objects by the panel and by lines in napari's console."""
    stage.open("coins")
    window = stage.viewer.window._qt_viewer
    window.toggle_console_visibility()
    window.dockConsole.setFixedHeight(300)
    stage.look()
    for line in CONSOLE:
        window.console.execute(line)
        stage.wait()
    stage.window("console")


@scene
def measurements(stage: Stage) -> None:
    """Accepted objects measured, with the table of the measurements."""
    stage.panel.first_steps.dismiss.click()
    layer = stage.open("coins")
    layer.scale, layer.units = (0.1, 0.1), ("mm", "mm")
    stage.wait()
    for position in ((43, 334), (51, 155), (51, 215), (53, 277)):
        stage.add(Click(position))
        stage.accept()
    stage.controller.measure()
    stage.wait()
    stage.viewer.window.resize(WINDOW[0], 1000)
    stage.rest(1000)
    stage.look()
    stage.window("measurements")


# The panel, state by state


@scene
def panel_states(stage: Stage) -> None:
    """The panel without an image, ready, at work, correcting, and with its parts unfolded."""
    stage.panel_only("panel-empty")
    stage.panel.first_steps.dismiss.click()
    stage.open("coins")
    stage.panel_only("panel-ready")
    stage.add_in_peace(Click((43, 334)))
    stage.panel_only("panel-object")
    stage.controller.positive = False
    stage.controller.use_boxes()
    stage.panel_only("panel-negative-box")
    stage.controller.positive = True
    stage.accept()
    stage.panel_only("panel-kept")
    stage.menu_of("panel-export-menu", stage.panel.export)
    for position in ((51, 155), (51, 215)):
        stage.add(Click(position))
        stage.accept()
    for name in ("seen", "objects", "history", "ahead", "store", "shortcuts"):
        stage.fold_only(name)
    stage.controller.open_object(1)
    stage.wait()
    stage.panel_only("panel-correcting")
    stage.menu_of("panel-edit-menu", stage.panel.edit)
    for name in ("mask", "hands"):
        stage.fold_only(name)


@scene
def comparing(stage: Stage) -> None:
    """A gland whose lumen one stroke takes out, with EM off and on."""
    stage.open("ihc")
    stage.add(
        Scribble([(10, 340), (40, 360), (90, 400), (160, 415), (220, 405), (270, 405)]),
        Scribble([(12, 255), (60, 270), (120, 290), (180, 310), (230, 340)]),
        Scribble([(60, 305), (100, 324), (140, 346), (180, 367)], positive=False),
    )
    stage.controller.compare_propagation()
    stage.wait()
    stage.fold_only("compare")


@scene
def beginnings(stage: Stage) -> None:
    """A session that a killed program left behind is offered, the model being loaded meanwhile."""
    subprocess.run([sys.executable, "-W", "ignore", "-c", LEFT_BEHIND])
    stage.panel.first_steps.dismiss.click()
    stage.fit_height()
    stage.viewer.add_image(samples.load("coins").image, name="coins")
    stage.rest(30)
    stage.panel_now("panel-loading")
    stage.wait()
    stage.panel_only("panel-resume")


@scene
def light_theme(stage: Stage) -> None:
    """The light theme."""
    stage.viewer.theme = "light"
    stage.open("simulated")
    stage.add_in_peace(Box((256, 63), (326, 173)))
    stage.window("light-theme")


@scene
def refusals(stage: Stage) -> None:
    """What the panel says in the 3D display."""
    stage.open("coins")
    stage.viewer.dims.ndisplay = 3
    stage.rest()
    stage.panel_only("panel-3d")
