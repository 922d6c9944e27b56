"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

# A loaded machine is not a failed property: no deadline per example.
settings.register_profile("project", deadline=None)
settings.load_profile("project")
