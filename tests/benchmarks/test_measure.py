import numpy as np
import pytest
from napari_selfdeblur.restoration import restore

from napari_selfdeblur.benchmarks import lai, levin
from napari_selfdeblur.benchmarks.measure import measure
from napari_selfdeblur.benchmarks.tasks import Task
from napari_selfdeblur.compare.metrics import score
from napari_selfdeblur.config import SelfDeblurConfig
from napari_selfdeblur.errors import ConfigError
from napari_selfdeblur.io.files import read_image
from napari_selfdeblur.run.run import deblur

TINY = SelfDeblurConfig.preset("fast").replace(
    kernel_size=5, iterations=4, channels=8, skip_channels=4, device="cpu", precision="float32"
)
KNOWN = {"kind": "known", "device": "cpu"}


def blind(case, **options):
    return Task(kind="deblur", case=case, config=TINY, device="cpu", **options)


def test_known_kernels_restore_whichever_way_they_are_stored(levin_folder):
    """A kernel stored as the PSF and one stored rotated both sharpen their captures."""
    rows = [
        measure(Task(case=case, method="hyper_laplacian", **KNOWN))
        for case in levin.find(levin_folder, images=["im1"])
    ]
    assert [row["kernel_rotated"] for row in rows] == [False, True]
    for row in rows:
        assert row["sharp"]["psnr"] > row["blurred"]["psnr"] + 3
        assert row["reblur_residual"][0] < 0.01 < row["reblur_residual"][1]


def test_known_kernel_weight_is_passed_on(levin_folder):
    """A weight that is set changes the restoration, and stands in the row."""
    case = levin.find(levin_folder)[0]
    rows = [
        measure(Task(case=case, method="hyper_laplacian", weight=weight, **KNOWN))
        for weight in (None, 0.05)
    ]
    assert [row["weight"] for row in rows] == [None, 0.05]
    assert rows[0]["sharp"]["psnr"] != rows[1]["sharp"]["psnr"]


def test_numbers_are_those_of_the_public_functions(levin_folder):
    """A row holds what deblur, restore and score give when called by hand."""
    case = levin.find(levin_folder)[0]
    row = measure(blind(case, restorations=("sparse",), reference="hyper_laplacian"))
    y, x = (read_image(path).array for path in (case.blurred, case.truth))
    result = deblur(y, config=TINY)
    own = score(result.sharp / 255, x / 255)
    restored = score(restore(y, result.kernel, "sparse", device="cpu") / 255, x / 255)
    true = read_image(case.true_kernel).array.astype(float)
    known = score(restore(y, true, "hyper_laplacian", device="cpu") / 255, x / 255)
    assert row["sharp"]["psnr"] == pytest.approx(own.psnr, rel=1e-5)
    assert row["sharp"]["ssim"] == pytest.approx(own.ssim, rel=1e-5)
    assert row["restorations"]["sparse"]["psnr"] == pytest.approx(restored.psnr, rel=1e-5)
    assert row["reference"]["psnr"] == pytest.approx(known.psnr, rel=1e-5)
    ratios = (own.ssd / known.ssd, own.spectral_error / known.spectral_error)
    names = ("error_ratio_sum_of_squares", "error_ratio_spectral")
    assert [row["sharp"][name] for name in names] == pytest.approx(ratios, rel=1e-4)
    assert row["iterations"] == 4
    assert row["verdict"]["reasons"] == result.record.verdict["reasons"]
    assert row["loss"] == pytest.approx(result.record.losses[-1], rel=1e-5)


def test_trace_is_taken_only_where_asked_for(levin_folder, tmp_path):
    """Every second step is measured; its last point is the result; snapshots hold the images."""
    case = levin.find(levin_folder)[0]
    path = tmp_path / "shots" / "one.npz"
    row = measure(blind(case, trace=2, snapshots=str(path)))
    assert [point["iteration"] for point in row["trace"]] == [2, 4]
    assert row["trace"][-1]["psnr"] == row["sharp"]["psnr"]
    assert row["trace"][-1]["kernel_mse"] == row["kernel_mse"]
    assert row["trace"][0]["seconds"] < row["trace"][1]["seconds"] <= row["seconds"]
    assert row["snapshots"] == "shots/one.npz"
    with np.load(path) as arrays:
        assert arrays["iterations"].tolist() == [2, 4]
        assert arrays["sharp"].shape == (2, 48, 50)
        assert arrays["kernels"].shape == (2, 5, 5)
    assert "trace" not in measure(blind(case))


def test_measuring_along_the_way_changes_nothing(levin_folder):
    """A traced run ends where the same run ends untraced."""
    case = levin.find(levin_folder)[0]
    assert measure(blind(case, trace=1))["sharp"] == measure(blind(case))["sharp"]


def test_lai_is_measured_with_and_without_kernels(lai_folder):
    """Error ratios come with the kernels; without them the image is still measured."""
    case = lai.find(lai_folder)[0]
    row = measure(blind(case, reference="hyper_laplacian"))
    assert row["sharp"]["error_ratio_spectral"] > 1
    (lai_folder / "kernels").rename(lai_folder / "elsewhere")
    bare = lai.find(lai_folder)[0]
    row = measure(blind(bare, reference="hyper_laplacian"))
    assert set(row["sharp"]) == {"psnr", "ssim"}
    assert "kernel_similarity" not in row
    with pytest.raises(ConfigError, match="manmade_01_kernel_01: a restoration needs its true"):
        measure(Task(case=bare, method="hyper_laplacian", **KNOWN))
