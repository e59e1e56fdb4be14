import json
import threading

import dask.array
import numpy as np
import pytest
import torch

import napari_selfdeblur as sd
from napari_selfdeblur.config import RestoreConfig
from napari_selfdeblur.errors import (
    ConfigError,
    DeblurWarning,
    DivergedError,
    ImageError,
    OutOfMemoryError,
)
from napari_selfdeblur.io.samples import motion_blurred_photograph
from napari_selfdeblur.io.stacks import Stack
from napari_selfdeblur.numerics.solvers.networks import JointSolver
from napari_selfdeblur.run.restoration import run_restoration
from napari_selfdeblur.run.stack_survey import structure_of

TINY = sd.SelfDeblurConfig(
    kernel_size=5,
    iterations=2,
    channels=4,
    skip_channels=4,
    code_channels=4,
    scales=2,
    non_local=False,
    device="cpu",
    precision="float32",
    runtime="reference",
)
SIDE = 32
PHOTO = motion_blurred_photograph(size=64).blurred[24:56, 16:48].copy()
SERIES = np.stack([PHOTO, PHOTO[::-1], PHOTO.T, np.rot90(PHOTO)]).reshape(2, 2, SIDE, SIDE)


def drive(run):
    events = []
    while True:
        try:
            events.append(next(run))
        except StopIteration as end:
            return events, end.value


def states(result):
    return [each["state"] for each in result.record.planes]


class Counted:
    """An array that counts the planes that are read, and refuses to be read whole."""

    def __init__(self, values):
        self.values, self.read = values, []
        self.shape, self.dtype, self.ndim = values.shape, values.dtype, values.ndim

    def __getitem__(self, where):
        self.read.append(where)
        return self.values[where]

    def __array__(self, *_, **__):
        raise AssertionError("the whole stack was read")


@pytest.mark.parametrize(
    ("kernels", "shape", "made"),
    [("one", (5, 5), 1), ("channel", (2, 5, 5), 2), ("plane", (2, 2, 5, 5), 4)],
)
def test_kernels_for_all_for_each_channel_and_for_each_plane(kernels, shape, made):
    """The kernels' shape says what they are for; each sums to 1 and has its record."""
    result = sd.deblur_stack(SERIES, "TCYX", kernels, config=TINY)
    assert result.sharp.shape == SERIES.shape
    assert result.sharp.dtype == np.float32
    assert result.kernels.shape == shape
    np.testing.assert_allclose(result.kernels.sum((-2, -1)), 1, atol=1e-5)
    assert len(result.records) == made
    assert {record.status for record in result.records} == {"finished"}
    assert (result.axes, result.record.kernels, result.record.status) == (
        "TCYX",
        kernels,
        "finished",
    )


def test_a_plane_with_its_own_kernel_is_what_deblur_gives():
    """kernels="plane" gives each plane of full-scale data the numbers that it has alone."""
    result = sd.deblur_stack(SERIES, "TCYX", "plane", config=TINY)
    assert states(result) == ["estimated"] * 4
    for place in np.ndindex(2, 2):
        alone = sd.deblur(SERIES[place], config=TINY)
        np.testing.assert_array_equal(result.sharp[place], alone.sharp)
        np.testing.assert_array_equal(result.kernels[place], alone.kernel)


def test_planes_that_share_a_kernel_are_restored_alike():
    """Also the plane of the estimate is restored with it, as `restore` does it alone."""
    result = sd.deblur_stack(SERIES, "TCYX", "channel", config=TINY)
    assert states(result) == ["restored"] * 4
    for t, c in np.ndindex(2, 2):
        alone = sd.restore(SERIES[t, c], result.kernels[c], "sparse", device="cpu")
        np.testing.assert_array_equal(result.sharp[t, c], alone)


def test_the_configuration_s_restoration_is_used():
    """A restoration that is named restores the planes; the record of the estimate names it too."""
    config = TINY.replace(restoration="hyper_laplacian")
    result = sd.deblur_stack(SERIES, "TCYX", config=config, kernel_from={"T": 0, "C": 1})
    alone = sd.restore(SERIES[1, 0], result.kernels, "hyper_laplacian", device="cpu")
    np.testing.assert_array_equal(result.sharp[1, 0], alone)
    assert result.records[0].image["index"] == {"T": 0, "C": 1}


