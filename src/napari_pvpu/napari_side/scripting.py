"""What was done in the panel, as a script for the clipboard."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info
from qtpy.QtGui import QGuiApplication

if TYPE_CHECKING:
    from napari_pvpu.napari_side.workspace import Workspace

__all__ = ["copy_script", "script_of"]

OUT = """
# The labels go where the last argument says.
out = sys.argv[-1] if sys.argv[-1].lower().endswith((".tif", ".tiff")) else "labels.tif"
tifffile.imwrite(out, np.asarray(session.labels))
print(f"{len(session.objects)} objects written to {out}")
"""


def script_of(workspace: Workspace | None, model: str) -> str | None:
    """Return a script that makes the same objects again and writes them; None without a session.

    It reads the file that the image layer was read from. Where there is none, as with a sample,
    it takes a file's path as its first argument.

    Parameters
    ----------
    workspace : Workspace or None
        Of the image, if there is one.
    model : str
        Name of the model, or the path of its weights.
    """
    if workspace is None or workspace.session is None:
        return None
    session = workspace.session
    path = workspace.image.source.path
    known = path is not None and os.path.exists(path)
    text = session.to_python(os.path.abspath(path) if known else None, model)
    head, body = text.split("import sys\n", 1)
    return f"{head}import sys\n\nimport numpy as np\nimport tifffile\n{body}{OUT}"


def copy_script(workspace: Workspace | None, model: str) -> None:
    """Put the script on the clipboard and tell how to run it."""
    text = script_of(workspace, model)
    if workspace is None or text is None:
        show_info("There is nothing to copy before an image is open and the model is loaded.")
        return
    QGuiApplication.clipboard().setText(text)
    image = "" if workspace.image.source.path else "IMAGE "
    show_info(
        f"Copied as a Python script. Save it, for instance as session.py, and run: "
        f"python session.py {image}labels.tif"
    )
