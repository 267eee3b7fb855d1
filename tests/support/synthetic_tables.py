"""Tables as comparisons of ensembles make them, of plausible numbers."""

import numpy as np
import xarray as xr

TIMES = np.array([0.0, 2.0, 5.0, 12.0, 30.0, 80.0])
SIZES = np.array([2, 4, 8, 16, 32, 64])
SETS = ["test", "letters", "noise"]
NAMES = ["CNN, full C4 orbit", "CNN, random rotations", "CNN, no augmentation", "C4 group-CNN", "MLP", "ResNet"]


def coordinates(runs, *, timed=True, sets=SETS):
    time = {"time": TIMES, "step": ("time", (10 * TIMES).astype(int))} if timed else {}
    return {
        "run": NAMES[:runs],
        "members": ("run", [64] * runs),
        "evaluation_set": sets,
        "end": ["low", "high"],
        **time,
    }


def around(values, relative):
    """Intervals about values."""
    return np.stack([values * (1 - relative), values * (1 + relative)], -1)


def draw(shape, seed=0, low=0.5, high=1.5):
    return np.random.default_rng(seed).uniform(low, high, shape)


def divergence(runs=3, predicted=True):
    floor = 0.1 * np.exp(-TIMES / 20) + 0.03
    grown = np.linspace(0, 0.3, runs)[:, None, None] * (1 - np.exp(-TIMES / 25))
    values = np.hypot(floor, grown) * draw((runs, len(SETS), 1), 1, 0.9, 1.1)
    dims = ("run", "evaluation_set", "time")
    table = xr.Dataset(
        {
            "divergence": (dims, values),
            "divergence_interval": ((*dims, "end"), around(values, 0.15)),
            "noise_floor": (dims, np.broadcast_to(floor, values.shape)),
        },
        coordinates(runs),
        {"reference": "C4 group-CNN, width 64", "reference_members": 64},
    )
    return table.assign(predicted_divergence=(dims, np.broadcast_to(grown, values.shape))) if predicted else table


def divergence_by_size(runs=3, predicted=True):
    whole = divergence(runs, predicted)
    growth = np.sqrt(64 / SIZES)
    floor = whole.noise_floor.values[..., None] * growth
    values = np.hypot(whole.divergence.values[..., None], floor)
    dims = ("run", "evaluation_set", "time", "size")
    table = xr.Dataset(
        {
            "divergence": (dims, values),
            "divergence_interval": ((*dims, "end"), around(values, 0.25)),
            "noise_floor": (dims, floor),
        },
        {**coordinates(runs), "size": SIZES},
        {"reference": "C4 group-CNN, width 64"},
    ).drop_vars("members")
    return table.assign(predicted_divergence=whole.predicted_divergence.drop_vars("members")) if predicted else table


def theory(runs=3):
    dims = ("run", "evaluation_set", "time")
    expected = np.broadcast_to(0.05 * np.exp(-TIMES / 40) + 0.02, (runs, len(SETS), len(TIMES)))
    values = expected * draw(expected.shape, 2, 0.9, 2)
    rms = draw(expected.shape, 3, 0.9, 1.3)
    variables = {
        "distance": (dims, values),
        "distance_interval": ((*dims, "end"), around(values, 0.2)),
        "noise_floor": (dims, expected * 1.02),
        "expected_distance": (dims, expected),
        "scale": (dims[:2], draw((runs, len(SETS)), 4)),
        "rms_z": (dims, rms),
        "rms_z_interval": ((*dims, "end"), around(np.ones_like(rms), 0.12)),
        "within": (dims, draw(rms.shape, 5, 0.85, 0.97)),
    }
    return xr.Dataset(variables, coordinates(runs))


def calibration(runs=3):
    edges = np.concatenate([[-np.inf], np.linspace(-4, 4, 33), [np.inf]])
    counts = [
        [np.histogram(np.random.default_rng((run, of)).standard_t(63, 2000) * 1.1, edges)[0] for of in range(len(SETS))]
        for run in range(runs)
    ]
    bins = {"low": ("bin", edges[:-1]), "high": ("bin", edges[1:])}
    coords = {**coordinates(runs, timed=False), **bins}
    return xr.Dataset({"count": (("run", "evaluation_set", "bin"), np.array(counts, float))}, coords)


