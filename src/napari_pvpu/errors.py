"""The exceptions this package raises on purpose.

Every message says what was wrong with the value and what to do about it. Catch `PvpuError` to
catch them all; most also derive from the built-in exception that describes them, so that code
which knows nothing of this package handles them sensibly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ClusterError",
    "ConfigError",
    "DatasetError",
    "DeviceError",
    "DeviceWarning",
    "ExportError",
    "ImageError",
    "JournalError",
    "ModelNotFoundError",
    "OtherVersionError",
    "OverlapError",
    "PreferenceError",
    "PromptError",
    "PvpuError",
    "SeriesError",
    "SessionError",
    "StoreError",
    "WeightsError",
]


class PvpuError(Exception):
    """Base of all errors that this package raises on purpose."""


class PromptError(PvpuError, ValueError):
    """A prompt that cannot be used: not finite, outside the image, of no area, too short."""


class ImageError(PvpuError, ValueError):
    """An image that cannot be segmented: wrong dimensions, dtype or axes, empty or constant."""


class ConfigError(PvpuError, ValueError):
    """Settings of a model or a training run that cannot be used: an unknown name, a wrong type."""


class ModelNotFoundError(PvpuError, LookupError):
    """A model name that is not in the registry and is no file either."""

    # LookupError is no KeyError, so the message prints as it is, without quotes around it.


class WeightsError(PvpuError):
    """A weights file that is damaged or belongs to another architecture."""


class DeviceError(PvpuError):
    """A compute device that does not exist here or cannot be used."""


class DeviceWarning(UserWarning):
    """A compute device that is left for the CPU, because it fails or gives wrong numbers."""


class SessionError(PvpuError, RuntimeError):
    """A request that the session cannot serve in its present state."""


class OverlapError(SessionError):
    """An object that would take pixels of others, where the overlap rule says to ask.

    Attributes
    ----------
    object_id : int
        The object that was to be written.
    contested : dict of int to int
        How many of its pixels other objects have, by their ids.
    """

    def __init__(self, object_id: int, contested: Mapping[int, int]) -> None:
        self.object_id, self.contested = object_id, dict(contested)
        owners = ", ".join(f"{count} of object {each}" for each, count in contested.items())
        super().__init__(
            f"object {object_id} covers pixels of others ({owners}); call again with "
            "overlap='keep' to leave those to them, or overlap='overwrite' to take them"
        )


class JournalError(PvpuError):
    """A session file that is damaged, of another image, or of another version or model."""


class OtherVersionError(JournalError):
    """A session file of a version that this program does not read.

    Attributes
    ----------
    written : str
        What it was written by, as part of a sentence.
    """

    def __init__(self, path: object, version: object, readable: int, package: object) -> None:
        self.written = f"it was written by napari-pvpu {package}"
        super().__init__(
            f"{path} is of version {version} of session files, and this program reads version "
            f"{readable}; {self.written}"
        )


class SeriesError(PvpuError):
    """A series of images that cannot be opened, or whose state cannot be kept."""


class PreferenceError(PvpuError, ValueError):
    """A setting, or a key of an action, that cannot be used."""


class StoreError(PvpuError):
    """A feature store that cannot be changed, or was asked for what it cannot be."""


class ClusterError(PvpuError):
    """A cluster that cannot be reached or used."""


class DatasetError(PvpuError, ValueError):
    """A folder or file of images and masks that is not laid out as documented."""


class ExportError(PvpuError):
    """Labels that cannot be exported, or a file of labels that cannot be written or read back."""
