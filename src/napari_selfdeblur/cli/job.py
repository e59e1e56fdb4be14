"""One deblurring from arrays to files: run, measure, save, report."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_selfdeblur.cli.arguments import Dtype, Inputs
from napari_selfdeblur.cli.outputs import Outputs
from napari_selfdeblur.cli.terminal import Terminal, stopped_by_interrupt
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
    inputs : Inputs
        Blurred image, and the known sharp one where there is one.
    config : SelfDeblurConfig
        What to run.
    outputs : Outputs
        Files of `RESULTS`.
    terminal : Terminal
        Where progress and results are printed.
    dtype : Dtype
        Data type of the written image.
    trace : int
        Record the PSNR every so many steps of the last solver; 0 does not.
    checkpoint : Path or None
        Where the run is saved, and resumed from.
    command : str or None
        The command line, for the record.
    """

    inputs: Inputs
    config: SelfDeblurConfig
    outputs: Outputs
    terminal: Terminal
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

        try:
            with stopped_by_interrupt() as stop, self.terminal.progress() as show:

                def on_progress(progress: Progress) -> None:
                    show(progress)
                    self._measure(progress)

                result = deblur(
                    self.inputs.source.array,
                    config=self.config,
                    rgb=self.inputs.source.rgb,
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
        record = self._save(result)
        if record.status == "stopped":
            self.terminal.note(
                f"stopped after {record.iterations} steps: the estimate so far is saved, with "
                'status "stopped" in its record'
            )
        self._report(record)

    def _measure(self, progress: Progress) -> None:
        iterate, truth = progress.iterate, self.inputs.truth
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

    def _save(self, result: DeblurResult) -> RunRecord:
        """Write the files and return the record as written."""
        inputs, outputs = self.inputs, self.outputs
        record = replace(
            result.record,
            image={**result.record.image, **inputs.origin},
            evaluation=self._evaluate(result),
            command=self.command,
        )
        outputs.image("deblurred", result.sharp, inputs, self.dtype, rgb=inputs.source.rgb)
        outputs.image("kernel", result.kernel, inputs, Dtype.FLOAT32, rgb=False)
        outputs.text("record", record.to_json())
        measured = record.evaluation
        outputs.panel(
            "panel",
            inputs,
            self.terminal,
            sharp=result.sharp,
            kernel=result.kernel,
            title=str(inputs.origin["name"]),
            subtitle=_caption(record),
            psnr=(measured.psnr_blurred, measured.psnr_sharp) if measured else None,
            losses=record.losses,
        )
        return record

    def _evaluate(self, result: DeblurResult) -> Evaluation | None:
        truth, before = self.inputs.truth, self.inputs.psnr
        if truth is None or before is None:
            return None
        return Evaluation(
            truth=self.inputs.truth_name,
            psnr_blurred=round(before, 4),
            psnr_sharp=round(truth.psnr(result.sharp), 4),
            trace=tuple(self._points),
        )

    def _report(self, record: RunRecord) -> None:
        verdict, measured = record.verdict or {}, record.evaluation
        loss = record.losses[-1] if record.losses else None
        lines = [
            f"{record.status}: {record.iterations} steps in {record.seconds:.1f} s on "
            f"{record.device}" + (f", loss {loss:.4g}" if loss is not None else "")
        ]
        values: dict[str, Any] = {
            "status": record.status,
            "iterations": record.iterations,
            "seconds": round(record.seconds, 3),
            "device": record.device,
            "loss": loss,
            "verdict": verdict,
            "outputs": self.outputs.written,
        }
        if measured is not None:
            values |= {"psnr_blurred": measured.psnr_blurred, "psnr_sharp": measured.psnr_sharp}
            gain = measured.psnr_sharp - measured.psnr_blurred
            lines += [
                f"PSNR before {measured.psnr_blurred:6.2f} dB",
                f"PSNR after  {measured.psnr_sharp:6.2f} dB  ({gain:+.2f} dB, up to shift)",
            ]
        lines += [f"{name:9} {path}" for name, path in self.outputs.written.items()]
        self.terminal.result(lines, values)
        if verdict and not verdict["credible"]:
            reasons = "; ".join([*verdict["reasons"], *verdict.get("advice", ())])
            self.terminal.note(f"warning: the result may be wrong: {reasons}")


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
