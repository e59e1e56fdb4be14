"""Make docs/images/: run the photograph sample in a real napari window and take its picture.

Needs a display; without one: ``xvfb-run -a -s "-screen 0 1920x1200x24" python <this file>``
with ``QT_QPA_PLATFORM=xcb``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

import napari
import numpy as np
import tifffile
from napari._qt.dialogs.qt_notification import NapariQtNotification
from qtpy.QtCore import QEventLoop, QTimer

from napari_selfdeblur.io.files import write_tiff
from napari_selfdeblur.io.samples import motion_blurred_photograph

PLUGIN = "napari-selfdeblur"
FRAME, SIDE, LARGE = 192, 128, 480  # pixels: planes of a stack, images of a batch, a photograph
DEBLUR, RESTORE, BATCH = "SelfDeblur", "Restore with a known kernel", "Batch"


def main() -> None:
    """Take pictures of blind runs, of a restoration, a stack, a region and a batch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / "images")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--early", type=int, default=8, help="step of the first picture")
    parser.add_argument("--theme", default="dark", choices=["dark", "light"])
    parser.add_argument("--size", type=int, nargs=2, default=(1300, 800))
    pictures = {"deblur": blind, "restore": known, "stack": series, "batch": many}
    pictures |= {"diagnostics": doubts, "region": part}
    parser.add_argument("--only", choices=pictures)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        if options.only in (None, name):
            picture(options)


def blind(options: argparse.Namespace) -> None:
    """Deblur the sample: running.png and finished.png."""
    viewer, panel = opened(options, DEBLUR)
    panel.preset.value = options.preset
    wait(lambda: panel.run_button.enabled and "of memory" in panel.cost.value)
    panel.run_button.native.click()
    job = panel.job
    wait(lambda: not job.running or panel.status.bar.value() >= options.early)
    take(viewer, options.folder / "running.png")
    wait(lambda: not job.running)
    dismiss(viewer)
    take(viewer, options.folder / "finished.png")
    print(panel.status.message.text())
    viewer.close()


def known(options: argparse.Namespace) -> None:
    """Restore the sample with its true kernel: restore.png."""
    viewer, panel = opened(options, RESTORE)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "camera-shake.tif"
        write_tiff(path, motion_blurred_photograph().kernel)
        panel.kernel_choice.file.value = path
        wait(lambda: panel.run_button.enabled and panel.devices is not None)
        panel.run_button.native.click()
        wait(lambda: not panel.job.running)
        dismiss(viewer)
        viewer.canvas.grid.enabled = True
        viewer.canvas.grid.stride = 1
        viewer.reset_view()
        take(viewer, options.folder / "restore.png")
    print(panel.status.message.text())
    viewer.close()


def series(options: argparse.Namespace) -> None:
    """Deblur a series of two channels, a kernel for each: stack.png."""
    photograph = motion_blurred_photograph(FRAME + 20)
    channels = [photograph.blurred, photograph.blurred[::-1, ::-1]]
    frames = [[each[10 * t : 10 * t + FRAME, :FRAME] for each in channels] for t in range(3)]
    viewer, panel = opened(options, DEBLUR, sample=False)
    panel.preset.value = "draft"
    viewer.add_image(
        np.stack([np.stack(frame) for frame in frames]),
        name="series",
        scale=(30, 1, 0.1, 0.1),
        units=("s", "pixel", "um", "um"),
        axis_labels=("t", "c", "y", "x"),
    )
    viewer.reset_view()
    panel.form.show({"kernel_size": photograph.kernel.shape})
    panel.form.fields["planes"].widget.value = "all planes"
    panel.form.fields["kernels"].widget.value = "each channel"
    wait(lambda: panel.run_button.enabled and "of memory" in panel.cost.value)
    panel.run_button.native.click()
    wait(lambda: not panel.job.running)
    dismiss(viewer)
    viewer.dims.set_point((0, 1), (30, 1))
    viewer.canvas.overlays.scale_bar.visible = True
    take(viewer, options.folder / "stack.png")
    print(panel.status.message.text())
    viewer.close()


