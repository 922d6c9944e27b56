"""The log of a run: means over some steps, one line of JSON each."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from napari_pvpu.training.rounds import Losses

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["RunLog"]

LOGGER = logging.getLogger(__name__)


class RunLog:
    """Sums of losses since the last line, kept on the device until a line is written.

    Parameters
    ----------
    path : Path or None
        ``log.jsonl`` of the run, or None for a process that writes none.
    device : torch.device
        Where the losses are.
    """

    def __init__(self, path: Path | None, device: torch.device) -> None:
        self.path = path
        # The last entry counts the steps that entered; the others were left out.
        self._sums = torch.zeros(len(Losses._fields) + 1, device=device)
        self._steps = 0
        self._images = 0
        self._seconds = 0.0
        self._since = time.monotonic()

    @torch.no_grad()
    def add(self, losses: Losses, good: Tensor, images: int) -> None:
        """Take in a step.

        Parameters
        ----------
        losses : Losses
            Its means.
        good : Tensor
            Bool scalar, whether the step was taken; if not, its losses do not count.
        images : int
            Views seen in it.
        """
        values = torch.stack([x.detach().float() for x in losses] + [torch.ones_like(losses[0])])
        self._sums += torch.where(good, values, 0.0)
        self._steps += 1
        self._images += images

    def write(self, step: int, images: int, rate: float) -> None:
        """Append a line with the means since the last one, and begin anew.

        A line that cannot be written, as on a full disk, is warned about and lost.

        Parameters
        ----------
        step, images : int
            Steps taken and views seen so far.
        rate : float
            The learning rate.
        """
        *sums, taken = self._sums.tolist()  # the one place where a device is waited for
        now = time.monotonic()
        seconds = self._seconds + now - self._since
        entry = {
            "step": step,
            "images": images,
            "rate": round(rate, 7),
            **{
                name: round(value / taken, 4) if taken else None
                for name, value in zip(Losses._fields, sums, strict=True)
            },
            "left_out": self._steps - round(taken),
            "images_per_second": round(self._images / max(seconds, 1e-9), 1),
            "time": round(time.time()),
        }
        self._sums.zero_()
        self._steps, self._images, self._seconds, self._since = 0, 0, 0.0, now
        if self.path is None:
            return
        try:
            with self.path.open("a") as log:
                log.write(json.dumps(entry) + "\n")
        except OSError as error:
            LOGGER.warning("step %d is missing in the log: %s", step, error)

    def state_dict(self) -> dict[str, Any]:
        """Return what a run that goes on has to know."""
        seconds = self._seconds + time.monotonic() - self._since
        return {
            "sums": self._sums.clone(),
            "steps": self._steps,
            "images": self._images,
            "seconds": seconds,
        }

    def load_state_dict(self, state: dict[str, Any], step: int) -> None:
        """Go on from where a checkpoint of some step was.

        Lines of later steps, which a run wrote that ended without a checkpoint, are taken out of
        the file; the same steps will come again.
        """
        self._sums.copy_(state["sums"])
        self._steps, self._images = state["steps"], state["images"]
        self._seconds, self._since = state["seconds"], time.monotonic()
        if self.path is None or not self.path.is_file():
            return
        lines = self.path.read_text().splitlines()
        kept = [line for line in lines if _step_of(line) <= step]
        if kept != lines:
            partial = self.path.with_suffix(".tmp")
            partial.write_text("".join(line + "\n" for line in kept))
            partial.replace(self.path)


def _step_of(line: str) -> float:
    """Return the step of a line, or infinity for one that is cut off."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