def mean_logits(runs=3, predicted=True):
    dims, shape = ("run", "time", "sample", "logit"), (runs, len(TIMES), 4, 10)
    rise = (1 - np.exp(-TIMES / 20))[:, None, None]
    expected = np.random.default_rng(6).normal(0, 0.4, (runs, 1, 4, 10)) * rise
    error = draw(shape, 7, 0.02, 0.05)
    mean = expected + error * np.random.default_rng(8).standard_normal(shape)
    coords = {**coordinates(runs), "image": ("sample", [0, 7, 0, 3])}
    coords["evaluation_set"] = ("sample", ["test", "test", "letters", "letters"])
    table = xr.Dataset({"mean": (dims, mean), "standard_error": (dims, error)}, coords)
    if not predicted:
        return table
    return table.assign(theory_mean=(dims, expected), theory_deviation=(dims[:3], draw(shape[:3], 9, 0.2, 0.3)))


def equivariance(runs=3):
    dims, shape = ("run", "evaluation_set", "time"), (runs, len(SETS), len(TIMES))
    single = 2 + 1.2 * (1 - np.exp(-TIMES / 20)) * draw((runs, len(SETS), 1), 10, 0.7, 1.2)
    mean = np.minimum(single + 0.4, 3.95)
    spread = np.broadcast_to(np.geomspace(1, 0.01, runs)[:, None, None], shape) * draw(shape, 11, 0.8, 1.1)
    variables = {
        "osp_members": (dims, single),
        "osp_members_deviation": (dims, draw(shape, 12, 0.1, 0.2)),
        "osp_mean": (dims, mean),
        "osp_mean_interval": ((*dims, "end"), np.clip(around(mean, 0.05), 1, 4)),
    }
    for name, size in (("orbit_deviation", 1), ("equivariance_error", 1.5)):
        variables |= {
            f"{name}_members": (dims, size * spread),
            f"{name}_mean": (dims, size * spread / 5),
            f"{name}_mean_interval": ((*dims, "end"), around(size * spread / 5, 0.2)),
        }
    return xr.Dataset(variables, {**coordinates(runs), "elements": ("run", [4] * runs)})


def equivariance_by_size(runs=3):
    dims = ("run", "evaluation_set", "size")
    low = equivariance(runs).osp_members.values[..., -1:]
    osp = np.broadcast_to(low + (3.95 - low) * (1 - 1 / np.sqrt(SIZES)), (runs, len(SETS), len(SIZES)))
    variables = {"osp": (dims, osp), "osp_interval": ((*dims, "end"), np.clip(around(osp, 0.04), 1, 4))}
    return xr.Dataset(variables, {**coordinates(runs, timed=False), "size": SIZES}).drop_vars("members")


def training(runs=3):
    dims, shape = ("run", "time"), (runs, len(TIMES))
    fall = np.exp(-TIMES / 15) + 0.01
    variables = {}
    for seed, (name, values) in enumerate(
        {"loss": fall, "gradient_norm": fall / 3, "accuracy": 1 - 0.8 * fall}.items()
    ):
        values = np.clip(values * draw(shape, seed, 0.8, 1), 0.001, 1)
        variables |= {name: (dims, values), f"{name}_spread": ((*dims, "end"), around(values, 0.2))}
    reached = (1 - 0.8 * fall) * draw((runs, len(SETS), 1), 20, 0.7, 0.95)
    reached[:, SETS.index("noise")] = np.nan  # which has no labels
    variables["ensemble_accuracy"] = (("run", "evaluation_set", "time"), reached)
    return xr.Dataset(variables, coordinates(runs))


def widths():
    width, series = np.array([8, 16, 32, 64, 128]), ["mean of CNNs", "mean of group-CNNs"]
    bias = np.stack([0.3 / width**2.0, 0.002 / width**1.5 * np.array([1, 1, 1, 0.1, -3])])
    half = np.abs(np.stack([0.4 * bias[0], [4e-5, 1e-5, 6e-6, 4e-6, 3e-6]]))
    interval = np.stack([bias - half, bias + half], -1)
    interval[1, 4, 1] = -1e-7
    variables = {
        "squared_bias": (("series", "width"), bias),
        "squared_bias_interval": (("series", "width", "end"), interval),
        "noise": (("series", "width"), np.stack([2e-5 + 1e-4 / width, 1e-5 + 1e-4 / width])),
        "exponent": ("series", [-1.0, np.nan]),
        "factor": ("series", [np.sqrt(0.3), np.nan]),
        "exponent_low": ("series", [-1.2, np.nan]),
        "exponent_high": ("series", [np.nan, np.nan]),
    }
    return xr.Dataset(variables, {"series": series, "width": width, "end": ["low", "high"]})