def test_one_scale_for_a_channel():
    """Data off their full scale have one value range for all planes of a channel.

    A dim plane's result is then that of the bright ones' scale.
    """
    counts = SERIES.astype(np.uint16) * np.array([3, 40], np.uint16)[:, None, None, None]
    result = sd.deblur_stack(counts, "TCYX", "plane", config=TINY)
    ranges = [record.image["value_range"] for record in result.records]
    assert ranges[0] == ranges[2]
    assert ranges[1] == ranges[3]
    for c, (low, high) in enumerate(ranges[:2]):
        lowest, highest = int(counts[:, c].min()), int(counts[:, c].max())
        assert low <= lowest
        assert high == pytest.approx(highest + 0.25 * (highest - lowest))


def test_the_kernel_comes_from_the_plane_with_most_structure():
    """Of flat noise, a smooth ramp and a photograph the photograph has the kernel."""
    noise = np.random.default_rng(0).integers(90, 110, (SIDE, SIDE)).astype(np.uint8)
    ramp = np.add.outer(np.arange(SIDE), np.arange(SIDE)).astype(np.uint8)
    result = sd.deblur_stack(np.stack([noise, ramp, PHOTO]), "ZYX", config=TINY)
    assert result.records[0].image["index"] == {"Z": 2}
    assert structure_of(noise.astype(float)) < 0.05 * structure_of(PHOTO.astype(float))


def test_the_size_is_found_once_in_each_channel():
    """With a kernel for each plane the later planes of a channel take the size of the first."""
    result = sd.deblur_stack(SERIES[:, 0], "TYX", "plane", preset="draft", device="cpu")
    found = [record.used.kernel_size for record in result.records]
    assert [record.config.kernel_size for record in result.records] == ["auto", found[0]]
    assert result.record.size_found == f"Kernel size found: {found[0][0]} px."


def test_an_image_that_is_not_blurred_stays_as_it_is(monkeypatch):
    """Where the kernel is one point no plane is changed."""
    point = np.zeros((5, 5), np.float32)
    point[2, 2] = 1
    monkeypatch.setattr(JointSolver, "step", _with_kernel(JointSolver.step, point))
    result = sd.deblur_stack(SERIES, "TCYX", config=TINY)
    assert states(result) == ["unchanged"] * 4
    np.testing.assert_array_equal(result.sharp, SERIES)


def _with_kernel(step, kernel):
    def changed(self):
        return step(self)._replace(k=torch.as_tensor(kernel))

    return changed


def test_colour_planes():
    """Samples of colour come last; planes of RGBA keep their alpha."""
    colour = np.stack([SERIES[0, 0], SERIES[0, 1], SERIES[0, 0], SERIES[0, 1]], -1)
    series = np.stack([colour, colour[::-1]])
    result = sd.deblur_stack(series, config=TINY)
    assert result.axes == "TYXS"
    assert result.sharp.shape == series.shape
    np.testing.assert_array_equal(result.sharp[..., 3], series[..., 3])
    alone = sd.restore(series[1], result.kernels, "sparse", device="cpu")
    np.testing.assert_array_equal(result.sharp[1], alone)


@pytest.mark.parametrize("lazy", ["counted", "dask", "memmap", "zarr", "h5-like"])
def test_planes_are_read_one_at_a_time(tmp_path, lazy):
    """Arrays that are not in memory give the same numbers; no read is of more than a plane."""
    expected = sd.deblur_stack(SERIES, "TCYX", config=TINY).sharp
    counted = Counted(SERIES)
    if lazy == "dask":
        source = dask.array.from_array(SERIES, chunks=(1, 1, SIDE, SIDE))
    elif lazy == "memmap":
        np.save(tmp_path / "series.npy", SERIES)
        source = np.load(tmp_path / "series.npy", mmap_mode="r")
    elif lazy == "zarr":
        zarr = pytest.importorskip("zarr")
        source = zarr.create_array(tmp_path / "s.zarr", data=SERIES, chunks=(1, 1, SIDE, SIDE))
    else:
        source = counted
    np.testing.assert_array_equal(sd.deblur_stack(source, "TCYX", config=TINY).sharp, expected)
    assert all(len(where) == 2 for where in counted.read)
    assert len(counted.read) == (9 if source is counted else 0)  # twice, and for the estimate


