"""Code cites its formulas by section of docs/theory.md, and every section that is cited is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("models", "ensembles", "analysis", "launch", "tests", "examples", "benchmarks")
CITED = re.compile(r"theory\.md(?: |\n\s*)§(\d)(?:-(\d))?((?:, §\d)*)")


def cited(text):
    """The sections that a text cites, `§1, §4` and `§2-3` among them."""
    for first, last, more in CITED.findall(text):
        yield from range(int(first), int(last or first) + 1)
        yield from map(int, re.findall(r"\d", more))


def test_sections_that_code_cites_are_in_the_theory_sheet():
    sections = {int(number) for number in re.findall(r"^## (\d)\. ", (ROOT / "docs/theory.md").read_text(), re.M)}
    found = {path: set(cited(path.read_text())) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
    assert set.union(*found.values()) == sections
    assert {path: numbers - sections for path, numbers in found.items() if numbers - sections} == {}


def test_every_mention_names_its_section():
    for folder in FOLDERS[:4]:
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text()
            assert text.count("theory.md") == len(CITED.findall(text)), path
