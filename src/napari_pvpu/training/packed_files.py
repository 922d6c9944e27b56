"""Packed training sets: one file of WebP images, lossless masks and an index.

A ``.pvpuset`` is a zip archive without compression of its own (its entries are compressed
pictures): ``index.json``, and for each group ``GROUP/images/00001.webp`` and
``GROUP/masks/00001.png``. Unpacked, each group is a plain folder of images and masks.
Everything written depends on the pictures alone: the same input gives the same bytes.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pvpu.errors import DatasetError, PvpuError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = [
    "SUFFIX",
    "VERSION",
    "PackedEntry",
    "PackedFile",
    "PackedWriter",
    "is_packed",
    "read_packed",
]

SUFFIX = ".pvpuset"
VERSION = 1
LONGEST = 16_383
"""Pixels along a side that WebP can hold."""

_BRIGHTNESS = (0.299, 0.587, 0.114)
_SPOILT = 26.0  # mean squared error; 34 dB

_FORMAT = "napari-pvpu training set"
_INDEX = "index.json"
# Archives keep dates; the earliest that they know says that none is meant.
_NO_DATE = (1980, 1, 1, 0, 0, 0)


def is_packed(path: str | Path) -> bool:
    """Whether a name is one of a packed training set."""
    return str(path).lower().endswith(SUFFIX)


@dataclass(frozen=True, slots=True)
class PackedEntry:
    """One image of a packed set.

    Attributes
    ----------
    group, name : str
        The set it is of, and its file's name there, without suffix.
    image, mask : str
        Names in the archive.
    height, width : int
        In pixels, as packed.
    grey : bool
        Whether it has one channel.
    objects : int
        Labels in the mask.
    crc32 : tuple of int
        Checksums of the image's and the mask's bytes.
    reduced : float
        Pixels of the original along a side, over those that are packed.
    """

    group: str
    name: str
    image: str
    mask: str
    height: int
    width: int
    grey: bool
    objects: int
    crc32: tuple[int, int]
    reduced: float = 1.0


@dataclass(slots=True)
class PackedWriter:
    """Writes a packed set, image by image.

    Parameters
    ----------
    archive : ZipFile
        Open for writing.
    quality : int or None
        Of the lossy WebP images, 1 to 100; None for lossless ones.
    entries : list of PackedEntry
        What has been written.
    """

    archive: zipfile.ZipFile
    quality: int | None = 90
    entries: list[PackedEntry] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)

    def add(
        self,
        image: NDArray[np.uint8],
        labels: NDArray[np.integer[Any]],
        group: str,
        name: str,
        reduced: float = 1.0,
    ) -> None:
        """Write one image with its mask.

        Parameters
        ----------
        image : ndarray of uint8, (H, W, 3)
            Sides of at most `LONGEST`; three equal channels become one.
        labels : ndarray of int, (H, W)
            0 to 65535.
        group, name, reduced
            See `PackedEntry`; the group is a path of plain words.
        """
        number = self._numbers[group] = self._numbers.get(group, 0) + 1
        picture, grey = _webp(image, self.quality)
        mask = _png(labels)
        names = f"{group}/images/{number:05d}.webp", f"{group}/masks/{number:05d}.png"
        for file, data in zip(names, (picture, mask), strict=True):
            self._write(file, data)
        objects = np.count_nonzero(np.bincount(labels.ravel())[1:])
        checksums = zlib.crc32(picture), zlib.crc32(mask)
        height, width = labels.shape
        self.entries.append(
            PackedEntry(group, name, *names, height, width, grey, int(objects), checksums, reduced)
        )

    def finish(self, notes: dict[str, str]) -> None:
        """Write the index, with a note on the origin of each group that has one."""
        groups = {}
        for group in self._numbers:
            mine = [entry for entry in self.entries if entry.group == group]
            groups[group] = {
                "images": len(mine),
                "objects": sum(entry.objects for entry in mine),
                "origin": notes.get(group, ""),
            }
        index = {
            "format": _FORMAT,
            "version": VERSION,
            "quality": self.quality,
            "groups": groups,
            "entries": [asdict(entry) for entry in self.entries],
        }
        self._write(_INDEX, json.dumps(index, indent=1).encode())

    def _write(self, name: str, data: bytes) -> None:
        info = zipfile.ZipInfo(name, _NO_DATE)
        info.create_system, info.external_attr = 3, 0o644 << 16  # the same on every system
        self.archive.writestr(info, data)


class PackedFile:
    """A packed set that is open for reading.

    Parameters
    ----------
    path : str or Path
        The file. It is opened anew for each reading, so the object may be passed on and copied.

    Attributes
    ----------
    entries : list of PackedEntry
        In the order of packing.
    groups : dict
        By name: ``images``, ``objects``, ``origin``.

    Raises
    ------
    DatasetError
        When the file is missing, damaged as a whole, no packed set, or of a later version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with self.opened() as archive:
            if _INDEX not in archive.namelist():
                raise DatasetError(f"{path} is no packed training set: it holds no {_INDEX}")
            text = _bytes(archive, self.path, _INDEX)
        self.groups, self.entries = _parsed(text, self.path)

    def __len__(self) -> int:
        return len(self.entries)

    @contextmanager
    def opened(self) -> Iterator[zipfile.ZipFile]:
        """Open the archive for several readings."""
        if not self.path.is_file():
            raise DatasetError(f"there is no packed training set {self.path}")
        try:
            archive = zipfile.ZipFile(self.path)
        except (OSError, zipfile.BadZipFile) as error:
            raise DatasetError(
                f"{self.path} cannot be read as a packed training set: {error}; it may have been "
                "cut short on its way here, copy or pack it again"
            ) from error
        with archive:
            yield archive

    def read(
        self, archive: zipfile.ZipFile, entry: PackedEntry
    ) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """Read one image and its mask.

        Parameters
        ----------
        archive : ZipFile
            From `opened`.
        entry : PackedEntry
            One of `entries`.

        Returns
        -------
        image : ndarray of uint8, (H, W) or (H, W, 3)
        labels : ndarray of int32, (H, W)

        Raises
        ------
        DatasetError
            When either is missing, damaged or not what the index says; it names the entry.
        """
        pictures = []
        for name, crc in zip((entry.image, entry.mask), entry.crc32, strict=True):
            data = _bytes(archive, self.path, name)
            if zlib.crc32(data) != crc:
                raise DatasetError(f"{self.path}: {name} is not the file that was packed")
            pictures.append(_decoded(data, self.path, name))
        image, labels = pictures
        size = entry.height, entry.width
        if image.shape != (*size, 3) or labels.shape != size:
            raise DatasetError(
                f"{self.path}: {entry.image} is of {image.shape} and its mask of {labels.shape}, "
                f"but the index says {size}"
            )
        return (image[..., 0] if entry.grey else image), labels.astype(np.int32)


