import itertools
import json
import threading

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter1d
from skimage import data
from skimage.transform import resize

import napari_selfdeblur as sd
from benchmarks.cells import Cell, make
from napari_selfdeblur.api import configure
from napari_selfdeblur.compare.metrics import psnr_up_to_shift
from napari_selfdeblur.errors import ConfigError, DivergedError, ImageError, OutOfMemoryError
from napari_selfdeblur.io.samples import motion_blurred_photograph
from napari_selfdeblur.numerics import runtime
from napari_selfdeblur.numerics.assess import assess
from napari_selfdeblur.numerics.noise import noise_sigma
from napari_selfdeblur.numerics.nonblind.generator import KNOWN_KERNEL, generator
from napari_selfdeblur.numerics.solvers.networks import JointSolver
from napari_selfdeblur.numerics.spectrum import spectral_fit
from napari_selfdeblur.run.events import Previews
from napari_selfdeblur.run.plan import Plan
from napari_selfdeblur.run.record import RunRecord
from napari_selfdeblur.run.run import run

TINY = sd.SelfDeblurConfig.preset("official").replace(
    kernel_size=5, iterations=4, channels=8, skip_channels=4, device="cpu", precision="float32"
)
GREY = np.random.default_rng(0).integers(20, 200, (34, 37)).astype(np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (34, 37, 4)).astype(np.uint8)


def drive(run):
    events = []
    while True:
        try:
            events.append(next(run))
        except StopIteration as end:
            return events, end.value


@pytest.mark.parametrize(
    "image",
    [
        GREY,
        GREY.astype(np.uint16) * 200,
        GREY.astype(np.float64) * 3 - 100,
        COLOUR[..., :3],
        COLOUR,
    ],
    ids=["uint8", "uint16", "float64", "rgb", "rgba"],
)
def test_result_has_the_images_shape_and_range(image):
    """result.sharp is float32 of the image's shape, in its values; the kernel is a PSF."""
    before = image.copy()
    result = sd.deblur(image, config=TINY)
    assert result.sharp.dtype == np.float32
    assert result.sharp.shape == image.shape
    spread = float(image.max()) - float(image.min())
    assert result.sharp.min() >= float(image.min()) - 0.5 * spread
    assert result.sharp.max() <= float(image.max()) + 0.5 * spread
    assert result.kernel.shape == (5, 5)
    assert result.kernel.min() >= 0
    assert result.kernel.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(image, before)


def test_last_progress_shows_the_result():
    """What the last progress carries is what the run returns."""
    events, result = drive(sd.iter_deblur(GREY, config=TINY))
    assert [p.iteration for p in events] == [1, 2, 3, 4]
    np.testing.assert_array_equal(events[-1].sharp, result.sharp)
    np.testing.assert_array_equal(events[-1].kernel, result.kernel)


def test_progress_reaches_the_caller():
    """deblur calls on_progress once a step, with the same facts."""
    events = []
    result = sd.deblur(GREY, config=TINY, on_progress=events.append)
    assert [p.loss for p in events] == pytest.approx(list(result.record.losses))


def test_run_is_reproducible_from_its_record():
    """The configuration in a record, read back from JSON, repeats the run."""
    first = sd.deblur(GREY, config=TINY.replace(seed=7))
    record = RunRecord.from_json(first.record.to_json())
    second = sd.deblur(GREY, config=record.config)
    np.testing.assert_array_equal(first.sharp, second.sharp)
    np.testing.assert_array_equal(first.kernel, second.kernel)


def test_record_says_how_the_result_was_made():
    """The record names settings, seed, versions, device, time, losses, image and verdict."""
    record = json.loads(sd.deblur(GREY, config=TINY).record.to_json())
    assert record["config"]["seed"] == 0
    assert record["config"]["kernel_size"] == [5, 5]
    assert record["versions"]["torch"]
    assert record["device"].startswith("CPU")
    assert record["seconds"] > 0
    assert len(record["losses"]) == record["iterations"] == 4
    assert record["status"] == "finished"
    assert record["image"]["shape"] == [34, 37]
    assert set(record["verdict"]) == {"credible", "score", "reasons", "advice", "measures"}
    assert 0 <= record["verdict"]["score"] <= 1
    assert record["config"]["precision"] == "float32"
    assert record["image"]["noise_sigma"] > 0


def test_the_record_holds_what_was_asked_and_what_was_used():
    """Nothing is "auto" in the settings used; what was asked stays as it was."""
    config = TINY.replace(device="auto", precision="auto", tv_weight="auto", loss="mse")
    record = sd.deblur(GREY, config=config).record
    assert record.config == config
    assert "auto" not in record.used.to_dict().values()
    assert record.used.tv_weight == pytest.approx(0.1 * record.image["noise_sigma"])


