"""The segmenter as this room sees it: loaded late, in the worker's thread, and only once."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image

from napari_pvpu.errors import ImageError
from napari_pvpu.napari_side.layer_axes import axes_of_layer
from napari_pvpu.torch_libraries import load_libraries

if TYPE_CHECKING:
    from napari_pvpu.segmenter import Segmenter
    from napari_pvpu.session import Session
    from napari_pvpu.source import ImageSource

__all__ = ["DEFAULT_MODEL", "Engine", "Look", "bundled_models", "image_of", "trouble_with"]

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
    precision : str
        Of the image encoder, as `Segmenter` takes it.
    store : bool
        Whether what the encoder makes of views is kept on the disk.
    """

    model: str = DEFAULT_MODEL
    device: str = "auto"
    precision: str = "auto"
    store: bool = True
    _segmenter: Segmenter | None = None
    _prepared: tuple[Any, dict[str, Any], ImageSource] | None = None

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._segmenter is not None

    @property
    def device_name(self) -> str:
        """The device in use, or the one asked for as long as the model is not loaded."""
        return self.device if self._segmenter is None else self._segmenter.device

    def open(self, image: Any, **settings: Any) -> Session:
        """Open a session; the first call loads the model. For the worker's thread.

        Parameters
        ----------
        image : array-like, or the levels of a pyramid
            See `image_of`.
        **settings
            As `Segmenter.open` takes them, see `Look.settings`.

        Raises
        ------
        PvpuError
            If model, weights, device or image cannot be used.
        """
        labels = settings.pop("labels", None)
        known = self._prepared
        if known is not None and _same(known[0], image) and known[1] == settings:
            return self.segmenter().open(known[2], labels=labels)
        return self.segmenter().open(image, labels=labels, **settings)

    def prepare(self, image: Any, settings: dict[str, Any]) -> ImageSource:
        """Look at an image as `open` will; for any thread.

        What is encoded of the source that comes back is found again when the very same image is
        opened with the same settings. Only the image prepared last is remembered.

        Raises
        ------
        ImageError
            If it cannot be used.
        """
        from napari_pvpu.source import ImageSource

        source = ImageSource(image, **settings)
        self._prepared = image, dict(settings), source
        return source

    def segmenter(self) -> Segmenter:
        """Return the model on its device, loaded if it was not yet. For the worker's thread."""
        if self._segmenter is None:
            # Takes seconds: never on the GUI thread, never at start-up.
            load_libraries()
            from napari_pvpu.segmenter import Segmenter

            self._segmenter = Segmenter(
                self.model, self.device, precision=self.precision, store=self.store
            )
        return self._segmenter


@dataclass(frozen=True, slots=True)
class Look:
    """How an image layer is to be seen.

    Attributes
    ----------
    axes : str or None
        What its axes are, such as ``"TCZYX"``; None for what the layer tells.
    channels : tuple of int or None
        Which channels to use; None for all.
    projection : str
        What becomes of more than three: ``"mean"``, ``"max"`` or ``"first three"``.
    limits : (low, high) or None
        Values that become 0 and 1, as the layer's contrast limits; None for percentiles.
    gamma : float
        As the layer's.
    """

    axes: str | None = None
    channels: tuple[int, ...] | None = None
    projection: str = "mean"
    limits: tuple[float, float] | None = None
    gamma: float = 1.0

    def settings(self, layer: Image) -> dict[str, Any]:
        """Return the arguments of `Segmenter.open` that show a layer so."""
        return {
            "axes": self.axes or axes_of_layer(layer),
            "rgb": bool(layer.rgb),
            "channels": self.channels,
            "projection": self.projection,
            "limits": self.limits,
            "gamma": self.gamma,
        }


def bundled_models() -> list[str]:
    """Return the names of the models whose weights come with the package, the default first."""
    folder = resources.files("napari_pvpu").joinpath("weights")
    files = folder.iterdir() if folder.is_dir() else ()
    stems = {Path(file.name).stem for file in files if file.name.endswith(".safetensors")}
    return [DEFAULT_MODEL, *sorted(stems - {DEFAULT_MODEL})]


def image_of(layer: Image) -> Any:
    """Return the array of an image layer, or the list of them that makes up its pyramid."""
    return list(layer.data) if layer.multiscale else layer.data


def _same(one: Any, other: Any) -> bool:
    """Tell whether two images are the very same arrays, or pyramids of them."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return one is other


def trouble_with(layer: Image) -> ImageError | None:
    """Return why a layer cannot be segmented, or None if it can as far as its axes go."""
    if not isinstance(layer, Image):
        what = "nothing" if layer is None else f"“{layer.name}” of the kind {type(layer).__name__}"
        return ImageError(f"only an image layer can be segmented, and not {what}")
    try:
        axes_of_layer(layer)
    except ImageError as error:
        return ImageError(f"“{layer.name}” cannot be segmented: {error}")
    return None
