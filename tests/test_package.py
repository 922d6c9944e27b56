"""The package as a whole: light to import, complete where it says so."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import napari_pvpu
from napari_pvpu import errors

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "timm", "torchvision")


def loaded_after(code: str) -> set[str]:
    """Run code in a fresh interpreter; return the names of all modules it has loaded."""
    program = f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import napari_pvpu", id="import"),
        pytest.param(
            "from napari_pvpu import Click, Scribble, Box, PriorMask, PromptError, __version__",
            id="prompts",
        ),
        pytest.param("import napari_pvpu.session", id="session"),
        pytest.param("import napari_pvpu.segmenter", id="segmenter"),
        pytest.param("import napari_pvpu.journal, napari_pvpu.replay", id="journal"),
        pytest.param("import napari_pvpu.samples", id="samples"),
        pytest.param("import napari_pvpu.export.writers", id="export"),
        pytest.param("import napari_pvpu.demo.recording, napari_pvpu.demo.report", id="demo"),
    ],
)
def test_import_loads_no_torch_no_qt_and_no_napari(code: str) -> None:
    loaded = loaded_after(code)
    assert "napari_pvpu" in loaded
    assert not loaded & {*HEAVY, "napari", "qtpy", "PyQt6"}


def test_plugin_discovery_loads_no_torch() -> None:
    loaded = loaded_after(
        "import npe2\n"
        "manager = npe2.PluginManager.instance()\n"
        "manager.discover()\n"
        "manifest = manager.get_manifest('napari-pvpu')\n"
        "for command in manifest.contributions.commands or []:\n"
        "    command.python_name and command.exec  # touched, not run\n"
        "manifest.validate_imports()\n"
    )
    assert "npe2" in loaded
    assert not loaded & set(HEAVY)


def test_manifest_at_the_root_is_the_packaged_one() -> None:
    link = ROOT / "napari.yaml"
    assert link.resolve() == (ROOT / "src" / "napari_pvpu" / "napari.yaml").resolve()


@pytest.mark.parametrize("name", [n for n in napari_pvpu.__all__ if n != "__version__"])
def test_public_name_is_what_its_home_defines(name: str) -> None:
    value = getattr(napari_pvpu, name)
    assert value.__name__ == name
    assert name in dir(napari_pvpu)


def test_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Lasso'"):
        napari_pvpu.Lasso  # noqa: B018


def test_version_is_the_installed_one() -> None:
    assert napari_pvpu.__version__ == importlib.metadata.version("napari-pvpu")


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("PromptError", ValueError),
        ("ImageError", ValueError),
        ("ModelNotFoundError", LookupError),
        ("WeightsError", Exception),
        ("DeviceError", Exception),
        ("ExportError", Exception),
        ("JournalError", Exception),
        ("SessionError", RuntimeError),
        ("DatasetError", ValueError),
    ],
)
def test_error_is_ours_and_of_its_builtin_kind(name: str, builtin: type[Exception]) -> None:
    error = getattr(errors, name)
    assert issubclass(error, errors.PvpuError)
    assert issubclass(error, builtin)
    # A KeyError would print the message in quotes; ours read as sentences.
    assert str(error("no such thing; try another")) == "no such thing; try another"


def test_base_install_brings_no_qt_binding() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = " ".join(project["dependencies"]).lower()
    assert "napari>=" in names
    assert not any(binding in names for binding in ("pyqt", "pyside", "napari["))
