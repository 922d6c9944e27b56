"""A network as two ONNX files, encoder and decoder, and a JSON file that says how to use them."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from napari_pvpu.errors import ConfigError
from napari_pvpu.networks.backbones import Levels
from napari_pvpu.networks.blocks import upsample
from napari_pvpu.networks.models import PVPUNet

if TYPE_CHECKING:
    from napari_pvpu.networks.interface import PromptableNetwork

__all__ = ["DECODER", "DESCRIPTION", "ENCODER", "FORMAT", "LEVELS", "export_onnx", "numbers_id"]

ENCODER, DECODER, DESCRIPTION = "encoder.onnx", "decoder.onnx", "model.json"
FORMAT = "napari-pvpu onnx 1"
_OPSET = 18
LEVELS = ("s2", "s4", "s8", "s16")

_USE = {
    "view": "(B, 3, S, S) float32, the three channels that the network sees, 0 to 1 after "
    "stretching the image's contrast; NaN where the view leaves the image. Rows, then columns.",
    "vectors": "(1, K, 2 S + 3) float32, K >= 1 prompts as vector pairs with labels: over the "
    "columns, over the rows, then positive, negative, empty; the formulas stand in "
    "napari_pvpu.networks.prompt_encoding.PPuE, which needs the encoder's output 'image'. "
    "Scribbles are cut into pieces of 64 pixels. Without prompts: one empty slot.",
    "states": "(R, S, S) int64, what each pixel is known to be: 0 definite background, 1 possible "
    "background, 2 unknown, 3 possible foreground, 4 definite foreground; see "
    "napari_pvpu.networks.reference_map.reference_states, with the radius 'disk_radius'.",
    "previous": "(R, 1, S, S) float32, the probability after the interaction before; zeros where "
    "there is none.",
    "readings": "R is 1 for the first interaction and with more than two slots of prompts. With up "
    "to two, and a mask before, R is 2: states and previous with it, then states and zeros without "
    "it; the decoder averages both answers.",
    "logits": "(1, 1, S, S) float32; the mask is where they are above 0.",
    "pixels": "(1, D, S / 4, S / 4) float32, features of the pixels for value propagation.",
    "prompt_features": "(1, K, D) float32, features of the prompts.",
    "score": "(1,) float32, the intersection over union that the network expects, 0 to 1.",
}


class _Encoder(nn.Module):
    """`PVPUNet.encode` with a flat answer."""

    def __init__(self, network: PVPUNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, view: Tensor) -> tuple[Tensor, ...]:
        features = self.network.encode(view)
        return (*features.levels, features.image, features.inside)


class _Decoder(nn.Module):
    """`PVPUNet.decode` behind the encoding of prompts, for one view and R readings."""

    def __init__(self, network: PVPUNet) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        s2: Tensor,
        s4: Tensor,
        s8: Tensor,
        s16: Tensor,
        vectors: Tensor,
        states: Tensor,
        previous: Tensor,
    ) -> tuple[Tensor, ...]:
        network, count = self.network, states.shape[0]
        tokens = network.prompt_encoder.mlp(vectors).expand(count, -1, -1)
        levels = Levels(*(level.expand(count, -1, -1, -1) for level in (s2, s4, s8, s16)))
        out = network.decoder(
            levels,
            tokens,
            torch.ones_like(tokens[..., 0], dtype=torch.bool),
            network.reference2(states, previous),
            network.reference4(states, previous),
            None,
        )
        logits, pixels, prompts, score = (
            x.mean(0, keepdim=True)
            for x in (out.logits, out.pixels, out.prompt_features, out.score)
        )
        side = network.config.view_size
        return upsample(logits, (side, side)), pixels, prompts, score.sigmoid()


def export_onnx(network: PromptableNetwork, folder: str | Path) -> dict[str, Any]:
    """Write a network as `ENCODER`, `DECODER` and `DESCRIPTION` into a folder.

    The number of views in the encoder and of prompts and readings in the decoder stay open; the
    size of the view is the network's.

    Parameters
    ----------
    network : PromptableNetwork
        A `PVPUNet` with prompt tokens and a linear classifier, on the CPU, in evaluation mode.
    folder : path
        Made if needed; the three files appear when all are whole.

    Returns
    -------
    dict
        What the description says.

    Raises
    ------
    ConfigError
        If the network is of another kind, or the extra "onnx" is not installed.
    """
    plain = isinstance(network, PVPUNet) and network.config.prompts.tokens
    if not plain or network.config.decoder.classifier == "probabilistic":
        raise ConfigError(
            f"{network.config.name!r} cannot be exported to ONNX: only networks with a light "
            "decoder, prompt tokens and a linear classifier can, such as pvpu-nano"
        )
    assert isinstance(network, PVPUNet)
    try:
        import onnx  # noqa: F401 - the exporter's own message would not say what to install
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"{error.name} is missing; install it with: pip install 'napari-pvpu[onnx]'"
        ) from error
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as half_done:
        about = _write(network, Path(half_done))
        for name in (ENCODER, DECODER, DESCRIPTION):  # the description last: it says all is there
            shutil.move(Path(half_done) / name, folder / name)
    return about


def numbers_id(network: PromptableNetwork) -> str:
    """Return a checksum of a network's numbers and their names, 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for name, values in sorted(network.state_dict().items()):
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _write(network: PVPUNet, folder: Path) -> dict[str, Any]:
    size, (c2, c4, c8, c16) = network.config.view_size, network.config.pyramid
    views = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    states, previous = torch.full((2, size, size), 2), torch.zeros(2, 1, size, size)
    levels = [
        torch.zeros(1, channels, size // stride, size // stride)
        for channels, stride in zip((c2, c4, c8, c16), (2, 4, 8, 16), strict=True)
    ]
    vectors = torch.zeros(1, 3, 2 * size + 3)
    batch, slots, readings = (torch.export.Dim(name) for name in ("B", "K", "R"))
    _export(
        _Encoder(network),
        (views,),
        folder / ENCODER,
        [*LEVELS, "image", "inside"],
        {"view": {0: batch}},
    )
    of_decoder: dict[str, Any] = dict.fromkeys(LEVELS)
    of_decoder |= {"vectors": {1: slots}, "states": {0: readings}, "previous": {0: readings}}
    _export(
        _Decoder(network),
        (*levels, vectors, states, previous),
        folder / DECODER,
        ["logits", "pixels", "prompt_features", "score"],
        of_decoder,
    )
    about = {
        "format": FORMAT,
        "model": network.config.name,
        "numbers": numbers_id(network),
        "view_size": size,
        "disk_radius": network.config.prompts.disk_radius,
        "encoder": {
            "file": ENCODER,
            "inputs": ["view"],
            "outputs": [*LEVELS, "image", "inside"],
        },
        "decoder": {
            "file": DECODER,
            "inputs": list(of_decoder),
            "outputs": ["logits", "pixels", "prompt_features", "score"],
        },
        "level_shapes": {n: list(x.shape) for n, x in zip(LEVELS, levels, strict=True)},
        "use": _USE,
        "config": network.config.to_dict(),
    }
    (folder / DESCRIPTION).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return about


def _export(
    module: nn.Module, example: tuple[Tensor, ...], path: Path, outputs: list[str], shapes: Any
) -> None:
    """Write one file, with its weights inside, and without the exporter's chatter."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries among themselves
        torch.onnx.export(
            module.eval(),
            example,
            str(path),
            input_names=list(shapes),
            output_names=outputs,
            dynamic_shapes=shapes,
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
