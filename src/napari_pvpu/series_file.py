"""The file of a series: what has become of each image, line after line, only ever appended to.

The lines are those of `napari_pvpu.checked_lines`. The first one tells what the file is, each
further one an image as it then was, or a setting; the last line about a thing counts. A program
that is killed leaves at most a torn last line. A damaged line is passed over: at worst an image is
as it was one line before.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_pvpu.checked_lines import from_line, to_line
from napari_pvpu.errors import SeriesError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["NAME", "SeriesFile", "SeriesRecord"]

NAME = "pvpu-series.jsonl"
"""Of the file, in the folder of results."""

FORMAT, VERSION = "napari-pvpu series", 1


@dataclass(slots=True)
class SeriesRecord:
    """What a file tells.

    Attributes
    ----------
    images : dict of str to dict
        The newest line about each image, by its name.
    settings : dict
        The newest value of each setting.
    damaged : int
        Lines that could not be read.
    """

    images: dict[str, dict[str, Any]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    damaged: int = 0


class SeriesFile:
    """Appends to the file of a series.

    Parameters
    ----------
    folder : Path
        Of the results; made with the first line.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    def read(self) -> SeriesRecord:
        """Read what the file tells; nothing if it is not there.

        Raises
        ------
        SeriesError
            If it cannot be read, or is of another program or version.
        """
        record = SeriesRecord()
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return record
        except OSError as error:
            raise SeriesError(
                f"{self.path} cannot be read ({error.strerror or error}); choose another folder "
                "for the results"
            ) from error
        if lines:
            self._check_header(from_line(lines[0]))
        for number, line in enumerate(lines[1:], start=2):
            values = from_line(line)
            if values is None:
                record.damaged += number < len(lines)  # the last one may just be torn
            elif "image" in values:
                record.images[str(values.pop("image"))] = values
            else:
                record.settings.update(values)
        return record

    def note_image(self, name: str, values: dict[str, Any]) -> None:
        """Append how an image now is.

        Raises
        ------
        SeriesError
            If that cannot be written.
        """
        self._append({"image": name, **values})

    def note_setting(self, **values: Any) -> None:
        """Append settings.

        Raises
        ------
        SeriesError
            If that cannot be written.
        """
        self._append(values)

    def _append(self, values: dict[str, Any]) -> None:
        """Write a line, in one piece, after a whole line."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "a+b", buffering=0) as file:
                content = to_line(values)
                end = file.seek(0, os.SEEK_END)
                if end == 0:
                    content = to_line({"format": FORMAT, "version": VERSION}) + content
                elif _last_byte(file, end) != b"\n":  # a torn line must not spoil this one
                    content = b"\n" + content
                if file.write(content) != len(content):
                    raise OSError("the disk is full")
        except OSError as error:
            raise SeriesError(
                f"{self.path} cannot be written ({error.strerror or error}); free some space, or "
                "choose a folder for the results that you may write to"
            ) from error

    def _check_header(self, header: dict[str, Any] | None) -> None:
        if header is None or header.get("format") != FORMAT:
            raise SeriesError(
                f"{self.path} is no file of a series, or its first line is damaged; move it away "
                "to begin anew (labels stay), or choose another folder for the results"
            )
        if header.get("version") != VERSION:
            raise SeriesError(
                f"{self.path} is of version {header.get('version')}, and this program reads "
                f"version {VERSION}; use the program that wrote it, or another folder"
            )


def _last_byte(file: Any, end: int) -> bytes:
    file.seek(end - 1)
    return bytes(file.read(1))
