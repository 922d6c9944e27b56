"""The demonstration: recorded sessions, played in a real napari through the real prompt layers.

``python -m napari_pvpu.demo`` plays them and writes what came out; `recording` and `report` know
neither Qt nor napari.
"""
