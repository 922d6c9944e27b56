"""What the panel is made of: small widgets, each around one thing that the controller does.

A view is a `QWidget` made with the controller. It has a method ``render_state()`` that shows the
controller's state, called after every change, and may have ``render_theme(colors)``, called with
`looks.Colors` at first and when the theme changes. It keeps no state of its own and never talks to
another view. `napari_side.sections` tells how to add one that folds away.
"""
