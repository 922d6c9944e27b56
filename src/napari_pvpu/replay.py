"""Do again what a session file tells, without a screen, and come to the same labels."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

from napari_pvpu.current_object import Paint
from napari_pvpu.errors import DatasetError, ExportError, JournalError, PvpuError
from napari_pvpu.evaluation import dataset
from napari_pvpu.export import reading
from napari_pvpu.features.image_files import LARGE, read_image_file
from napari_pvpu.fingerprints import fingerprint
from napari_pvpu.levels import as_levels
from napari_pvpu.operations import METHODS, unpack_array
from napari_pvpu.session import Session
from napari_pvpu.source import ImageSource
from napari_pvpu.views import View

if TYPE_CHECKING:
    from pathlib import Path

    from napari_pvpu.journal import Recorded
    from napari_pvpu.operations import Operation
    from napari_pvpu.predictor import Predictor

__all__ = ["apply", "read_recorded_image", "replay", "were_rounded"]


def replay(
    recorded: Recorded,
    image: Any,
    segmenter: Predictor | None = None,
    *,
    exact: bool = True,
) -> Session:
    """Return a session in which everything recorded has been done.

    Parameters
    ----------
    recorded : Recorded
        From `read_journal`.
    image : array-like
        The image that it was made on.
    segmenter : Segmenter, optional
        With the model that it was made with; by default that is loaded.
    exact : bool
        Raise if an object comes out otherwise than it was accepted.

    Raises
    ------
    JournalError
        If image, model or weights are others than recorded, or something comes out otherwise.
    """
    wanted, found = recorded.header["image"], fingerprint(image)
    if found != wanted:
        raise _other_image(wanted, found)
    if segmenter is None:
        from napari_pvpu.segmenter import Segmenter

        model = recorded.header["model"]
        segmenter = Segmenter(
            str(model["name"]), device=model["device"] or "auto", store=were_rounded(model)
        )
    _check_model(recorded.header["model"], segmenter)
    session = Session(ImageSource(image, **recorded.header["open"]), segmenter)
    for number, operation in enumerate(recorded.operations, start=1):
        try:
            apply(session, operation)
        except PvpuError as error:
            raise JournalError(
                f"step {number} of {len(recorded.operations)} ({operation.name}) cannot be done "
                f"again: {error}"
            ) from error
        if exact and operation.result != session.operations[-1].result:
            raise JournalError(_divergence(number, operation, session.operations[-1]))
    return session


def apply(session: Session, operation: Operation) -> None:
    """Do one operation.

    Raises
    ------
    PvpuError
        Whatever the session has to say about it.
    """
    values: dict[str, Any] = {
        key: unpack_array(value) if isinstance(value, dict) else value
        for key, value in operation.values.items()
    }
    if operation.name == "set":
        value = values["value"]
        setattr(session, values["name"], tuple(value) if isinstance(value, list) else value)
    elif operation.name == "prompts":
        _answer(session, values)
    elif operation.name in METHODS:
        getattr(session, operation.name)(**values)
    else:
        raise JournalError(f"unknown operation {operation.name!r}")


def were_rounded(model: dict[str, Any]) -> bool:
    """Tell whether a recorded model's features were rounded, as those in a store are."""
    return bool(model.get("features") == "float16")


def read_recorded_image(path: Path, wanted: dict[str, Any], levels: int | None = None) -> Any:
    """Read an image file as it was when a session was made on it, lazily where its format allows.

    Parameters
    ----------
    path : Path
        As for `napari_pvpu.features.image_files.open_image`.
    wanted : dict
        Its fingerprint. Colours of pictures are read in more than one way; the one of which it is
        the fingerprint is taken.
    levels : int, optional
        How many levels of a pyramid the session saw; all that the file has, if that is not known.

    Returns
    -------
    array-like, or list of array-like
        As for `ImageSource`.

    Raises
    ------
    JournalError
        If the file holds another image.
    ExportError, ImageError
        If it cannot be read at all.
    """
    lazy = read_image_file(path).image
    arrays = as_levels(lazy)
    found = fingerprint(arrays[0])
    if found == wanted:
        return lazy if levels is None or levels >= len(arrays) else arrays[:levels]
    if prod(arrays[0].shape) * arrays[0].dtype.itemsize <= LARGE:
        for read in (reading.read_image, dataset.read_image):
            with suppress(DatasetError, ExportError, OSError):  # a folder is nothing for the second
                other = read(path)
                if fingerprint(other) == wanted:
                    return other
    raise _other_image(wanted, found)


def _answer(session: Session, values: dict[str, Any]) -> None:
    """Repeat an interaction with all that it depended on."""
    plane = tuple(values["plane"])
    known = session.prompts_in(plane)
    view = None if values["view"] is None else View(*values["view"])
    options: dict[str, Any] = {"value_propagation": values["value_propagation"], "plane": plane}
    if values.get("accepting") is not None:
        request = session.request_next(values["prompts"], overlap=values["accepting"], **options)
    else:
        request = session.request([*known[: values["keep"]], *values["prompts"]], view, **options)
    request = replace(
        request,
        threshold=values["threshold"],
        object_length=values["object_length"],
        canvas_extent=values["canvas_extent"],
    )
    if "paint" in values:
        offset = values["paint_offset"]
        paint = None if offset is None else Paint(offset[0], offset[1], values["paint"])
        request = replace(request, paint=paint)
    session.commit(session.compute(request))


def _other_image(wanted: dict[str, Any], found: dict[str, Any]) -> JournalError:
    """Return the error that says in what two fingerprints differ."""
    names = {"shape": "shape", "dtype": "dtype", "hash": "checksum"}
    key = next(key for key in names if wanted[key] != found[key])
    return JournalError(
        f"the session was made on another image: one of {names[key]} {wanted[key]}, and this "
        f"one has {found[key]}"
    )


def _check_model(wanted: dict[str, Any], segmenter: Predictor) -> None:
    for key, attribute, what in (
        ("name", "model_name", "model"),
        ("weights", "weights_id", "weights"),
    ):
        found = getattr(segmenter, attribute, None)
        if wanted[key] != found:
            raise JournalError(
                f"the session was made with other {what} ({wanted[key]}) than these ({found}); "
                "open it with those"
            )


def _divergence(number: int, wanted: Operation, found: Operation) -> str:
    return (
        f"step {number} ({wanted.name}) came out as {found.result} and not as {wanted.result}: "
        "another device or version of torch computes a little otherwise; pass exact=False "
        "(--any) to take what comes"
    )
