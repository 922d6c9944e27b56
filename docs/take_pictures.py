"""Take the pictures of the guide from the running program.

    scripts/with_display.sh virtual .venv/bin/python docs/take_pictures.py [SCENE ...]

Each scene is a function of `scenes.py` beside this file and runs in a process of its own, with
settings, session files and features in a folder that is thrown away. Pictures go to docs/images.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

IMAGES = Path(__file__).parent / "images"


def main() -> int:
    """Run the scenes that are asked for, all by default; return 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenes", nargs="*", help="names of scenes; all by default")
    parser.add_argument("--out", type=Path, default=IMAGES)
    parser.add_argument("--play", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.play:
        from scenes import SCENES

        SCENES[options.play](options.out)
        return 0
    failed = [name for name in options.scenes or _names() if not _play(name, options.out)]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _names() -> list[str]:
    """Return the names of all scenes, without importing Qt in this process."""
    code = "from scenes import SCENES; print(*SCENES)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return done.stdout.split()


def _play(scene: str, out: Path) -> bool:
    """Play one scene in a process of its own, as a user who has just installed everything."""
    with tempfile.TemporaryDirectory() as home:
        # Files of the desktop that Qt and napari would read or leave behind.
        folders = {f"XDG_{kind}_HOME": f"{home}/{kind}" for kind in ("CACHE", "CONFIG", "DATA")}
        environment = (
            os.environ
            | folders
            | {
                "NAPARI_CONFIG": f"{home}/settings.yaml",
                "NAPARI_PVPU_CACHE": f"{home}/features",
            }
        )
        command = [sys.executable, "-W", "ignore", __file__, "--play", scene, "--out", str(out)]
        print(scene, flush=True)
        return subprocess.run(command, env=environment).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
