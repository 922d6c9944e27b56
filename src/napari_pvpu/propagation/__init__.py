"""Value propagation at work: what the user fixed spreads to what looks alike."""

from napari_pvpu.propagation.carry_settings import CarrySettings
from napari_pvpu.propagation.settings import PropagationSettings

__all__ = ["CarrySettings", "PropagationSettings"]