def test_nothing_is_read_before_the_first_step():
    """Settings, axes and shape are checked at the call, values when the planes are read."""
    counted = Counted(SERIES)
    sd.iter_deblur_stack(counted, "TCYX", config=TINY)
    assert counted.read == []


def test_chosen_planes():
    """`planes` picks indices, slices or one index by axis; the axes stay, the rest is not read."""
    counted = Counted(SERIES)
    result = sd.deblur_stack(counted, "TCYX", planes={"T": slice(1, None), "C": 0}, config=TINY)
    assert result.sharp.shape == (1, 1, SIDE, SIDE)
    assert result.record.planes[0]["index"] == {"T": 1, "C": 0}
    assert set(counted.read) == {(1, 0)}
    np.testing.assert_array_equal(result.sharp[0, 0], sd.deblur(SERIES[1, 0], config=TINY).sharp)


def test_events_name_the_plane():
    """Every event says which plane of how many; a plane that is done comes with its image."""
    events, result = drive(sd.iter_deblur_stack(SERIES, "TCYX", config=TINY))
    assert [e.part for e in events if e.stage == "read"] == [(i, 4) for i in range(1, 5)]
    estimated = {e.part for e in events if e.stage == "joint"}
    assert estimated == {(1 + np.ravel_multi_index(_source(result), (2, 2)), 4)}
    restored = [e for e in events if e.stage == "restore"]
    assert [e.part for e in restored] == [(i, 4) for i in range(1, 5)]
    for event, place in zip(restored, np.ndindex(2, 2), strict=True):
        np.testing.assert_array_equal(event.sharp, result.sharp[place])
        np.testing.assert_array_equal(event.kernel, result.kernels)
    assert events[-1].seconds_left == pytest.approx(0)
    seconds = [event.seconds for event in events]
    assert seconds == sorted(seconds)


def _source(result):
    return tuple(result.records[0].image["index"].values())


def test_a_stop_midway_keeps_what_is_done():
    """After a stop the planes that are done are kept, the others have their blurred values."""
    stop = threading.Event()

    def on_progress(event):
        if event.stage == "restore" and event.part[0] == 2:
            stop.set()

    result = sd.deblur_stack(SERIES, "TCYX", config=TINY, stop=stop, on_progress=on_progress)
    whole = sd.deblur_stack(SERIES, "TCYX", config=TINY)
    assert result.record.status == "stopped"
    done = [each["state"] == "restored" for each in result.record.planes]
    assert done[:2] == [True, True]
    for place, finished in zip(np.ndindex(2, 2), done, strict=True):
        if finished:
            np.testing.assert_array_equal(result.sharp[place], whole.sharp[place])
        elif place != _source(result):
            np.testing.assert_array_equal(result.sharp[place], SERIES[place])
    assert not all(done)


def test_a_stop_in_the_estimate_keeps_it():
    """Stopped in the estimate, its plane has the best so far, and no other is touched."""
    stop = threading.Event()

    def on_progress(event):
        if event.stage == "joint":
            stop.set()

    config = TINY.replace(iterations=50)
    result = sd.deblur_stack(SERIES, "TCYX", config=config, stop=stop, on_progress=on_progress)
    assert result.record.status == result.records[0].status == "stopped"
    assert sorted(states(result)) == ["blurred"] * 3 + ["estimated"]
    for place in np.ndindex(2, 2):
        assert np.array_equal(result.sharp[place], SERIES[place]) == (place != _source(result))


def test_a_stop_before_the_first_kernel():
    """Stopped at once, the result is the blurred stack, without a kernel or a verdict."""
    stop = threading.Event()
    stop.set()
    result = sd.deblur_stack(SERIES, "TCYX", config=TINY, stop=stop)
    np.testing.assert_array_equal(result.sharp, SERIES)
    assert result.records == []
    assert not result.kernels.any()
    assert (result.record.status, result.record.verdict) == ("stopped", None)


