"""The manifest as a whole: npe2's own validation lets most mistakes through."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import asdict
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
from npe2 import PluginManifest

import napari_pvpu
from napari_pvpu.napari_side.controller import KEYS
from napari_pvpu.napari_side.shortcuts import normal

MANIFEST = Path(napari_pvpu.__file__).parent / "napari.yaml"


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_file(MANIFEST)


def test_everything_it_points_to_can_be_imported(manifest: PluginManifest) -> None:
    manifest.validate_imports()


def test_every_menu_is_known_and_every_item_declared(manifest: PluginManifest) -> None:
    from napari._app_model.constants import MenuId

    declared = manifest.contributions
    commands = {command.id for command in declared.commands}
    submenus = {submenu.id for submenu in declared.submenus}
    known = {str(menu) for menu in MenuId.contributables()} | submenus
    assert set(declared.menus) <= known
    for items in declared.menus.values():
        for item in items:
            assert getattr(item, "command", None) in commands or item.submenu in submenus


def test_no_line_was_dropped_as_unknown(manifest: PluginManifest) -> None:
    """A misspelt key is ignored in silence, so count what is in the file."""
    text = MANIFEST.read_text("utf-8")
    declared = manifest.contributions
    assert len(declared.commands) == len(re.findall(r"python_name:", text))
    used = [item for items in declared.menus.values() for item in items]
    used += [*declared.widgets, *declared.sample_data, *declared.writers]
    assert len(used) == len(re.findall(r"(?<!\w)(?:command|submenu): ", text))
    sections = set(re.findall(r"^  (\w+):", text, re.MULTILINE))
    assert sections == {name for name, value in declared if value}


def test_every_action_is_a_command_in_the_menu(manifest: PluginManifest) -> None:
    declared = {command.id: command.python_name for command in manifest.contributions.commands}
    in_menu = {item.command for item in manifest.contributions.menus["pvpu"]}
    for action in KEYS:
        assert declared[f"napari-pvpu.{action}"] == f"napari_pvpu.napari_side.commands:{action}"
        assert f"napari-pvpu.{action}" in in_menu


def test_panel_is_a_widget_and_in_the_segment_menu(manifest: PluginManifest) -> None:
    widgets = {widget.command: widget.display_name for widget in manifest.contributions.widgets}
    assert widgets["napari-pvpu.panel"] == "Segment"
    menu = manifest.contributions.menus["napari/layers/segment"]
    assert "napari-pvpu.panel" in {getattr(item, "command", None) for item in menu}


def test_samples_are_the_package_s(manifest: PluginManifest) -> None:
    from napari_pvpu import samples

    keys = {sample.key for sample in manifest.contributions.sample_data}
    assert keys == {*samples.NAMES, *samples.VOLUMES}


def test_entry_point_and_the_link_at_the_root_lead_to_it() -> None:
    points = [point for point in entry_points(group="napari.manifest") if "pvpu" in point.name]
    assert {(point.name, point.value) for point in points} == {
        ("napari-pvpu", "napari_pvpu:napari.yaml")
    }
    link = Path(__file__).parent.parent / "napari.yaml"
    assert link.resolve() == MANIFEST.resolve()


def test_nothing_it_points_to_imports_torch() -> None:
    program = (
        "import sys\n"
        "from npe2 import PluginManifest\n"
        f"manifest = PluginManifest.from_file({str(MANIFEST)!r})\n"
        "manifest.validate_imports()\n"
        "import napari_pvpu.napari_side.panel\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True)


def test_every_key_is_on_the_preferences_page_as_it_comes(manifest: PluginManifest) -> None:
    pages = {page.title: page for page in manifest.contributions.configurations.values()}
    titles = {command.id: command.title for command in manifest.contributions.commands}
    keys = pages["Shortcuts"].properties
    assert {name: each.default for name, each in keys.items()} == {
        f"{action}_key": normal(key) for action, key in KEYS.items()
    }
    assert [each.title for each in keys.values()] == [
        titles[f"napari-pvpu.{name.removesuffix('_key')}"] for name in keys
    ]


def test_every_setting_is_on_the_preferences_page_as_it_is_preferred(
    manifest: PluginManifest,
) -> None:
    from napari_pvpu.napari_side.preferences import Preferred

    every = manifest.contributions.configurations.values()
    pages = [page for page in every if page.title != "Shortcuts"]
    declared = {name: each for page in pages for name, each in page.properties.items()}
    assert {name: each.default for name, each in declared.items()} == asdict(Preferred())
    assert all(each.title and each.description for each in declared.values())


@pytest.mark.gui
def test_commands_run_in_napari(make_napari_viewer, qtbot) -> None:
    from napari._app_model import get_app_model

    viewer = make_napari_viewer()
    viewer.add_image(np.arange(300, dtype=np.uint16).reshape(15, 20))
    commands = get_app_model().commands
    commands.execute_command("napari-pvpu.use_boxes").result()
    controller = napari_pvpu.attach(viewer)
    assert controller.tool.value == "box"
    for action in KEYS:
        commands.execute_command(f"napari-pvpu.{action}").result()
    # They wait for the model, and for each other.
    qtbot.waitUntil(lambda: not controller.positive, timeout=20_000)
    qtbot.waitUntil(lambda: controller.value_propagation, timeout=20_000)
    commands.execute_command("napari-pvpu.panel").result()
    assert any("Segment" in name for name in viewer.window._wrapped_dock_widgets)


def test_preferences_come_from_napari_s_settings(plugin_settings, npe2pm) -> None:
    from napari.settings import get_plugin_settings

    from napari_pvpu.napari_side.preferences import Preferred, preferred

    assert preferred() == Preferred("pvpu-nano", "auto")  # without the plugin
    with npe2pm.tmp_plugin(manifest=MANIFEST):
        settings = get_plugin_settings("napari-pvpu").segmentation
        assert preferred() == Preferred("pvpu-nano", "auto")
        settings.device, settings.model = "cpu", "/some/where.safetensors"
        assert preferred() == Preferred("/some/where.safetensors", "cpu")
        settings.model = " "
        assert preferred() == Preferred("pvpu-nano", "cpu")
        with pytest.raises(ValueError, match="device"):
            settings.device = "abacus"
