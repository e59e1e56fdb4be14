"""Make docs/images/: run the photograph sample in a real napari window and take its picture.

Needs a display; without one: ``xvfb-run -a -s "-screen 0 1920x1200x24" python <this file>``
with ``QT_QPA_PLATFORM=xcb``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import napari
from qtpy.QtTest import QTest

PLUGIN = "napari-selfdeblur"
KERNEL_SIZE = 17


def main() -> None:
    """Run, and take one picture during the run and one of its result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "images")
    parser.add_argument("--iterations", type=int, default=750)
    parser.add_argument("--early", type=int, default=60, help="step of the first picture")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)

    viewer = napari.Viewer(show=True)
    viewer.open_sample(PLUGIN, "motion_blurred_photograph")
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "SelfDeblur")
    viewer.window.resize(1300, 800)
    widget.form.fields["kernel_size"].setValue(KERNEL_SIZE)
    widget.form.fields["iterations"].setValue(options.iterations)
    while widget.form.fields["device"].count() < 2 or not widget.run_button.isEnabled():
        QTest.qWait(100)
    widget.run_button.click()

    while widget.job.running and widget.panel.bar.value() < options.early:
        QTest.qWait(50)
    take(viewer, options.folder / "running.png")
    while widget.job.running:
        QTest.qWait(200)
    QTest.qWait(8000)  # until the notification of the end is gone
    take(viewer, options.folder / "finished.png")
    print(widget.message.text())
    viewer.close()


def take(viewer: napari.Viewer, path: Path) -> None:
    """Save the whole window; the waits let Qt lay it out and the canvas draw."""
    QTest.qWait(500)
    viewer.reset_view()
    QTest.qWait(300)
    viewer.screenshot(str(path), canvas_only=False, flash=False)


if __name__ == "__main__":
    main()
