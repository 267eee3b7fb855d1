"""The package as users install it: one import name, beside whatever their own project calls its modules."""

import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import widesym
from tests.support.analysis_directories import make
from widesym import ensembles, models
from widesym.launch.analyses.page import render
from widesym.models.on_demand import homes_in

ROOT = Path(__file__).parents[1]
OTHERS = {"models.py": "OWN = 1\n", "analysis/__init__.py": "OWN = 2\n", "launch.py": "OWN = 3\n"}
PACKAGES = ("models", "ensembles", "analysis", "launch")


def python(*arguments, executable=sys.executable, **options):
    """What a process prints; its messages where it fails. Other Pythons than this one find what is installed alone."""
    kept = {name: value for name, value in os.environ.items() if executable == sys.executable or name != "PYTHONPATH"}
    done = subprocess.run([executable, *map(str, arguments)], capture_output=True, text=True, env=kept, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from the tracked files alone, which is what a clone holds."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    archive = source.parent / "source.tar"
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    archive.parent.mkdir(exist_ok=True)
    subprocess.run(["tar", "-C", ROOT, "--null", "-T", "-", "-cf", archive], input=tracked.stdout, check=True)
    subprocess.run(["tar", "-C", source, "-xf", archive], check=True)
    python("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "-w", built, source)
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The Python of an environment with the wheel in it, and the libraries of this one."""
    environment = tmp_path_factory.mktemp("environment")
    python("-m", "venv", "--without-pip", environment)
    executable = environment / "bin" / "python"
    site = Path(python("-c", "import sysconfig; print(sysconfig.get_path('purelib'))", executable=executable).strip())
    python("-m", "pip", "--python", executable, "install", "--quiet", "--no-deps", "--no-index", wheel)
    libraries = sysconfig.get_path("purelib")
    # Not as a site directory: the editable install of this checkout would come with it.
    (site / "libraries.pth").write_text(f"{libraries}\n")
    return executable


@pytest.fixture
def project(tmp_path):
    """A project of somebody whose modules have the names of ours."""
    for name, content in OTHERS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_the_wheel_holds_one_name(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"widesym"}
    in_wheel = {name for name in names if name.startswith("widesym/")}
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files", *PACKAGES], capture_output=True, text=True, check=True)
    assert in_wheel == {f"widesym/{name}" for name in tracked.stdout.split()} | {"widesym/__init__.py"}


def test_the_readme_snippet_runs_beside_modules_of_the_same_names(installed, project):
    (snippet,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    own = "import sys, models, analysis, launch\nassert (models.OWN, analysis.OWN, launch.OWN) == (1, 2, 3)\n"
    where = f"import widesym\nassert not widesym.__file__.startswith({str(ROOT)!r}), widesym.__file__\n"
    (project / "main.py").write_text(own + where + snippet)
    assert "|measured - theory|" in python("main.py", executable=installed, cwd=project)


def test_the_command_runs_beside_modules_of_the_same_names(installed, project):
    command = installed.with_name("widesym")
    assert "c4-gcnn" in python(command, "models", executable=installed, cwd=project)


def test_the_report_has_its_template_with_it(installed, project):
    """Which is a file beside the code."""
    made = make(project / "digits")
    command = installed.with_name("widesym")
    assert python(command, "report", "digits", executable=installed, cwd=project) == "written: digits/report.html\n"
    assert (made / "report.html").read_text(encoding="utf-8") == render(made)


def test_importing_it_takes_no_time():
    """Nothing heavy is imported before it is asked for."""
    loaded = "import sys, widesym; print([name for name in ('jax', 'numpy', 'flax') if name in sys.modules])"
    assert python("-c", loaded) == "[]\n"
    helped = "import sys\nfrom widesym.launch.cli import run\nrun(['--help'])\nprint('jax' in sys.modules)"
    assert python("-c", helped).splitlines()[-1] == "False"


@pytest.mark.parametrize("name", widesym.__all__)
def test_names_lead_to_what_they_say(name):
    found = getattr(widesym, name)
    assert found.__name__ == name


@pytest.mark.parametrize("package", [widesym, models, ensembles], ids=lambda package: package.__name__)
def test_packages_export_what_they_import_on_demand(package):
    assert set(homes_in(Path(package.__file__).read_text(encoding="utf-8"))) == set(package.__all__)


def test_what_is_not_there_is_no_name():
    assert set(widesym.__all__) <= set(dir(widesym))
    with pytest.raises(AttributeError, match="no attribute 'Relus'"):
        _ = widesym.Relus
