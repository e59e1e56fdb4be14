import numpy as np
import pytest

from benchmarks import deblur, known
from benchmarks.images import find
from benchmarks.results import Results
from benchmarks.store import load, rescored
from benchmarks.task import Setup, Task
from napari_selfdeblur import deblur as deblur_image
from napari_selfdeblur import restore
from napari_selfdeblur.compare.metrics import score
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError, DeblurError, DivergedError
from napari_selfdeblur.io.files import read_image

SMALL = {"channels": 8, "skip_channels": 4, "scales": 2, "device": "cpu", "precision": "float32"}
TINY = SelfDeblurConfig.preset("official").replace(kernel_size=5, iterations=4, **SMALL)


def blind(test, config=TINY, **options):
    return Task(kind="deblur", image=test, setups=(Setup("official", config),), **options)


def row_of(task):
    measure = {"deblur": deblur, "known": known}[task.kind].measure
    (row,) = measure(task)
    return task.identities()[0] | row


def test_known_kernels_restore_whichever_way_they_are_stored(levin_folder):
    """A kernel stored as the PSF and one stored rotated both sharpen their images."""
    tests = find("levin", levin_folder, images=["im1"])
    rows = [row_of(Task(kind="known", image=t, method="sparse", device="cpu")) for t in tests]
    assert [row["kernel_rotated"] for row in rows] == [False, True]
    for row in rows:
        assert row["sharp"]["psnr"] > row["blurred"]["psnr"] + 3
        assert row["reblur_residual"][0] < 0.01 < row["reblur_residual"][1]


def test_known_kernel_weight_is_passed_on(levin_folder):
    """A weight that is set changes the restoration, and stands in the row."""
    test = find("levin", levin_folder)[0]
    tasks = [Task(kind="known", image=test, method="sparse", weight=w) for w in (None, 0.05)]
    rows = [row_of(task) for task in tasks]
    assert [row["weight"] for row in rows] == [None, 0.05]
    assert rows[0]["sharp"]["psnr"] != rows[1]["sharp"]["psnr"]


def test_numbers_are_those_of_the_public_functions(levin_folder):
    """A row holds what deblur, restore and score give when called by hand."""
    test = find("levin", levin_folder)[0]
    row = row_of(blind(test, restorations=("sparse",), reference="hyper_laplacian"))
    y, x = (read_image(path).array for path in (test.blurred, test.sharp))
    result = deblur_image(y, config=TINY)
    true = read_image(test.true_kernel).array.astype(float)
    own = score(result.sharp / 255, x / 255)
    restored = score(restore(y, result.kernel, "sparse", device="cpu") / 255, x / 255)
    reference = score(restore(y, true, "hyper_laplacian", device="cpu") / 255, x / 255)
    assert row["sharp"]["psnr"] == pytest.approx(own.psnr, rel=1e-5)
    assert row["sharp"]["ssim"] == pytest.approx(own.ssim, rel=1e-5)
    assert row["restorations"]["sparse"]["psnr"] == pytest.approx(restored.psnr, rel=1e-5)
    assert row["reference"]["psnr"] == pytest.approx(reference.psnr, rel=1e-5)
    ratio = own.spectral_error / reference.spectral_error
    assert row["sharp"]["error_ratio_spectral"] == pytest.approx(ratio, rel=1e-4)
    ratio = own.ssd / reference.ssd
    assert row["sharp"]["error_ratio_sum_of_squares"] == pytest.approx(ratio, rel=1e-4)
    assert row["loss"] == pytest.approx(result.record.losses[-1], rel=1e-5)
    assert row["verdict"]["credible"] == result.record.verdict["credible"]


def test_the_trace_is_that_of_the_iterate(levin_folder, tmp_path):
    """Every second step is measured, the last one on the result; images along it are stored."""
    task = blind(find("levin", levin_folder)[0], trace=2, store=str(tmp_path / "kept"))
    row = row_of(task)
    assert [point["iteration"] for point in row["trace"]] == [2, 4]
    assert row["trace"][-1]["psnr"] == row["sharp"]["psnr"]
    assert row["trace"][-1]["kernel_mse"] == row["kernel_mse"]
    assert row["trace"][0]["seconds"] < row["trace"][1]["seconds"] <= row["seconds"]
    stored = load(tmp_path / "kept", row)
    assert stored["iterations"].tolist() == [2, 4]
    assert stored["iterates"].shape == (2, *stored["sharp"].shape)


def test_tracing_changes_nothing(levin_folder):
    """A traced run ends where the same run ends untraced."""
    test = find("levin", levin_folder)[0]
    traced, plain = row_of(blind(test, trace=1)), row_of(blind(test))
    assert traced["sharp"] == plain["sharp"]
    assert "trace" not in plain


def test_stored_images_give_the_same_measures(levin_folder, tmp_path):
    """Measured again, stored images give every number of the row; without them it is an error."""
    tests, kept = find("levin", levin_folder), str(tmp_path / "kept")
    task = blind(tests[0], store=kept, restorations=("sparse",), reference="sparse")
    rows = [row_of(task), row_of(Task(kind="known", image=tests[1], method="sparse", store=kept))]
    assert len({row["stored"] for row in rows}) == 2
    emptied = [row | {"sharp": {}, "kernel_mse": 0} if "seed" in row else row for row in rows]
    again = rescored(Results(tmp_path / "r.json", rows=emptied), tests, kept, tmp_path / "s.json")
    assert again.rows == rows
    with pytest.raises(DeblurError, match="name the folder given to --store"):
        rescored(Results(tmp_path / "r.json", rows=rows), tests, tmp_path, tmp_path / "s.json")
    with pytest.raises(DeblurError, match=r"the data have no im1 kernel1 of r\.json"):
        rescored(Results(tmp_path / "r.json", rows=rows), [], kept, tmp_path / "s.json")


def test_lai_is_measured_with_and_without_kernels(lai_folder):
    """Error ratios come with the kernels; without them the image is still measured."""
    row = row_of(blind(find("lai", lai_folder)[0], reference="hyper_laplacian"))
    assert row["sharp"]["error_ratio_spectral"] > 1
    (lai_folder / "kernels").rename(lai_folder / "elsewhere")
    bare = find("lai", lai_folder)[0]
    row = row_of(blind(bare, reference="hyper_laplacian"))
    assert set(row["sharp"]) == {"psnr", "ssim"}
    assert "kernel_similarity" not in row
    with pytest.raises(ConfigError, match="manmade_01_kernel_01: a restoration needs its true"):
        known.measure(Task(kind="known", image=bare, method="sparse"))


@pytest.mark.parametrize("reached", [False, True])
def test_divergence_is_a_result(levin_folder, monkeypatch, reached):
    """A run whose loss diverges has a row that says so, with its best image if it has one."""
    test = find("levin", levin_folder)[0]
    best = deblur_image(read_image(test.blurred).array, config=TINY) if reached else None

    def diverging(*args, **options):
        yield from ()
        error = DivergedError("the loss became nan")
        error.result = best
        raise error

    monkeypatch.setattr(deblur, "iter_deblur", diverging)
    row = row_of(blind(test))
    assert row["reason"] == "the loss became nan"
    assert ("sharp" in row) is reached
    assert np.isfinite(row["seconds"])
