"""What the mouse draws, and of which polarity."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from napari_pvpu.napari_side.stage import Stage

if TYPE_CHECKING:
    from napari_pvpu.napari_side.workspace import Workspace

__all__ = ["MODES", "PAINTING", "Tool", "Tools"]


class Tool(Enum):
    """What the mouse draws."""

    CLICK = "click"
    BOX = "box"
    SCRIBBLE = "scribble"
    LASSO = "lasso"
    POLYGON = "polygon"
    PAINT = "paint"


MODES = {
    Tool.CLICK: "add",
    Tool.BOX: "add_rectangle",
    Tool.SCRIBBLE: "add_path",
    Tool.LASSO: "add_polygon_lasso",
    Tool.POLYGON: "add_polygon",
    Tool.PAINT: "paint",
}
"""Mode of its layer in which each tool is in hand."""

PAINTING = ("paint", "erase", "fill", "polygon")
"""Modes of a Labels layer that change it."""


class Tools(Stage):
    """A stage with the tools to draw prompts; see `Stage` for its parameters."""

    def __init__(self, viewer: Any) -> None:
        super().__init__(viewer)
        self._tool = Tool.CLICK
        self._positive = True

    @property
    def tool(self) -> Tool | None:
        """The tool that the mouse holds; None if the user has taken up something else."""
        viewer, workspace = self._viewer(), self._workspace
        if viewer is None or workspace is None:
            return None
        active = viewer.layers.selection.active
        for tool in Tool:
            layer = self._layer_of(tool, workspace)
            modes = PAINTING if tool is Tool.PAINT else (MODES[tool],)
            if active is layer and str(layer.mode) in modes:
                return tool
        return None

    @tool.setter
    def tool(self, tool: Tool | str) -> None:
        self._tool = Tool(tool)
        self._arm()

    def use_clicks(self) -> None:
        """Take up the click tool."""
        self.tool = Tool.CLICK

    def use_boxes(self) -> None:
        """Take up the box tool."""
        self.tool = Tool.BOX

    def use_scribbles(self) -> None:
        """Take up the scribble tool."""
        self.tool = Tool.SCRIBBLE

    def use_paint(self) -> None:
        """Take up napari's brush to paint the object at work, or its eraser if negative."""
        self.tool = Tool.PAINT

    @property
    def positive(self) -> bool:
        """Polarity of the next prompt."""
        return self._positive

    @positive.setter
    def positive(self, positive: bool) -> None:
        self._positive = positive
        if self._workspace is not None:
            self._workspace.prompts.positive = positive
        if self.tool is Tool.PAINT:
            self._arm()
        self.changed.emit()

    def toggle_polarity(self) -> None:
        """Turn the polarity of the next prompt round, or that of the prompts being selected."""
        if self._workspace is None or not self._workspace.prompts.flip_selected():
            self.positive = not self.positive

    def _arm(self) -> None:
        """Put the tool into the mouse's hand: the right layer, in the right mode."""
        viewer, workspace = self._viewer(), self._workspace
        if viewer is not None and workspace is not None:
            layer = self._layer_of(self._tool, workspace)
            viewer.layers.selection.active = layer
            erases = self._tool is Tool.PAINT and not self._positive
            layer.mode = "erase" if erases else MODES[self._tool]
        self.changed.emit()

    def _layer_of(self, tool: Tool, workspace: Workspace) -> Any:
        if tool is Tool.PAINT:
            return workspace.preview.layer
        clicks, strokes = workspace.prompts.layers
        return clicks if tool is Tool.CLICK else strokes
