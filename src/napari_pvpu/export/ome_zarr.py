"""Labels as OME-Zarr (NGFF): a ``labels`` group, beside an image if there is one.

Chunks without labels are not written, so that a few objects in a large image take little space.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from napari_pvpu.errors import ExportError
from napari_pvpu.export.atomic import library, read_error, replaced_file, replaced_folder
from napari_pvpu.export.label_image import LabelImage, ObjectDetails, as_label_image
from napari_pvpu.export.sparse_files import read_labels, write_zarr_levels
from napari_pvpu.export.units import unit_name
from napari_pvpu.sparse_labels import SparseLabels

if TYPE_CHECKING:
    from napari_pvpu.export.label_image import About, Labels

__all__ = ["open_ngff", "read_ome_zarr", "write_ome_zarr"]

_PURPOSE = "OME-Zarr labels"
_CHUNK = 1024


def write_ome_zarr(
    path: str | os.PathLike[str],
    labels: Labels | LabelImage,
    *,
    label_name: str = "labels",
    levels: int = 1,
    **about: Unpack[About],
) -> None:
    """Write labels into an OME-Zarr.

    Parameters
    ----------
    path : path
        Of the OME-Zarr. If there is one already, of an image or of labels, these labels are added
        to it or take the place of those of the same name; all else in it stays.
    labels : array of integers, up to (T, Z, Y, X), or LabelImage
        0 is background.
    label_name : str
        Name of the labels in the ``labels`` group.
    levels : int
        1 for full size only, n for n - 1 smaller versions besides, each half as large, as long as
        a row and a column are left. `SparseLabels` get as many as a viewer needs.
    **about
        See `as_label_image`. Colours, and scores with other properties, of `objects` are kept.

    Raises
    ------
    ExportError
        When something does not fit, ome-zarr is missing, or the folder cannot be written.
    """
    writer = library("ome_zarr.writer", _PURPOSE)
    image = as_label_image(labels, **about)
    if levels < 1 or not label_name or label_name != Path(label_name).name:
        raise ExportError(
            f"labels named {label_name!r} of {levels} levels cannot be written; give a name "
            "without slashes, and a level or more"
        )
    target = Path(os.path.realpath(path))
    version = _zarr_version(target)
    if version is None:
        _free_for(target)
        with replaced_folder(target) as folder:
            _write_group(writer, folder, image, label_name, levels, 3)
        return
    with replaced_folder(target / "labels" / label_name) as folder:
        scratch = folder / ".scratch"
        _write_group(writer, scratch, image, label_name, levels, version)
        for made in (scratch / "labels" / label_name).iterdir():
            made.rename(folder / made.name)
        files = {
            file.name: file.read_text("utf-8")
            for file in (scratch / "labels").iterdir()
            if file.is_file()
        }
        shutil.rmtree(scratch)
    _list_labels(target / "labels", version, label_name, files)
    _consolidate_again(target, version)


def _zarr_version(path: Path) -> int | None:
    """Tell the format of a Zarr group, None where there is none."""
    if (path / "zarr.json").is_file() and _attributes(path, 3).get("node_type") == "group":
        return 3
    return 2 if (path / ".zgroup").is_file() else None


def _free_for(target: Path) -> None:
    """Make sure that nothing is at a place, or an empty folder."""
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        kind = "folder" if target.is_dir() else "file"
        raise ExportError(
            f"{target} cannot be written: there is a {kind} of that name which is no OME-Zarr; "
            "choose another name"
        )


def _write_group(
    writer: Any, folder: Path, image: LabelImage, name: str, levels: int, version: int
) -> None:
    zarr, formats = (
        library("zarr", _PURPOSE),
        library("ome_zarr.format", _PURPOSE),
    )
    axes = image.axes.lower()
    units = {axis: unit for axis, unit in zip(axes, image.units, strict=True) if unit != "pixel"}
    data = image.compact()
    chunks = (1,) * len(image.plane_axes) + tuple(min(_CHUNK, size) for size in image.shape)
    group = zarr.open_group(str(folder), mode="w", zarr_format=version)
    fmt = formats.FormatV04() if version == 2 else formats.FormatV05()
    with zarr.config.set({"array.write_empty_chunks": False}):
        if isinstance(data, SparseLabels):
            inner = group.require_group(f"labels/{name}")
            datasets = write_zarr_levels(inner, image, data, _CHUNK, levels)
            writer.write_multiscales_metadata(
                inner, datasets, fmt=fmt, axes=axes, axes_units=units or None, name=name
            )
            writer.write_label_metadata(
                group["labels"], name, fmt=fmt, **_label_metadata(image, data)
            )
            _name_version(group, version)
            return
        writer.write_labels(
            data,
            group,
            name=name,
            scaler=None,
            scale_factors=[2**level for level in range(1, levels) if min(image.shape) >= 2**level],
            fmt=fmt,
            axes=axes,
            scale=dict(zip(axes, image.scale, strict=True)),
            axes_units=units or None,
            storage_options={"chunks": chunks},
            label_metadata=_label_metadata(image, data),
        )
    _name_version(group, version)


def _name_version(group: Any, version: int) -> None:
    if version == 3:  # which ome-zarr leaves out of this group
        listed = group["labels"].attrs
        listed["ome"] = {"version": "0.5", **listed["ome"]}


def _label_metadata(image: LabelImage, data: Any) -> dict[str, Any]:
    colours, properties = [], []
    if isinstance(data, SparseLabels):
        areas = data.counts()
    else:
        values, counts = np.unique(data, return_counts=True)
        areas = dict(zip(values.tolist(), counts.tolist(), strict=True))
    for label, count in areas.items():
        if label == 0:
            continue
        details = image.details(label)
        if details.colour is not None:
            colours.append({"label-value": label, "rgba": [*details.colour, 255]})
        known = {"score": details.score, "prompts": details.prompts, "class": details.category}
        properties.append(
            {"label-value": label, "area (pixels)": count}
            | {key: value for key, value in known.items() if value is not None}
        )
    # The format forbids empty lists.
    return ({"colors": colours} if colours else {}) | (
        {"properties": properties} if properties else {}
    )


def _attributes(group: Path, version: int) -> dict[str, Any]:
    file = group / (".zattrs" if version == 2 else "zarr.json")
    if not file.is_file():
        return {}
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


def _listed(group: Path, version: int) -> list[str]:
    """Return the names that a ``labels`` group lists."""
    attributes = _attributes(group, version)
    if version == 3:
        attributes = attributes.get("attributes", {}).get("ome", {})
    return list(attributes.get("labels", []))


def _list_labels(group: Path, version: int, name: str, files: dict[str, str]) -> None:
    """Add a name to those that a ``labels`` group lists; make the group's files where missing."""
    names = [*_listed(group, version), name]
    for file, content in files.items():
        if not (group / file).is_file():
            _replace_text(group / file, content)
    attributes = _attributes(group, version)
    inner = attributes
    if version == 3:
        inner = attributes.setdefault("attributes", {}).setdefault("ome", {"version": "0.5"})
    inner["labels"] = list(dict.fromkeys(names))
    _replace_text(
        group / (".zattrs" if version == 2 else "zarr.json"), json.dumps(attributes, indent=2)
    )


