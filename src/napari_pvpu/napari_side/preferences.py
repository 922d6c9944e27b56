"""What the user has set on this plugin's page of napari's preferences."""

from __future__ import annotations

from napari_pvpu.napari_side.engine import DEFAULT_MODEL

__all__ = ["preferred"]

PLUGIN = "napari-pvpu"


def preferred() -> tuple[str, str]:
    """Return the preferred model and device.

    The defaults if the plugin is not registered, as in a script that only imports it.
    """
    from napari.settings import get_plugin_settings

    try:
        chosen = get_plugin_settings(PLUGIN).segmentation
    except KeyError:
        return DEFAULT_MODEL, "auto"
    return chosen.model.strip() or DEFAULT_MODEL, str(chosen.device)
