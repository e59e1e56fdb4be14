from pathlib import Path

import pytest

from napari_selfdeblur.benchmarks import lai, levin
from napari_selfdeblur.errors import ImageError


def test_levin_layout_is_found(levin_folder):
    """Every capture is found with its truth, kernel and the authors' kernel size."""
    cases = levin.find(levin_folder)
    assert [case.label for case in cases] == [
        "im1_kernel1",
        "im1_kernel2",
        "im2_kernel1",
        "im2_kernel2",
    ]
    assert [case.kernel_size for case in cases] == [17, 15, 17, 15]
    assert cases[3].truth == str(levin_folder / "gt" / "im2.png")
    assert cases[3].true_kernel == str(levin_folder / "gt" / "kernel2.png")


@pytest.mark.parametrize(("images", "kernels"), [(["im2"], ["kernel1"]), (["2"], ["1"])])
def test_subsets_are_chosen_by_name_or_number(levin_folder, images, kernels):
    """Images and kernels are named in full or by their numbers."""
    assert [case.label for case in levin.find(levin_folder, images, kernels)] == ["im2_kernel1"]


def test_what_is_missing_is_named(levin_folder, tmp_path):
    """An unknown image, an empty folder and a lost truth are errors that say which and what."""
    with pytest.raises(ImageError, match="has no image im7; it has im1, im2"):
        levin.find(levin_folder, images=["im7"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match=r"holds no captures; expected im1_kernel1_img\.png"):
        levin.find(tmp_path / "empty")
    (levin_folder / "gt" / "im1.png").unlink()
    with pytest.raises(ImageError, match="the truth of im1_kernel1 is missing"):
        levin.find(levin_folder)
    assert len(levin.find(levin_folder, images=["im2"])) == 2


def test_lai_layout_is_found(lai_folder):
    """Captures in uniform_ycbcr have their truth in ground_truth, category and kernel size."""
    cases = lai.find(lai_folder)
    assert [(case.image, case.kernel) for case in cases] == [
        ("manmade_01", "kernel_01"),
        ("manmade_01", "kernel_02"),
        ("text_02", "kernel_01"),
        ("text_02", "kernel_02"),
    ]
    assert [case.category for case in cases] == ["manmade", "manmade", "text", "text"]
    assert [case.kernel_size for case in cases] == [31, 51, 31, 51]
    assert cases[2].truth == str(lai_folder / "ground_truth" / "text_02.png")


def test_lai_folder_may_be_that_of_the_captures(lai_folder, monkeypatch):
    """The captures' own folder serves too, also as the current one."""
    own = lai.find(lai_folder / "uniform_ycbcr")
    assert [case.label for case in own] == [case.label for case in lai.find(lai_folder)]
    monkeypatch.chdir(lai_folder / "uniform_ycbcr")
    assert len(lai.find(".", images=["1"])) == 2


def test_lai_colour_captures_are_second_choice(lai_folder):
    """uniform is read where uniform_ycbcr is missing; kernels may be missing altogether."""
    (lai_folder / "uniform_ycbcr").rename(lai_folder / "uniform")
    (lai_folder / "kernels").rename(lai_folder / "elsewhere")
    cases = lai.find(lai_folder)
    assert len(cases) == 4
    assert all(case.true_kernel is None for case in cases)
    assert {Path(case.blurred).parent.name for case in cases} == {"uniform"}
