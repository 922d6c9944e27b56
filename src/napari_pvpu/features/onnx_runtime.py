"""An exported network, run by ONNX Runtime instead of torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from napari_pvpu.errors import ConfigError
from napari_pvpu.features.prompt_tensors import reads_twice
from napari_pvpu.networks.inference_reference import reference_readings
from napari_pvpu.networks.interface import Decoded, Features
from napari_pvpu.onnx_export import DECODER, DESCRIPTION, ENCODER, FORMAT, LEVELS, numbers_id

if TYPE_CHECKING:
    from torch import Tensor

    from napari_pvpu.networks.interface import PromptableNetwork
    from napari_pvpu.networks.prompt_batch import PromptBatch
    from napari_pvpu.networks.pvpu_net import PVPUNet

__all__ = ["OnnxRunner", "onnx_library"]


class OnnxRunner:
    """A `Runner` on the files that `export_onnx` wrote, on the CPU in float32.

    Prompts become vectors and reference maps in torch, as ever; that takes a millisecond.

    Parameters
    ----------
    network : PromptableNetwork
        The network that was exported.
    folder : path
        With the files.
    threads : int
        Of ONNX Runtime.

    Raises
    ------
    ConfigError
        If ONNX Runtime is not installed, or the files are missing, damaged or of another network.
    """

    runtime = "ONNX Runtime"

    def __init__(self, network: PromptableNetwork, folder: str | Path, threads: int = 1) -> None:
        self.device, self.precision = torch.device("cpu"), "float32"
        onnxruntime = onnx_library()
        folder = Path(folder)
        self._about = _read(folder)
        if self._about["numbers"] != numbers_id(network):
            raise ConfigError(
                f"{folder} holds another network ({self._about['model']!r}, or other weights) than "
                f"{network.config.name!r}; write it anew with: napari-pvpu export-onnx"
            )
        self._network: PVPUNet = network  # type: ignore[assignment] # no other can be exported
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._encoder, self._decoder = (
                onnxruntime.InferenceSession(
                    str(folder / name), options, providers=["CPUExecutionProvider"]
                )
                for name in (ENCODER, DECODER)
            )
        except Exception as error:  # its errors have no common class of their own
            raise ConfigError(
                f"{folder} cannot be read ({error}); write it anew with: napari-pvpu export-onnx"
            ) from error

    def encode(self, views: Tensor) -> Features:
        """Do as `Runner.encode`."""
        *levels, image, inside = _run(self._encoder, view=views)
        return Features(tuple(levels), image, inside)

    def decode(self, features: Features, prompts: PromptBatch, previous: Tensor | None) -> Decoded:
        """Do as `Runner.decode`, for one view."""
        config = self._network.config
        readings = [previous]
        if previous is not None and reads_twice(prompts):
            readings.append(None)
        states = reference_readings(prompts, config.view_size, config.prompts.disk_radius, readings)
        blank = torch.zeros(1, 1, config.view_size, config.view_size)
        before = torch.cat([blank if each is None else each for each in readings])
        answer = _run(
            self._decoder,
            **dict(zip(LEVELS, features.levels, strict=True)),
            vectors=self._network.prompt_encoder.vectors(prompts, features.image),
            states=states.long(),
            previous=before,
        )
        return Decoded(*answer)


def onnx_library() -> Any:
    """Import ONNX Runtime.

    Raises
    ------
    ConfigError
        If it is not installed; says how to install it.
    """
    try:
        import onnxruntime  # type: ignore[import-untyped]
    except ImportError as error:
        raise ConfigError(
            "onnxruntime is missing; install it with: pip install 'napari-pvpu[onnx]'"
        ) from error
    return onnxruntime


def _run(session: Any, **inputs: Tensor) -> list[Tensor]:
    fed = {name: tensor.contiguous().numpy() for name, tensor in inputs.items()}
    return [torch.from_numpy(array) for array in session.run(None, fed)]


def _read(folder: Path) -> dict[str, Any]:
    try:
        about = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{folder} holds no exported network ({error}); write one with: napari-pvpu "
            "export-onnx MODEL --out FOLDER"
        ) from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise ConfigError(f"{folder / DESCRIPTION} is not of the format {FORMAT!r}")
    return about
