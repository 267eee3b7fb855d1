"""The structure that docs/design.md shows: one import name, which folder imports which, how long files are."""

import ast
import graphlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("launch", "analysis", "ensembles", "models")  # each may import those after it
FOLDERS = {  # inside a package, each may import those before it; files beside the folders count as folders of one
    "launch": (
        *("errors", "console", "lazily", "process", "config", "runs", "integrity", "training", "kernels", "sweep"),
        *("analyses", "recipes", "commands", "cli", "__main__"),
    ),
    "analysis": (
        *("kernels", "estimators", "programs", "figures", "dynamics", "tangents", "gram", "comparison", "empirical"),
        "__init__",
    ),
}
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


@pytest.mark.parametrize("path", [*SOURCES, *SCRIPTS], ids=name)
def test_there_is_one_import_name(path):
    """The four folders are on nobody's path by their own names, and relative imports would go unseen here."""
    assert not {module.split(".")[0] for module in imports(path)} & {*PACKAGES, ""}


def test_the_import_name_leads_to_the_four_folders():
    assert {path.name: path.resolve() for path in (ROOT / "widesym").iterdir() if path.is_symlink()} == {
        package: ROOT / package for package in PACKAGES
    }


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_imports_point_one_way(path):
    package, *inside = path.relative_to(ROOT).with_suffix("").parts
    own = [module.split(".")[1:] for module in imports(path) if module.startswith("widesym.")]
    assert {module[0] for module in own} <= {*PACKAGES[PACKAGES.index(package) :]}
    assert not {module.split(".")[0] for module in imports(path)} & {"tests", "benchmarks", "examples"}
    if package in FOLDERS and inside[0] != "__init__":
        order = FOLDERS[package]
        beside = {module[1] for module in own if module[0] == package and len(module) > 1}
        assert beside <= {*order[: order.index(inside[0]) + 1]}


def test_no_file_imports_itself_through_others():
    """Not even one inside a folder, where there is no order to hold."""
    modules = {".".join(("widesym", *path.relative_to(ROOT).with_suffix("").parts)): path for path in SOURCES}
    graph = {module: {*imports(path)} & {*modules} for module, path in modules.items()}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(SOURCES)


@pytest.mark.parametrize("folder", sorted({path.parent for path in SOURCES}), ids=name)
def test_folders_are_small_and_say_what_they_hold(folder):
    assert len([*folder.glob("*.py")]) <= 20
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))


def test_no_two_test_files_have_one_name():
    """pytest imports them by it, and leaves out the second."""
    names = [path.name for path in SCRIPTS if path.name.startswith("test_")]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(
    ("library", "place"),
    [("neural_tangents", "analysis/tangents/patch.py"), ("orbax.checkpoint", "ensembles/checkpoints.py")],
)
def test_libraries_with_a_past_are_known_in_one_place(library, place):
    """neural-tangents meets current JAX unpatched elsewhere, and is optional; orbax is changing its API."""
    word = re.compile(rf"\b{re.escape(library)}")
    assert [name(path) for path in SOURCES if word.search(path.read_text())] == [place]


@pytest.mark.parametrize(
    ("call", "place"),
    [
        ("os.replace(", "ensembles/files.py"),
        ("fcntl.flock(", "ensembles/files.py"),
        ("zarr.open_group(", "ensembles/stores.py"),
        ("xr.open_zarr(", "ensembles/stores.py"),
        (".out(", "launch/console.py"),
    ],
)
def test_what_is_easily_done_wrong_is_done_in_one_place(call, place):
    """A file put in place whole, a lock taken, a stranger's store opened, a line printed as it is."""
    assert [name(path) for path in SOURCES if call in path.read_text()] == [place]


def test_jax_is_configured_by_the_command_alone():
    """A library that sets global options on import would change its users' programs."""
    updating = [name(path) for path in SOURCES if "config.update" in path.read_text()]
    assert updating == ["launch/process.py"]


@pytest.mark.parametrize("path", [*SOURCES, *SCRIPTS], ids=name)
def test_files_are_short(path):
    assert len(path.read_text().splitlines()) < 300


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_public_docstrings_say_more_than_a_name_could(path):
    """Four words are a fragment that only its writer can read."""
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    public = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, definitions) and not node.name.startswith("_")
    ]
    said = [(node.name, ast.get_docstring(node)) for node in public]
    assert [(who, what) for who, what in said if what is not None and len(what.split()) <= 4] == []
