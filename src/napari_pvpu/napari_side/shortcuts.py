"""Keys of the actions: as they come, as the user has changed them, and bound to our own layers.

napari parses keys that a manifest declares and drops them, and keys bound to a viewer lose to
those of the active layer, so ours are bound to our own layers. Keys are written as napari writes
them, ``"Ctrl+Shift+Z"``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from app_model.types import KeyBinding, KeyCode
from napari.settings import get_settings
from qtpy.QtCore import QObject, Signal
from qtpy.QtGui import QKeySequence

from napari_pvpu.errors import PreferenceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from napari.layers import Layer

    from napari_pvpu.napari_side.preferences import Preferences

    Handler = Callable[[str], Callable[[Any], None]]

__all__ = ["Shortcuts", "as_shown", "normal"]

OTHER_WORDS = {
    "Control": "Ctrl",
    "Return": "Enter",
    "Del": "Delete",
    "Ins": "Insert",
    "Esc": "Escape",
    "PgUp": "PageUp",
    "PgDown": "PageDown",
}
"""Words for keys that napari and Qt write otherwise in places."""
SETTING = "shortcuts.{}_key"
"""Setting that holds the key of an action."""
RESERVED = ("Tab", "Shift+Tab")
"""Keys that lead from one part of the window to the next, and never reach a layer."""


NO_KEYS = (KeyCode.UNKNOWN, KeyCode.Shift, KeyCode.Ctrl, KeyCode.Alt, KeyCode.Meta)
"""What is not enough for a key."""


class Shortcuts(QObject):
    """Which key does what; one for each controller, all following the same preferences.

    Parameters
    ----------
    preferences : Preferences
        Where keys are kept that the user has changed.
    defaults : mapping of str to str
        Keys of all actions as they come.
    """

    changed = Signal()

    def __init__(self, preferences: Preferences, defaults: Mapping[str, str]) -> None:
        super().__init__()
        self._preferences = preferences
        self.defaults = {action: normal(key) for action, key in defaults.items()}
        self._bound: WeakKeyDictionary[Layer, tuple[Handler, dict[str, str]]] = WeakKeyDictionary()
        preferences.changed.connect(self._on_preference)

    def key(self, action: str) -> str:
        """Return the key of an action; a text that is no key counts as the key it comes with."""
        told = self._preferences.get(SETTING.format(action))
        try:
            return self.defaults[action] if told is None else normal(told)
        except PreferenceError:
            return self.defaults[action]

    def set(self, action: str, key: str) -> None:
        """Give an action another key, in all viewers and for good.

        Parameters
        ----------
        action : str
            Name of a method of the controller.
        key : str
            Such as ``"Ctrl+Shift+Z"`` or ``"Q"``; empty for none.

        Raises
        ------
        PreferenceError
            If it is no key, or another action's.
        """
        key = normal(key)
        if key in RESERVED:
            raise PreferenceError(
                f"{as_shown(key)} leads from one part of the window to the next; choose another key"
            )
        for other in self.defaults:
            if key and other != action and self.key(other) == key:
                raise PreferenceError(
                    f"{as_shown(key)} is the key for “{self.title(other)}” already; give that one "
                    "another first, or choose another key here"
                )
        self._preferences.set(SETTING.format(action), key)

    def reset(self) -> None:
        """Give all actions the keys they come with."""
        for action, key in self.defaults.items():
            if self.key(action) != key:
                self._preferences.set(SETTING.format(action), key)

    def write_into(self, text: str) -> str:
        """Put the keys of actions into a text, in the places of the actions' names in braces."""
        return text.format_map(_Shown(self))

    def title(self, action: str) -> str:
        """Return what an action is called."""
        return self._preferences.title(SETTING.format(action))

    def uses_elsewhere(self, key: str) -> list[str]:
        """Return what napari does by a key; on our layers it will do ours instead."""
        wanted = normal(key)
        told = get_settings().shortcuts.shortcuts.items()
        return [_words(name) for name, keys in told if wanted in (str(each) for each in keys)]

    # On the layers

    def bind(self, layer: Layer, handler: Handler, actions: Iterable[str] | None = None) -> None:
        """Have keys do the actions on a layer, now and when they are changed.

        Parameters
        ----------
        layer : napari layer
            Kept weakly.
        handler : callable
            Called with an action's name, returns what napari calls with the layer.
        actions : iterable of str, optional
            By default all.
        """
        self._unbind(layer)
        bound = {action: self.key(action) for action in actions or self.defaults}
        for action, key in bound.items():
            if key:
                layer.bind_key(key, handler(action), overwrite=True)
        self._bound[layer] = handler, bound

    def _unbind(self, layer: Layer) -> None:
        _, bound = self._bound.pop(layer, (None, {}))
        for key in filter(None, bound.values()):
            layer.bind_key(key, None)

    def _on_preference(self, name: str, value: object) -> None:
        if name.startswith(SETTING.partition(".")[0]):
            for layer, (handler, bound) in list(self._bound.items()):
                self.bind(layer, handler, tuple(bound))
            self.changed.emit()


@lru_cache(maxsize=512)
def normal(key: str) -> str:
    """Return a key as napari writes it: ``"Control-Z"`` becomes ``"Ctrl+Z"``.

    Raises
    ------
    PreferenceError
        If there is no such key.
    """
    text = key.strip()
    if not text:
        return ""
    # The last sign may be a key itself: "Ctrl+-".
    *modifiers, last = text[:-1].replace("-", "+").split("+")
    words = [OTHER_WORDS.get(word, word) for word in (*modifiers, last + text[-1])]
    binding = KeyBinding.from_str("+".join(words))
    if len(binding.parts) != 1 or binding.part0.key in (None, *NO_KEYS):
        raise PreferenceError(
            f"there is no key {key!r}; write for instance Q, Shift+R, Ctrl+Shift+Z or Enter"
        )
    return str(binding)


@lru_cache(maxsize=512)
def as_shown(key: str) -> str:
    """Return a key, as napari writes it, as this machine does."""
    head, plus, last = key.rpartition("+")
    # Enter is Qt's word as well, and what people call Return.
    words = {ours: theirs for theirs, ours in OTHER_WORDS.items() if ours != "Enter"}
    known = QKeySequence.fromString(head + plus + words.get(last, last))
    return known.toString(QKeySequence.SequenceFormat.NativeText)


class _Shown(dict[str, str]):
    """Keys as they are shown, by action, looked up one by one: only a few of all are asked for."""

    def __init__(self, shortcuts: Shortcuts) -> None:
        super().__init__()
        self._shortcuts = shortcuts

    def __missing__(self, action: str) -> str:
        return as_shown(self._shortcuts.key(action)) or "the button"


def _words(action: str) -> str:
    """Return the name of one of napari's actions as words."""
    return action.rpartition(":")[2].replace("_", " ")
