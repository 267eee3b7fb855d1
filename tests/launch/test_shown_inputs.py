"""Which inputs the figures of an analysis show."""

import numpy as np
import xarray as xr

from widesym.analysis.comparison.metrics.mean_logits import telling_logits


def test_shown_inputs_are_those_where_runs_differ_most():
    values = np.zeros((2, 2, 5, 3))
    values[0, 1, 3, 2], values[1, 1, 1, 0] = 2.0, -1.0
    means = xr.Dataset({"mean": (("run", "time", "sample", "logit"), values)})
    assert telling_logits(means, 2) == [(3, 2), (1, 0)]
