"""The documentation is true: every Python block runs, every relative link leads somewhere."""

import math
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")


def name(page):
    return str(page.relative_to(ROOT))


def run(page):
    """A page's blocks one after the other in one namespace; tracebacks show the page's own lines."""
    text, namespace = page.read_text(), {"__name__": "__main__"}
    for block in BLOCK.finditer(text):
        above = "\n" * text.count("\n", 0, block.start(1))
        exec(compile(above + block[1], str(page), "exec"), namespace)


@pytest.mark.parametrize("page", [page for page in PAGES if BLOCK.search(page.read_text())], ids=name)
def test_blocks_run(page, tmp_path, monkeypatch, capsys):
    if "import_neural_tangents" in page.read_text() and find_spec("neural_tangents") is None:
        pytest.skip("neural-tangents is not installed")
    monkeypatch.chdir(tmp_path)
    run(page)
    if page == ROOT / "README.md":
        printed = capsys.readouterr().out
        gaps = [float(number) for number in re.findall(r"\|measured - theory\| = (\S+)", printed)]
        assert len(gaps) == 3
        assert all(math.isfinite(gap) for gap in gaps)
        assert gaps[-1] < gaps[0] / 3  # the means of random networks become those of trained ones


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_relative_links_lead_to_files(page):
    targets = [target for target in LINK.findall(page.read_text()) if "://" not in target]
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []


def test_readme_shows_the_demo():
    """Its first picture is what `make demo` draws."""
    assert "(docs/figures/digits-c4.png)" in (ROOT / "README.md").read_text()
    assert (ROOT / "docs" / "figures" / "digits-c4.png").read_bytes().startswith(b"\x89PNG")