def test_several_solvers_are_stages_of_one_run():
    """Each solver is a stage with its own steps; then fuse and restore, which has the result."""
    sample = motion_blurred_photograph(size=64)
    config = TINY.replace(solvers=("edges", "joint"), restoration="sparse", kernel_size=17)
    config = config.replace(adaptive=False)
    events, result = drive(sd.iter_deblur(sample.blurred, config=config))
    stages = [stage for stage, _ in itertools.groupby(events, key=lambda event: event.stage)]
    assert stages == ["edges", "joint", "fuse", "refine", "restore"]
    assert [e.iteration for e in events if e.stage == "joint"] == [1, 2, 3, 4]
    assert all(e.total == 4 for e in events if e.stage == "joint")
    assert len(result.record.losses) == result.record.iterations == 4
    assert [e["source"] for e in result.record.estimates] == ["edges", "joint"]
    assert sum(e["weight"] for e in result.record.estimates) == pytest.approx(1, abs=1e-3)
    times = [event.seconds for event in events]
    assert times == sorted(times)
    np.testing.assert_array_equal(events[-1].sharp, result.sharp)
    np.testing.assert_array_equal(events[-1].kernel, result.kernel)


def test_without_a_restoration_one_estimate_has_all_the_weight():
    """That of the solver whose kernel was taken."""
    config = TINY.replace(solvers=("joint", "alternating"))
    estimates = sd.deblur(GREY, config=config).record.estimates
    best = max(estimates, key=lambda each: each["score"])
    assert [each["weight"] for each in estimates] == [float(each is best) for each in estimates]


def test_a_restoration_by_a_network_reports_and_stops(monkeypatch):
    """Its steps are events of the run like any solver's, and a stop ends them after the present."""
    small = KNOWN_KERNEL.replace(channels=8, skip_channels=4, precision="float32")
    monkeypatch.setitem(generator.__kwdefaults__, "config", small)
    stop, steps = threading.Event(), []

    def on_progress(event):
        if event.stage == "restore":
            steps.append((event.iteration, event.total))
            stop.set()

    config = TINY.replace(restoration="generator")
    result = sd.deblur(GREY, config=config, on_progress=on_progress, stop=stop)
    assert result.record.status == "stopped"
    assert set(steps) == {(1, 1000)}
    assert np.isfinite(result.sharp).all()


def test_a_size_that_is_not_given_is_found():
    """Networks alone: a stage before them finds the size, which the record holds."""
    sample = motion_blurred_photograph(size=96)
    config = TINY.replace(kernel_size="auto")
    events, result = drive(sd.iter_deblur(sample.blurred, config=config))
    stages = [stage for stage, _ in itertools.groupby(events, key=lambda event: event.stage)]
    assert stages == ["size", "joint"]
    assert result.record.config.kernel_size == "auto"
    assert result.record.used.kernel_size == result.kernel.shape
    assert result.record.size_found == f"Kernel size found: {result.kernel.shape[0]} px."
    given = sd.deblur(sample.blurred, config=result.record.used)
    np.testing.assert_array_equal(given.sharp, result.sharp)
    assert given.record.size_found == ""


def test_a_stop_while_the_size_is_found_still_gives_an_estimate():
    """Stopped in its first step, the run takes the size it has and does one step of the next."""
    stop = threading.Event()
    stop.set()
    config = TINY.replace(kernel_size="auto")
    result = sd.deblur(motion_blurred_photograph(size=64).blurred, config=config, stop=stop)
    assert result.record.status == "stopped"
    assert result.record.used.kernel_size == result.kernel.shape


def test_a_compressed_photograph_is_deblurred():
    """By its noise alone, next to none, no blur explains it better; by the compression's error not.

    The kernel found is right and the result sharp.
    """
    truth = make(Cell("tuning", "camera", "motion", 31, 1.0, quality=90))
    y, point = truth.blurred / 255, np.ones((1, 1))
    without, with_it = noise_sigma(y), sd.estimate_noise(truth.blurred) / 255
    assert 3 * without < with_it
    assert spectral_fit(y, point, without) < spectral_fit(y, truth.kernel, without)
    assert spectral_fit(y, point, with_it) > spectral_fit(y, truth.kernel, with_it)
    result = sd.deblur(truth.blurred, preset="draft", device="cpu")
    before, after = (
        psnr_up_to_shift(truth.plane(x), truth.sharp) for x in (truth.blurred, result.sharp)
    )
    assert after > before + 5
    assert result.record.verdict["credible"]