@pytest.mark.parametrize("kernels", ["one", "plane"])
def test_a_failing_plane_does_not_lose_the_others(kernels):
    """A flat and a NaN plane stay as they are, named with their reason; the others are done."""
    series = SERIES.astype(np.float32)
    series[0, 1] = 7
    series[1, 0, 3, 4] = np.nan
    with pytest.warns(
        DeblurWarning,
        match=r"2 of 4 planes could not be deblurred: plane T=0, C=1 stays blurred: is const",
    ):
        result = sd.deblur_stack(series, "TCYX", kernels, config=TINY)
    assert [state == "blurred" for state in states(result)] == [False, True, True, False]
    reasons = [each["reason"] for each in result.record.planes]
    assert "constant" in reasons[1]
    assert "NaN" in reasons[2]
    np.testing.assert_array_equal(result.sharp[0, 1], series[0, 1])
    np.testing.assert_array_equal(result.sharp[1, 0], series[1, 0])
    assert result.record.status == "finished"
    assert np.isfinite(result.sharp[1, 1]).all()


@pytest.mark.parametrize(("value", "reason"), [(7, "is constant"), (np.nan, "are NaN")])
def test_a_named_plane_that_shows_no_kernel_is_refused(value, reason):
    """No other plane's kernel takes the place of the one that was asked for."""
    series = SERIES.astype(np.float32)
    series[0, 1] = value
    with pytest.raises(ConfigError, match=f"kernel_from: plane T=0, C=1: .*{reason}") as error:
        sd.deblur_stack(series, "TCYX", config=TINY, kernel_from={"T": 0, "C": 1})
    assert error.value.field == "kernel_from"


def test_a_plane_that_cannot_be_read_is_named():
    """Whatever a damaged array raises is the reason of that plane alone."""

    class Damaged(Counted):
        def __getitem__(self, where):
            if where == (0, 1):
                raise OSError("chunk is truncated")
            return super().__getitem__(where)

    with pytest.warns(DeblurWarning, match="chunk is truncated"):
        result = sd.deblur_stack(Damaged(SERIES), "TCYX", config=TINY)
    assert states(result) == ["restored", "blurred", "restored", "restored"]


def test_if_all_planes_fail_the_error_is_raised():
    """A stack of flat planes is refused as one image is."""
    with pytest.raises(ImageError, match="plane T=0: is constant"):
        sd.deblur_stack(np.ones((3, SIDE, SIDE)), config=TINY)


def test_an_estimate_that_diverges_costs_its_own_planes(monkeypatch):
    """Of two channels the one whose estimate fails stays blurred; if both fail it is raised."""
    step, made = JointSolver.step, []

    def diverging(self):
        made.append(self) if self not in made else None
        found = step(self)
        return found._replace(loss=np.nan) if self is made[0] else found

    monkeypatch.setattr(JointSolver, "step", diverging)
    with pytest.warns(DeblurWarning, match="loss became nan"):
        result = sd.deblur_stack(SERIES, "TCYX", "channel", config=TINY)
    assert states(result) == ["blurred", "restored", "blurred", "restored"]
    assert not result.kernels[0].any()
    made.clear()
    with pytest.raises(DivergedError):
        sd.deblur_stack(SERIES, "TCYX", config=TINY)


def test_an_error_of_all_planes_keeps_what_is_done(monkeypatch):
    """Of a run that cannot go on: the planes before, and the estimate it was at."""
    step, made = JointSolver.step, []

    def failing(self):
        made.append(self) if self not in made else None
        if len(made) == 2 and self.t == 1:
            raise OutOfMemoryError("no memory is left")
        return step(self)

    monkeypatch.setattr(JointSolver, "step", failing)
    monkeypatch.setattr("napari_selfdeblur.run.stack.expected_stages", lambda *_: {"restore": 1.0})
    series = SERIES[:, 0]
    with pytest.raises(OutOfMemoryError) as error:
        drive(sd.iter_deblur_stack(series, "TYX", "plane", config=TINY, preview_steps=1))
    kept = error.value.result
    assert states(kept) == ["estimated", "estimated"]
    assert kept.record.status == "failed"
    assert [record.status for record in kept.records] == ["finished", "failed"]
    assert (kept.sharp[0] != series[0]).any()


