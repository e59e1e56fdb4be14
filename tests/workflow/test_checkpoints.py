import itertools
import threading

import numpy as np
import pytest

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


@pytest.mark.parametrize("optimiser", ["joint", "alternating"])
def test_a_run_taken_up_again_reaches_the_same_numbers(tmp_path, optimiser):
    """Stopped at step 4 and resumed from its file, a run ends as an uninterrupted one."""
    config = TINY.replace(optimiser=optimiser)
    whole = sd.deblur(IMAGE, config=config)
    stopped_after(4, tmp_path / "run.pt", config)
    seen = []
    resumed = sd.deblur(
        IMAGE, config=config, checkpoint=tmp_path / "run.pt", on_progress=seen.append
    )
    assert [p.iteration for p in seen] == [5, 6]
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


def test_a_long_run_is_put_aside_every_hundred_steps(tmp_path):
    """A run that dies loses at most a hundred steps."""
    config = TINY.replace(iterations=150, channels=2, skip_channels=2)
    path = tmp_path / "run.pt"
    run = sd.iter_deblur(IMAGE, config=config, checkpoint=path)
    seen = [p.iteration for p in itertools.islice(run, 99)]
    assert not path.exists()
    next(run)
    assert path.exists()
    run.close()
    rest = sd.iter_deblur(IMAGE, config=config, checkpoint=path)
    assert next(rest).iteration == seen[-1] + 2


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
