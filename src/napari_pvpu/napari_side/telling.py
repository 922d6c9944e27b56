"""Errors as napari's notifications: sentences that say what to do."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from napari.utils.notifications import show_error, show_warning

from napari_pvpu.errors import PvpuError

if TYPE_CHECKING:
    from napari_pvpu.napari_side.shortcuts import Shortcuts

__all__ = ["sentence", "tell", "trouble_of", "with_keys"]

LOGGER = logging.getLogger(__name__)


def tell(error: Exception) -> None:
    """Tell the user of an error; what nobody expected also goes into the log."""
    if isinstance(error, PvpuError):
        show_warning(sentence(error))
    else:
        LOGGER.error("unexpected error while segmenting", exc_info=error)
        show_error(
            f"Something unexpected went wrong ({error!r}); nothing accepted is lost. Undo the last "
            "step and go on. If it comes again, “napari-pvpu doctor” writes what a report needs."
        )


def trouble_of(error: Exception) -> PvpuError:
    """Return an error as one of ours."""
    return error if isinstance(error, PvpuError) else PvpuError(repr(error))


def sentence(error: Exception) -> str:
    """Return the message of an error with a capital letter."""
    text = str(error)
    return text[:1].upper() + text[1:]


def with_keys(notice: str, shortcuts: Shortcuts) -> str:
    """Return a notice of the session's with the keys of what it advises."""
    from napari_pvpu.insight import ADVICE  # the session has it by now; the panel opens without

    best, undo = ADVICE.split(", or ")
    keyed = shortcuts.write_into(f"{best} ({{return_to_best}}), or {undo} ({{undo}})")
    return notice.replace(ADVICE, keyed)
