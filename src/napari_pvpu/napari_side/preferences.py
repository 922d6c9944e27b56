"""What the user has set on this plugin's page of napari's preferences, read and followed.

napari keeps the settings that the manifest declares in a file of this plugin's own and tells of
every change. In a script that only imports the package the plugin is not registered; then all is
as `Preferred` has it, and what is set is remembered until the program ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.settings import get_plugin_settings
from qtpy.QtCore import QObject, Signal

from napari_pvpu.errors import PvpuError
from napari_pvpu.napari_side.engine import DEFAULT_MODEL
from napari_pvpu.napari_side.telling import tell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_pvpu.session_settings import OverlapRule

__all__ = ["PLUGIN", "Obedience", "Preferences", "Preferred", "preferred"]

PLUGIN = "napari-pvpu"

PAGES = {
    "segmentation": ("model", "device", "precision"),
    "masks": ("threshold", "value_propagation", "smoothing", "min_size", "overlap"),
    "hands": ("batch", "filled_polygons", "mouse_buttons"),
    "store": ("keep_features", "limit_gb"),
    "panel": ("first_steps",),
}
"""Parts of the page in the manifest, each with the settings of `Preferred` that it holds."""

LIVE = (*PAGES["masks"], *PAGES["hands"])
"""Settings that the controller has properties for, and that change at once."""


@dataclass(frozen=True, slots=True)
class Preferred:
    """The settings, by the names that the manifest gives them.

    Attributes
    ----------
    model, device, precision : str
        As `Segmenter` takes them; for viewers opened from now on.
    threshold, value_propagation, smoothing, min_size, overlap
        As a session takes them; at once.
    batch : bool
        Whether each positive mark is an object of its own; at once.
    filled_polygons : bool
        Whether a polygon says what the object is, and not where it ends; at once.
    mouse_buttons : str
        What the buttons of the mouse mean, see `mouse_buttons.BUTTONS`; at once.
    keep_features : bool
        Whether what the encoder made of views is kept on the disk.
    limit_gb : float
        Size to which that may grow, in 10**9 bytes.
    first_steps : bool
        Whether the panel shows the first steps.
    """

    model: str = DEFAULT_MODEL
    device: str = "auto"
    precision: str = "auto"
    threshold: float = 0.5
    value_propagation: bool = False
    smoothing: float = 0.0
    min_size: int = 0
    overlap: OverlapRule = "keep"
    batch: bool = False
    filled_polygons: bool = False
    mouse_buttons: str = "opposite"
    keep_features: bool = True
    limit_gb: float = 2.0
    first_steps: bool = True


def preferred() -> Preferred:
    """Return what is preferred now."""
    settings = _settings()
    if settings is None:
        return Preferred()
    values: dict[str, Any] = {}
    for page, names in PAGES.items():
        part = getattr(settings, page, None)
        values |= {name: getattr(part, name) for name in names if hasattr(part, name)}
    values["model"] = values["model"].strip() or DEFAULT_MODEL
    return Preferred(**values)


def _settings() -> Any:
    """Return napari's object of our settings, None if napari does not know the plugin."""
    try:
        return get_plugin_settings(PLUGIN)
    except KeyError:
        return None


class Preferences(QObject):
    """The preferences as something that can be followed, and changed from within the program."""

    changed = Signal(str, object)
    """Name and new value of a setting; the key of an action as ``"shortcuts.accept_key"``."""

    def __init__(self) -> None:
        super().__init__()
        self._own: dict[str, Any] = {}
        self._settings: Any = None

    def open(self) -> None:
        """Begin to follow."""
        if self._settings is None:
            self._settings = _settings()
            for emitter in self._emitters():
                emitter.connect(self._on_event)

    def close(self) -> None:
        """Stop following."""
        for emitter in self._emitters():
            emitter.disconnect(self._on_event)
        self._settings = None

    def get(self, name: str) -> Any:
        """Return a setting of `Preferred`, or the key of an action; None if there is none set."""
        if name in self._own:
            return self._own[name]
        page, key = _split(name)
        part = getattr(_settings(), page, None)
        return getattr(part, key, getattr(Preferred(), key, None))

    def title(self, name: str) -> str:
        """Return what a setting is called on the page, or else its name as words."""
        page, key = _split(name)
        told = getattr(type(getattr(_settings(), page, None)), "model_fields", {}).get(key)
        return (told.title if told is not None else None) or _words(key)

    def set(self, name: str, value: Any) -> None:
        """Change a setting, for all viewers and for good.

        Raises
        ------
        ValueError
            If it is none of the values that are allowed.
        """
        page, key = _split(name)
        part = getattr(_settings(), page, None)
        if part is not None and hasattr(part, key):
            setattr(part, key, value)  # told of by napari
        elif self.get(name) != value:
            self._own[name] = value
            self.changed.emit(name, value)

    def _emitters(self) -> Iterator[Any]:
        if self._settings is not None:
            for page in (*PAGES, "shortcuts"):
                part = getattr(self._settings, page)
                for name in type(part).model_fields:
                    yield part.events[name]

    def _on_event(self, event: Any) -> None:
        prefix = "shortcuts." if event.source is self._settings.shortcuts else ""
        self.changed.emit(prefix + event.type, event.value)


def _words(key: str) -> str:
    return key.removesuffix("_key").replace("_", " ").capitalize()


def _split(name: str) -> tuple[str, str]:
    """Return the part of the page that holds a setting, and its name there."""
    head, _, key = name.rpartition(".")
    if head:
        return head, key
    return next(page for page, names in PAGES.items() if name in names), name


class Obedience(QObject):
    """Has a controller do as the user prefers: at first, and at once when that changes.

    The model, the device and the precision are not changed under somebody's hands: they hold for
    viewers opened later.

    Parameters
    ----------
    controller : Controller
        Has a property for each setting of masks and hands, of the same name.
    preferences : Preferences
        Followed while they are open.
    """

    def __init__(self, controller: Any, preferences: Preferences) -> None:
        super().__init__(controller)
        self._controller = controller
        for name in LIVE:
            self._obey(name, preferences.get(name))
        preferences.changed.connect(self._obey)

    def _obey(self, name: str, value: Any) -> None:
        if name in LIVE and getattr(self._controller, name, value) != value:
            setattr(self._controller, name, value)
        elif name == "limit_gb":
            self._limit(value)

    def _limit(self, gigabytes: float) -> None:
        from napari_pvpu.features.store import open_store

        store = open_store(True)
        if store is not None:
            try:
                store.limit = round(gigabytes * 1e9)
            except PvpuError as error:
                tell(error)
