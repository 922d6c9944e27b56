"""Work on one image of a series: its session is gone on with, its labels are saved.

Whatever has become of image, labels or session file in the meantime, work goes on with all that
can be had, nothing is overwritten without a copy, and what the user should know is said.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pvpu import export
from napari_pvpu.errors import ExportError, JournalError, PvpuError, SeriesError, SessionError
from napari_pvpu.features.image_files import read_image_file
from napari_pvpu.fingerprints import fingerprint
from napari_pvpu.series_entries import Entry, State, missing, stamp_of
from napari_pvpu.session_files import begin_file, end_file, newest_file, resume_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from napari_pvpu.predictor import Predictor
    from napari_pvpu.segmenter import Segmenter
    from napari_pvpu.series import Series
    from napari_pvpu.session import Session

__all__ = ["Started", "read_entry", "save_labels", "start_work", "work_on"]


@dataclass(frozen=True, slots=True, eq=False)
class Started:
    """A session on an image of a series.

    Attributes
    ----------
    session : Session
        Opened anew or gone on with.
    fingerprint : dict
        Of the image.
    resumed : bool
        Whether an earlier session goes on, with prompts and history.
    notes : tuple of str
        What the user should know, a sentence each.
    trouble : JournalError or None
        Why the session has no file.
    unsaved : bool
        Whether the labels are others than in their file.
    """

    session: Session
    fingerprint: dict[str, Any]
    resumed: bool = False
    notes: tuple[str, ...] = ()
    trouble: JournalError | None = None
    unsaved: bool = False


def read_entry(entry: Entry) -> Any:
    """Read the file of an image; see `read_image_file`.

    Raises
    ------
    SeriesError
        If that fails, for whatever reason; says what to do.
    """
    try:
        if not entry.path.exists():
            raise SeriesError(missing(entry.path))
        found = read_image_file(entry.path)
    except SeriesError:
        raise
    except (PvpuError, MemoryError) as error:
        reason = str(error) or "there is not enough memory for it"
        raise SeriesError(f"{reason}; mend the file, or skip this image") from error
    except Exception as error:  # readers of many formats raise anything for a damaged file
        raise SeriesError(
            f"{entry.path} cannot be read ({type(error).__name__}: {error}); mend the file, or "
            "skip this image"
        ) from error
    return found


def start_work(
    entry: Entry,
    folder: Path,
    image: Any,
    open_session: Callable[[], Session],
    segmenter: Predictor,
    on_trouble: Callable[[JournalError], None] | None = None,
) -> Started:
    """Go on with an image where it was left, or begin with it. For any thread.

    Parameters
    ----------
    entry : Entry
        The image.
    folder : Path
        Of its session files, see `Series.sessions_folder`.
    image : array-like
        Its pixels.
    open_session : callable
        Opens a new session on it.
    segmenter : Segmenter
        Goes on with an earlier one.
    on_trouble
        See `Journal`.

    Raises
    ------
    PvpuError
        If the image cannot be segmented.
    """
    print_ = fingerprint(image)
    changed = entry.fingerprint not in (None, print_)
    edited = entry.saved is not None and stamp_of(entry.labels) not in (None, entry.saved)
    notes: list[str] = []
    if not changed and not edited:
        model = getattr(segmenter, "model_name", None)
        earlier = newest_file(folder, str(print_["hash"]), model)
        if earlier is not None:
            try:
                session = resume_file(earlier.path, image, segmenter, on_trouble)
                behind = entry.saved is None or entry.objects != len(session.objects)
                return Started(session, print_, resumed=True, unsaved=behind)
            except JournalError as error:
                notes.append(f"The earlier session on {entry.name} is not gone on with: {error}.")
    session, unsaved = open_session(), False
    if entry.labels.exists():
        told, unsaved = _adopt(session, entry, changed, edited)
        notes += told
    elif changed:
        notes.append(f"{entry.name} holds another image than when it was begun; it begins anew.")
    trouble = None
    try:
        begin_file(folder, session, image, on_trouble)
    except JournalError as error:
        trouble = error
    return Started(session, print_, False, tuple(notes), trouble, unsaved)


def save_labels(
    path: Path, labels: Any, format_name: str, image: Any = None, **about: Any
) -> tuple[int, int] | None:
    """Write the labels of an image; return the file's stamp, see `stamp_of`. For any thread.

    Parameters
    ----------
    path : Path
        Of the file.
    labels : array, plane_shape + (H, W)
        0 where there is no object.
    format_name : str
        One of `napari_pvpu.export.FORMATS`.
    image, **about
        See `export_labels`.

    Raises
    ------
    ExportError
        If that cannot be done; what was there before is then untouched.
    """
    export.export_labels(path, labels, image, format_name=format_name, **about)
    return stamp_of(path)


@contextmanager
def work_on(series: Series, name: str, segmenter: Segmenter) -> Iterator[Session]:
    """Open the session of an image, and save its labels at the end; see `Series.work`.

    Parameters
    ----------
    series : Series
        It is told what becomes of the image.
    name : str
        Of the image.
    segmenter : Segmenter
        The model.

    Yields
    ------
    Session
        As it was left, with its prompts and history, if there was one.

    Raises
    ------
    SeriesError, ImageError
        If the image cannot be read or segmented; the series notes why.
    ExportError
        If the labels cannot be saved; what was done is then in the session's file.
    """
    entry = series.take_up(name)
    try:
        found = read_entry(entry)
        started = start_work(
            entry,
            series.sessions_folder(name),
            found.image,
            lambda: segmenter.open(found.image, axes=found.axes),
            segmenter,
        )
    except PvpuError as error:
        series.update(name, trouble=str(error))
        raise
    session = started.session
    try:
        yield session
    finally:
        try:
            if session.objects or entry.objects or session.history:
                _save(series, name, started, found.sizes)
        finally:
            end_file(session)


def _save(series: Series, name: str, started: Started, sizes: dict[str, Any]) -> None:
    session, entry = started.session, series.update(name, saved=None)
    axes = session.source.plane_axes + "YX"
    known = [sizes.get(axis, (1.0, "pixel")) for axis in axes]
    objects = {
        object_id: export.ObjectDetails(score=record.score, prompts=len(record.prompts) or None)
        for object_id, record in session.objects.items()
    }
    path = series.labels_path(name)
    saved = save_labels(
        path,
        session.labels.copy(),
        series.format_name,
        axes=axes,
        scale=[size for size, _ in known],
        units=[unit for _, unit in known],
        objects=objects,
        name=entry.path.name,
    )
    state = State.BEGUN if entry.state is State.UNTOUCHED else entry.state
    series.update(
        name,
        state=state,
        objects=len(objects),
        labels=path,
        saved=saved,
        fingerprint=started.fingerprint,
    )


def _adopt(session: Session, entry: Entry, changed: bool, edited: bool) -> tuple[list[str], bool]:
    """Begin with the labels that are in an image's file; return what to say, and if it is new."""
    labels, name = entry.labels, entry.labels.name
    shape = (*session.plane_shape, *session.shape)
    try:
        found = np.asarray(_read_labels(labels, shape))
        session.adopt(found.reshape(shape) if found.size == np.prod(shape) else found)
    except (ExportError, SessionError) as error:
        aside = _copied_aside(labels)
        return [
            f"The labels in {name} cannot be gone on with ({error}); they stay in {aside.name}, "
            f"and {entry.name} begins anew."
        ], True
    if changed:
        aside = _copied_aside(labels)
        return [
            f"{entry.name} holds other pixels than when it was begun. Its objects are shown on "
            f"the new ones: check them. As they were they stay in {aside.name}."
        ], True
    if edited:
        return [f"{name} was changed by another program; its objects are those that are shown."], (
            False
        )
    return [], False


def _read_labels(path: Path, shape: tuple[int, ...]) -> Any:
    """Read labels that a series has saved.

    Raises
    ------
    ExportError
        If they cannot be read.
    """
    format_name = export.format_of(path)
    if format_name == "imagej":
        return export.read_imagej_rois(path, shape).labels
    if format_name == "coco":
        return export.read_coco(path, shape).labels
    if format_name == "geojson":
        return export.read_geojson(path, shape).labels
    if format_name == "csv":
        raise ExportError("a table of measurements holds no pixels")
    return export.read_label_image(path).labels


def _copied_aside(path: Path) -> Path:
    """Copy a file of labels beside itself, for it is going to be written anew.

    Raises
    ------
    SeriesError
        If that fails.
    """
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    aside = path.with_name(f"before-{now}-{path.name}")
    try:
        if path.is_dir():
            shutil.copytree(path, aside)
        else:
            shutil.copy2(path, aside)
    except OSError as error:
        raise SeriesError(
            f"{path} cannot be copied to {aside.name} ({error.strerror or error}), and it would be "
            "lost when this image is saved; free some space, or move it away"
        ) from error
    return aside
