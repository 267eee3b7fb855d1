"""The machine and the versions behind a table, in words."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

INSTRUCTIONS = ("avx512f", "avx2", "asimd")  # the widest first
PEER_VERSIONS = "from importlib.metadata import version as v; print('torch', v('torch') + ', escnn', v('escnn'))"


def described_machine(peers: str = "") -> str:
    """One paragraph: processor, cores in use, versions; never the machine's name."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("jax", "flax", "optax", "numpy"))
    if peers:
        found = subprocess.run([peers, "-c", PEER_VERSIONS], capture_output=True, text=True, check=True)
        versions += f", {found.stdout.strip()}"
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {processor()}, float32, Python {platform.python_version()}, {versions}."


def processor() -> str:
    """The processor's model and the vector instructions it has."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.machine()
    fields = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    flags = fields.get("flags", fields.get("Features", "")).split()
    widest = next((name.upper() for name in INSTRUCTIONS if name in flags), "no vector instructions known")
    return f"{fields.get('model name', platform.machine())} ({widest})"