def test_a_sharp_image_comes_back_as_it_was():
    """An image that was never blurred is returned unchanged, and the verdict says why.

    The networks, which would take minutes to find nothing, are not run.
    """
    sharp = data.camera()[128:383, 128:383]
    events, result = drive(sd.iter_deblur(sharp, preset="fast", kernel_size=9, device="cpu"))
    assert {event.stage for event in events} == {"edges", "fuse", "restore"}
    assert [each["source"] for each in result.record.estimates] == ["edges"]
    np.testing.assert_array_equal(result.sharp, sharp)
    assert not result.record.verdict["credible"]
    assert any("no blur" in reason for reason in result.record.verdict["reasons"])


def test_two_blurs_in_one_image_are_doubted():
    """No one kernel explains a half blurred down and a half blurred along: the verdict says so."""
    sharp = resize(data.camera() / 255, (128, 128), anti_aliasing=True)
    down, along = (uniform_filter1d(sharp, 9, axis=axis) for axis in (0, 1))
    blurred = np.hstack([down[:, :64], along[:, 64:]])
    blurred += np.random.default_rng(0).normal(0, 0.004, blurred.shape)
    result = sd.deblur(blurred.clip(0, 1), preset="draft", kernel_size=11, device="cpu")
    assert not result.record.verdict["credible"]


def test_the_kernel_returned_is_the_one_the_image_was_made_with():
    """With the restoration alone as result, restoring with the kernel gives the same image."""
    sample = motion_blurred_photograph(size=64)
    config = TINY.replace(solvers=("edges", "joint"), restoration="hyper_laplacian", kernel_size=17)
    result = sd.deblur(sample.blurred, config=config)
    again = sd.restore(sample.blurred, result.kernel, "hyper_laplacian", device="cpu")
    np.testing.assert_allclose(result.sharp, again, atol=0.01)


def test_previews_never_get_worse():
    """Shown is the best estimate so far by its score; `iterate` is the step's own."""
    sample = motion_blurred_photograph(size=64)
    config = TINY.replace(solvers=("edges", "joint"), restoration="sparse", kernel_size=17)
    plan = Plan.of(sample.blurred, config)
    events, _ = drive(run(plan, Previews(steps=1)))
    shown = [event for event in events if event.iterate is not None]
    y, low, high = plan.y, *plan.frame.value_range

    def score(event):
        return assess((event.sharp - low) / (high - low), event.kernel, y, plan.sigma).score

    scores = [score(event) for event in shown]
    assert len(scores) > 4
    assert all(b >= a - 1e-6 for a, b in itertools.pairwise(scores))
    assert any(not np.array_equal(e.sharp, e.iterate.sharp) for e in shown)


@pytest.mark.parametrize(
    ("previews", "shown"), [({}, []), ({"preview_seconds": 1000}, ["edges", "joint"])]
)
def test_only_who_asks_for_previews_has_them(previews, shown):
    """Beside the result: none that was not asked for, and else the end of each solver too."""
    config = TINY.replace(solvers=("edges", "joint"), restoration="sparse", adaptive=False)
    events, _ = drive(sd.iter_deblur(GREY, config=config, **previews))
    *before, last = events
    assert [e.stage for e in before if e.sharp is not None] == shown
    assert last.sharp is not None


def test_without_a_restoration_the_best_estimate_is_the_result():
    """Of several solvers and no restoration, the estimate with the highest score is kept."""
    sample = motion_blurred_photograph(size=64)
    config = TINY.replace(solvers=("edges", "joint"), kernel_size=17)
    events, result = drive(sd.iter_deblur(sample.blurred, config=config))
    scores = {e["source"]: e["score"] for e in result.record.estimates}
    best = max(scores, key=scores.get)
    assert events[-1].stage == best
    np.testing.assert_array_equal(events[-1].sharp, result.sharp)


def test_stop_keeps_what_there_is():
    """A set stop ends the run normally; its record says it was stopped."""
    stop = threading.Event()
    run = sd.iter_deblur(GREY, config=TINY, stop=stop)
    next(run)
    stop.set()
    events, result = drive(run)
    assert len(events) == 1
    assert result.record.status == "stopped"
    assert result.record.iterations == 2
    np.testing.assert_array_equal(events[-1].sharp, result.sharp)


def failing(monkeypatch, at, replace):
    real_step = JointSolver.step

    def step(self):
        done = real_step(self)
        return replace(self, done) if self.t == at else done

    monkeypatch.setattr(JointSolver, "step", step)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_divergence_keeps_the_last_good_estimate(monkeypatch, bad):
    """The error of a diverged run carries image, kernel and record of what it had reached."""
    failing(monkeypatch, 3, lambda solver, step: step._replace(loss=bad))
    run = sd.iter_deblur(GREY, config=TINY, preview_steps=1)
    next(run)
    second = next(run)
    with pytest.raises(DivergedError, match="at step 3 of 4; lower lr_image") as caught:
        next(run)
    kept = caught.value.result
    assert kept.record.status == "diverged"
    assert kept.record.iterations == 2
    np.testing.assert_array_equal(kept.sharp, second.sharp)