def test_an_error_of_all_planes_keeps_what_is_restored(monkeypatch):
    """Also where the kernel is known."""
    done = []

    def failing(*args, **kwargs):
        if done:
            raise OutOfMemoryError("no memory is left")
        done.append(run_restoration(*args, **kwargs))
        return done[0]

    monkeypatch.setattr("napari_selfdeblur.run.stack_planes.run_restoration", failing)
    with pytest.raises(OutOfMemoryError) as error:
        sd.restore_stack(SERIES, np.ones((3, 3)), axes="TCYX", device="cpu")
    kept = error.value.result
    assert states(kept) == ["restored", "blurred", "blurred", "blurred"]
    assert kept.record.status == "failed"
    np.testing.assert_array_equal(kept.sharp[0, 0], done[0].sharp)
    done.clear()


def test_results_go_where_the_caller_says(tmp_path):
    """`out` holds the result in its own data type, rounded and saturated for integers."""
    expected = sd.deblur_stack(SERIES, "TCYX", config=TINY)
    out = np.lib.format.open_memmap(tmp_path / "o.npy", "w+", np.uint8, SERIES.shape)
    result = sd.deblur_stack(SERIES, "TCYX", config=TINY, out=out)
    assert result.sharp is out
    np.testing.assert_array_equal(out, np.rint(expected.sharp).clip(0, 255))


def test_the_record_says_how_the_stack_was_made():
    """The record is strict JSON that reads back, and names planes, estimates and verdict."""
    result = sd.deblur_stack(SERIES, "TCYX", "channel", config=TINY)
    text = result.record.to_json()
    assert sd.StackRecord.from_json(text).to_dict() == result.record.to_dict()
    facts = json.loads(text)
    assert facts["image"]["shape"] == [2, 2, SIDE, SIDE]
    assert facts["image"]["axes"] == "TCYX"
    assert facts["image"]["sha256"] == _sha(SERIES)
    assert [each["estimate"] for each in facts["planes"]] == [0, 1, 0, 1]
    assert sd.SelfDeblurConfig.from_dict(facts["config"]) == TINY
    scores = [each["verdict"]["score"] for each in facts["estimates"]]
    assert facts["verdict"]["score"] in scores
    again = sd.deblur_stack(SERIES, "TCYX", "channel", config=result.record.config)
    np.testing.assert_array_equal(again.sharp, result.sharp)


def _sha(array):
    from napari_selfdeblur.io.images import describe

    return describe(array)["sha256"]


@pytest.mark.parametrize("method", ["sparse", "hyper_laplacian"])
def test_a_stack_is_restored_with_known_kernels(method):
    """One kernel, one for each channel, or one for each plane: as `restore` of each plane."""
    k = np.random.default_rng(0).random((2, 2, 5, 7))
    for kernels, own in (
        (k[0, 0], lambda t, c: k[0, 0]),
        (k[0], lambda t, c: k[0, c]),
        (k, lambda t, c: k[t, c]),
    ):
        result = sd.restore_stack(SERIES, kernels, method, axes="TCYX", device="cpu")
        for t, c in np.ndindex(2, 2):
            alone = sd.restore(SERIES[t, c], own(t, c), method, device="cpu")
            np.testing.assert_array_equal(result.sharp[t, c], alone)
        assert states(result) == ["restored"] * 4


