"""What the axes of an array mean, as a word of one letter per axis: ``"TCZYX"``.

Y and X are the *spatial axes*, rows and columns of what the network sees. C (channels) or S
(samples, tifffile's word for red, green, blue) is the *channel axis*. Every other letter, T and Z
first of all, is a *plane axis*: its positions are separate pictures.

Arrays whose axes nobody names are guessed by `guess_axes`:

==========  ========================================================  =========
dimensions  shape                                                     axes
==========  ========================================================  =========
2           any                                                       ``YX``
3           last axis of 4 at most and shorter than both others       ``YXC``
3           first longer than 4, last not shorter than both others    ``ZYX``
4           last axis of 4 at most and shorter than all others        ``ZYXC``
4           both first longer than 4                                  ``TZYX``
5           last axis of 4 at most and shorter than all others        ``TZYXC``
5           second of 4 at most, third longer                         ``TCZYX``
5           third of 4 at most, second longer                         ``TZCYX``
any + rgb   last axis of 3 or 4                                       ``...YXS``
==========  ========================================================  =========

In 4 and 5 dimensions the last two spatial axes must also be longer than 4. Everything else is
ambiguous and refused: three planes of a stack look like three channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_pvpu.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Layout", "find_axes", "guess_axes", "parse_axes"]

SPATIAL = "YX"
CHANNEL = "CS"
MOST_GUESSED_CHANNELS = 4
"""An axis of at most this length may hold channels."""

MOST_DIMENSIONS = 5
"""Of arrays that have more, nothing is guessed."""

NAMES = {
    "TIME": "T",
    "TIMES": "T",
    "FRAME": "T",
    "FRAMES": "T",
    "TIMEPOINT": "T",
    "CHANNEL": "C",
    "CHANNELS": "C",
    "CH": "C",
    "DEPTH": "Z",
    "PLANE": "Z",
    "SLICE": "Z",
    "ROW": "Y",
    "ROWS": "Y",
    "HEIGHT": "Y",
    "COL": "X",
    "COLUMN": "X",
    "COLUMNS": "X",
    "WIDTH": "X",
    "RGB": "S",
    "RGBA": "S",
    "SAMPLE": "S",
    "SAMPLES": "S",
}
"""Names of axes in use besides single letters."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the axes of an array lie.

    Parameters
    ----------
    axes : str
        From `parse_axes`.
    """

    axes: str

    @property
    def rows(self) -> int:
        """Position of Y."""
        return self.axes.index("Y")

    @property
    def cols(self) -> int:
        """Position of X."""
        return self.axes.index("X")

    @property
    def channel(self) -> int | None:
        """Position of C or S, None without channels."""
        found = [place for place, letter in enumerate(self.axes) if letter in CHANNEL]
        return found[0] if found else None

    @property
    def planes(self) -> tuple[int, ...]:
        """Positions of the plane axes."""
        others = SPATIAL + CHANNEL
        return tuple(place for place, letter in enumerate(self.axes) if letter not in others)

    @property
    def plane_axes(self) -> str:
        """Letters of the plane axes."""
        return "".join(self.axes[place] for place in self.planes)


def parse_axes(axes: str | Sequence[str]) -> str:
    """Return axes as a word of capital letters.

    Parameters
    ----------
    axes : str or sequence of str
        ``"TCZYX"``, ``"t,c,z,y,x"``, or one name an axis such as ``("time", "y", "x")``.

    Raises
    ------
    ImageError
        If a letter comes twice, Y or X is missing, both C and S are there, or a name is unknown.
    """
    if isinstance(axes, str):
        word = "".join(axes.replace(",", " ").split()).upper()
    else:
        names = [str(name).strip().upper() for name in axes]
        word = "".join(name if len(name) == 1 else NAMES.get(name, "?") for name in names)
    if wrong := sorted({letter for letter in word if not "A" <= letter <= "Z"}):
        raise ImageError(
            f"cannot read the axes {axes!r} ({', '.join(wrong)} names none); write one letter for "
            "each axis of the array: T, C, Z, Y, X, or S for red, green, blue"
        )
    if twice := sorted({letter for letter in word if word.count(letter) > 1}):
        raise ImageError(f"the axes {word!r} name {', '.join(twice)} more than once")
    if missing := [letter for letter in SPATIAL if letter not in word]:
        raise ImageError(
            f"the axes {word!r} lack {' and '.join(missing)}; Y are the rows and X the columns of "
            "what is segmented"
        )
    if all(letter in word for letter in CHANNEL):
        raise ImageError(
            f"the axes {word!r} have both C and S, but an image has one channel axis; name one of "
            "the two otherwise (any other letter makes each of its positions a plane)"
        )
    return word


def find_axes(
    shape: tuple[int, ...],
    axes: str | Sequence[str] | None = None,
    *,
    channel_axis: int | None = None,
    rgb: bool | None = None,
) -> str:
    """Return the axes of an array: those named, or a guess.

    Parameters
    ----------
    shape : tuple of int
        The array's.
    axes : str or sequence of str, optional
        See `parse_axes`.
    channel_axis : int, optional
        Position of the channels; without `axes` the others are taken for (T, Z,) Y, X.
    rgb : bool, optional
        Whether the last axis holds red, green, blue.

    Raises
    ------
    ImageError
        If the axes do not fit the shape or each other, or cannot be guessed.
    """
    if axes is None:
        return guess_axes(shape, channel_axis=channel_axis, rgb=rgb)
    word = parse_axes(axes)
    if len(word) != len(shape):
        raise ImageError(
            f"the axes {word!r} name {len(word)} dimensions, but the image of shape {shape} has "
            f"{len(shape)}"
        )
    if channel_axis is not None:
        place = _check_channel_axis(shape, channel_axis)
        if Layout(word).channel != place:
            raise ImageError(
                f"channel_axis={channel_axis} and axes={word!r} contradict each other; pass one"
            )
    return word


def guess_axes(
    shape: tuple[int, ...], *, channel_axis: int | None = None, rgb: bool | None = None
) -> str:
    """Guess the axes of an array by its shape; see the table at the top of this module.

    Parameters
    ----------
    shape : tuple of int
        Of 2 to 5 dimensions.
    channel_axis : int, optional
        Position of the channels.
    rgb : bool, optional
        True if the last axis holds red, green, blue (and alpha).

    Raises
    ------
    ImageError
        If there is no such axis, or several readings are as likely; it names them.
    """
    count = len(shape)
    if not 2 <= count <= MOST_DIMENSIONS:
        raise ImageError(
            f"an image has two axes, (Y, X), or up to {MOST_DIMENSIONS}, (T, C, Z, Y, X), not "
            f"shape {shape}; pass axes= if it has more, one letter for each"
        )
    if channel_axis is not None:
        place = _check_channel_axis(shape, channel_axis)
        if count == 2:
            raise ImageError(f"an image with channels has three axes or more, not shape {shape}")
        word = "TZYX"[-(count - 1) :]
        return word[:place] + "C" + word[place:]
    if count == 2:
        return SPATIAL
    others = shape[:-1]
    if rgb:
        return "TZYX"[-(count - 1) :] + "S"
    if shape[-1] <= MOST_GUESSED_CHANNELS and shape[-1] < min(others[-2:]):
        if count == 3 or min(others[-2:]) > MOST_GUESSED_CHANNELS:
            return "TZYX"[-(count - 1) :] + "C"
    found = {3: _guess_three, 4: _guess_four, 5: _guess_five}[count](shape)
    if found is None:
        likely = {3: ("CYX", "ZYX", "TYX", "YXC"), 4: ("CZYX", "ZCYX", "TCYX", "TZYX")}
        readings = ", ".join(f'"{each}"' for each in likely.get(count, ("TCZYX", "TZCYX")))
        raise ImageError(
            f"cannot tell what the axes of shape {shape} are; pass axes= one of {readings}, "
            "channel_axis=, or a single plane"
        )
    return found


def _guess_three(shape: tuple[int, ...]) -> str | None:
    first, rows, cols = shape
    return "ZYX" if first > MOST_GUESSED_CHANNELS and cols >= min(first, rows) else None


def _guess_four(shape: tuple[int, ...]) -> str | None:
    return "TZYX" if min(shape) > MOST_GUESSED_CHANNELS else None


def _guess_five(shape: tuple[int, ...]) -> str | None:
    if min(shape[-2:]) <= MOST_GUESSED_CHANNELS:
        return None
    second, third = (length <= MOST_GUESSED_CHANNELS for length in shape[1:3])
    if second == third:
        return None
    return "TCZYX" if second else "TZCYX"


def _check_channel_axis(shape: tuple[int, ...], axis: int) -> int:
    if not -len(shape) <= axis < len(shape):
        raise ImageError(f"there is no channel axis {axis} in an image of shape {shape}")
    return axis % len(shape)
