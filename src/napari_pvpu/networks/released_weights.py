"""Official checkpoints as weights of our networks, every tensor of them accounted for."""

from __future__ import annotations

import contextlib
import pickle
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from napari_pvpu.errors import ModelNotFoundError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from napari_pvpu.networks.released_names import Release

# Packages whose objects official checkpoints carry beside the tensors, in configs and logs.
_FOREIGN = ("isegm.", "mmcv.", "mmseg.", "interformer.", "easydict.", "numpy.")

_SHOWN = 10


class Conversion(NamedTuple):
    """Weights for one of our networks, and what became of every name.

    Attributes
    ----------
    state : dict of str to Tensor
        By our names.
    mapped : dict of str to str
        Our name for each released one that was taken.
    left_out : dict of str to str
        Why, for each released name that was not.
    not_released : dict of str to str
        Why, for each of our names that was not filled.
    """

    state: dict[str, Tensor]
    mapped: dict[str, str]
    left_out: dict[str, str]
    not_released: dict[str, str]


class _StandIn:
    """What is built where a checkpoint asks for a class of a foreign package: nothing."""

    def __new__(cls, *args: object, **kwargs: object) -> _StandIn:
        return super().__new__(cls)

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def read_released(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of an official checkpoint, without running anything that is in it.

    Parameters
    ----------
    path : str or Path
        A file written by ``torch.save``: a state dict, or a dict with one under ``state_dict``
        (mmcv, RITM and its heirs) or ``model``. Objects of the packages that wrote it, such as
        the loss in SimpleClick's config, are replaced by empty ones; nothing else is allowed.

    Returns
    -------
    dict of str to Tensor
        On the CPU, without the prefix that data-parallel training leaves.

    Raises
    ------
    ModelNotFoundError
        If there is no such file.
    WeightsError
        If it cannot be read or holds anything else than weights.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelNotFoundError(f"there is no checkpoint at {path}; check the path")
    try:
        with _stand_ins(path):
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(
            f"{path} cannot be read as weights ({reason}); it may be cut off: fetch it again"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content:
        raise WeightsError(f"{path} holds no state dict but {type(content).__name__}")
    strange = [key for key, value in content.items() if not isinstance(value, Tensor)]
    if strange:
        raise WeightsError(f"{path} holds no state dict: {_list(map(repr, strange))} no tensors")
    if all(str(key).startswith("module.") for key in content):
        content = {key.removeprefix("module."): value for key, value in content.items()}
    return dict(content)


@contextlib.contextmanager
def _stand_ins(path: Path) -> Iterator[None]:
    """Let a checkpoint build empty objects where it names classes of foreign packages."""
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
    except (RuntimeError, ValueError):  # no zip file: the old format, or none of torch's
        names = []
    foreign = [name for name in names if name.startswith(_FOREIGN)]
    if refused := sorted(set(names) - set(foreign)):
        raise WeightsError(f"{path} asks to run {_list(refused)}; it is no plain checkpoint")
    classes: list[Any] = []
    for name in foreign:
        module, _, own = name.rpartition(".")
        classes.append(type(own, (_StandIn,), {"__module__": module, "__qualname__": own}))
    with torch.serialization.safe_globals(classes):
        yield


def convert_released(
    release: Release, source: Mapping[str, Tensor], target: Mapping[str, Tensor]
) -> Conversion:
    """Give the tensors of an official checkpoint our names.

    Parameters
    ----------
    release : Release
        The table of names.
    source : mapping of str to Tensor
        The checkpoint, by its own names.
    target : mapping of str to Tensor
        State dict of our network, for its names and shapes.

    Returns
    -------
    Conversion
        Weights and the fate of every name.

    Raises
    ------
    WeightsError
        If a released name is in no table, if two go to one place, if one of ours is not filled,
        or if shapes differ; the message gives the first ten.
    """
    state: dict[str, Tensor] = {}
    mapped: dict[str, str] = {}
    left_out: dict[str, str] = {}
    wrong: list[str] = []
    changes = dict(release.changes)
    for key, value in source.items():
        if (reason := _reason(release.left_out, key)) is not None:
            left_out[key] = reason
            continue
        own = _renamed(release, key)
        if own is None:
            wrong.append(f"{key} is unknown")
            continue
        if own in changes and value.ndim > 1:
            value = changes[own](value)
        if own not in target:
            wrong.append(f"{key} has no place in this network ({own})")
        elif own in state:
            wrong.append(f"{key} would go where another went ({own})")
        elif value.shape != target[own].shape:
            wrong.append(f"{key} is {_shape(value)}, not {_shape(target[own])} ({own})")
        else:
            state[own] = value
        mapped[key] = own
    taken = set(mapped.values())
    unfilled = {own: _reason(release.not_released, own) for own in target if own not in taken}
    not_released = {own: reason for own, reason in unfilled.items() if reason is not None}
    wrong += [f"{own} is missing" for own in unfilled if own not in not_released]
    if wrong:
        raise WeightsError(
            f"this checkpoint does not fit the network as a release of {release.name}: "
            f"{_list(wrong, '; ')}"
        )
    return Conversion(state, mapped, left_out, not_released)


def load_released(network: nn.Module, release: Release, path: str | Path) -> Conversion:
    """Give a network the weights of an official checkpoint.

    Parameters
    ----------
    network : nn.Module
        Of the same sizes as the released one; left as it is if anything does not fit.
    release : Release
        The table of names.
    path : str or Path
        The checkpoint.

    Returns
    -------
    Conversion
        What became of every name.

    Raises
    ------
    ModelNotFoundError, WeightsError
        As from `read_released` and `convert_released`.
    """
    conversion = convert_released(release, read_released(path), network.state_dict())
    network.load_state_dict(conversion.state, strict=not conversion.not_released)
    return conversion


def _reason(table: tuple[tuple[str, str], ...], name: str) -> str | None:
    return next((reason for pattern, reason in table if re.fullmatch(pattern, name)), None)


def _renamed(release: Release, name: str) -> str | None:
    """Return our name for a released one, from the first row that matches it."""
    for pattern, own in release.rules:
        if match := re.fullmatch(pattern, name):
            return match.expand(own)
    return None


def _shape(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "a number"


def _list(items: Any, separator: str = ", ") -> str:
    items = list(items)
    more = f"{separator}and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return separator.join(items[:_SHOWN]) + more
