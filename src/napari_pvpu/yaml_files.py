"""Settings in YAML: read with one's mistakes named, and written so that people like to read it."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from napari_pvpu.errors import ConfigError

__all__ = ["merged", "nested", "read_yaml", "to_yaml"]

# What makes a plain word a number with an exponent, and how it may begin.
_EXPONENTS = (
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a file of settings.

    Parameters
    ----------
    path : str or Path
        A YAML file with settings by name. Numbers such as ``1e-4`` are numbers here, which plain
        YAML 1.1 takes for words.

    Returns
    -------
    dict
        Empty for an empty file.

    Raises
    ------
    ConfigError
        If the file cannot be read, is no YAML, names a setting twice or holds something else
        than settings by name, or if PyYAML is not installed.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    values = _parsed(text, str(path))
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path} has to hold settings by name, such as 'name: mine'")
    return values


def to_yaml(values: dict[str, Any]) -> str:
    """Return settings as YAML, in their order, with lists on one line."""
    return str(_yaml().dump(values, Dumper=_dumper(), sort_keys=False, width=100))


def nested(assignment: str) -> dict[str, Any]:
    """Read an assignment as of a command line.

    Parameters
    ----------
    assignment : str
        A path of names, an equals sign, a value in YAML.

    Raises
    ------
    ConfigError
        If it is no assignment or the value is no YAML.

    Examples
    --------
    >>> nested("optimizer.rate=1e-4")
    {'optimizer': {'rate': 0.0001}}
    """
    path, sign, text = assignment.partition("=")
    names = path.strip().split(".")
    if not sign or not all(names):
        raise ConfigError(f"{assignment!r} sets nothing; write it as in optimizer.rate=1e-4")
    value: Any = _parsed(text, assignment)
    for name in reversed(names):
        value = {name: value}
    return dict(value)


def merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return settings with some of them changed, nested ones one by one."""
    out = dict(values)
    for name, change in changes.items():
        old = out.get(name)
        both = isinstance(old, dict) and isinstance(change, dict)
        out[name] = merged(old, change) if both and isinstance(old, dict) else change
    return out


def _parsed(text: str, where: str) -> Any:
    yaml = _yaml()
    try:
        return yaml.load(text, Loader=_loader())
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is no YAML: {error}") from error


def _yaml() -> Any:
    try:
        import yaml
    except ImportError as error:
        raise ConfigError(
            "YAML files need PyYAML, which is not installed; install it with 'pip install pyyaml'"
        ) from error
    return yaml


@lru_cache(maxsize=1)
def _loader() -> Any:
    """Plain values only, no name twice, and ``1e-4`` a number."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[str] = set()
            for key, _ in node.value:
                if key.value in seen:
                    raise yaml.YAMLError(f"{key.value!r} is there twice{key.start_mark}")
                if isinstance(key.value, str):
                    seen.add(key.value)
            return super().construct_mapping(node, deep)

    Loader.add_implicit_resolver(*_EXPONENTS)
    return Loader


@lru_cache(maxsize=1)
def _dumper() -> Any:
    """Lists on one line, and all values written out."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def represent_sequence(self, tag: Any, sequence: Any, flow_style: Any = None) -> Any:
            plain = not any(isinstance(item, dict) for item in sequence)
            return super().represent_sequence(tag, sequence, flow_style=plain)

        def ignore_aliases(self, data: Any) -> bool:
            return True

    Dumper.add_implicit_resolver(*_EXPONENTS)
    return Dumper
