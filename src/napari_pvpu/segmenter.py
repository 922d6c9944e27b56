"""The front door without a screen: a model on a device that opens sessions on images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_pvpu.errors import ImageError
from napari_pvpu.propagation import CarrySettings, PropagationSettings
from napari_pvpu.session import Session
from napari_pvpu.source import ImageSource
from napari_pvpu.waiting import wait_passively

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from napari_pvpu.features.store import FeatureStore
    from napari_pvpu.normalisation import Limits
    from napari_pvpu.prompts import Prompt
    from napari_pvpu.records import RawPrediction

    Floats = npt.NDArray[np.float32]

__all__ = ["Segmenter"]


class Segmenter:
    """A model that is ready to segment.

    Parameters
    ----------
    model : str or Path
        A bundled model's name, or the path of a weights file or of a YAML file that describes a
        model and names its weights.
    device : str
        ``"auto"`` (CUDA if there is a device that works, else the CPU), ``"cpu"``, ``"cuda"``,
        ``"cuda:1"`` or ``"mps"``.
    cache_views : int
        Views whose features are kept in memory, about 1 MB each, shared by all sessions.
    propagation : PropagationSettings, optional
        How EM value propagation works where a session's switch is on.
    precision : str
        Of the image encoder: ``"float32"``, ``"bf16"``, ``"float16"``, or ``"auto"``: float32 on
        the CPU, elsewhere the fastest that gives the CPU's masks.
    store : bool, path or FeatureStore
        Where features are kept on the disk: True for the platform's cache folder or what the
        environment variable NAPARI_PVPU_CACHE names (``off`` for nowhere), or a folder. Answers
        are the same whether features were found there or not, as all are rounded to float16.
        False keeps nothing, rounds nothing, and always runs the encoder.
    runtime : str or Path
        ``"torch"``, or the folder that ``napari-pvpu export-onnx`` wrote for this model: ONNX
        Runtime computes, on the CPU. ``"onnx"`` makes these files itself, once for these weights,
        times both on the CPU and takes ONNX Runtime for what it is faster at, encoder or decoder,
        and torch for the rest; answers may then differ by 1e-3 from one start to the next.

    Raises
    ------
    ModelNotFoundError
        If there is no model of that name and no such file.
    ConfigError
        If a YAML file cannot be used, or a package that the model needs is missing.
    WeightsError
        If the weights are damaged or of another architecture.
    DeviceError
        If the device is unknown or cannot be used, or the precision is unknown.

    Warns
    -----
    DeviceWarning
        When a device fails, runs out of memory or gives wrong numbers; the CPU takes over. The
        sentence stays in `notice`.

    Examples
    --------
    >>> from napari_pvpu import Click, Segmenter
    >>> session = Segmenter("pvpu-nano").open(image)  # doctest: +SKIP
    >>> session.add(Click((120, 88)))  # doctest: +SKIP
    >>> session.accept()  # doctest: +SKIP
    1
    """

    def __init__(
        self,
        model: str | Path = "pvpu-nano",
        device: str = "auto",
        *,
        cache_views: int = 64,
        propagation: PropagationSettings | None = None,
        precision: str = "auto",
        store: bool | str | Path | FeatureStore = True,
        runtime: str | Path = "torch",
    ) -> None:
        wait_passively()
        # torch takes seconds to import; until here nobody needed it.
        from napari_pvpu.features.encoder import ViewEncoder

        kept = None
        if store is not False:
            from napari_pvpu.features.store import open_store

            kept = open_store(store)
        self._encoder = ViewEncoder(
            model,
            device,
            cache_views,
            precision,
            store=kept,
            rounded=store is not False,
            runtime=runtime,
        )
        self._propagation = propagation or PropagationSettings()

    def open(
        self,
        image: Any,
        *,
        axes: str | Sequence[str] | None = None,
        channels: int | Sequence[int] | None = None,
        channel_axis: int | None = None,
        rgb: bool | None = None,
        projection: str = "mean",
        limits: Limits | None = None,
        gamma: float = 1.0,
        labels: Any = None,
    ) -> Session:
        """Open a session on an image.

        Parameters
        ----------
        image : array-like, sequence of array-like or ImageSource
            Two to five axes; numpy, memory map, dask, zarr or alike, or the levels of a pyramid.
            It is read window by window and never changed. A source brings its settings along.
        axes, channels, channel_axis, rgb, projection, limits, gamma
            See `ImageSource`.
        labels : array of int, optional
            Objects to begin with, one plane after the other as in `Session.labels`; they keep
            their ids.

        Raises
        ------
        ImageError
            If the image cannot be used.
        SessionError
            If the labels do not fit it.
        """
        if not isinstance(image, ImageSource):
            image = ImageSource(
                image,
                axes=axes,
                channels=channels,
                channel_axis=channel_axis,
                rgb=rgb,
                projection=projection,
                limits=limits,
                gamma=gamma,
            )
        elif (projection, gamma) != ("mean", 1.0) or any(
            setting is not None for setting in (axes, channels, channel_axis, rgb, limits)
        ):
            raise ImageError(
                "an ImageSource brings its settings along; give them to it, or to its adjusted()"
            )
        session = Session(image, self)
        if labels is not None:
            session.adopt(labels)
        return session

    @property
    def model_name(self) -> str:
        """Name of the model."""
        return self._encoder.model_name

    @property
    def weights_id(self) -> str:
        """A checksum of the weights in use, by which two of them can be told apart."""
        return self._encoder.weights_id

    @property
    def device(self) -> str:
        """Device in use."""
        return self._encoder.device

    @property
    def precision(self) -> str:
        """Precision in which the image encoder computes: float32, bf16 or float16."""
        return self._encoder.precision

    @property
    def runtime(self) -> str:
        """What computes: torch, ONNX Runtime or, with ``"onnx"``, which part, and both times."""
        return self._encoder.runtime

    @property
    def notice(self) -> str | None:
        """One sentence on why a device was left for the CPU, if it was."""
        return self._encoder.notice

    @property
    def store(self) -> FeatureStore | None:
        """Where features are kept on the disk, if anywhere."""
        return self._encoder.store

    @property
    def kept_precision(self) -> str:
        """Of features: float16, as kept on the disk, or float32 with ``store=False``."""
        return self._encoder.kept_precision

    @property
    def view_size(self) -> int:
        """Model pixels per side of a view."""
        return self._encoder.view_size

    @property
    def propagation(self) -> PropagationSettings:
        """Settings of EM value propagation, for sessions whose switch is on."""
        return self._propagation

    def cached(self, key: Hashable) -> Any | None:
        """Return the features kept under a key, or None."""
        return self._encoder.cached(key)

    def encode(self, view: Floats, key: Hashable | None = None) -> Any:
        """Return the features of a view (3, S, S), float32, NaN outside the image.

        Under `key`, if given, they are kept for as long as there is room.
        """
        return self._encoder.encode(view, key)

    @property
    def room_ahead(self) -> int | None:
        """Views for which `prepare` has room; None where a store on the disk takes any number."""
        return None if self._keeps else max(1, self._encoder.cache_views // 4)

    def prepare(self, view: Floats, key: Hashable) -> bool:
        """Have a view's features at hand before they are asked for: in the store, else in memory.

        Parameters
        ----------
        view, key
            As for `encode`.

        Returns
        -------
        bool
            Whether the image encoder had to run for that.
        """
        if self._keeps:
            return self._encoder.embed(view)
        if self.cached(key) is not None:
            return False
        self.encode(view, key)
        return True

    @property
    def _keeps(self) -> bool:
        """Whether there is a store that takes what it is given."""
        return self.store is not None and self.store.trouble is None

    def decode(
        self,
        features: Any,
        prompts: Sequence[Prompt],
        previous: Floats | None = None,
        propagation: PropagationSettings | None = None,
    ) -> RawPrediction:
        """Answer prompts, in view coordinates, on a view's features.

        Parameters
        ----------
        features
            From `encode`.
        prompts : sequence of Prompt
            Clicks, scribbles and boxes.
        previous : array, (S, S), float32, optional
            Probability after the interaction before.
        propagation : PropagationSettings, optional
            Spread the prompts' values by EM as well.
        """
        return self._encoder.decode(features, prompts, previous, propagation)

    def carry(
        self,
        known: Sequence[tuple[Any, Floats, float]],
        features: Any,
        settings: CarrySettings | None = None,
    ) -> Floats:
        """Carry an object from planes where it is known to another, by EM value propagation.

        Parameters
        ----------
        known : sequence of (features, array, float)
            For each known plane its features, from `encode`, the probability of the object there,
            (S, S) float32, and how much the plane counts, above 0.
        features
            Of the other plane, through the same view.
        settings : CarrySettings, optional
            Sharpness and reach.

        Returns
        -------
        array, (S, S), float32
            Probability of the object in the other plane.
        """
        return self._encoder.carry(known, features, settings or CarrySettings())
