"""One deblurring from arrays to files: run, measure, save, report."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_selfdeblur.cli.arguments import Dtype
from napari_selfdeblur.cli.outputs import Outputs
from napari_selfdeblur.cli.terminal import stopped_by_interrupt
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import DeblurError
from napari_selfdeblur.run.record import Evaluation, RunRecord, TracePoint

if TYPE_CHECKING:
    from napari_selfdeblur.run.events import Progress
    from napari_selfdeblur.run.result import DeblurResult

__all__ = ["RESULTS", "Job"]

RESULTS = {
    "deblurred": "deblurred.tif",
    "kernel": "kernel.tif",
    "record": "record.json",
    "panel": "panel.png",
}
"""What a job writes, and the ends of the files' names."""


@dataclass(frozen=True, slots=True)
class Job:
    """An image, what to do with it, and where the results go.

    Attributes
    ----------
    outputs : Outputs
        The image, and the files of `RESULTS`.
    config : SelfDeblurConfig
        What to run.
    dtype : Dtype
        Data type of the written image.
    trace : int
        Record the PSNR every so many steps of the last solver; 0 does not.
    checkpoint : Path or None
        Where the run is saved, and resumed from.
    command : str or None
        The command line, for the record.
    """

    outputs: Outputs
    config: SelfDeblurConfig
    dtype: Dtype = Dtype.FLOAT32
    trace: int = 0
    checkpoint: Path | None = None
    command: str | None = None
    _points: list[TracePoint] = field(default_factory=list)

    def perform(self) -> None:
        """Run, save and report.

        Raises
        ------
        DeblurError
            If the run fails; what it had reached is saved first.
        OSError
            If a result cannot be written.
        """
        from napari_selfdeblur.api import deblur

        source, terminal = self.outputs.inputs.source, self.outputs.terminal
        try:
            with stopped_by_interrupt() as stop, terminal.progress() as show:

                def on_progress(progress: Progress) -> None:
                    show(progress)
                    self._measure(progress)

                result = deblur(
                    source.array,
                    config=self.config,
                    rgb=source.rgb,
                    preview_steps=self.trace or None,
                    stop=stop,
                    checkpoint=self.checkpoint,
                    on_progress=on_progress,
                )
        except DeblurError as error:
            if error.result is None:
                raise
            self._save(error.result)
            kept = self.outputs.written["deblurred"]
            raise type(error)(f"{error}. The estimate before is saved in {kept}") from error
        self._report(*self._save(result))

    def _measure(self, progress: Progress) -> None:
        iterate, truth = progress.iterate, self.outputs.inputs.truth
        if not self.trace or truth is None or iterate is None:
            return
        if progress.stage == self.config.solvers[-1]:
            point = TracePoint(
                iteration=progress.iteration,
                seconds=round(progress.seconds, 3),
                loss=float(f"{progress.loss:.7g}"),
                psnr=round(truth.psnr(iterate.sharp), 4),
            )
            self._points.append(point)

    def _save(self, result: DeblurResult) -> tuple[RunRecord, tuple[float, float] | None]:
        """Write the files; return the record as written, and the PSNR before and after."""
        inputs, outputs = self.outputs.inputs, self.outputs
        psnr, evaluation = inputs.psnr_of(result.sharp), None
        if psnr is not None:
            before, after = (round(each, 4) for each in psnr)
            evaluation = Evaluation(
                truth=inputs.truth_name,
                psnr_blurred=before,
                psnr_sharp=after,
                trace=tuple(self._points),
            )
        image = {**result.record.image, **inputs.origin}
        record = replace(result.record, image=image, evaluation=evaluation, command=self.command)
        outputs.image("deblurred", result.sharp, self.dtype)
        outputs.image("kernel", result.kernel, Dtype.FLOAT32)
        outputs.text("record", record.to_json())
        outputs.panel(
            "panel",
            sharp=result.sharp,
            kernel=result.kernel,
            title=str(inputs.origin["name"]),
            subtitle=_caption(record),
            psnr=psnr,
            losses=record.losses,
        )
        return record, psnr

    def _report(self, record: RunRecord, psnr: tuple[float, float] | None) -> None:
        verdict, terminal = record.verdict or {}, self.outputs.terminal
        if record.status == "stopped":
            terminal.note(
                f"stopped after {record.iterations} steps: the estimate so far is saved, with "
                'status "stopped" in its record'
            )
        loss = record.losses[-1] if record.losses else float("nan")
        steps = f"{record.iterations} steps in {record.seconds:.1f} s"
        values = {
            "status": record.status,
            "iterations": record.iterations,
            "seconds": round(record.seconds, 3),
            "device": record.device,
            "loss": loss,
            "verdict": verdict,
        }
        lines = [f"{record.status}: {steps} on {record.device}, loss {loss:.4g}"]
        self.outputs.report(lines, values, psnr)
        if verdict and not verdict["credible"]:
            reasons = "; ".join([*verdict["reasons"], *verdict.get("advice", ())])
            terminal.note(f"warning: the result may be wrong: {reasons}")


def _caption(record: RunRecord) -> str:
    config = record.config
    facts = [
        f"{config.name}, {record.iterations} steps",
        f"{record.seconds:.0f} s on {record.device}",
        f"seed {config.seed}",
    ]
    if config.restoration:
        facts.append(f"{config.restoration_share:.0%} {config.restoration}")
    if len(record.estimates) > 1:
        facts.append(", ".join(f"{e['source']} {e['weight']:.0%}" for e in record.estimates))
    if record.status != "finished":
        facts.append(record.status)
    return "  \N{MIDDLE DOT}  ".join(facts)
