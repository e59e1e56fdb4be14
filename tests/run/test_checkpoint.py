import itertools
import threading

import numpy as np
import pytest
import torch

import napari_selfdeblur as sd
from napari_selfdeblur.errors import ConfigError

TINY = sd.SelfDeblurConfig.preset("official").replace(
    kernel_size=5, iterations=6, channels=8, skip_channels=4, device="cpu", precision="float32"
)
IMAGE = np.random.default_rng(0).random((30, 31))


def stopped_after(steps, path, config=TINY):
    stop = threading.Event()
    run = sd.iter_deblur(IMAGE, config=config, stop=stop, checkpoint=path)
    for _ in itertools.islice(run, steps - 1):
        pass
    stop.set()
    for _ in run:
        pass


@pytest.mark.parametrize("solver", ["joint", "alternating"])
def test_a_resumed_run_reaches_the_same_numbers(tmp_path, solver):
    """Stopped at step 4 and resumed from its file, a run ends as an uninterrupted one."""
    config = TINY.replace(solvers=solver)
    whole = sd.deblur(IMAGE, config=config)
    stopped_after(4, tmp_path / "run.pt", config)
    events = []
    resumed = sd.deblur(
        IMAGE, config=config, checkpoint=tmp_path / "run.pt", on_progress=events.append
    )
    assert [p.iteration for p in events] == [5, 6]
    np.testing.assert_array_equal(resumed.sharp, whole.sharp)
    np.testing.assert_array_equal(resumed.kernel, whole.kernel)
    assert resumed.record.losses == whole.record.losses
    assert resumed.record.iterations == 6


def test_a_finished_run_leaves_no_checkpoint(tmp_path):
    """The file goes when there is nothing left to resume."""
    stopped_after(2, tmp_path / "run.pt")
    assert (tmp_path / "run.pt").exists()
    sd.deblur(IMAGE, config=TINY, checkpoint=tmp_path / "run.pt")
    assert list(tmp_path.iterdir()) == []


def test_a_long_run_is_saved_every_hundred_steps(tmp_path):
    """A killed run loses at most a hundred steps."""
    config = TINY.replace(iterations=150, channels=2, skip_channels=2)
    path = tmp_path / "run.pt"
    run = sd.iter_deblur(IMAGE, config=config, checkpoint=path)
    steps = [p.iteration for p in itertools.islice(run, 99)]
    assert not path.exists()
    next(run)
    assert path.exists()
    run.close()
    rest = sd.iter_deblur(IMAGE, config=config, checkpoint=path)
    assert next(rest).iteration == steps[-1] + 2


def test_checkpoint_of_another_run_is_refused(tmp_path):
    """Another image, other settings or another kind of file are named, and nothing is lost."""
    path = tmp_path / "run.pt"
    stopped_after(2, path)
    with pytest.raises(ConfigError, match="checkpoint of another image; choose another file"):
        sd.deblur(IMAGE[:, ::-1], config=TINY, checkpoint=path)
    with pytest.raises(ConfigError, match=r"other settings \(iterations, seed\)"):
        sd.deblur(IMAGE, config=TINY.replace(seed=1, iterations=5), checkpoint=path)
    assert path.exists()
    path.write_text("not a checkpoint")
    with pytest.raises(ConfigError, match="is not a checkpoint; choose another file"):
        sd.deblur(IMAGE, config=TINY, checkpoint=path)


def test_a_run_whose_last_step_was_saved_can_be_resumed(tmp_path):
    """A consumer that leaves at the last event loses nothing: the next run ends at once."""
    whole, path = sd.deblur(IMAGE, config=TINY), tmp_path / "run.pt"
    events = sd.iter_deblur(IMAGE, config=TINY, checkpoint=path)
    for event in events:
        if event.iteration == 6:
            break
    events.close()
    assert path.exists()
    again = sd.deblur(IMAGE, config=TINY, checkpoint=path)
    np.testing.assert_array_equal(again.sharp, whole.sharp)
    assert again.record.losses == whole.record.losses
    assert not path.exists()


def test_a_run_stopped_between_two_solvers_resumes_with_the_second(tmp_path):
    """What the first solver found is in the file; the whole is that of an uninterrupted run."""
    config, path = TINY.replace(solvers=("joint", "alternating")), tmp_path / "run.pt"
    whole = sd.deblur(IMAGE, config=config)
    stopped_after(8, path, config)
    events = []
    resumed = sd.deblur(IMAGE, config=config, checkpoint=path, on_progress=events.append)
    assert {event.stage for event in events} <= {"alternating", "joint"}
    assert next(e.iteration for e in events if e.stage == "alternating") > 2
    np.testing.assert_array_equal(resumed.sharp, whole.sharp)
    assert resumed.record.losses == whole.record.losses


def test_a_setting_added_later_does_not_orphan_a_checkpoint(tmp_path):
    """A file that lacks a field is read with the field's default."""
    path = tmp_path / "run.pt"
    stopped_after(2, path)
    kept = torch.load(path, weights_only=True)
    del kept["config"]["loss_switch"]
    torch.save(kept, path)
    assert sd.deblur(IMAGE, config=TINY, checkpoint=path).record.status == "finished"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 1}, "written by another version"),
        ({"solvers": {0: {"t": 2}}}, "damaged"),
        ({"solvers": "x"}, "is not a checkpoint"),
        ({"config": 3}, "mapping of names"),
    ],
)
def test_files_of_another_kind_are_refused_with_the_reason(tmp_path, change, message):
    """Other versions, edited counters and other content are distinguished."""
    path = tmp_path / "run.pt"
    stopped_after(2, path)
    torch.save(torch.load(path, weights_only=True) | change, path)
    with pytest.raises(ConfigError, match=message):
        sd.deblur(IMAGE, config=TINY, checkpoint=path)
