"""Run by test_compiled_kernels.py in a process of its own: what XLA compiles for is fixed before JAX starts.

Own argument: where to write the errors, by network and way of computing.
"""

import json
from pathlib import Path

import jax
import numpy as np

from tests.support.jax_processes import start_jax

*_, (FOUND,) = start_jax()

from tests.support.forward_pass import jacobian  # noqa: E402
from tests.support.gradient_networks import ALL_NETWORKS, inputs  # noqa: E402
from widesym.analysis.empirical import empirical_kernel, empirical_ntk  # noqa: E402
from widesym.analysis.empirical.sharpness import largest_ntk_eigenvalue  # noqa: E402
from widesym.models import Architecture  # noqa: E402

NAMES = ("MaxPool(2, 2), 8×8, VALID, bias", "MaxPool(2, 2), 7×7, residual")
METHODS = ("structured", "jacobian", "vector_products")
SAMPLES = 24  # XLA's choices depend on sizes: so many that autodiff's maximum loses gradients in every method


def errors_of(name):
    """The largest error of each over its largest entry."""
    shape, layers = ALL_NETWORKS[name]
    network, x = Architecture(layers), inputs(shape, SAMPLES)
    params = network.init(jax.random.key(0), shape)
    gradients = jacobian(layers, params, x)
    ntk = np.einsum("nka,mla->nmkl", gradients, gradients, optimize=True)
    rows = ntk.transpose(0, 2, 1, 3).reshape(2 * [len(x) * ntk.shape[-1]])
    found = {
        **{method: (empirical_ntk(network, params, x, output="full", method=method), ntk) for method in METHODS},
        "first logit": (empirical_kernel(network, params, x).ntk, ntk[..., 0, 0]),
        "largest": (largest_ntk_eigenvalue(network, params, x, tolerance=1e-6), np.linalg.eigvalsh(rows)[-1]),
    }
    return {how: float(np.abs(one - expected).max() / np.max(expected)) for how, (one, expected) in found.items()}


Path(FOUND).write_text(json.dumps({name: errors_of(name) for name in NAMES}))
