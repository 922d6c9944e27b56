"""The room that talks to napari and Qt. No torch in here: the worker's thread imports it.

`attach` is the way in from a console or a script, `panel.Panel` the one from napari's menu.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_pvpu.napari_side.controller import Controller

__all__ = ["attach"]

_controllers: WeakKeyDictionary[Viewer, Controller] = WeakKeyDictionary()


def attach(viewer: Viewer) -> Controller:
    """Begin to segment in a viewer, or go on with it.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        With a window. One controller serves it, however often this is called, and the panel
        uses the same one.

    Returns
    -------
    Controller
        What the panel's buttons do is methods of it; ``attach(viewer).session`` is the session.

    Examples
    --------
    >>> from napari_pvpu import Click, attach
    >>> controller = attach(viewer)  # doctest: +SKIP
    >>> controller.add(Click((120, 88)))  # doctest: +SKIP
    >>> controller.accept()  # doctest: +SKIP
    1
    """
    controller = controller_of(viewer)
    controller.open()
    controller.settle()
    return controller


def controller_of(viewer: Viewer) -> Controller:
    """Return the controller that serves a viewer, made if there is none; `attach` opens it, too."""
    from napari_pvpu.napari_side.controller import Controller

    viewer = getattr(viewer, "__wrapped__", viewer)  # napari hands plugins proxies
    controller = _controllers.get(viewer)
    if controller is None:
        controller = _controllers[viewer] = Controller(viewer)
    return controller
