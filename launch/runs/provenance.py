"""Where a run was made: by which command, code and versions, on which machine."""

import hashlib
import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

PACKAGES = ("widesym", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "xarray", "zarr")


def circumstances() -> dict[str, Any]:
    """Command line, versions, git commit and digest of what differs from it, machine, device."""
    import jax  # here: who only looks at run directories does without

    device = jax.devices()[0]
    return {
        "command": list(sys.argv),
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in PACKAGES},
        "git_commit": git_commit(),
        "git_diff": git_diff(),
        "hostname": platform.node(),
        "platform": platform.platform(),
        "device": {"platform": device.platform, "kind": device.device_kind, "count": jax.device_count()},
    }


def git_commit(source: Path = Path(__file__)) -> str | None:
    """The commit of the source tree, with "+changes" if tracked files differ from it; None where git tracks it not."""
    head = _git(source, "rev-parse", "HEAD")
    return None if head is None else head.decode().strip() + ("+changes" if git_diff(source) else "")


def git_diff(source: Path = Path(__file__)) -> str | None:
    """First 12 hex digits of the sha256 of `git diff HEAD --binary`, by which changes are recognised; None where no
    tracked file differs from the commit, or git does not track the source tree.
    """
    changes = _git(source, "diff", "HEAD", "--binary", "--no-ext-diff", "--no-color")
    return hashlib.sha256(changes).hexdigest()[:12] if changes else None


def _git(source: Path, *arguments: str) -> bytes | None:
    """What git prints of the tree that `source` is tracked in; None where it is in none."""
    tracked = ("ls-files", "--error-unmatch", source.name)  # not some repository around an installed package
    try:
        for command in (tracked, arguments):
            found = subprocess.run(["git", "-C", str(source.parent), *command], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return found
