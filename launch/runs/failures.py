"""What a run has failed of, kept beside it."""

import json
import os
import socket
import time
import traceback
from pathlib import Path

from widesym.ensembles.files import read_text
from widesym.launch.runs.files import write_json

FILE = "failed.json"


def note_failure(path: Path, error: Exception) -> None:
    """Say in the run's directory what it failed of, unless not even that can be written."""
    import jax  # here: who only looks at run directories does without

    if jax.process_index() > 0:
        return
    try:
        path.mkdir(parents=True, exist_ok=True)
        write_json(
            path / FILE,
            {
                "error": f"{type(error).__name__}: {error}",
                "traceback": traceback.format_exception(error),
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "time": time.strftime("%Y-%m-%d %H:%M:%S%z"),
            },
        )
    except OSError:
        pass


def failure_in(path: Path) -> str | None:
    """What the run in a directory has failed of; None where it has not."""
    try:
        return str(json.loads(read_text(path / FILE))["error"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return f"unknown: {FILE} cannot be read"
