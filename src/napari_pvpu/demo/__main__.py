"""Play the recorded sessions in napari: ``python -m napari_pvpu.demo``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari_pvpu.demo.recording import load_all
from napari_pvpu.demo.report import failures, markdown, save
from napari_pvpu.errors import PvpuError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.viewer import Viewer

    from napari_pvpu.demo.report import PictureResult

WINDOW = (1400, 900)
WATCHED_PAUSE = 0.7
LOGGER = logging.getLogger("napari_pvpu.demo")


def main(arguments: Sequence[str] | None = None) -> int:
    """Play, write the files, and leave napari open if somebody watches.

    Returns
    -------
    int
        0 if every object with known truth was good enough, 1 if not.
    """
    options = _options(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("OpenGL").setLevel(logging.WARNING)
    options.output.mkdir(parents=True, exist_ok=True)

    import napari

    from napari_pvpu.demo.player import WindowClosedError

    viewer = _window()
    try:
        results = _play(viewer, options)
    except WindowClosedError:
        LOGGER.info("The window was closed before the sessions had ended.")
        return 1
    except PvpuError as error:
        LOGGER.info("The demo cannot go on: %s", error)
        return 1
    for result in results:
        save(result, options.output)
    trouble = failures(results)
    for sentence in trouble:
        LOGGER.info("Too low: %s", sentence)
    LOGGER.info("Written to %s, with report.md to read first.", options.output)
    if options.stay:
        LOGGER.info("Now it is yours: click on things. The demo ends when you close the window.")
        napari.run()
    else:
        viewer.close()
    return 1 if trouble else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    # On a virtual screen nobody watches, and nobody would ever close the window.
    watched = not os.environ.get("PVPU_VIRTUAL_DISPLAY")
    parser = argparse.ArgumentParser(prog="python -m napari_pvpu.demo", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    parser.add_argument("--model", default="pvpu-nano", help="a bundled model or a weights file")
    parser.add_argument("--pause", type=float, default=WATCHED_PAUSE if watched else 0.0,
                        help="seconds to rest after each step")  # fmt: skip
    parser.add_argument("--stay", action=argparse.BooleanOptionalAction, default=watched,
                        help="leave napari open at the end")  # fmt: skip
    return parser.parse_args(arguments)


def _window() -> Viewer:
    """Open napari in the size of the pictures in the documentation."""
    import napari

    viewer = napari.Viewer(title="napari-pvpu demo", show=False, show_welcome_screen=False)
    viewer.theme = "dark"
    viewer.window.add_plugin_dock_widget("napari-pvpu", "Segment")
    viewer.show()
    viewer.window.resize(*WINDOW)  # ignored before the window is shown
    return viewer


def _play(viewer: Viewer, options: argparse.Namespace) -> list[PictureResult]:
    """Play all sessions, take their pictures and write the report."""
    from PIL import Image
    from qtpy.QtTest import QTest

    from napari_pvpu import attach
    from napari_pvpu.demo.player import Player

    controller = attach(viewer)
    controller.model = options.model
    player = Player(viewer, controller, options.pause)

    def take_picture(name: str) -> None:
        QTest.qWait(300)  # until laid out and drawn
        picture = viewer.screenshot(canvas_only=False, flash=False)
        Image.fromarray(picture[..., :3]).save(options.output / f"{name}.png", optimize=True)

    results = []
    for recording in load_all():
        LOGGER.info("%s", recording.title)
        result = player.play(recording, partial(take_picture, recording.name))
        results.append(result)
        for one in result.objects:
            quality = "IoU unknown" if one.iou is None else f"IoU {one.iou:.3f}"
            times = " ".join(f"{value:.0f}" for value in one.milliseconds)
            LOGGER.info("  %-28s %s, %s ms", one.recorded.name, quality, times)
    report = markdown(results, controller.model, controller.device)
    (options.output / "report.md").write_text(report, "utf-8")
    return results


if __name__ == "__main__":
    sys.exit(main())
