"""The pages agree with the source tree they stand in."""

from __future__ import annotations

import re
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from napari_selfdeblur.config import RestoreConfig, SelfDeblurConfig

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
OWN_PAGE = "../../"  # on GitHub, from the repository's root: its issues, runs and commits


def links(page: Path) -> list[str]:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return [inline or reference for inline, reference in LINK.findall(text)]


def anchors(page: Path) -> set[str]:
    """Return the anchors GitHub makes of the page's headings."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in headings}


def broken(page: Path, link: str) -> bool:
    if re.match(r"[a-z]+:", link) or (link.startswith(OWN_PAGE) and page.parent == ROOT):
        return False
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
    """Missing files and missing headings are reported, present ones are not."""
    page = tmp_path / "page.md"
    page.write_text("# A title\n[a](#a-title) [b](#other) [c](page.md) [d](none.md)\n", "utf-8")
    assert [link for link in links(page) if broken(page, link)] == ["#other", "none.md"]


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_readme_has_pictures_of_the_repository() -> None:
    """The README shows pictures by relative links, which GitHub and a checkout both find."""
    pictures = re.findall(r"!\[[^\]]*\]\(([^)\s]+)", (ROOT / "README.md").read_text("utf-8"))
    own = [picture for picture in pictures if not picture.startswith(("https:", OWN_PAGE))]
    assert own
    assert all((ROOT / picture).is_file() for picture in own)


def test_the_package_index_gets_absolute_links() -> None:
    """Where the README is shown alone, each of its links and pictures has a full address."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for each in project()["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"][
        "substitutions"
    ]:
        text = re.sub(each["pattern"], each["replacement"], text)
    source = project()["project"]["urls"]["Source"]
    found = [inline or reference for inline, reference in LINK.findall(FENCE.sub("", text))]
    assert [link for link in found if not link.startswith("https://")] == []
    assert f"{source}/blob/main/docs/user-guide.md" in found
    assert f"{source}/raw/main/docs/images/finished.png" in found
    assert f"{source}/issues" in found


def test_the_repository_has_one_address() -> None:
    """The repository's address stands in pyproject.toml alone, and there it is one address."""
    source = project()["project"]["urls"]["Source"]
    assert all(url.startswith(source) for url in project()["project"]["urls"].values())
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    addresses = set(re.findall(r"https://github\.com/[\w-]+/[\w-]+", text))
    assert addresses == {source}
    files = [*PAGES, *ROOT.glob("src/**/*.py"), *ROOT.glob("src/**/*.yaml")]
    assert [file for file in files if source in file.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("name", ["a-first-run", "restore-with-a-known-kernel"])
def test_the_panels_links_lead_to_a_section(name: str) -> None:
    """The sections of the user guide that the panels link to are there."""
    assert name in anchors(ROOT / "docs" / "user-guide.md")


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
