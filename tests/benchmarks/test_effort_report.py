"""The report's tables of presets beside each other."""

from __future__ import annotations

from typing import Any

from benchmarks.effort_report import sections
from napari_selfdeblur import SelfDeblurConfig


def row(preset: str, image: str, psnr: float, **more: Any) -> dict[str, Any]:
    made = {"kind": "synthetic", "category": "tuning", "preset": preset, "image": image, "seed": 0}
    made |= {"kernel": "motion 9, noise 1 %", "noise": 1.0, "size_asked": "auto", "psnr": psnr}
    made |= {"seconds": {"draft": 10.0, "fast": 200.0}[preset], "failure": psnr < 20}
    return made | {"config": SelfDeblurConfig.preset(preset).to_dict()} | more


BOTH = [row("draft", "a", 30.0), row("draft", "b", 19.0), row("draft", "c", 25.0)]
BOTH += [row("fast", "a", 30.05), row("fast", "b", 22.0), row("fast", "c", 24.0)]


def table(rows: list[dict[str, Any]]) -> list[list[str]]:
    page = "\n".join(sections(rows)).splitlines()
    lines = [line.strip("|").split("|") for line in page if line.startswith("| all")]
    return [[cell.strip() for cell in line] for line in lines]


def test_presets_are_compared_on_the_same_images() -> None:
    """Means, failures, and how many images the dearer one makes better and worse."""
    alone = row("draft", "d", 10.0)
    draft, fast = table([*BOTH, alone])
    assert draft == ["all", "draft", "3", "24.67", "19.00", "1", "-", "-", "10", "10"]
    assert fast == ["all", "fast", "3", "25.35", "22.00", "0", "1", "1", "200", "200"]


def test_only_images_with_their_size_found_and_blurred() -> None:
    """Sizes given, compressed files and sharp images stand elsewhere."""
    others = [{"size_asked": [9, 9]}, {"quality": 90}, {"kind": "verdict"}]
    assert sections([each | more for each in BOTH for more in others]) == []
    sharp = [{k: v for k, v in each.items() if k != "failure"} for each in BOTH]
    assert sections(sharp) == []


def test_one_preset_is_no_comparison() -> None:
    """Nor are two presets of different images."""
    assert sections(BOTH[:3]) == []
    assert sections([BOTH[0], BOTH[4]]) == []
    assert sections([]) == []


def test_noise_has_lines_of_its_own() -> None:
    """By noise after all, where there is more than one."""
    more = [row("draft", "e", 20.0, noise=0.2), row("fast", "e", 21.0, noise=0.2)]
    page = "\n".join(sections([*BOTH, *more]))
    assert page.count("0.2 %") == 2
    assert page.count("| 1 %") == 2
    assert "0.2 %" not in "\n".join(sections(BOTH))


def test_levin_is_a_set_of_its_own() -> None:
    """Rows of a data set have neither noise nor failures."""
    levin = []
    for each in BOTH:
        config = SelfDeblurConfig.preset(each["preset"]).replace(kernel_size="auto").to_dict()
        made = {"kind": "deblur", "dataset": "levin", "sharp": {"psnr": each["psnr"]}}
        kept = {k: each[k] for k in ("preset", "image", "kernel", "seed", "seconds")}
        levin.append(kept | made | {"config": config})
    assert "### Levin" in sections(levin)
    assert table(levin)[0][5] == "-"
