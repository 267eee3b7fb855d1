"""Kill sweeps' workers and launchers. Run by test_sweep_faults.py; prints what happened as JSON.

python sweep_faults.py FILE OUTPUT KILLS SEED
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path


def launcher(file: Path, output: Path) -> subprocess.Popen:
    """The command, in a process group of its own."""
    command = [sys.executable, "-m", "launch", "sweep", str(file), "--output", str(output), "--executor", "pool"]
    options = ["--workers", "2", "--checkpoint-seconds", "0"]
    log = (output.parent / "launcher.txt").open("ab")
    return subprocess.Popen([*command, *options], stdout=log, stderr=subprocess.STDOUT, start_new_session=True)


def workers(output: Path) -> list[int]:
    """Processes at jobs of this sweep, whoever has started them."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"work" in words and str(output).encode() in words:
                found.append(int(entry.name))
    return sorted(found)


def progress(output: Path) -> int:
    """Runs that are finished."""
    return len(list((output / "runs").glob("*/finished.json")))


def main(file: Path, output: Path, kills: int, seed: int) -> None:
    rng, launched, done = random.Random(seed), None, 0
    while done < kills:
        if launched is None or launched.poll() is not None:
            launched = launcher(file, output)
        time.sleep(rng.uniform(0.0, 8.0))
        alive = workers(output)
        what = "launcher" if done % 3 == 0 else "worker"
        victim = launched.pid if what == "launcher" else rng.choice(alive) if alive else None
        if victim is None or launched.poll() is not None:
            if launched.poll() == 0:
                break  # all is finished: nothing is left to be killed
            continue
        os.kill(victim, signal.SIGKILL)
        if what == "launcher":
            launched.wait()
        done += 1
        print(json.dumps({"killed": what, "finished runs": progress(output), "workers": len(alive)}), flush=True)
    if launched is not None and launched.poll() is None:
        launched.wait()
    codes = []
    while not codes or (codes[-1] != 0 and len(codes) < 5):  # the same command again, till it says that all is done
        codes.append(launcher(file, output).wait())
    print(json.dumps({"codes": codes, "finished runs": progress(output)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