def read_packed(
    path: str | Path,
) -> Iterator[tuple[NDArray[np.generic], NDArray[np.generic], str]]:
    """Yield what a packed set holds.

    Parameters
    ----------
    path : str or Path
        A file that `pack` wrote.

    Yields
    ------
    image, labels, group : ndarray, ndarray, str
        As `Atlas` takes them.

    Raises
    ------
    DatasetError
        At once when the file is missing, no packed set or damaged as a whole; at a damaged
        entry, whose name it says.
    """
    packed = PackedFile(path)

    def pairs() -> Iterator[tuple[NDArray[np.generic], NDArray[np.generic], str]]:
        with packed.opened() as archive:
            for entry in packed.entries:
                yield *packed.read(archive, entry), entry.group

    return pairs()


def _webp(image: NDArray[np.uint8], quality: int | None) -> tuple[bytes, bool]:
    """Encode an image; and tell whether its channels are equal."""
    from PIL import features

    if not features.check("webp"):
        raise PvpuError("this Pillow cannot write WebP; install it anew: pip install -U pillow")
    grey = bool((image == image[..., :1]).all())
    if quality is not None:
        # Sharp conversion lets thin coloured structures keep their edges.
        data = _encoded(image, quality=quality, use_sharp_yuv=not grey)
        if grey or not _colours_lost(image, data):
            return data, grey
    return _encoded(image, lossless=True, quality=80), grey


def _encoded(image: NDArray[np.uint8], **how: Any) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "WEBP", method=4, **how)
    return stream.getvalue()


def _colours_lost(image: NDArray[np.uint8], data: bytes) -> bool:
    """Whether lossy WebP spoils an image that is all in its colours, such as pure red on black.

    The format keeps colour at half the resolution, and brightness weighs red and blue little.
    """
    from PIL import Image

    with Image.open(io.BytesIO(data)) as picture:
        error = np.asarray(picture).astype(np.float32) - image
    whole = float((error**2).mean())
    brightness = float(((error @ np.array(_BRIGHTNESS, np.float32)) ** 2).mean())
    return whole > _SPOILT and whole > 4 * brightness


def _png(labels: NDArray[np.integer[Any]]) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    kind = np.uint8 if labels.max(initial=0) < 256 else np.uint16
    Image.fromarray(labels.astype(kind)).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _bytes(archive: zipfile.ZipFile, path: Path, name: str) -> bytes:
    try:
        return archive.read(name)
    except KeyError as error:
        raise DatasetError(f"{path}: {name} is in the index but not in the file") from error
    # What zipfile raises for damage: also for methods and flags that it takes for real ones.
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DatasetError(f"{path}: {name} is damaged: {error}") from error


def _decoded(data: bytes, path: Path, name: str) -> NDArray[Any]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture)
    except (OSError, ValueError, SyntaxError) as error:  # Pillow raises all of these
        raise DatasetError(f"{path}: {name} cannot be read as an image: {error}") from error


def _parsed(text: bytes, path: Path) -> tuple[dict[str, Any], list[PackedEntry]]:
    try:
        index = json.loads(text)
        if index["format"] != _FORMAT:
            raise ValueError(f"its format is {index['format']!r}")
        version = int(index["version"])
    except (ValueError, TypeError, LookupError) as error:
        raise DatasetError(f"{path} is no packed training set: {error}") from error
    if version > VERSION:
        raise DatasetError(
            f"{path} is of version {version} of the format, this program reads up to {VERSION}; "
            "update it, or pack the set again"
        )
    try:
        rows = [{**row, "crc32": tuple(row["crc32"])} for row in index["entries"]]
        return dict(index["groups"]), [PackedEntry(**row) for row in rows]
    except (ValueError, TypeError, LookupError) as error:
        raise DatasetError(f"{path} has a damaged index: {error}") from error
