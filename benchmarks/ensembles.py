"""`python -m benchmarks.ensembles --peers PYTHON`: how fast ensembles train, against peers in the same run.

Each variant runs in a process of its own, pinned to one core (the library once more to two); they take turns, round by
round, so that a drift of the machine meets all of them. Ratios are medians over rounds of figures from the same round.
`PYTHON` is the interpreter of an environment with PyTorch and escnn (tests/models/escnn/make_arrays.py tells how to
make it; WIDESYM_PEERS names it, too). Without it, these peers are not measured.
"""

import os
import statistics
import sys
from collections import defaultdict
from dataclasses import dataclass, field

import tyro

from benchmarks.machine import described_machine
from benchmarks.processes import Variant, started
from benchmarks.published import BATCH, NETWORKS, OPTIMIZER, training_flops
from benchmarks.timing import print_table

OURS, TWO_CORES, VMAP, ESCNN = "widesym", "widesym, two cores", "vmap of lax.conv", "escnn, loop"
PEAKS = ("jnp matmul", "numpy matmul")
TITLES = {"cnn": "MNIST CNN", "gcnn": "MNIST C4 GCNN"}
Rounds = dict[str, list[dict[str, float]]]  # each variant's answers, round by round


@dataclass(frozen=True)
class Options:
    """Training speed of ensembles of the MNIST networks of arXiv:2406.06504, table 3."""

    peers: str = field(default_factory=lambda: os.environ.get("WIDESYM_PEERS", ""))
    """Interpreter with PyTorch and escnn."""
    rounds: int = 3
    seconds: float = 1.0
    """How long a measurement runs; one step of all members at least."""
    members: tuple[int, ...] = (1, 8, 32, 128)
    networks: tuple[str, ...] = NETWORKS
    quick: bool = False
    """For development: 1 and 8 members, 2 rounds of 0.3 s."""


def variants(options: Options, network: str) -> list[Variant]:
    """Everything to measure on a network, the library first."""
    torch = "torch_worker" if options.peers else ""
    found = [
        Variant(OURS, "jax_worker", "library"),
        Variant("widesym's layers, loop", "jax_worker", "loop"),
        Variant(VMAP, "jax_worker", "naive vmap"),
        Variant("PyTorch, loop", torch, "loop"),
        Variant("PyTorch, channels_last loop", torch, "channels_last loop"),
        Variant("PyTorch, torch.func.vmap", torch, "vmap"),
        Variant(ESCNN, torch if network == "gcnn" else "", "escnn loop"),
        *(Variant(name, "jax_worker", name) for name in PEAKS),
    ]
    two = [Variant(TWO_CORES, "jax_worker", "library", cores=2)] if len(os.sched_getaffinity(0)) > 1 else []
    return [*found, *two]


def main() -> None:
    """Measure and print the tables."""
    options = tyro.cli(Options, prog="python -m benchmarks.ensembles")
    if options.quick:
        options = Options(options.peers, rounds=2, seconds=0.3, members=(1, 8), networks=options.networks)
    print(described_machine(options.peers))
    for network in options.networks:
        preparations, results = measure(options, network)
        print_speeds(options, network, results)
        print_ratios(options, network, preparations, results)


def measure(options: Options, network: str) -> tuple[dict[tuple[int, str], dict[str, float]], dict[int, Rounds]]:
    """Preparation times by (members, variant), and every round's figures by members."""
    preparations, results = {}, {}
    with started(variants(options, network), network, options.peers) as workers:
        for members in options.members:
            rounds: Rounds = defaultdict(list)
            for name, worker in workers.items():
                note(f"{network}, {members} members: preparing {name}")
                preparations[members, name] = worker.ask(prepare=members)
            for number in range(options.rounds):
                note(f"{network}, {members} members: round {number + 1} of {options.rounds}")
                for name, worker in workers.items():
                    if number == 0 or preparations[members, name]["step"] < 4 * options.seconds:
                        rounds[name].append(worker.ask(measure=options.seconds))
            results[members] = rounds
    return preparations, results


