"""A real SLURM of one machine, in a temporary directory: munged, slurmctld, slurmd, and the processes that they start.

Two partitions share the machine: jobs in `urgent` take it away from those in `low`, which SLURM then requeues.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol", "setpriv")

# No cgroups and no database. The CPUs are said, not found, so that four tasks fit everywhere; credentials live
# five seconds, because a requeued job waits for twice as long.
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmdPort={slurmd_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=20
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=low Nodes={host} Default=YES MaxTime=60 PriorityTier=1
PartitionName=urgent Nodes={host} MaxTime=60 PriorityTier=2
"""


def missing():
    """What stands in the way of a SLURM here, or None."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"{', '.join(absent)} not found: apt-get install slurm-wlm munge"
    return None if os.geteuid() == 0 else "SLURM's daemons need root here"


@contextlib.contextmanager
def slurm():
    """Within, SLURM_CONF names a running cluster; afterwards nothing of it runs. Yields its directory."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # short: a socket's path has at most 107 characters
    before = os.environ.get("SLURM_CONF")
    with contextlib.ExitStack() as stack:
        janitor = subprocess.Popen([sys.executable, __file__, folder], stdin=subprocess.PIPE, start_new_session=True)
        stack.callback(janitor.communicate)  # its input also ends where this process is killed
        configure(folder)
        os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
        stack.callback(restore, before)
        for command in daemons(folder):
            stack.callback(stop, start(command, folder))
        wait_until(lambda: "idle" in told("sinfo", "--noheader", "--format=%t"), 60, "a node that is idle")
        stack.callback(clear)
        yield folder


def restore(before):
    """SLURM_CONF as it was."""
    os.environ.pop("SLURM_CONF")
    if before is not None:
        os.environ["SLURM_CONF"] = before


def configure(folder):
    """All files that the daemons need."""
    with socket.socket() as first, socket.socket() as second:
        ports = []
        for probe in (first, second):
            probe.bind(("", 0))
            ports.append(probe.getsockname()[1])
    values = {"folder": folder, "host": socket.gethostname(), "ctld_port": ports[0], "slurmd_port": ports[1]}
    (folder / "slurm.conf").write_text(CONFIGURATION.format(**values))
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    (folder / "munge.key").write_bytes(secrets.token_bytes(128))
    (folder / "munge.key").chmod(0o600)
    folder.chmod(0o755)


def daemons(folder):
    """Their commands, in the foreground, so that they are this process's children."""
    own = {"socket": "sock", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    return (
        ["munged", "--foreground", "--force", *(f"--{name}={folder}/munge.{end}" for name, end in own.items())],
        ["slurmctld", "-D", "-c", "-f", folder / "slurm.conf"],
        ["slurmd", "-D", "-c", "-f", folder / "slurm.conf"],
    )


def start(command, folder):
    """A daemon; the kernel ends it where this process is killed."""
    with (folder / f"{command[0]}.out").open("wb") as output:
        options = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *command], **options)
    if command[0] == "munged":
        wait_until((folder / "munge.sock").exists, 20, "munge's socket")
    return process


def stop(process):
    """End a daemon."""
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def clear():
    """Cancel every job; those that take too long are killed afterwards."""
    subprocess.run(["scancel", "--user=root"], check=False)
    subprocess.run(["scancel", "--user=root", "--full", "--signal=KILL"], check=False, capture_output=True)
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: not told("squeue", "--noheader"), 10, "an empty queue")


def kill_all_of(folder):
    """End whatever the cluster has started and left: those processes have its configuration in their environment."""
    mark = f"SLURM_CONF={folder}/slurm.conf".encode()
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            with contextlib.suppress(OSError):
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    os.kill(int(process.name), signal.SIGKILL)


def told(*command):
    """What a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def wait_until(ready, seconds, what):
    """Until it is so; raises TimeoutError, with what was waited for, when it takes too long."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.1)


if __name__ == "__main__":  # the janitor
    sys.stdin.read()
    kill_all_of(Path(sys.argv[1]))
    shutil.rmtree(sys.argv[1], ignore_errors=True)
