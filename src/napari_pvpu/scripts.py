"""A session as a Python script that does the same again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pvpu.operations import pack_array
from napari_pvpu.prompts import Box, Click, Polygon, PriorMask, Scribble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_pvpu.operations import Operation
    from napari_pvpu.prompts import Prompt
    from napari_pvpu.session_state import SessionState
    from napari_pvpu.source import ImageSource

__all__ = ["source_settings", "to_python"]

_HEAD = '''"""A session of napari-pvpu, as a script."""

import sys

from napari_pvpu import Box, Click, Polygon, PriorMask, Scribble, Segmenter
from napari_pvpu.export.reading import read_image
from napari_pvpu.operations import unpack_array

'''


def source_settings(source: ImageSource) -> dict[str, Any]:
    """Return the arguments of `Segmenter.open` that show an image as this source does."""
    return {
        "axes": source.axes,
        "channels": list(source.channels),
        "projection": source.projection,
        "limits": [list(values) for values in source.limits],
        "gamma": source.gamma,
    }


def to_python(session: SessionState, image: str | None = None, model: str | None = None) -> str:
    """Return a script that does what was done in a session.

    Parameters
    ----------
    session : SessionState
        The session.
    image : str, optional
        Path of the image; by default the script takes it from its command line.
    model : str, optional
        As `Segmenter` takes it; by default the name in the model's config, which finds the weights
        of bundled models only.
    """
    path = "sys.argv[1]" if image is None else repr(image)
    settings = ", ".join(
        f"{key}={value!r}" for key, value in source_settings(session.first_source).items()
    )
    model = model or getattr(session.predictor, "model_name", "pvpu-nano")
    lines = [
        f"image = read_image({path})",
        f"session = Segmenter({model!r}).open(image, {settings})",
    ]
    state: dict[str, Any] = {"canvas_extent": None, "value_propagation": False, "plane": None}
    for operation in session.operations:
        lines += _lines(operation, state)
    return _HEAD + "\n".join(lines) + "\n"


def _lines(operation: Operation, state: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of one operation; `state` is what those before have set."""
    values = dict(operation.values)
    if operation.name == "set":
        value = values["value"]
        yield f"session.{values['name']} = {tuple(value) if isinstance(value, list) else value!r}"
        return
    if operation.name != "prompts":
        arguments = ", ".join(f"{key}={_literal(value)}" for key, value in values.items())
        yield f"session.{operation.name}({arguments})"
        return
    if values["canvas_extent"] != state["canvas_extent"]:
        state["canvas_extent"] = values["canvas_extent"]
        yield f"session.canvas_extent = {values['canvas_extent']!r}"
    yield from _prompt_lines(values, state)


def _prompt_lines(values: dict[str, Any], state: dict[str, Any]) -> Iterator[str]:
    em, keep, prompts = values["value_propagation"], values["keep"], values["prompts"]
    view = values["view"]
    written = f"[*session.prompts[:{keep}], {', '.join(map(_literal, prompts))}]"
    if keep == 0:
        written = _literal(prompts)
    elif not prompts:
        written = f"session.prompts[:{keep}]"
    arguments = [written]
    if view is not None:
        arguments.append(f"View({', '.join(map(str, view))})")
        yield "from napari_pvpu.views import View"
    if em != state["value_propagation"]:
        arguments.append(f"value_propagation={em}")
    if len(values["plane"]):
        arguments.append(f"plane={tuple(values['plane'])}")
    state["value_propagation"] = em
    rule = values.get("accepting")
    plain = len(arguments) == 1
    if rule is not None:
        arguments.append(f"overlap={rule!r}")
    method = "set_prompts" if rule is None else "next_object"
    if plain:
        yield f"session.{method}({', '.join(arguments)})"
        return
    ask = "request" if rule is None else "request_next"
    yield f"session.commit(session.compute(session.{ask}({', '.join(arguments)})))"


def _literal(value: Any) -> str:
    """Write a value down as Python."""
    if isinstance(value, np.ndarray):
        return f"unpack_array({pack_array(value)!r})"
    if isinstance(value, dict):  # an array that is packed already
        return f"unpack_array({value!r})"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_literal(each) for each in value)}]"
    if isinstance(value, PriorMask | Polygon | Click | Scribble | Box):
        return _prompt(value)
    return repr(value)


def _prompt(prompt: Prompt) -> str:
    if isinstance(prompt, PriorMask):
        return f"PriorMask(unpack_array({pack_array(prompt.mask)!r}), {prompt.offset!r})"
    polarity = "" if prompt.positive else ", positive=False"
    if isinstance(prompt, Click):
        return f"Click({prompt.position!r}{polarity})"
    if isinstance(prompt, Polygon):
        return f"Polygon({prompt.path!r}{polarity}{', filled=True' if prompt.filled else ''})"
    if isinstance(prompt, Scribble):
        return f"Scribble({prompt.path!r}{polarity})"
    return f"Box({prompt.start!r}, {prompt.stop!r}{polarity})"
