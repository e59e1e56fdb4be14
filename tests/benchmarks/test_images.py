from pathlib import Path

import pytest

from benchmarks.images import find
from napari_selfdeblur.errors import ImageError


def labels(tests):
    return [test.label for test in tests]


def test_levin_layout_is_found(levin_folder):
    """Every blurred image is found with its sharp image, kernel and the authors' kernel size."""
    tests = find("levin", levin_folder)
    assert labels(tests) == ["im1_kernel1", "im1_kernel2", "im2_kernel1", "im2_kernel2"]
    assert [test.kernel_size for test in tests] == [17, 15, 17, 15]
    assert tests[3].sharp == str(levin_folder / "gt" / "im2.png")
    assert tests[3].true_kernel == str(levin_folder / "gt" / "kernel2.png")


def test_numbers_are_in_order(levin_folder):
    """im10 comes after im2."""
    for path in (levin_folder / "gt" / "im2.png", levin_folder / "im2_kernel1_img.png"):
        path.with_name(path.name.replace("im2", "im10")).write_bytes(path.read_bytes())
    found = labels(find("levin", levin_folder, kernels=["1"]))
    assert found == ["im1_kernel1", "im2_kernel1", "im10_kernel1"]


@pytest.mark.parametrize(("images", "kernels"), [(["im2"], ["kernel1"]), (["2"], ["1"])])
def test_subsets_are_chosen_by_name_or_number(levin_folder, images, kernels):
    """Images and kernels are named in full or by their numbers."""
    assert labels(find("levin", levin_folder, images, kernels)) == ["im2_kernel1"]


def test_what_is_missing_is_named(levin_folder, tmp_path):
    """An unknown image, an empty folder and a lost sharp image are errors that say which."""
    with pytest.raises(ImageError, match="has no image im7; it has im1, im2"):
        find("levin", levin_folder, images=["im7"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match=r"no blurred images; expected im1_kernel1_img\.png"):
        find("levin", tmp_path / "empty")
    (levin_folder / "gt" / "im1.png").unlink()
    with pytest.raises(ImageError, match="the sharp image of im1_kernel1 is missing"):
        find("levin", levin_folder)
    assert len(find("levin", levin_folder, images=["im2"])) == 2


def test_lai_layout_is_found(lai_folder, monkeypatch):
    """Images in uniform_ycbcr have category and kernel size; their own folder serves as well."""
    tests = find("lai", lai_folder)
    assert [test.category for test in tests] == ["manmade", "manmade", "text", "text"]
    assert [test.kernel_size for test in tests] == [31, 51, 31, 51]
    assert tests[2].sharp == str(lai_folder / "ground_truth" / "text_02.png")
    assert labels(find("lai", lai_folder / "uniform_ycbcr")) == labels(tests)
    monkeypatch.chdir(lai_folder / "uniform_ycbcr")
    assert len(find("lai", Path(), images=["1"])) == 2


def test_lai_colour_images_are_second_choice(lai_folder):
    """uniform is read where uniform_ycbcr is missing; kernels may be missing altogether."""
    (lai_folder / "uniform_ycbcr").rename(lai_folder / "uniform")
    (lai_folder / "kernels").rename(lai_folder / "elsewhere")
    tests = find("lai", lai_folder)
    assert len(tests) == 4
    assert {(Path(test.blurred).parent.name, test.true_kernel) for test in tests} == {
        ("uniform", None)
    }


def test_microscopy_layout_is_found(lai_folder, tmp_path):
    """Fields and kernels lie beside each other; a kernel's number gives its support."""
    blurred = next((lai_folder / "uniform_ycbcr").iterdir()).read_bytes()
    for name in ("blurred/im0_k3.png", "gt/im0.png", "gt/k3.png"):
        path = tmp_path / "fields" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(blurred)
    (test,) = find("microscopy", tmp_path / "fields")
    assert (test.label, test.kernel_size) == ("im0_k3", 27)
    assert test.true_kernel == str(tmp_path / "fields" / "gt" / "k3.png")
