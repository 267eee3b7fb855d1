"""The layout that docs/design.md promises: which package imports which, who knows whom, how long files are."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("launch", "analysis", "ensembles", "models")  # each may import those after it
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
SCRIPTS = sorted(path for folder in ("tests", "benchmarks", "examples") for path in (ROOT / folder).rglob("*.py"))


def name(path):
    return str(path.relative_to(ROOT))


def imports(path):
    """The modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def test_files_are_found():
    assert len(SOURCES) > 30
    assert {path.relative_to(ROOT).parts[0] for path in SOURCES} == set(PACKAGES)


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_imports_point_one_way(path):
    package = path.relative_to(ROOT).parts[0]
    allowed = PACKAGES[PACKAGES.index(package) :]
    found = {module.split(".")[0] for module in imports(path)}
    assert found & {*PACKAGES, "tests", "benchmarks", "examples"} <= {*allowed}
    assert "" not in found  # relative imports would go unseen here


@pytest.mark.parametrize(
    ("library", "place"),
    [("neural_tangents", "analysis/tangents/patch.py"), ("orbax.checkpoint", "ensembles/checkpoints.py")],
)
def test_libraries_with_a_past_are_known_in_one_place(library, place):
    """neural-tangents meets current JAX unpatched elsewhere, and is optional; orbax is changing its API."""
    word = re.compile(rf"\b{re.escape(library)}")
    assert [name(path) for path in SOURCES if word.search(path.read_text())] == [place]


def test_jax_is_configured_by_the_command_alone():
    """A library that sets global options on import would change its users' programs."""
    updating = [name(path) for path in SOURCES if "config.update" in path.read_text()]
    assert updating == ["launch/process.py"]


@pytest.mark.parametrize("path", [*SOURCES, *SCRIPTS], ids=name)
def test_files_are_short(path):
    assert len(path.read_text().splitlines()) < 300
