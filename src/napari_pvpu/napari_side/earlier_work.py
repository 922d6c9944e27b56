"""What was kept of earlier times: sessions of the same image, and features of views."""

from __future__ import annotations

from itertools import islice
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info

from napari_pvpu.napari_side import journaling
from napari_pvpu.napari_side.stage import Stage
from napari_pvpu.session_files import Earlier, earlier_sessions, image_hash_of

if TYPE_CHECKING:
    from napari_pvpu.features.store import FeatureStore

__all__ = ["EarlierWork"]

MOST_LISTED = 20
"""Sessions that are looked into to be listed."""

OF_A_SERIES = "Images of a series go on from where they were left by themselves."


class EarlierWork(Stage):
    """A stage that knows what was done on it before; see `Stage` for its parameters."""

    @property
    def earlier(self) -> Earlier | None:
        """The session of this image that is offered to be gone on with, None if there is none."""
        return self._workspace.earlier if self._workspace is not None else None

    def earlier_sessions(self) -> list[Earlier]:
        """Return the sessions of this image that were left before, the last one first."""
        workspace = self._workspace
        session = workspace.session if workspace is not None else None
        if session is None or session.journal is None or self.image in self._openers:
            return []
        model = getattr(session.predictor, "model_name", None)
        # From the file of this session: to read the image for it is not for the GUI thread.
        of_image = image_hash_of(session.journal.path)
        return list(
            islice(earlier_sessions(journaling.sessions_folder(), of_image, model), MOST_LISTED)
        )

    def resume(self, path: str | PathLike[str] | None = None) -> None:
        """Go on with an earlier session, in place of the one at work, whose own file stays.

        Parameters
        ----------
        path : path, optional
            A session file of this image; by default that of `earlier`. A file that lies elsewhere
            than the panel's own is copied, and stays as it is.
        """
        workspace, earlier = self._workspace, self.earlier
        if workspace is None or (path is None and earlier is None):
            show_info("There is no earlier session of this image to go on with.")
        elif workspace.image in self._openers:
            show_info(OF_A_SERIES)
        elif path is not None:
            workspace.resume(Path(fspath(path)))
        elif earlier is not None:
            workspace.resume(earlier.path)

    def forget_earlier(self) -> None:
        """Do not offer the earlier session any more; its file stays."""
        if self._workspace is not None:
            self._workspace.forget_earlier()

    @property
    def store(self) -> FeatureStore | None:
        """The feature store in use, or that will be; None if it is off."""
        session = self._workspace.session if self._workspace is not None else None
        if session is not None and hasattr(session.predictor, "store"):
            found: FeatureStore | None = session.predictor.store
            return found
        from napari_pvpu.features.store import open_store  # whose libraries take their time

        return open_store(self.engine.store)

    def clear_store(self) -> tuple[int, int]:
        """Remove all kept features, and return how many files and bytes; open sessions go on.

        Raises
        ------
        StoreError
            If something cannot be removed.
        """
        from napari_pvpu.features.store_care import clear_store

        store = self.store
        return clear_store(store) if store is not None else (0, 0)