def _replace_text(path: Path, content: str) -> None:
    with replaced_file(path) as temporary:
        temporary.write_text(content, "utf-8")


def _consolidate_again(target: Path, version: int) -> None:
    """Bring a copy of all metadata up to date, if the image keeps one."""
    if version == 2:
        keeps = (target / ".zmetadata").is_file()
    else:
        keeps = "consolidated_metadata" in _attributes(target, version)
    if keeps:
        zarr = library("zarr", _PURPOSE)
        with (
            warnings.catch_warnings()
        ):  # that format 3 does not know such copies: the image has one
            warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
            zarr.consolidate_metadata(str(target), zarr_format=version)


def open_ngff(path: str | os.PathLike[str]) -> tuple[Any, dict[str, Any]]:
    """Open an image or labels of an OME-Zarr.

    Parameters
    ----------
    path : path
        Of a group that has ``multiscales``.

    Returns
    -------
    array : zarr.Array
        Its full size.
    metadata : dict
        ``axes`` (letters), ``scale``, ``units``, and ``attributes`` (all that NGFF says).

    Raises
    ------
    ExportError
        When there is none, or it cannot be read.
    """
    zarr = library("zarr", _PURPOSE)
    try:
        group = zarr.open_group(os.fspath(path), mode="r")
        attributes = dict(group.attrs)
        attributes = attributes.get("ome", attributes)
        multiscale = attributes["multiscales"][0]
        dataset = multiscale["datasets"][0]
        array = group[dataset["path"]]
        axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in multiscale["axes"]]
        scale = [1.0] * len(axes)
        for step in (*dataset.get("coordinateTransformations", ()),
                     *multiscale.get("coordinateTransformations", ())):  # fmt: skip
            if step["type"] == "scale":
                scale = [a * b for a, b in zip(scale, step["scale"], strict=True)]
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise read_error(path, f"it is no image of an OME-Zarr ({error!r})") from error
    return array, {
        "axes": "".join(axis["name"] for axis in axes).upper(),
        "scale": scale,
        "units": [unit_name(axis.get("unit")) for axis in axes],
        "attributes": attributes,
    }


