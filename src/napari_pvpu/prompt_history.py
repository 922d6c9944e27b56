"""Prompts from the file of an earlier session: those of the objects that were there in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_pvpu.errors import JournalError, PromptError
from napari_pvpu.prompt_files import PromptedObject, PromptFile
from napari_pvpu.prompts import PriorMask

if TYPE_CHECKING:
    from pathlib import Path

    from napari_pvpu.operations import Operation
    from napari_pvpu.records import Plane

__all__ = ["read_session"]

Prompts = tuple[Any, ...]
State = tuple[dict["Plane", Prompts], dict[int, tuple["Plane", Prompts]]]
"""Prompts of the objects at work, by plane; plane and prompts of accepted ones, by id."""

_NO_STEP = ("plane", "overlap")
"""Settings whose change is no step; changes of another in a row are one step."""


def read_session(path: Path) -> PromptFile:
    """Read the prompts of a session's accepted objects.

    Objects that no prompt made (adopted or painted ones, pieces of split ones) are told as
    problems. Changes by hand are not prompts, and left out.

    Raises
    ------
    PromptError
        If the file cannot be read.
    """
    from napari_pvpu.journal import read_journal

    try:
        recorded = read_journal(path)
    except JournalError as error:
        raise PromptError(str(error)) from error
    plane: Plane = ()
    steps: list[State] = [({}, {})]
    at = 0
    dragged = None
    for operation in recorded.operations:
        values = operation.values
        if operation.name == "set" and values["name"] == "plane":
            plane = tuple(values["value"])
        if operation.name in ("see", "keep_off"):
            continue
        if operation.name in ("undo", "redo", "go_to"):
            at += {"undo": -1, "redo": 1}.get(operation.name, 0)
            at = int(values["position"]) if operation.name == "go_to" else at
            at, dragged = min(max(at, 0), len(steps) - 1), None
            continue
        if operation.name == "join":
            del steps[max(at - 1, 1) : at]
            at, dragged = len(steps) - 1, None
            continue
        known, dragged = dragged, values["name"] if operation.name == "set" else None
        if operation.name == "set" and (values["name"] in _NO_STEP or known == values["name"]):
            continue
        steps[at + 1 :] = [_after(steps[at], operation, plane)]
        at += 1
    return _as_file(steps[at][1])


def _after(state: State, operation: Operation, plane: Plane) -> State:
    """Return what is there after an operation."""
    working, accepted = dict(state[0]), dict(state[1])
    values, name = operation.values, operation.name
    if name == "prompts":
        here = tuple(values["plane"])
        if "accepting" in values:  # the one before was accepted in the same step
            before = working.pop(here, ())
            if operation.result:
                accepted[int(operation.result["id"])] = (here, before)
        working[here] = (*working.get(here, ())[: values["keep"]], *values["prompts"])
    elif name == "accept":
        result = operation.result or {}
        accepted[int(result["id"])] = (plane, working.pop(_here(working, plane), ()))
    elif name == "open_object":
        owner, prompts = accepted.pop(int(values["object_id"]), (plane, ()))
        working[owner] = prompts
    elif name == "delete":
        accepted.pop(int(values["object_id"]), None)
    elif name == "relabel" and int(values["old"]) in accepted:
        accepted[int(values["new"])] = accepted.pop(int(values["old"]))
    elif name == "merge":
        first, *others = (int(each) for each in values["object_ids"])
        owner, joined = accepted.get(first, (plane, ()))
        for each in others:
            joined = (*joined, *accepted.pop(each, (owner, ()))[1])
        accepted[first] = (owner, joined)
    elif name == "paint_labels":
        for object_id in (operation.result or {}).get("gone", ()):
            accepted.pop(int(object_id), None)
    elif name == "reset":
        working.pop(_here(working, plane), None)
    return working, accepted


def _here(working: dict[Plane, Prompts], plane: Plane) -> Plane:
    """Return the plane at work; a session in the first one need not have said so."""
    return plane if plane in working or not working else next(iter(working))


def _as_file(accepted: dict[int, tuple[Plane, Prompts]]) -> PromptFile:
    found = PromptFile()
    for object_id, (plane, prompts) in sorted(accepted.items()):
        drawn = [each for each in prompts if not isinstance(each, PriorMask)]
        if drawn:
            found.objects.append(PromptedObject(str(object_id), "", plane or None, drawn))
        else:
            found.problems.append(f"object {object_id}: no prompt made it")
    return found