@pytest.mark.parametrize("axes", ["TCYX", "TYX"])
def test_planes_without_a_kernel_stay_blurred(axes):
    """A kernel that is all zero, as of an estimate that failed, restores no other plane."""
    series = SERIES if axes == "TCYX" else SERIES[:, 0]
    kernels = np.ones((2, 3, 3))
    kernels[1] = 0
    with pytest.warns(DeblurWarning, match="1 stays blurred: its kernel is all zero"):
        result = sd.restore_stack(series, kernels, axes=axes, device="cpu")
    assert states(result) == ["restored", "blurred"] * (len(states(result)) // 2)
    assert result.record.status == "finished"
    with pytest.raises(ImageError, match="needs a positive value"):
        sd.restore_stack(series, 0 * kernels, axes=axes, device="cpu")


def test_a_restoration_s_failures_and_stop():
    """A flat plane stays as it is; a stop leaves the later planes blurred."""
    series, stop = SERIES.copy(), threading.Event()
    series[0, 0] = 3
    k = np.ones((3, 3))
    with pytest.warns(DeblurWarning, match="1 of 4"):
        result = sd.restore_stack(
            series,
            k,
            axes="TCYX",
            device="cpu",
            stop=stop,
            on_progress=lambda e: stop.set() if e.stage != "read" else None,
        )
    assert states(result) == ["blurred", "restored", "blurred", "blurred"]
    assert result.record.status == "stopped"
    np.testing.assert_array_equal(result.sharp[1], series[1])


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((9, 9), "YX"),
        ((5, 9, 9), "TYX"),
        ((9, 9, 3), "YXS"),
        ((2, 9, 9, 4), "TYXS"),
        ((2, 2, 9, 9), "TCYX"),
        ((2, 2, 2, 9, 9), "TCZYX"),
    ],
)
def test_axes_are_guessed_by_their_number(shape, axes):
    """What is not said is T, C, Z in this order, and colour where the last axis is 3 or 4."""
    assert Stack.of(np.zeros(shape)).axes == axes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axes": "TYX"}, "axes must be 4 different letters"),
        ({"axes": "TTYX"}, "axes must be 4 different letters"),
        ({"axes": 3}, "axes must be 4 different letters"),
        ({"axes": "TYXC"}, r"axes must end in YX or YXS.*moveaxis"),
        ({"axes": "TYXS"}, "axis S must have 3 or 4 colour samples, got 32"),
        ({"axes": "TZYX", "kernels": "channel"}, "needs a channel axis C"),
        ({"kernels": "both"}, "kernels must be one of one, channel, plane"),
        ({"planes": {"Z": 1}}, r"planes must name axes of the stack \(T, C\), got 'Z'"),
        ({"planes": {"T": 2}}, "planes must be different indices of 0 to 1 along T, got 2"),
        ({"planes": {"T": [0, 0]}}, "different indices"),
        ({"planes": {"T": []}}, "different indices"),
        ({"planes": "all"}, "planes must be indices by axis"),
        ({"kernel_from": {"T": 0}}, "kernel_from must name one plane; add its index along C"),
        ({"kernel_from": {"T": 0, "C": 5}}, "along C these are 0, 1, got 5"),
        ({"kernel_from": {"T": 0, "C": 0}, "kernels": "plane"}, "leave it out"),
        ({"out": np.zeros(3)}, r"out must be an array of shape \(2, 2, 32, 32\)"),
        ({"stop": 3}, "stop must be a threading.Event"),
        ({"preview_steps": 0}, "preview_steps must be"),
        ({"on_progress": 3}, "on_progress must be a function"),
    ],
)
def test_what_is_not_allowed_is_refused_at_the_call(options, message):
    """A wrong choice is a ConfigError that says what would be right."""
    with pytest.raises(ConfigError, match=message):
        sd.deblur_stack(SERIES, **{"axes": "TCYX", "config": TINY, **options})


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        (np.zeros((0, 9, 9)), "is empty"),
        (np.zeros((2, 9, 9), complex), "magnitude"),
        (np.zeros((2, 3, 3)), "smaller than the kernel"),
    ],
)
def test_stacks_that_cannot_be_deblurred(stack, message):
    """Emptiness, type and size are judged before anything is read."""
    with pytest.raises(ImageError, match=message):
        sd.iter_deblur_stack(stack, "TYX", config=TINY)


def test_a_result_too_large_for_memory_is_refused():
    """A stack whose result cannot be held is refused at the call, with the way out."""
    large = np.broadcast_to(np.zeros(1, np.uint8), (10**6, 2048, 2048))
    with pytest.raises(OutOfMemoryError, match=r"choose fewer planes.*out"):
        sd.iter_deblur_stack(large, "TYX", preset="draft", kernel_size=15)


def test_kernels_that_fit_no_plane_are_refused():
    """Kernels must be one, one for each channel or one for each plane."""
    with pytest.raises(ImageError, match="do not fit 4 planes of axes TCYX"):
        sd.restore_stack(SERIES, np.ones((3, 5, 5)), axes="TCYX")


def test_a_plane_in_a_stack_has_its_own_scale_s_values():
    """Restored with the scale of full-scale data, a plane has the values that it has alone."""
    kernel, config = np.ones((3, 3)), RestoreConfig(device="cpu")
    alone = run_restoration(PHOTO, kernel, config).sharp
    scale = ((0.0, 255.0), (0.0, 255.0), True)
    np.testing.assert_array_equal(run_restoration(PHOTO, kernel, config, scale=scale).sharp, alone)
