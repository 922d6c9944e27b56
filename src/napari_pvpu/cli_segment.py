"""The command ``napari-pvpu segment``: one object of an image, or prompts from a file for many."""

from __future__ import annotations

import os
from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_pvpu.cli_parsing import Device, Em, Model, Threshold, numbers, point, with_polarity
from napari_pvpu.errors import PromptError, PvpuError
from napari_pvpu.waiting import wait_passively

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_pvpu.features.segmenting import Segmented
    from napari_pvpu.prompts import Prompt

__all__ = ["segment"]

_SUFFIXES = {"tiff": ".labels.tif", "ome-zarr": ".ome.zarr", "imagej": ".rois.zip",
             "coco": ".coco.json", "coco-rle": ".coco.json", "geojson": ".geojson",
             "csv": ".csv"}  # fmt: skip


def segment(
    images: Annotated[
        list[Path],
        typer.Argument(help="TIFF, PNG, JPEG, WebP; with --prompts also NPY, OME-Zarr, folders."),
    ],
    out: Annotated[
        Path, typer.Option(help="Label image to write (.tif, .png); with --prompts a folder.")
    ],
    prompts: Annotated[
        Path | None,
        typer.Option(help="CSV, GeoJSON, ImageJ ROIs or a session: prompts for all images."),
    ] = None,
    click: Annotated[list[str] | None, typer.Option(metavar="R,C")] = None,
    negative_click: Annotated[list[str] | None, typer.Option(metavar="R,C")] = None,
    box: Annotated[list[str] | None, typer.Option(metavar="R0,C0,R1,C1")] = None,
    negative_box: Annotated[list[str] | None, typer.Option(metavar="R0,C0,R1,C1")] = None,
    scribble: Annotated[list[str] | None, typer.Option(metavar="'R,C R,C ...'")] = None,
    negative_scribble: Annotated[list[str] | None, typer.Option(metavar="'R,C R,C ...'")] = None,
    model: Model = "pvpu-nano",
    device: Device = "auto",
    em: Em = False,
    threshold: Threshold = 0.5,
    runtime: Annotated[
        str,
        typer.Option(help="torch; onnx: ONNX Runtime where faster; or a folder from export-onnx."),
    ] = "torch",
    format_name: Annotated[
        str, typer.Option("--format", help=f"With --prompts: {', '.join(_SUFFIXES)}.")
    ] = "tiff",
    axes: Annotated[
        str | None, typer.Option(help="With --prompts: of the images, such as TYX.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of a dask cluster to work on instead.")
    ] = None,
    store: Annotated[Path | None, typer.Option(help="Folder of the feature store.")] = None,
    report: Annotated[
        list[Path] | None, typer.Option(help="Write a report: .md or .json; may be repeated.")
    ] = None,
) -> None:
    """Segment one object with prompts given here, or many images with prompts from a file.

    Every option for a prompt, in pixels (row, column), may be repeated. Boxes count first, then
    scribbles, then clicks; positive ones before negative ones of the same kind.

    With --prompts, labels of each image go into the folder; images that were done already with the
    same prompts are passed over, so the same command goes on where it was stopped. Ends with 1 if
    an image failed or a prompt could not be used.
    """
    given = _prompts_of(
        with_polarity(box, negative_box),
        with_polarity(scribble, negative_scribble),
        with_polarity(click, negative_click),
    )
    wait_passively()  # torch is imported below
    if prompts is None:
        _segment_one(images, out, given, model, device, em, threshold, runtime)
        return
    if given:
        raise PromptError("prompts come from --prompts, or from --click, --box and --scribble")
    if format_name not in _SUFFIXES:
        raise PvpuError(f"there is no format {format_name!r}; use one of {', '.join(_SUFFIXES)}")
    if scheduler is not None and workers != 1:
        raise PvpuError("--workers is for this machine and --scheduler for a cluster; give one")
    options = {
        "format_name": format_name, "device": device, "em": em, "threshold": threshold,
        "axes": axes, "store": None if store is None else str(store.resolve()),
        "model": _known_anywhere(model), "runtime": _known_anywhere(runtime),
        "threads": max(1, (os.cpu_count() or 1) // workers),
    }  # fmt: skip
    _segment_many(images, out, prompts, options, workers, scheduler, list(report or ()))


def _prompts_of(
    boxes: list[tuple[str, bool]],
    scribbles: list[tuple[str, bool]],
    clicks: list[tuple[str, bool]],
) -> list[Prompt]:
    from napari_pvpu.prompts import Box, Click, Scribble

    prompts: list[Prompt] = []
    for text, positive in boxes:
        top, left, bottom, right = numbers(text, 4)
        prompts.append(Box((top, left), (bottom, right), positive))
    for text, positive in scribbles:
        prompts.append(Scribble(tuple(point(word) for word in text.split()), positive))
    return [*prompts, *(Click(point(text), positive) for text, positive in clicks)]


def _segment_one(
    images: list[Path], out: Path, prompts: list[Prompt], model: str, device: str, em: bool,
    threshold: float, runtime: str,
) -> None:  # fmt: skip
    from napari_pvpu.evaluation.dataset import read_image
    from napari_pvpu.segmenter import Segmenter

    if not prompts:
        raise PromptError("no prompt was given; use --click, --box, --scribble, or --prompts FILE")
    if len(images) != 1:
        raise PvpuError(f"these prompts are for one image, not for {len(images)}; use --prompts")
    if out.suffix.lower() not in (".tif", ".tiff", ".png"):
        raise PvpuError(f"labels cannot be written as {out.name!r}; use a name in .tif or .png")
    segmenter = Segmenter(model, device=device, runtime=runtime)
    if runtime == "onnx":
        typer.echo(f"runtime: {segmenter.runtime}", err=True)
    session = segmenter.open(read_image(images[0]))
    session.threshold = threshold
    session.value_propagation = em
    for prompt in prompts:
        session.add(prompt)
    score, timing = session.score or 0.0, session.last_timing
    object_id = session.accept()
    _write_labels(out, session.labels)
    area = int((session.labels == object_id).sum())
    typer.echo(f"{out}: {area} pixels, expected IoU {score:.2f}, {timing.total_ms:.0f} ms")


def _write_labels(path: Path, labels: NDArray[np.uint16]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".png":
        from PIL import Image

        Image.fromarray(labels).save(path)
        return
    import tifffile

    tifffile.imwrite(path, labels, compression="zlib")


def _segment_many(
    images: list[Path], out: Path, prompts: Path, options: dict[str, Any], workers: int,
    scheduler: str | None, reports: list[Path],
) -> None:  # fmt: skip
    for path in reports:
        if path.suffix.lower() not in (".md", ".json"):
            raise PvpuError(f"a report cannot be written as {path.name!r}; use .md or .json")
    from napari_pvpu.features.image_files import find_images
    from napari_pvpu.features.segmenting import SegmentSettings, segment_images
    from napari_pvpu.prompt_files import read_prompts

    found = read_prompts(prompts)
    paths = [path.resolve() for path in find_images(images)]
    _make_folder(out)
    names = _label_names(paths, _SUFFIXES[str(options["format_name"])])
    settings = SegmentSettings(found, str(out.resolve()), names, **options)
    told: set[str | None] = {None}

    def tell(image: Segmented) -> None:
        if settings.runtime == "onnx" and image.runtime not in told:  # each process has its own
            told.add(image.runtime)
            typer.echo(f"runtime: {image.runtime}", err=True)
        _tell_problems(image)

    done = segment_images(paths, settings, workers=workers, scheduler=scheduler, progress=tell)

    for problem in done.problems:
        typer.echo(f"{prompts}: {problem}", err=True)
    for path in reports:
        text = done.to_json() if path.suffix.lower() == ".json" else done.to_markdown()
        _write_text(path, text)
    typer.echo(done.summary())
    if not done.complete:
        raise typer.Exit(1)


def _label_names(paths: list[Path], suffix: str) -> dict[str, str]:
    """Return a file's name for each image, no two alike."""
    stems = [path.stem for path in paths]
    names: dict[str, str] = {}
    for path in paths:
        name = path.stem
        if stems.count(name) > 1:  # in several folders, or of several formats
            name = f"{path.parent.name}-{path.name}"
        taken, number = set(names.values()), 2
        unique = f"{name}{suffix}"
        while unique in taken:
            unique, number = f"{name}-{number}{suffix}", number + 1
        names[str(path)] = unique
    return names


def _tell_problems(image: Segmented) -> None:
    for problem in (*image.problems, *filter(None, [image.error])):
        typer.echo(f"{image.image}: {' '.join(problem.split())}", err=True)


def _known_anywhere(name: str) -> str:
    """Return a file or folder as an absolute path: workers may run in another folder."""
    return os.path.abspath(name) if os.path.exists(name) and os.sep in name else name


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PvpuError(
            f"{folder} cannot be a folder of labels ({error.strerror or error}); give another --out"
        ) from error


def _write_text(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PvpuError(f"{path} cannot be written ({error.strerror or error})") from error
