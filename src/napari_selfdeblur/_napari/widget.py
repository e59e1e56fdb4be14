"""The dock widget for an unknown kernel: choose an image, run, watch, stop and keep."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from magicgui.widgets import Label
from napari.components import ViewerModel
from napari.layers import Image

from napari_selfdeblur._napari import cost
from napari_selfdeblur._napari.forms import BlindForm
from napari_selfdeblur._napari.job import Job
from napari_selfdeblur._napari.layer_panel import LayerPanel
from napari_selfdeblur._napari.plugin import PAPER, guide, read_preferences
from napari_selfdeblur._napari.region import (
    Region,
    RegionButtons,
    drawn_region,
    viewed_region,
)
from napari_selfdeblur._napari.stack_rows import KERNELS_ROW, PLANES_ROW, sides_of
from napari_selfdeblur._napari.work import MIN_PREVIEW_SECONDS, deblur_job
from napari_selfdeblur._napari.worker import CallWorker
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.numerics.grid import check_grid
from napari_selfdeblur.numerics.regions import check_region
from napari_selfdeblur.numerics.support import with_size
from napari_selfdeblur.settings import Number

_PREVIEW = Number(
    label="Preview every",
    unit="s",
    group="computing",
    low=MIN_PREVIEW_SECONDS,
    high=60,
    step=0.25,
    help="Seconds between two updates of the result layers during a run.",
)


class DeblurWidget(LayerPanel):
    """Runs SelfDeblur on an image layer of `napari_viewer`.

    Parameters
    ----------
    napari_viewer : napari.Viewer or napari.components.ViewerModel
        The viewer whose layers are offered and which receives the results.
    """

    TITLE = "SelfDeblur"
    SUBTITLE = "Blind deconvolution"
    LINKS: ClassVar = {"paper": PAPER, "guide": guide("a-first-run")}

    form: BlindForm

    def __init__(self, napari_viewer: ViewerModel) -> None:
        self._cost: cost.Cost | None = None
        self._asked: Any = None
        self._measuring = False
        super().__init__(napari_viewer)
        self._body.native.layout().insertWidget(2, self.cost.native)
        self.region_buttons.view.clicked.connect(self._take_view)
        self.region_buttons.shape.clicked.connect(self._take_shape)
        self.reset()
        self.check()

    def reset(self) -> None:
        """Return every setting to the user's preferences."""
        chosen = read_preferences()
        self.form.reset(chosen)
        self.form.show({"preview_seconds": chosen.preview_seconds})

    def _make_form(self) -> BlindForm:
        self.cost = Label(tooltip="Time and memory that the run is expected to need.")
        self.cost.native.setWordWrap(True)
        form = BlindForm(
            self._viewer,
            first=[self.image.widget],
            extra={"preview_seconds": _PREVIEW},
            before={**PLANES_ROW, **KERNELS_ROW},
        )
        self.preset, self.earlier = form.preset, form.earlier
        self.region_buttons = RegionButtons()
        form.add_below("region", self.region_buttons)
        return form

    def _job_of(self, layer: Image) -> Job:
        if self._measuring:
            self.cost.value = ""  # from here on the run's own times are shown
        return deblur_job(
            self._viewer,
            layer,
            self.form.read(),
            planes=self.rows.planes(layer),
            kernels=self.rows.kernels(),
            preview_seconds=float(self.form.fields["preview_seconds"].value()),
        )

    def _refuse(self, layer: Image) -> None:
        self.cost.value = ""
        config = self.form.settled()
        shape = sides_of(layer)
        height, width = shape
        rows, columns = with_size(config, shape).sides
        if height < rows or width < columns:
            raise ConfigError(
                f"kernel_size must fit into the image of {height} x {width} pixels",
                field="kernel_size",
            )
        size = config.kernel_size
        known = (3, 3) if isinstance(size, str) else size
        check_region(config, shape, known)
        check_grid(config.kernel_grid, shape, known)
        self._refuse_planes(config, layer)
        self._expect(config, shape, self.rows.amount(layer))

    def _refuse_planes(self, config: SelfDeblurConfig, layer: Image) -> None:
        """Raise what cannot be run on all planes of a stack."""
        if self.rows.planes(layer) == "current":
            return
        if config.diagnostics:
            raise ConfigError(
                "diagnostics are of one plane; choose Planes: current plane", field="diagnostics"
            )
        if config.kernel_grid != (1, 1) and self.rows.kernels() != "plane":
            raise ConfigError(
                "kernel_grid is of one plane; choose Kernel for: each plane", field="kernel_grid"
            )

    def _take_view(self) -> None:
        self._take_region(viewed_region)

    def _take_shape(self) -> None:
        self._take_region(drawn_region)

    def _take_region(self, find: Callable[[ViewerModel, Image], Region]) -> None:
        """Show the region that `find` returns for the chosen layer, or why there is none."""
        if self.image.layer is None:
            return
        try:
            self.form.show({"region": find(self._viewer, self.image.layer)})
        except ConfigError as error:
            self._complain(str(error))

    def _expect(self, *asked: Any) -> None:
        """Show what the run needs, and raise if this machine does not have it.

        `asked` are settings, rows and columns of a plane, and the amount of work.
        """
        known = self._cost
        if known is not None and (known.config, known.shape, known.amount) == asked:
            self.cost.value = known.text
            if known.problem:
                raise ConfigError(known.problem, field=known.field)
        elif self.devices is not None and not self.devices.problem:  # torch is loaded
            self.cost.value = "Measuring the time it will take"
            if not self._measuring and self._asked != asked:
                self._measuring, self._asked = True, asked
                worker: Any = CallWorker(partial(cost.find_cost, *asked))
                worker.returned.connect(self._on_cost)
                worker.errored.connect(self._on_no_cost)
                worker.finished.connect(self._on_measured)
                worker.start()

    def _on_cost(self, found: cost.Cost) -> None:
        self._cost = found

    def _on_no_cost(self, _: Exception) -> None:
        config, shape, amount = self._asked
        self._cost = cost.Cost(config, shape, amount, "The time it will take is not known")

    def _on_measured(self) -> None:
        self._measuring = False
        self.check()