def many(options: argparse.Namespace) -> None:
    """Deblur a folder of parts of the sample, and a file that is none: batch.png."""
    viewer, panel = opened(options, BATCH)
    blurred = motion_blurred_photograph(size=3 * SIDE // 2).blurred
    with TemporaryDirectory() as folder, chdir(folder):  # so that names are shown, no folders
        Path("fields").mkdir()
        for number in range(3):
            part = blurred[16 * number :][:SIDE, 16 * number :][:, :SIDE]
            write_tiff(Path("fields") / f"field_{number + 1}.tif", part)
        stack = np.stack([blurred[:SIDE, :SIDE], blurred[-SIDE:, -SIDE:]])
        tifffile.imwrite(Path("fields") / "series.ome.tif", stack, metadata={"axes": "TYX"})
        Path("damaged.tif").write_text("no image")
        panel.inputs.add(["fields", "damaged.tif"])
        panel.output.value = Path("results")
        panel.preset.value = "draft"
        panel.form.show({"kernel_size": (17, 17)})
        wait(lambda: panel.run_button.enabled)
        panel.run_button.native.click()
        wait(lambda: not panel.job.running)
        take(viewer, options.folder / "batch.png")
    print(panel.status.message.text())
    viewer.close()


def part(options: argparse.Namespace) -> None:
    """Estimate the kernel where a rectangle is drawn, and restore all of the image: region.png."""
    viewer, panel = opened(options, DEBLUR, sample=False)
    photograph = motion_blurred_photograph(LARGE)
    image = viewer.add_image(photograph.blurred, name="photograph")
    corners = [[LARGE // 8, LARGE // 4], [5 * LARGE // 8, 3 * LARGE // 4]]
    look = {"edge_color": "yellow", "edge_width": 3, "face_color": "transparent"}
    viewer.add_shapes([corners], shape_type="rectangle", name="where to look", **look)
    viewer.layers.selection.active = image
    panel.preset.value = "draft"
    panel.form.show({"kernel_size": photograph.kernel.shape})
    panel.region_buttons.shape.native.click()
    viewer.reset_view()
    wait(lambda: panel.run_button.enabled and "of memory" in panel.cost.value)
    panel.run_button.native.click()
    wait(lambda: not panel.job.running)
    dismiss(viewer)
    viewer.layers.move(viewer.layers.index("where to look"), len(viewer.layers))
    take(viewer, options.folder / "region.png")
    print(panel.status.message.text())
    viewer.close()


def doubts(options: argparse.Namespace) -> None:
    """Deblur the sample and show residual and spread beside the result: diagnostics.png."""
    viewer, panel = opened(options, DEBLUR)
    panel.preset.value = "draft"
    panel.form.show({"diagnostics": True, "kernel_size": (17, 17)})
    panel.form.groups["result"].expand(animate=False)
    wait(lambda: panel.run_button.enabled and "about" in panel.cost.value)
    panel.run_button.native.click()
    wait(lambda: not panel.job.running)
    dismiss(viewer)
    for layer in viewer.layers:
        layer.visible = not layer.name.endswith("kernel")
    viewer.layers.remove(next(each for each in viewer.layers if each.name.endswith("kernel")))
    viewer.canvas.grid.enabled = True
    viewer.canvas.grid.stride = 1
    viewer.canvas.grid.shape = (2, 2)
    viewer.reset_view()
    take(viewer, options.folder / "diagnostics.png")
    print(panel.status.message.text())
    viewer.close()


def opened(
    options: argparse.Namespace, name: str, *, sample: bool = True
) -> tuple[napari.Viewer, object]:
    """Return a window with the sample, and the panel called `name` in it."""
    viewer = napari.Viewer(show=True)
    viewer.theme = options.theme
    if sample:
        viewer.open_sample(PLUGIN, "motion_blurred_photograph")
    _, panel = viewer.window.add_plugin_dock_widget(PLUGIN, name)
    viewer.window.resize(*options.size)
    pause(500)
    viewer.reset_view()
    return viewer, panel


def wait(until: Callable[[], bool]) -> None:
    """Let Qt work until a condition holds; between events it sleeps, as in napari."""
    while not until():
        pause(20)


def pause(milliseconds: int) -> None:
    """Let Qt work for a while. Vispy's `QTest.qWait` would not sleep, and slow the run down."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def dismiss(viewer: napari.Viewer) -> None:
    """Close the notification of a run's end."""
    pause(500)
    for each in viewer.window.main_menu.window().findChildren(NapariQtNotification):
        each.close()


def take(viewer: napari.Viewer, path: Path) -> None:
    """Save the whole window; the wait lets Qt lay it out and the canvas draw."""
    pause(800)
    viewer.screenshot(str(path), canvas_only=False, flash=False)


if __name__ == "__main__":
    main()
