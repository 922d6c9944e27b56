"""Everything that decides an evaluation's numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from napari_pvpu.errors import PvpuError
from napari_pvpu.evaluation.methods import make_method
from napari_pvpu.evaluation.zoom_in import ZOOM_KINDS, ZoomKind

if TYPE_CHECKING:
    from napari_pvpu.evaluation.methods import Method
    from napari_pvpu.evaluation.robot import PromptMode

__all__ = ["IOU_AT", "PROTOCOLS", "EvaluationSettings", "ProtocolName"]

IOU_AT = (1, 2, 3, 5, 10)
"""Interactions after which IoU is reported."""

ProtocolName: TypeAlias = Literal["session", "ritm"]
PROTOCOLS: tuple[ProtocolName, ...] = get_args(ProtocolName)


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """Everything that decides the numbers, written into the result.

    Parameters
    ----------
    prompts : {"click", "box", "scribble", "mixed"}
        Kind of the first interaction; see `Robot`.
    max_interactions : int
        At most this many for an object.
    targets : tuple of float
        IoUs for NoC and failures.
    method, model : str
        What segments; the model matters for the method "pvpu" only.
    em : bool
        Value propagation on.
    limit, min_area, seed
        As in `MaskFolder.sample_objects`.
    threshold : float
        On the probability; 0.49 is RITM's.
    jitter : float
        Clicks land up to this many pixels off.
    protocol : {"session", "ritm"}
        Drive our engine as a person does, or its network as the papers do; see `NetworkMethod`.
    flip, zoom_in, view_size
        Of the protocol "ritm"; see `NetworkMethod`. The network's own view size by default.
    seeds : int
        Segment each object this often, with the robot's seeds ``seed``, ``seed + 1``, ...
    iou_analysis : bool
        Make all interactions for every object, targets met or not (RITM's ``--iou-analysis``).
    iou_to : int
        Make this many interactions at least, targets met or not; IoU is not reported after more.
    split, layout : str
        See `open_dataset`.

    Raises
    ------
    PvpuError
        When a number is out of range or choices exclude each other.
    """

    prompts: PromptMode = "click"
    max_interactions: int = 20
    targets: tuple[float, ...] = (0.8, 0.85, 0.9)
    method: str = "pvpu"
    model: str = "pvpu-nano"
    device: str = "auto"
    em: bool = False
    limit: int | None = None
    min_area: int = 1
    seed: int = 0
    threshold: float = 0.49
    jitter: float = 0.0
    protocol: ProtocolName = "session"
    flip: bool = False
    zoom_in: ZoomKind = "none"
    view_size: int | None = None
    seeds: int = 1
    iou_analysis: bool = False
    split: str = "val"
    layout: str = "auto"
    iou_to: int = max(IOU_AT)

    def __post_init__(self) -> None:
        if self.max_interactions < 1:
            raise PvpuError(f"max_interactions is {self.max_interactions}; it must be 1 or more")
        if not self.targets or not all(0 < target <= 1 for target in self.targets):
            raise PvpuError(f"targets are {self.targets}; give IoUs above 0 and up to 1")
        if self.limit is not None and self.limit < 1:
            raise PvpuError(f"limit is {self.limit}; it must be 1 or more objects")
        if not 0 < self.threshold < 1:
            raise PvpuError(f"threshold is {self.threshold}; it must be between 0 and 1")
        if self.iou_to < 1:
            raise PvpuError(f"iou_to is {self.iou_to}; it must be 1 or more interactions")
        if self.seeds < 1:
            raise PvpuError(f"seeds is {self.seeds}; it must be 1 or more")
        if self.seeds > 1 and self.jitter == 0 and self.prompts == "click":
            raise PvpuError(
                f"with {self.seeds} seeds, but exact clicks only, every run would be the same; "
                "give jitter, or prompts that are drawn at random"
            )
        self._check_protocol()

    def _check_protocol(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise PvpuError(f"there is no protocol {self.protocol!r}; use one of {PROTOCOLS}")
        if self.zoom_in not in ZOOM_KINDS:
            raise PvpuError(f"there is no zoom-in {self.zoom_in!r}; use one of {ZOOM_KINDS}")
        chosen = self.flip or self.zoom_in != "none" or self.view_size is not None
        if self.protocol == "session" and chosen:
            raise PvpuError(
                "flip, zoom-in and view size belong to the protocol 'ritm'; a session searches for "
                "its views"
            )
        if self.view_size is not None and self.view_size < 32:
            raise PvpuError(f"view_size is {self.view_size}; it must be 32 or more")
        if self.protocol == "ritm" and self.method != "pvpu":
            raise PvpuError(
                f"the protocol 'ritm' drives a network, and the method {self.method!r} has none; "
                "use the protocol 'session'"
            )

    def make_method(self) -> Method:
        """Build the method named; raises what `methods.make_method` raises."""
        return make_method(
            self.method,
            model=self.model,
            device=self.device,
            em=self.em,
            threshold=self.threshold,
            protocol=self.protocol,
            flip=self.flip,
            zoom_in=self.zoom_in,
            view_size=self.view_size,
        )

    @property
    def full_run(self) -> int:
        """Interactions made for every object, met targets or not: those that IoU@k asks for."""
        return (
            self.max_interactions if self.iou_analysis else min(self.max_interactions, self.iou_to)
        )
