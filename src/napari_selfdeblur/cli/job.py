"""One deblurring from arrays to files: run, watch, measure, save, report."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_selfdeblur.cli.options import Dtype
from napari_selfdeblur.cli.terminal import Terminal, stopped_by_interrupt
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import DivergedError, ImageError
from napari_selfdeblur.run.record import (
    Evaluation,
    RunRecord,
    TracePoint,
    package_version,
    software_versions,
)

if TYPE_CHECKING:
    from napari_selfdeblur.compare.ground_truth import Reference
    from napari_selfdeblur.io.files import ImageFile
    from napari_selfdeblur.numerics.progress import Progress
    from napari_selfdeblur.run.run import DeblurResult

__all__ = ["Job", "Outputs", "Truth"]

_KEPT = {"both": "averaged with the draft", "draft": "the draft's kernel"}


@dataclass(frozen=True, slots=True)
class Outputs:
    """The files that one image's results go to."""

    folder: Path
    stem: str
    kinds: tuple[str, ...] = ("deblurred.tif", "kernel.tif", "record.json", "panel.png")

    def __getitem__(self, kind: str) -> Path:
        """Return the path of one of `kinds`."""
        return self.folder / f"{self.stem}_{kind}"

    def prepare(self, inputs: Iterable[Path]) -> None:
        """Make the folder.

        Raises
        ------
        ImageError
            If an output would replace one of `inputs`.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in inputs:
            for kind in self.kinds:
                if self[kind].exists() and path.exists() and self[kind].samefile(path):
                    raise ImageError(f"{path} would be replaced; choose another output folder")

    def names(self) -> dict[str, str]:
        """Return the paths by what they hold."""
        return {kind.partition(".")[0]: str(self[kind]) for kind in self.kinds}


@dataclass(frozen=True, slots=True)
class Truth:
    """A known sharp image, its name, and how often to compare (0: at the end only)."""

    name: str
    reference: Reference
    every: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """An image, what to do with it, and where the results go.

    Attributes
    ----------
    source : ImageFile
        Blurred image.
    origin : dict
        Where it comes from, for the record.
    config : SelfDeblurConfig
        What to run.
    outputs : Outputs
        Where to; its folder exists.
    terminal : Terminal
        What to say.
    dtype : Dtype
        Data type of the written image.
    truth : Truth or None
        Known sharp image.
    checkpoint : Path or None
        Where the run is put aside and taken up again.
    command : str or None
        The command line, for the record.
    """

    source: ImageFile
    origin: dict[str, Any]
    config: SelfDeblurConfig
    outputs: Outputs
    terminal: Terminal
    dtype: Dtype = Dtype.FLOAT32
    truth: Truth | None = None
    checkpoint: Path | None = None
    command: str | None = None
    _trace: list[TracePoint] = field(default_factory=list)

    def perform(self) -> None:
        """Run, save and report.

        Raises
        ------
        DeblurError
            If the run fails. Of a diverged run the last good estimate is saved first.
        OSError
            If a result cannot be written.
        """
        from napari_selfdeblur.run.run import deblur

        start = time.perf_counter()
        try:
            with stopped_by_interrupt() as stop, self.terminal.progress() as show:

                def on_progress(progress: Progress) -> None:
                    show(progress)
                    self._measure(progress)

                result = deblur(
                    self.source.array,
                    config=self.config,
                    rgb=self.source.rgb,
                    preview_steps=self.truth.every or None if self.truth else None,
                    stop=stop,
                    checkpoint=self.checkpoint,
                    on_progress=on_progress,
                )
        except DivergedError as error:
            if error.estimate is None:
                raise
            self._save(self._diverged(error, time.perf_counter() - start))
            kept = self.outputs["deblurred.tif"]
            raise DivergedError(
                f"{error}. The estimate of step {error.estimate.iterations} was saved in {kept}",
                error.estimate,
            ) from error
        record = self._save(result)
        if record.status == "stopped":
            self.terminal.note(
                f"stopped at step {record.iterations} of {self.config.iterations}: the estimate "
                'so far is saved, with status "stopped" in its record'
            )
        self._report(record)

    def _measure(self, progress: Progress) -> None:
        if self.truth is None or not self.truth.every or progress.sharp is None:
            return
        if progress.iteration == 0:  # a draft is no step of the run
            return
        point = TracePoint(
            iteration=progress.iteration,
            seconds=round(progress.seconds, 3),
            loss=float(f"{progress.loss:.7g}"),
            psnr=round(self.truth.reference.psnr(progress.sharp), 4),
        )
        self._trace.append(point)

    def _save(self, result: DeblurResult) -> RunRecord:
        """Write the four files and return the record as written."""
        from napari_selfdeblur.io.figures import save_panel
        from napari_selfdeblur.io.files import write_text, write_tiff
        from napari_selfdeblur.io.images import cast_like

        source, record = self.source, result.record
        record = replace(
            record,
            image={**record.image, **self.origin},
            evaluation=self._evaluate(result),
            command=self.command,
        )
        sharp = result.sharp
        if self.dtype is Dtype.INPUT:
            sharp = cast_like(sharp, source.array.dtype)
        scale = (source.pixel_size, source.unit)
        write_tiff(self.outputs["deblurred.tif"], sharp, *scale, rgb=source.rgb)
        write_tiff(self.outputs["kernel.tif"], result.kernel, *scale)
        write_text(self.outputs["record.json"], record.to_json())
        measured = record.evaluation
        save_panel(
            self.outputs["panel.png"],
            source.array,
            result.sharp,
            result.kernel,
            rgb=source.rgb,
            title=str(self.origin.get("name", self.outputs.stem)),
            subtitle=_caption(record),
            psnr=(measured.psnr_blurred, measured.psnr_sharp) if measured else None,
            losses=record.losses,
        )
        return record

    def _evaluate(self, result: DeblurResult) -> Evaluation | None:
        if self.truth is None:
            return None
        return Evaluation(
            truth=self.truth.name,
            psnr_blurred=round(self.truth.reference.psnr(self.source.array), 4),
            psnr_sharp=round(self.truth.reference.psnr(result.sharp), 4),
            trace=tuple(self._trace),
        )

    def _diverged(self, error: DivergedError, seconds: float) -> DeblurResult:
        """Return the last good estimate of a run whose loss left the finite numbers."""
        from napari_selfdeblur.io.images import describe
        from napari_selfdeblur.numerics.runtime import device_label, resolve_device
        from napari_selfdeblur.run.run import DeblurResult

        estimate = error.estimate
        assert estimate is not None
        record = RunRecord(
            config=self.config,
            version=package_version(),
            versions=software_versions(),
            device=device_label(resolve_device(self.config.device)),
            seconds=seconds,
            iterations=estimate.iterations,
            status="diverged",
            losses=estimate.losses,
            image=describe(self.source.array),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        return DeblurResult(estimate.sharp, estimate.kernel, record)

    def _report(self, record: RunRecord) -> None:
        verdict, measured = record.verdict or {}, record.evaluation
        loss = record.losses[-1]
        lines = [
            f"{record.status}: {record.iterations} steps in {record.seconds:.1f} s on "
            f"{record.device}, loss {loss:.4g}"
        ]
        values: dict[str, Any] = {
            "status": record.status,
            "iterations": record.iterations,
            "seconds": round(record.seconds, 3),
            "device": record.device,
            "loss": loss,
            "verdict": verdict,
            "outputs": self.outputs.names(),
        }
        if measured is not None:
            values |= {"psnr_blurred": measured.psnr_blurred, "psnr_sharp": measured.psnr_sharp}
            gain = measured.psnr_sharp - measured.psnr_blurred
            lines += [
                f"PSNR before {measured.psnr_blurred:6.2f} dB",
                f"PSNR after  {measured.psnr_sharp:6.2f} dB  ({gain:+.2f} dB, up to shift)",
            ]
        lines += [f"{name:9} {path}" for name, path in self.outputs.names().items()]
        self.terminal.result(lines, values)
        if verdict and not verdict["credible"]:
            reasons = "; ".join(verdict["reasons"])
            self.terminal.note(f"warning: the result may be wrong: {reasons}")


def _caption(record: RunRecord) -> str:
    config = record.config
    facts = [
        f"{config.name}, {record.iterations} steps",
        f"{record.seconds:.0f} s on {record.device}",
        f"seed {config.seed}",
    ]
    if config.restoration:
        share = config.restoration_share
        facts.append(f"{share:.0%} {config.restoration}" if share < 1 else config.restoration)
    if kept := _KEPT.get((record.verdict or {}).get("kept", "")):
        facts.append(kept)
    if record.status != "finished":
        facts.append(record.status)
    return "  \N{MIDDLE DOT}  ".join(facts)