def print_speeds(options: Options, network: str, results: dict[int, Rounds]) -> None:
    """Member-images per second, of wall time and of processor time."""
    names = [
        v.name for v in variants(options, network) if v.name not in PEAKS and (network == "gcnn" or v.name != ESCNN)
    ]
    header = [f"thousand member-images/s ({OPTIMIZER}, batch {BATCH})", *map(members_named, options.members)]
    rows = [[name, *(speed_cell(results[members].get(name, [])) for members in options.members)] for name in names]
    print_table(f"{TITLES[network]}: by wall time / by processor time", header, rows)


def print_ratios(options: Options, network: str, preparations: dict, results: dict[int, Rounds]) -> None:
    """The library against the best of PyTorch, escnn, vmap, the matrix product and itself on two cores."""
    rows = [
        ["÷ best PyTorch variant", *(best_ratio(results[m], "PyTorch") for m in options.members)],
        *([["÷ escnn", *(best_ratio(results[m], ESCNN) for m in options.members)]] if network == "gcnn" else []),
        ["÷ vmap of lax.conv", *(best_ratio(results[m], VMAP) for m in options.members)],
        ["two cores ÷ one (wall time)", *(two_cores(results[m]) for m in options.members)],
        ["% of the matrix product's FLOP/s", *(of_peak(network, results[m]) for m in options.members)],
        ["that peak, GFLOP/s", *(f"{peak(results[m]) / 1e9:.0f}" for m in options.members)],
        [
            "compiling the step, s (processor time)",
            *(f"{preparations[m, OURS]['compile']:.1f}" for m in options.members),
        ],
    ]
    header = [f"{training_flops(network) / 1e6:.3f} MFLOP an image", *map(members_named, options.members)]
    print_table(f"{TITLES[network]}: widesym on one core", header, rows)


def speeds(answers: list[dict[str, float]], clock: str) -> list[float]:
    """Amounts per second, round by round."""
    return [answer["amount"] / answer[clock] for answer in answers]


def paired_ratio(rounds: Rounds, name: str, other: str, clock: str = "cpu") -> float:
    """Median over rounds of one variant's speed over another's."""
    pairs = zip(speeds(rounds[name], clock), speeds(rounds[other], clock), strict=False)
    return statistics.median(a / b for a, b in pairs)


def best_ratio(rounds: Rounds, peers: str) -> str:
    """The library over the fastest of the peers whose names begin so."""
    names = [name for name in rounds if name.startswith(peers)]
    return f"{min(paired_ratio(rounds, OURS, name) for name in names):.1f}" if names else "not measured"


def two_cores(rounds: Rounds) -> str:
    """The library on two cores over itself on one."""
    return f"{paired_ratio(rounds, TWO_CORES, OURS, 'wall'):.2f}" if TWO_CORES in rounds else "not measured"


def peak(rounds: Rounds) -> float:
    """Floating-point operations per second of the faster library's large product."""
    return max(statistics.median(speeds(rounds[name], "cpu")) for name in PEAKS)


def of_peak(network: str, rounds: Rounds) -> str:
    """Share of the peak that training reaches, counting its matrix products alone."""
    flops = statistics.median(speeds(rounds[OURS], "cpu")) * training_flops(network)
    return f"{100 * flops / peak(rounds):.0f}"


def speed_cell(answers: list[dict[str, float]]) -> str:
    """Median speeds, in thousands."""
    if not answers:
        return "not measured"
    wall, cpu = (statistics.median(speeds(answers, clock)) / 1e3 for clock in ("wall", "cpu"))
    return f"{wall:.3g} / {cpu:.3g}"


def members_named(members: int) -> str:
    """A column's head."""
    return f"{members} member{'s' if members > 1 else ''}"


def note(message: str) -> None:
    """Progress, beside the tables."""
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
