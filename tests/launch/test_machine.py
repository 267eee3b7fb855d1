"""`widesym doctor` alone: what there is on this machine, and what will not work on it."""

import os
import platform
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from widesym.launch.integrity import machine


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WIDESYM_CACHE", str(tmp_path / "cache"))


def facts():
    return {fact.what: fact.value for fact in machine.machine_facts()}


def with_disk(monkeypatch, free):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))


def test_it_is_printed_and_nothing_is_written(command, tmp_path):
    code, text, _ = command("doctor")
    assert code == 0
    assert f"python {platform.python_version()}, " in text
    assert f"numpy {np.__version__}, " in text
    assert f"device 0: {jax.devices()[0].device_kind} " in text
    assert list(tmp_path.iterdir()) == []


def test_facts_are_of_this_process(tmp_path, monkeypatch):
    monkeypatch.setenv("WIDESYM_ODD", "7")
    (tmp_path / "cache" / "data").mkdir(parents=True)
    (tmp_path / "cache" / "data" / "one").write_bytes(bytes(3 * 2**10))
    with_disk(monkeypatch, 5 * 2**30)
    found = facts()
    assert found["cache"] == f"{tmp_path / 'cache'}: 3 KiB, 5 GiB free"
    assert found["here"] == f"{tmp_path}: 5 GiB free"
    assert "WIDESYM_ODD=7" in found["settings"].split("; ")
    assert found["memory"].startswith(f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.3g} GiB")
    assert found["processors"].startswith(f"{len(os.sched_getaffinity(0))} of ")


def test_packages_that_are_not_installed_are_said(monkeypatch):
    monkeypatch.setattr(machine, "OPTIONAL", ("numpy", "no-such-package"))
    assert facts()["optional packages"] == f"numpy {np.__version__}, no-such-package (not installed)"


def test_memory_of_a_device_is_said_where_it_is_known(monkeypatch):
    gpu = SimpleNamespace(id=0, device_kind="H100", platform="gpu", memory_stats=lambda: {"bytes_limit": 60 * 2**30})
    monkeypatch.setattr(machine.jax, "devices", lambda: [gpu])
    assert facts()["device"] == "0: H100 (gpu), 60 GiB memory"


def test_all_is_well(monkeypatch):
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    with_disk(monkeypatch, 2**30)
    assert machine.machine_warnings() == []


def test_little_space_is_warned_of(monkeypatch, tmp_path):
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    with_disk(monkeypatch, 2**29)
    here, cache = machine.machine_warnings()
    assert here.startswith(
        f"{tmp_path} is on a disk with 512 MiB left: runs cannot be kept here; change to a directory"
    )
    assert cache.startswith(f"{tmp_path / 'cache'} is on a disk with 512 MiB left: ")
    assert "set WIDESYM_CACHE" in cache


def test_a_cache_that_cannot_be_made_is_warned_of(monkeypatch, tmp_path):
    """A file is where its folder would be, which no rights help against."""
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    (tmp_path / "cache").write_text("mine")
    (warning,) = machine.machine_warnings()
    assert warning.startswith(
        f"{tmp_path / 'cache'} cannot be written to: data sets and compiled programs are not kept"
    )
    assert facts()["cache"].endswith(", not writable")


def test_a_gpu_that_jax_does_not_see_is_warned_of(monkeypatch):
    monkeypatch.setattr(machine.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(machine.jax, "devices", lambda: [SimpleNamespace(platform="cpu")])
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    (warning,) = machine.machine_warnings()
    assert warning.endswith('runs will not use the GPU; pip install "widesym[cuda]"')
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    (warning,) = machine.machine_warnings()
    assert warning.endswith("JAX_PLATFORMS is cpu; unset it")
    monkeypatch.setattr(machine.jax, "devices", lambda: [SimpleNamespace(platform="gpu")])
    assert machine.machine_warnings() == []
