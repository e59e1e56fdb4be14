"""The pages agree with the source tree they stand in."""

from __future__ import annotations

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
OWN = re.compile(r"https://(?:raw\.githubusercontent\.com|github\.com)/napari-selfdeblur/")
OWN_FILE = re.compile(OWN.pattern + r"napari-selfdeblur/(?:(?:blob|tree|raw)/)?main/(.+)")


def links(page: Path) -> list[str]:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return [inline or reference for inline, reference in LINK.findall(text)]


def anchors(page: Path) -> set[str]:
    """Return the anchors GitHub makes of the page's headings."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in headings}


def broken(page: Path, link: str) -> bool:
    if match := OWN_FILE.match(link):
        target, fragment = ROOT / match[1].partition("#")[0], ""
    elif re.match(r"[a-z]+:", link):
        return False
    else:
        name, _, fragment = link.partition("#")
        target = page.parent / name if name else page
    if not target.exists():
        return True
    return bool(fragment) and target.suffix == ".md" and fragment not in anchors(target)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    """Every link from a page to a file or heading of this project finds it."""
    assert [link for link in links(page) if broken(page, link)] == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    """Missing files and missing headings are told from present ones."""
    page = tmp_path / "page.md"
    page.write_text("# A title\n[a](#a-title) [b](#other) [c](page.md) [d](none.md)\n", "utf-8")
    assert [link for link in links(page) if broken(page, link)] == ["#other", "none.md"]


def test_pictures_of_the_readme_are_absolute() -> None:
    """Package indexes show the README elsewhere, so its pictures have full addresses."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^\]]*\]\(([^)\s]+)", readme)
    assert [picture for picture in pictures if not picture.startswith("https://")] == []


def test_the_page_of_settings_is_current() -> None:
    """docs/settings.md is what its script makes of the descriptions, every field in it."""
    page = ROOT / "docs" / "settings.md"
    spec = spec_from_file_location("make_settings", page.with_name("make_settings.py"))
    assert spec is not None
    assert spec.loader is not None
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    text = page.read_text(encoding="utf-8")
    assert text == script.page(), "run python docs/make_settings.py"
    for field in (*SelfDeblurConfig.kinds(), *RestoreConfig.kinds()):
        assert f"| `{field}` |" in text
