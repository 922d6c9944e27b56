"""The segmenter as this room sees it: loaded late, in the worker's thread, and only once."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pvpu.errors import ImageError

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_pvpu.segmenter import Segmenter
    from napari_pvpu.session import Session

__all__ = ["DEFAULT_MODEL", "Engine", "bundled_models", "image_of", "trouble_with"]

DEFAULT_MODEL = "pvpu-nano"


@dataclass(slots=True)
class Engine:
    """A model on a device, and the sessions it opens.

    Parameters
    ----------
    model : str
        Name of a preset, or the path of a weights file.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    """

    model: str = DEFAULT_MODEL
    device: str = "auto"
    _segmenter: Segmenter | None = None

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._segmenter is not None

    @property
    def device_name(self) -> str:
        """The device in use, or the one asked for as long as the model is not loaded."""
        return self.device if self._segmenter is None else self._segmenter.device

    def open(self, data: Any, rgb: bool) -> Session:
        """Open a session; the first call loads the model. For the worker's thread.

        Parameters
        ----------
        data : array-like
            (Y, X), or (Y, X, C) if `rgb`.
        rgb : bool
            Whether the last axis holds red, green, blue (and alpha).

        Raises
        ------
        PvpuError
            If model, weights, device or image cannot be used.
        """
        if self._segmenter is None:
            # Takes seconds: never on the GUI thread, never at start-up.
            from napari_pvpu.segmenter import Segmenter

            self._segmenter = Segmenter(self.model, device=self.device)
        return self._segmenter.open(data, rgb=rgb)


def bundled_models() -> list[str]:
    """Return the names of the models whose weights come with the package, the default first."""
    folder = resources.files("napari_pvpu").joinpath("weights")
    files = folder.iterdir() if folder.is_dir() else ()
    stems = {Path(file.name).stem for file in files if file.name.endswith(".safetensors")}
    return [DEFAULT_MODEL, *sorted(stems - {DEFAULT_MODEL})]


def image_of(layer: Image) -> Any:
    """Return the array of an image layer, at full resolution."""
    return layer.data[0] if layer.multiscale else layer.data


def trouble_with(layer: Image) -> ImageError | None:
    """Return why a layer cannot be segmented, or None if it can as far as its axes go."""
    if layer.ndim == 2:
        return None
    shape = " x ".join(str(length) for length in image_of(layer).shape)
    return ImageError(
        f"“{layer.name}” has {layer.ndim} dimensions ({shape}), but only single planes can be "
        "segmented so far; extract one plane into a layer of its own"
    )
