"""Kill sweeps' workers and launchers. Run by test_sweep_faults.py; prints what happened as JSON.

python tests/support/sweep_faults.py FILE OUTPUT KILLS SEED
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
    command = [
        sys.executable,
        "-m",
        "widesym.launch",
        "sweep",
        str(file),
        "--output",
        str(output),
        "--executor",
        "pool",
    ]
    options = ["--executor", "pool", "--workers", "2", "--checkpoint-seconds", "0"]
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


def training(output: Path) -> bool:
    """Whether a job is between its first checkpoint and its end."""
    begun = {path.parent.parent for path in output.glob("*/*/checkpoints/*") if path.name.isdigit()}
    return any(not (place / "finished.json").exists() for place in begun)


def gathering(output: Path) -> bool:
    """Whether a run is being put together, or a part of one is trained."""
    return any(output.glob("runs/.*.new")) or any(output.glob("parts/*/finished.json"))


MOMENTS = {"any": lambda output: True, "training": training, "gathering": gathering}


def wait_for(moment: str, output: Path, launched: subprocess.Popen, rng: random.Random) -> None:
    """Until it has come, or somewhat longer than it should take, and a little more."""
    time.sleep(rng.uniform(0.0, 6.0))
    end = time.monotonic() + 60
    while not MOMENTS[moment](output) and launched.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    time.sleep(rng.uniform(0.0, 1.0 if moment == "training" else 0.1))


def main(file: Path, output: Path, kills: int, seed: int) -> None:
    rng, launched, done = random.Random(seed), None, 0
    while done < kills:
        if launched is None or launched.poll() is not None:
            launched = launcher(file, output)
        moment = tuple(MOMENTS)[done % 3]
        wait_for(moment, output, launched, rng)
        alive = workers(output)
        what = "launcher" if done % 5 == 0 else "worker"
        victim = launched.pid if what == "launcher" else rng.choice(alive) if alive else None
        if victim is None or launched.poll() is not None:
            if launched.poll() == 0:
                break  # all is finished: nothing is left to be killed
            continue
        os.kill(victim, signal.SIGKILL)
        if what == "launcher":
            launched.wait()
        done += 1
        found = {"killed": what, "when": moment, "training": training(output), "gathering": gathering(output)}
        print(json.dumps({**found, "finished runs": progress(output), "workers": len(alive)}), flush=True)
    if launched is not None and launched.poll() is None:
        launched.wait()
    codes = []
    while not codes or (codes[-1] != 0 and len(codes) < 5):  # the same command again, till it says that all is done
        codes.append(launcher(file, output).wait())
    print(json.dumps({"codes": codes, "finished runs": progress(output)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