def read_ome_zarr(path: str | os.PathLike[str], label_name: str | None = None) -> LabelImage:
    """Read labels of an OME-Zarr, at full size.

    Parameters
    ----------
    path : path
        Of the OME-Zarr, or of labels in it.
    label_name : str, optional
        Which labels. By default the only ones there are.

    Returns
    -------
    LabelImage
        With axes, scale, units, colours, scores. Labels of more than 2**28 pixels are
        `SparseLabels`.

    Raises
    ------
    ExportError
        When it cannot be read, or holds none, or several and no name was given.
    """
    array, metadata = open_ngff(_labels_folder(Path(path), label_name))
    described = metadata["attributes"].get("image-label", {})
    colours = {
        int(entry["label-value"]): (*(int(part) for part in entry["rgba"][:3]),)
        for entry in described.get("colors", ())
        if "rgba" in entry
    }
    known = {int(entry["label-value"]): entry for entry in described.get("properties", ())}
    objects = {
        label: ObjectDetails(
            known.get(label, {}).get("score"),
            known.get(label, {}).get("prompts"),
            known.get(label, {}).get("class"),
            colours.get(label),  # type: ignore[arg-type]
        )
        for label in sorted(known.keys() | colours.keys())
    }
    return as_label_image(
        read_labels(array),
        axes=metadata["axes"],
        scale=metadata["scale"],
        units=metadata["units"],
        objects={label: each for label, each in objects.items() if each != ObjectDetails()},
        name=Path(path).name,
    )


def _labels_folder(path: Path, label_name: str | None) -> Path:
    """Find the labels that were meant, from the OME-Zarr, its labels group, or themselves."""
    version = _zarr_version(path)
    if version is None:
        raise read_error(path, "there is no OME-Zarr")
    if label_name is None and _is_labels(path, version):
        return path
    group = path if _listed(path, version) else path / "labels"
    names = _listed(group, version)
    if label_name in names:
        return group / label_name
    if label_name is None and len(names) == 1:
        return group / names[0]
    raise read_error(
        path,
        f"it has {'no labels' if not names else 'labels ' + ', '.join(names)}"
        + (f", and no {label_name!r}" if label_name else "; say which of them") * bool(names),
    )


def _is_labels(path: Path, version: int) -> bool:
    attributes = _attributes(path, version)
    if version == 3:
        attributes = attributes.get("attributes", {}).get("ome", {})
    return "image-label" in attributes
