"""One deblurring from arrays to files: run, measure, save, report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_selfdeblur.cli.outputs import Outputs
from napari_selfdeblur.cli.terminal import stopped_by_interrupt
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import DeblurError
from napari_selfdeblur.run.record import Evaluation, RunRecord, TracePoint

if TYPE_CHECKING:
    from napari_selfdeblur.run.events import Progress
    from napari_selfdeblur.run.result import DeblurResult

__all__ = ["RESULTS", "perform", "results_of"]

RESULTS = {
    "deblurred": "deblurred.tif",
    "kernel": "kernel.tif",
    "record": "record.json",
    "panel": "panel.png",
}
"""What every run writes, and the ends of the files' names."""
_DIAGNOSTICS = {"residual": "residual.tif", "spread": "spread.tif"}
_KERNELS = {"kernels": "kernels.tif"}


def results_of(config: SelfDeblurConfig) -> dict[str, str]:
    """Return what a run writes, and the ends of the files' names."""
    grid = config.kernel_grid != (1, 1)
    return RESULTS | (_DIAGNOSTICS if config.diagnostics else {}) | (_KERNELS if grid else {})


def perform(
    outputs: Outputs, config: SelfDeblurConfig, *, trace: int = 0, checkpoint: Path | None = None
) -> None:
    """Deblur the image of `outputs`, save the results and report them.

    The PSNR is recorded every `trace` steps of the last solver. Of a run that fails what it had
    reached is saved before the error is raised. The checkpoint of a finished run is deleted when
    its results are saved.
    """
    with outputs.interruptible(checkpoint), outputs.terminal.warnings():
        from napari_selfdeblur.run.result import DeblurResult  # loads NumPy

        points: list[TracePoint] = []
        try:
            result = _run(outputs, config, trace, checkpoint, points)
        except DeblurError as error:
            if not isinstance(error.result, DeblurResult):
                raise
            _save(outputs, error.result, points)
            kept = outputs.written["deblurred"]
            raise type(error)(f"{error}. The estimate before is saved in {kept}") from error
        record = _save(outputs, result, points)
        if checkpoint is not None and record.status == "finished":
            with outputs.terminal.optional("the checkpoint was not deleted"):
                checkpoint.unlink(missing_ok=True)
    _report(outputs, record)


def _run(
    outputs: Outputs,
    config: SelfDeblurConfig,
    trace: int,
    checkpoint: Path | None,
    points: list[TracePoint],
) -> DeblurResult:
    """Run, showing the progress, and add the points of the trace to `points`."""
    from napari_selfdeblur.api import deblur

    terminal, truth = outputs.terminal, outputs.inputs.truth
    source = outputs.inputs.source
    with stopped_by_interrupt(terminal.note) as stop, terminal.progress() as show:

        def on_progress(progress: Progress) -> None:
            show(progress)
            iterate = progress.iterate
            if trace and truth and iterate and progress.stage == config.solvers[-1]:
                points.append(_point(progress, truth.psnr(iterate.sharp)))

        return deblur(
            source.array,
            config=config,
            rgb=source.rgb,
            preview_steps=trace or None,
            stop=stop,
            checkpoint=checkpoint,
            keep_checkpoint=True,
            on_progress=on_progress,
        )


def _point(progress: Progress, psnr: float) -> TracePoint:
    return TracePoint(
        iteration=progress.iteration,
        seconds=round(progress.seconds, 3),
        loss=float(f"{progress.loss:.7g}"),
        psnr=round(psnr, 4),
    )


def _save(outputs: Outputs, result: DeblurResult, points: list[TracePoint]) -> RunRecord:
    """Write the files, what is optional last, and return the record as written."""
    inputs, terminal, psnr = outputs.inputs, outputs.terminal, None
    record = outputs.save(result.record, result.sharp, result.kernel, result.kernels)
    with terminal.optional("the result was not compared with the truth"):
        psnr = inputs.psnr_of(result.sharp)
        if psnr is not None:
            before, after = (round(each, 4) for each in psnr)
            evaluation = Evaluation(
                truth=inputs.truth_name, psnr_blurred=before, psnr_sharp=after, trace=tuple(points)
            )
            record = replace(record, evaluation=evaluation)
            outputs.save_record(record)
    kernel = result.kernel if result.kernels is None else result.kernels
    outputs.draw(record, result.sharp, kernel, subtitle=_caption(record), psnr=psnr)
    for what, image in (("residual", result.residual), ("spread", result.spread)):
        if image is not None:
            with terminal.optional(f"the {what} was not written"):
                outputs.save_more(what, image)
    return record


def _report(outputs: Outputs, record: RunRecord) -> None:
    verdict, measured = record.verdict or {}, record.evaluation
    psnr = None if measured is None else (measured.psnr_blurred, measured.psnr_sharp)
    if record.status == "stopped":
        outputs.terminal.note(
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
        "kernel_size": record.used.to_dict()["kernel_size"],
        "verdict": verdict,
    }
    lines = [f"{record.status}: {steps} on {record.device}, loss {loss:.4g}"]
    lines += [line for line in (record.size_found, record.cells_found, record.left_out) if line]
    outputs.report(lines, values, psnr)
    if verdict and not verdict["credible"]:
        reasons = "; ".join([*verdict["reasons"], *verdict.get("advice", ())])
        outputs.terminal.note(f"warning: the result may be wrong: {reasons}")


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
