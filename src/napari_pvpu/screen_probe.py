"""What Qt, OpenGL and the manifest are like: ``python -m napari_pvpu.screen_probe`` prints JSON.

A program of its own, because a broken driver ends the process that asks it.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

__all__ = ["has_screen", "probe"]

_WITHOUT_SCREEN = ("offscreen", "minimal", "vnc")


def has_screen() -> bool:
    """Whether there is a screen to open a window on."""
    if os.environ.get("QT_QPA_PLATFORM", "").partition(":")[0] in _WITHOUT_SCREEN:
        return False
    if sys.platform != "linux":
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def probe() -> dict[str, Any]:
    """Return what could be found out, each part by itself.

    Returns
    -------
    dict
        ``qt`` (binding and version of Qt), ``opengl`` (vendor, renderer, version) and
        ``manifest`` ("valid"); ``errors`` by the same names, for parts that failed.
    """
    found: dict[str, Any] = {"errors": {}}
    parts = {"qt": _qt, "opengl": _opengl, "manifest": _manifest}
    if not has_screen():
        del parts["opengl"]
    for name, look in parts.items():
        try:
            found[name] = look()
        except Exception as error:  # each of these libraries has errors of its own
            found["errors"][name] = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return found


def _qt() -> str:
    import qtpy

    return f"{qtpy.API_NAME} {qtpy.PYQT_VERSION or qtpy.PYSIDE_VERSION}, Qt {qtpy.QT_VERSION}"


def _opengl() -> str:
    import qtpy
    from vispy import app, gloo  # type: ignore[import-untyped]

    app.use_app(qtpy.API_NAME.lower())
    canvas = app.Canvas(show=False)
    canvas.set_current()
    gl = gloo.gl
    names = (gl.GL_VENDOR, gl.GL_RENDERER, gl.GL_VERSION)
    words = [str(gl.glGetParameter(name)) for name in names]
    canvas.close()
    return ", ".join(words)


def _manifest() -> str:
    from npe2 import PluginManifest

    PluginManifest.from_distribution("napari-pvpu").validate_imports()
    return "valid"


if __name__ == "__main__":
    print(json.dumps(probe()), flush=True)
    # Drivers that crash while they are unloaded have nothing to do with what was found.
    os._exit(0)
