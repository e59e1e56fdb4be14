"""Make docs/images/restore-tool.png: the photograph sample restored with its true kernel.

Needs a display, as `make_screenshots.py` does; seconds of computing.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import napari
from make_screenshots import PLUGIN, take
from qtpy.QtTest import QTest

from napari_selfdeblur.io.files import write_tiff
from napari_selfdeblur.io.samples import motion_blurred_photograph


def main() -> None:
    """Open sample and tool, take the kernel from a file, run, and take the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "images")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)

    viewer = napari.Viewer(show=True)
    viewer.open_sample(PLUGIN, "motion_blurred_photograph")
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Restore with a known kernel")
    viewer.window.resize(1300, 800)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "camera-shake.tif"
        write_tiff(path, motion_blurred_photograph().kernel)
        widget.kernel_choice.choose_file(str(path))
    while widget.device_combo.count() < 2 or not widget.run_button.isEnabled():
        QTest.qWait(100)
    widget.run_button.click()
    while not widget.run_button.isEnabled():
        QTest.qWait(100)
    viewer.canvas.grid.enabled = True
    viewer.canvas.grid.stride = 1
    take(viewer, options.folder / "restore-tool.png")
    print(widget.message.text())
    viewer.close()


if __name__ == "__main__":
    main()