def test_a_first_loss_that_is_not_finite_leaves_nothing(monkeypatch):
    """Where the first step already fails there is nothing to keep, and the error says so."""
    failing(monkeypatch, 1, lambda solver, step: step._replace(loss=float("nan")))
    with pytest.raises(DivergedError, match="at step 1 of 4") as caught:
        sd.deblur(GREY, config=TINY)
    assert caught.value.result is None


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 99 bytes"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory"),
        MemoryError("Unable to allocate 3 GiB"),
    ],
)
def test_out_of_memory_names_size_need_and_remedy(monkeypatch, error):
    """Torch's and NumPy's out-of-memory become our own error, which keeps what there was."""

    def refuse(solver, step):
        raise error

    failing(monkeypatch, 2, refuse)
    message = r"34 x 37 pixels with a kernel of 5 x 5 .* GiB .*; crop the image"
    with pytest.raises(OutOfMemoryError, match=message) as caught:
        sd.deblur(GREY, config=TINY, preview_steps=1)
    assert caught.value.__cause__ is error
    assert not isinstance(caught.value, RuntimeError)
    assert caught.value.result.record.status == "failed"


def test_other_torch_errors_pass_unchanged(monkeypatch):
    """A fault of ours is not disguised as lack of memory."""

    def fault(solver, step):
        raise RuntimeError("shapes do not match")

    failing(monkeypatch, 1, fault)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        sd.deblur(GREY, config=TINY)


def test_out_of_memory_while_the_networks_are_built(monkeypatch):
    """Building the networks is guarded as their steps are."""

    def greedy(self, problem):
        raise MemoryError

    monkeypatch.setattr(JointSolver, "__init__", greedy)
    with pytest.raises(OutOfMemoryError, match="out of memory on cpu"):
        sd.deblur(GREY, config=TINY)


def test_a_run_too_large_for_the_machine_is_refused(monkeypatch):
    """On the CPU the system would kill the process: the run is refused before it starts."""
    monkeypatch.setattr(runtime, "estimate_memory", lambda config, shape: 2**60)
    with pytest.raises(OutOfMemoryError, match="out of memory on cpu: an image of 34 x 37"):
        sd.iter_deblur(GREY, config=TINY)


def test_stop_set_before_the_run_still_gives_an_estimate():
    """A stop that is already set ends the run after its first step."""
    stop = threading.Event()
    stop.set()
    result = sd.deblur(GREY, config=TINY, stop=stop)
    assert result.record.iterations == 1
    assert result.record.status == "stopped"


@pytest.mark.parametrize("state", [torch.no_grad, torch.inference_mode])
def test_the_callers_gradient_mode_does_not_reach_in(state):
    """Inside no_grad and inference_mode a run gives the same numbers."""
    whole = sd.deblur(GREY, config=TINY)
    with state():
        inside = sd.deblur(GREY, config=TINY)
    np.testing.assert_array_equal(whole.sharp, inside.sharp)


def test_input_is_checked_before_the_first_step():
    """Bad input fails when the run is asked for, not when it is stepped."""
    with pytest.raises(ImageError):
        sd.iter_deblur(np.full((30, 30), np.nan), config=TINY)
    with pytest.raises(ConfigError, match="kernel_size must be odd, got 20; try 21"):
        sd.iter_deblur(GREY, kernel_size=20)
    with pytest.raises(ConfigError, match="preset must be one of"):
        sd.iter_deblur(GREY, preset="best")
    with pytest.raises(ConfigError, match="either config or preset, not both"):
        sd.iter_deblur(GREY, preset="fast", config=TINY)
    for name, value in {"preview_steps": 0, "preview_seconds": -1, "stop": True}.items():
        with pytest.raises(ConfigError, match=name):
            sd.iter_deblur(GREY, config=TINY, **{name: value})
    with pytest.raises(ConfigError, match="must be a SelfDeblurConfig, got dict"):
        sd.iter_deblur(GREY, config={})


def test_arguments_replace_fields_of_the_configuration():
    """Single settings change the preset or configuration they are given with."""
    assert configure() == sd.SelfDeblurConfig.preset("fast")
    chosen = configure(13, "paper", iterations=200, seed=3)
    assert chosen == sd.SelfDeblurConfig.preset("paper").replace(
        kernel_size=13, iterations=200, seed=3
    )
    assert configure(7, config=TINY).kernel_size == (7, 7)
    assert configure(config=TINY) == TINY
