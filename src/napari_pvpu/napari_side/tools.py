"""What the mouse draws, and of which polarity."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from napari_pvpu.napari_side.stage import Stage

if TYPE_CHECKING:
    from napari_pvpu.napari_side.workspace import Workspace

__all__ = ["MODES", "Tool", "Tools"]


class Tool(Enum):
    """What the mouse draws."""

    CLICK = "click"
    BOX = "box"
    SCRIBBLE = "scribble"


MODES = {Tool.CLICK: "add", Tool.BOX: "add_rectangle", Tool.SCRIBBLE: "add_path"}
"""Mode of its layer in which each tool is in hand."""


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
            if active is layer and str(layer.mode) == MODES[tool]:
                return tool
        return None

    @tool.setter
    def tool(self, tool: Tool | str) -> None:
        self._tool = Tool(tool)
        if self._paused:
            self._paused = False
            self._settle()
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

    @property
    def positive(self) -> bool:
        """Polarity of the next prompt."""
        return self._positive

    @positive.setter
    def positive(self, positive: bool) -> None:
        self._positive = positive
        if self._workspace is not None:
            self._workspace.prompts.positive = positive
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
            layer.mode = MODES[self._tool]
        self.changed.emit()

    def _layer_of(self, tool: Tool, workspace: Workspace) -> Any:
        clicks, strokes = workspace.prompts.layers
        return clicks if tool is Tool.CLICK else strokes
