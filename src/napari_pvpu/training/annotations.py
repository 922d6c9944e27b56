"""Published annotation files as training data: COCO, LVIS and COCO panoptic, one image at a time.

SBD, whose annotations are MATLAB files in a folder, is read by `benchmark_layouts`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_pvpu.errors import DatasetError
from napari_pvpu.evaluation.benchmark_layouts import open_dataset
from napari_pvpu.evaluation.dataset import read_image
from napari_pvpu.training.packed_files import is_packed, read_packed
from napari_pvpu.training.segmentations import (
    cropped,
    decode_polygons,
    decode_rle,
    overlap,
    paint,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_pvpu.evaluation.regions import RegionMask

    Pair: TypeAlias = tuple[NDArray[np.generic], NDArray[np.generic], str]

__all__ = [
    "AnnotatedImage",
    "collect",
    "joint_name",
    "load_sources",
    "read_annotated",
    "read_annotations",
]

MOST_OBJECTS = np.iinfo(np.int16).max
"""Labels of an image that the atlas can hold."""

SAME_OBJECT = 0.8
"""IoU above which objects of two files are taken for one, when both annotate an image."""

_MAX_LISTED = 10


@dataclass(slots=True)
class AnnotatedImage:
    """What annotation files say about one image.

    Attributes
    ----------
    path : Path
        Where it is, or should be.
    height, width : int
        Its size in pixels.
    sources : list of list of dict
        For each file that has objects of it, their annotations.
    panoptic : list of (Path, list of dict)
        A panoptic file's picture, and the segments in it.
    """

    path: Path
    height: int
    width: int
    sources: list[list[dict[str, Any]]] = field(default_factory=list)
    panoptic: list[tuple[Path, list[dict[str, Any]]]] = field(default_factory=list)

    @property
    def annotated(self) -> bool:
        """Whether any file has an object of it."""
        return bool(self.sources or self.panoptic)


def load_sources(
    sources: Sequence[str | Path], images: str | Path | None = None, min_area: int = 1
) -> Iterator[Pair]:
    """Yield all training pairs of folders and annotation files.

    Parameters
    ----------
    sources : sequence of str or Path
        Folders, as `open_dataset` reads them (of layouts with lists, the list "train"), packed
        sets (``.pvpuset``), and annotation files in ``.json``. The latter share `images` and are
        read together.
    images : str or Path, optional
        Folder of the annotation files' images.
    min_area : int
        Objects of annotation files with fewer pixels are left out.

    Yields
    ------
    image, labels, group : ndarray, ndarray, str
        As `Atlas` takes them; a folder's group is its path, that of the files their names, and a
        packed set has groups of its own.

    Raises
    ------
    DatasetError
        When a folder or file is not as documented, or there are files but no `images`. What can
        be known without reading pixels is said at once, before the first pair.
    """
    files = [Path(source) for source in sources if str(source).lower().endswith(".json")]
    if files and images is None:
        raise DatasetError(f"{files[0]} needs the folder of its images; give --images DIR")
    others = [source for source in sources if Path(source) not in files]
    packed = [read_packed(source) for source in others if is_packed(source)]
    folders = [(str(s), open_dataset(s, split="train")) for s in others if not is_packed(s)]
    annotated = read_annotations(files, images, min_area=min_area) if files and images else ()
    of_folders = (
        (sample.image, sample.labels, name) for name, folder in folders for sample in folder
    )
    return chain(of_folders, *packed, annotated)


def read_annotations(
    files: Sequence[str | Path],
    images: str | Path,
    *,
    min_area: int = 1,
    stuff: bool = False,
    group: str | None = None,
) -> Iterator[Pair]:
    """Yield the annotated images of COCO, LVIS or COCO panoptic files.

    Parameters
    ----------
    files : sequence of str or Path
        JSON files. What several say about one image (COCO and LVIS share theirs) is joined: an
        object that overlaps one of an earlier file by `SAME_OBJECT` or more is left out.
    images : str or Path
        Folder of the images, or of folders such as ``train2017/`` named in the files' addresses.
        The pictures of a panoptic file are beside it, in the folder of its name.
    min_area : int
        Objects with fewer pixels are left out.
    stuff : bool
        Take the stuff (sky, grass) of panoptic files for objects too.
    group : str, optional
        Name of the group; by default the stems of the files.

    Yields
    ------
    image, labels, group : ndarray, uint16 ndarray (H, W), str
        Images without objects are passed over. Where objects overlap the smaller one is on top;
        labels are 1, 2, ... from the largest on. Crowds are background.

    Raises
    ------
    DatasetError
        When a file is not of these formats, an image is missing or of another size than the file
        says, or an image has more than 32767 objects. Before the first pair for what the files
        alone show.
    """
    known: dict[str, AnnotatedImage] = {}
    for file in files:
        collect(Path(file), Path(images), known, stuff)
    wanted = [entry for entry in known.values() if entry.annotated]
    if not wanted:
        raise DatasetError(f"{', '.join(map(str, files))} hold no object with a segmentation")
    missing = sorted(entry.path.name for entry in wanted if not entry.path.is_file())
    if missing:
        listed = ", ".join(missing[:_MAX_LISTED]) + (", ..." if len(missing) > _MAX_LISTED else "")
        raise DatasetError(
            f"{images} lacks {len(missing)} of {len(wanted)} annotated images: {listed}"
        )
    title = group or joint_name(files)
    pairs = ((read_annotated(entry, min_area), title) for entry in wanted)
    return ((*pair, name) for pair, name in pairs if pair is not None)


def joint_name(files: Sequence[str | Path]) -> str:
    """Name of the group that annotation files make up together."""
    return "+".join(Path(file).stem for file in files)


def read_annotated(
    entry: AnnotatedImage, min_area: int = 1
) -> tuple[NDArray[np.generic], NDArray[np.uint16]] | None:
    """Read one image and paint its objects.

    Parameters
    ----------
    entry : AnnotatedImage
        What the files say about it.
    min_area : int
        Objects with fewer pixels are left out.

    Returns
    -------
    (image, labels) or None
        None if no object is left.

    Raises
    ------
    DatasetError
        When the image cannot be read, has another size than the files say, or too many objects,
        or a segmentation cannot be decoded.
    """
    objects = _objects(entry, min_area)
    if not objects:
        return None
    if len(objects) > MOST_OBJECTS:
        raise DatasetError(
            f"{entry.path.name} has {len(objects)} objects; at most {MOST_OBJECTS} fit into "
            "the labels of an image: raise the minimal area"
        )
    image = read_image(entry.path)
    shape = (entry.height, entry.width)
    if image.shape[:2] != shape:
        raise DatasetError(
            f"{entry.path} is of {image.shape[:2]} pixels (rows, columns), but the annotations "
            f"say {shape}"
        )
    return image, paint(objects, shape)


def collect(
    file: Path, images: Path, known: dict[str, AnnotatedImage], stuff: bool = False
) -> None:
    """Add what one file says to what is known of each image.

    Parameters
    ----------
    file, images : Path
        The annotation file and the folder of its images.
    known : dict of str to AnnotatedImage
        By path of the image; is added to. A file that cannot be used adds no annotation.
    stuff : bool
        Take the stuff of panoptic files for objects too.

    Raises
    ------
    DatasetError
        When the file is not of these formats or contradicts an earlier one.
    """
    content = _read_json(file)
    by_id = {row["id"]: _entry(file, row, images, known) for row in _rows(file, content["images"])}
    without = {c.get("id") for c in content.get("categories", ()) if not c.get("isthing", 1)}
    objects: dict[int, tuple[AnnotatedImage, list[dict[str, Any]]]] = {}
    pictures: list[tuple[AnnotatedImage, Path, list[dict[str, Any]]]] = []
    for row in content["annotations"]:
        try:
            entry = by_id[row["image_id"]]
        except (KeyError, TypeError) as error:
            raise DatasetError(f"{file} has an annotation of no image: {str(row)[:80]}") from error
        if "segments_info" in row:
            segments = row["segments_info"]
            rows = [s for s in segments if stuff or s.get("category_id") not in without]
            if rows:
                pictures.append((entry, file.with_suffix("") / row["file_name"], rows))
        elif row.get("segmentation") and not row.get("iscrowd"):
            objects.setdefault(id(entry), (entry, []))[1].append(row)
    for entry, rows in objects.values():
        entry.sources.append(rows)
    for entry, picture, rows in pictures:
        entry.panoptic.append((picture, rows))


def _rows(file: Path, rows: list[Any]) -> list[dict[str, Any]]:
    """Check that the images of a file have what is needed of them."""
    for row in rows:
        usable = isinstance(row, dict) and {"id", "height", "width"} <= row.keys()
        if not usable or not (row.get("file_name") or row.get("coco_url")):
            raise DatasetError(
                f"{file} has an image without id, height, width or file_name: {str(row)[:80]}"
            )
    return rows


def _entry(
    file: Path, row: dict[str, Any], images: Path, known: dict[str, AnnotatedImage]
) -> AnnotatedImage:
    path, size = _locate(images, row), (int(row["height"]), int(row["width"]))
    entry = known.setdefault(str(path), AnnotatedImage(path, *size))
    if (entry.height, entry.width) != size:
        raise DatasetError(
            f"{file} says that {path.name} has {size} pixels (rows, columns), another file says "
            f"{(entry.height, entry.width)}"
        )
    return entry


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{file} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), list) for key in ("images", "annotations")
    ):
        raise DatasetError(
            f"{file} holds no lists 'images' and 'annotations'; COCO instances, LVIS and COCO "
            "panoptic files are read"
        )
    return content


def _locate(images: Path, row: dict[str, Any]) -> Path:
    """Where an image is, by its name or its address (LVIS has only that).

    In the folder itself, or below it as name or address say (``train2017/NAME``).
    """
    places: list[Path] = []
    for key in ("file_name", "coco_url"):
        parts = [part for part in str(row.get(key) or "").split("/") if part not in ("", ".", "..")]
        if parts:
            places += [images.joinpath(*parts), images.joinpath(*parts[-2:]), images / parts[-1]]
    return next((place for place in places if place.is_file()), images / places[-1].name)


def _objects(entry: AnnotatedImage, min_area: int) -> list[RegionMask]:
    """Decode the objects of one image, file by file; what an earlier file has is left out."""
    shape = (entry.height, entry.width)
    groups: list[Iterable[RegionMask]] = [
        (_segment(entry.path.name, row, shape) for row in rows) for rows in entry.sources
    ]
    groups += [_segments_of_picture(*picture, shape) for picture in entry.panoptic]
    kept: list[RegionMask] = []
    for group in groups:
        earlier = list(kept)
        for region in group:
            large = np.count_nonzero(region.mask) >= max(min_area, 1)
            if large and not any(overlap(region, old) >= SAME_OBJECT for old in earlier):
                kept.append(region)
    return kept


def _segment(name: str, row: dict[str, Any], shape: tuple[int, int]) -> RegionMask:
    segmentation = row["segmentation"]
    try:
        if isinstance(segmentation, list):
            return decode_polygons(segmentation, shape)
        mask = decode_rle(segmentation)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(
            f"{name}: annotation {row.get('id')} has a segmentation that cannot be read: {error}"
        ) from error
    if mask.shape != shape:
        raise DatasetError(
            f"{name}: annotation {row.get('id')} has a mask of {mask.shape} for an image of {shape}"
        )
    return cropped(mask)


def _segments_of_picture(
    picture: Path, segments: list[dict[str, Any]], shape: tuple[int, int]
) -> Iterator[RegionMask]:
    """Things and stuff of a panoptic picture: colours are ids, red + 256 green + 65536 blue."""
    colours = read_image(picture).astype(np.int64)
    if colours.shape != (*shape, 3):
        raise DatasetError(f"{picture} has shape {colours.shape}; expected {(*shape, 3)}")
    ids = colours @ np.array([1, 256, 65536])
    for segment in segments:
        if not segment.get("iscrowd"):
            yield cropped(ids == segment["id"])
