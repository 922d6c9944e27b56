"""The command line as ``python -m napari_pvpu``, which ``torchrun -m`` takes too."""

from napari_pvpu.cli import app

if __name__ == "__main__":
    app(prog_name="napari-pvpu")
