"""Names of units, as napari (pint), NGFF, OME and ImageJ write them."""

from __future__ import annotations

__all__ = ["SYMBOLS", "is_unit", "unit_name"]

_UNIT_NAMES = {
    "micrometer": ("µm", "μm", "um", "micron", "microns", "micrometre", "micrometers"),
    "nanometer": ("nm", "nanometre", "nanometers"),
    "angstrom": ("Å", "ångström"),
    "millimeter": ("mm", "millimetre", "millimeters"),
    "centimeter": ("cm", "centimetre", "centimeters"),
    "meter": ("m", "metre", "meters"),
    "second": ("s", "sec", "seconds"),
    "millisecond": ("ms", "milliseconds"),
    "microsecond": ("µs", "μs", "us", "microseconds"),
    "minute": ("min", "minutes"),
    "hour": ("h", "hours"),
    "pixel": ("px", "pixels", "voxel", ""),
}
SYMBOLS = {
    "micrometer": "µm",
    "nanometer": "nm",
    "angstrom": "Å",
    "millimeter": "mm",
    "centimeter": "cm",
    "meter": "m",
    "second": "s",
    "millisecond": "ms",
    "microsecond": "µs",
    "minute": "min",
    "hour": "h",
}
"""Symbols of OME, by name."""

_NAME_OF_UNIT = {other: name for name, others in _UNIT_NAMES.items() for other in others}


def unit_name(unit: object) -> str:
    """Return a unit's name in full and in singular, as NGFF and pint have it.

    Parameters
    ----------
    unit : object
        A name, a symbol, or a unit of pint; None stands for the pixel.

    Returns
    -------
    str
        Such as "micrometer" for "µm"; unknown names come back as they are.
    """
    text = "" if unit is None else str(unit).strip()
    return _NAME_OF_UNIT.get(text, text)


def is_unit(text: str) -> bool:
    """Tell whether a word is a unit of length or time, or the pixel."""
    return text in _UNIT_NAMES or bool(text and text in _NAME_OF_UNIT)
