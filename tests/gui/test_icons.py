"""The icons: all there, in the colours asked for, sharp, and to be seen in both themes."""

from __future__ import annotations

import numpy as np
import pytest
from napari.utils.theme import get_theme
from qtpy.QtCore import QSize
from qtpy.QtGui import QColor, QIcon

from napari_pvpu.napari_side.icons import draw_icon, icon_names
from napari_pvpu.napari_side.prompt_rows import COLORS, NEGATIVE, POSITIVE
from napari_pvpu.napari_side.views.looks import ON_NEGATIVE, ON_POSITIVE

pytestmark = pytest.mark.gui


def pixels(icon: QIcon, side: int, mode=QIcon.Mode.Normal, state=QIcon.State.Off):
    """Return (side, side, 4) values of an icon as it is drawn."""
    image = icon.pixmap(QSize(side, side), mode, state).toImage()
    return np.array([[image.pixelColor(x, y).getRgb() for x in range(side)] for y in range(side)])


@pytest.mark.parametrize("name", icon_names())
def test_icon_is_drawn_in_its_colour_with_a_margin(qapp, name) -> None:
    drawn = pixels(draw_icon(name, "#ff0000"), 24)
    inside = drawn[..., 3] == 255
    assert inside.sum() > 10
    assert (drawn[inside][:, :3] == [255, 0, 0]).all()
    assert not drawn[0, :, 3].any()
    assert not drawn[:, 0, 3].any()


def test_icon_of_a_pressed_and_of_a_disabled_button(qapp) -> None:
    icon = draw_icon("plus", "#ff0000", "#0000ff")
    assert tuple(pixels(icon, 24, state=QIcon.State.On)[12, 12]) == (0, 0, 255, 255)
    assert pixels(icon, 24, QIcon.Mode.Disabled)[12, 12, 3] == pytest.approx(0.4 * 255, abs=3)


def test_dense_screens_get_icons_that_are_not_scaled_up(qapp) -> None:
    icon = draw_icon("click", "#ff0000")
    for ratio in (1.0, 1.5, 2.0, 4.0):
        assert icon.pixmap(QSize(16, 16), ratio).width() == round(16 * ratio)


def luminance(color: str) -> float:
    """Return the relative luminance of WCAG 2."""
    channels = np.array(QColor(color).getRgbF()[:3])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    ("text", "ground"), [(ON_POSITIVE, COLORS[POSITIVE]), (ON_NEGATIVE, COLORS[NEGATIVE])]
)
def test_text_on_the_polarities_can_be_read(text, ground) -> None:
    assert contrast(text, ground) >= 3  # of bold or large text and of icons


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("ground", ["background", "foreground", "primary", "current"])
def test_icons_and_text_of_the_theme_can_be_seen(theme, ground) -> None:
    colors = get_theme(theme)
    assert contrast(colors.text.as_hex("long"), getattr(colors, ground).as_hex("long")) >= 3
