"""neural-tangents on current JAX, and as the oracle of the analytic kernels; its bridge has tests of its own."""

import subprocess
import sys
import textwrap
import warnings
from importlib.util import find_spec

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
import pytest
from jax.interpreters import ad

from tests.support.networks import partly_slow
from widesym.analysis import analytic_kernel
from widesym.analysis.tangents import import_neural_tangents, to_stax
from widesym.models import (
    Architecture,
    AvgPool,
    Conv,
    Dense,
    Erf,
    Flatten,
    Gelu,
    GlobalAvgPool,
    Identity,
    LayerNorm,
    Relu,
    Residual,
)

GRID, CHANNELS, FEATURES = (7, 6), 2, 4


@pytest.fixture(scope="module")
def nt():
    if find_spec("neural_tangents") is None:
        pytest.skip("neural-tangents is not installed")
    return import_neural_tangents()


def namespaces():
    return dict(vars(jax.core)), dict(vars(ad)), "jax.util" in sys.modules


# The patch


def test_import_leaves_no_trace_in_jax_and_needs_no_tensorflow(nt):
    script = """
        import sys, warnings
        sys.modules["tensorflow"] = sys.modules["tf2jax"] = None  # importing either raises ImportError
        import jax, jax.core
        from jax.interpreters import ad
        from widesym.analysis.tangents import import_neural_tangents, to_stax
        from widesym.models import Architecture, Dense

        def state():
            return dict(vars(jax.core)), dict(vars(ad)), list(warnings.filters), dict(jax.config.values)

        before = state()
        module = import_neural_tangents()
        assert state() == before
        assert "jax.util" not in sys.modules
        assert "neural_tangents.experimental" not in sys.modules
        assert not hasattr(module, "experimental")
        assert import_neural_tangents() is module
        x = jax.numpy.ones((2, 3))
        assert abs(to_stax(Architecture((Dense(1),)))[2](x, None, "ntk") - 1).max() < 1e-6
        try:
            import neural_tangents.experimental
        except ImportError as error:
            assert "tensorflow" in str(error) or "tf2jax" in str(error), error
        else:
            raise AssertionError("a stub was left behind")
    """
    run = [sys.executable, "-W", "error", "-c", textwrap.dedent(script)]
    result = subprocess.run(run, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_missing_neural_tangents_is_explained(monkeypatch):
    before = namespaces()
    monkeypatch.setitem(sys.modules, "neural_tangents", None)
    with pytest.raises(ImportError, match=r"widesym\[tangents\].*--no-deps neural-tangents frozendict"):
        import_neural_tangents()
    assert namespaces() == before


def test_unimportable_neural_tangents_names_the_jax_version(nt, monkeypatch):
    before = namespaces()
    monkeypatch.delitem(sys.modules, "neural_tangents")
    monkeypatch.setitem(sys.modules, "neural_tangents.stax", None)
    with pytest.raises(ImportError, match=f"cannot be imported on JAX {jax.__version__}"):
        import_neural_tangents()
    assert namespaces() == before


def test_run_time_does_without_the_names(nt):
    """Everything the docstring promises, after the names are gone again."""
    x1, x2 = (jax.random.normal(jax.random.key(seed), (3, 5)) for seed in (0, 1))
    y = jnp.ones((3, 1))
    init, apply, kernel = nt.stax.serial(nt.stax.Dense(512), nt.stax.Relu(), nt.stax.Dense(1))
    params = init(jax.random.key(2), x1.shape)[1]

    contraction = nt.empirical_ntk_fn(apply)(x1, x2, params)
    products = nt.empirical_ntk_fn(apply, implementation=nt.NtkImplementation.NTK_VECTOR_PRODUCTS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # neural-tangents calls jnp.size on a shape
        np.testing.assert_allclose(products(x1, x2, params), contraction, rtol=1e-5, atol=1e-5)

    analytic = kernel(x1, x2, "ntk")
    batched = nt.batch(kernel, batch_size=1, device_count=0)(x1, x2, "ntk")
    np.testing.assert_allclose(batched, analytic, rtol=1e-5, atol=1e-6)
    sampled = nt.monte_carlo_kernel_fn(init, apply, jax.random.key(3), 32)(x1, x2, "ntk")
    np.testing.assert_allclose(sampled, analytic, atol=0.05)

    converged = analytic @ jnp.linalg.solve(kernel(x2, None, "ntk"), y)  # theory.md §4
    predict = nt.predict.gradient_descent_mse_ensemble(kernel, x2, y)
    for t in (None, 1e6):
        np.testing.assert_allclose(predict(t=t, x_test=x1, get="ntk"), converged, rtol=1e-3)


# The oracle


def mlp(stds):
    return Architecture((*[Dense(FEATURES, **stds), Relu()] * 3, Dense(2, **stds)))


def cnn(stds, padding, head, sizes):
    convolutions = [layer for size in sizes for layer in (Conv(FEATURES, size, padding, **stds), Relu())]
    return Architecture((*convolutions, head, Dense(2, **stds)))


def mixed(stds):
    """Every kind of layer in one network, also where it is unusual."""
    convolutions = [Conv(FEATURES, 2, "CIRCULAR", **stds), Dense(FEATURES, **stds), Relu()]
    convolutions += [Conv(FEATURES, 2, "SAME", **stds), Conv(FEATURES, 2, "VALID", **stds)]
    return Architecture((*convolutions, GlobalAvgPool(), Dense(FEATURES, **stds), Relu(), Dense(2, **stds)))


def strided(stds):
    """Strides under zero and circular padding, and local averages."""
    layers = [Conv(FEATURES, 3, "SAME", 2, **stds), Relu(), AvgPool(2, 1), Conv(FEATURES, 2, "SAME", 2, **stds), Relu()]
    return Architecture((*layers, Flatten(), Dense(2, **stds)))


def residual(stds):
    """Skip connections, one around a normalised block, and a normalised stream."""
    block = Residual((LayerNorm(), Relu(), Conv(FEATURES, 3, **stds)))
    layers = [Conv(FEATURES, 2, **stds), block, Residual((Dense(FEATURES, **stds),)), LayerNorm(), Identity(), Relu()]
    return Architecture((*layers, GlobalAvgPool(), Dense(2, **stds)))


BIASED, UNBIASED = {"w_std": 1.3, "b_std": 0.4}, {"w_std": 2**0.5}
ARCHITECTURES = {  # by far most of the tests' time is compiling these
    "mlp-biased": mlp(BIASED),
    "mlp-unbiased": mlp(UNBIASED),
    "same-pool-biased": cnn(BIASED, "SAME", GlobalAvgPool(), (3, 2)),
    "same-flatten-unbiased-deep": cnn(UNBIASED, "SAME", Flatten(), (3, 2, 2, 2, 2)),
    "valid-flatten-unbiased": cnn(UNBIASED, "VALID", Flatten(), (3, 2)),
    "valid-pool-biased": cnn(BIASED, "VALID", GlobalAvgPool(), (3, 2)),
    "circular-flatten-biased": cnn(BIASED, "CIRCULAR", Flatten(), (3, 2)),
    "circular-pool-unbiased": cnn(UNBIASED, "CIRCULAR", GlobalAvgPool(), (3, 2)),
    "mixed": mixed(BIASED),
    "strided": strided(BIASED),
    "residual": residual(BIASED),
}
SINGLE_PRECISION = ("mlp-biased", "mlp-unbiased", "valid-pool-biased")


def inputs(architecture, dtype):
    """Two batches with one input in common; without biases, the blank corner of another has zero variance."""
    image = any(isinstance(layer, Conv) for layer in architecture.layers)
    shape = (3, *GRID, CHANNELS) if image else (3, 8)
    x1, x2 = (np.random.default_rng(seed).normal(size=shape) for seed in (0, 1))
    x2[0] = x1[1]
    if image:
        x1[0, :5, :5] = 0
    return jnp.asarray(x1, dtype), jnp.asarray(x2, dtype)


def check_agreement(architecture, dtype, rtol):
    """K and Θ to `rtol` entry by entry, but Θ of an input with itself to √ε for each nonlinearity.

    There the cosine c is 1 up to rounding, and arccos(1 − ε) ≈ √(2ε) is what Θ is multiplied with.
    """
    x1, x2 = inputs(architecture, dtype)
    kernel = to_stax(architecture)[2]  # neural-tangents' own layers: its NTK parametrization is ours
    ours, theirs = analytic_kernel(architecture)(x1, x2), jax.jit(lambda *x: kernel(*x, ("nngp", "ntk")))(x1, x2)
    assert ours.ntk.dtype == theirs.ntk.dtype == dtype
    np.testing.assert_allclose(ours.nngp, theirs.nngp, rtol=rtol)
    depth = str(architecture).count("Relu()")
    same = np.zeros(ours.ntk.shape, bool)
    same[1, 0] = True
    np.testing.assert_allclose(ours.ntk[~same], theirs.ntk[~same], rtol=rtol)
    np.testing.assert_allclose(ours.ntk[same], theirs.ntk[same], rtol=depth * np.finfo(dtype).eps ** 0.5)


LONG = ("same-flatten-unbiased-deep", "valid-pool-biased", "circular-flatten-biased", "strided")


@pytest.mark.usefixtures("nt")
@pytest.mark.parametrize("name", partly_slow(ARCHITECTURES, *LONG))
def test_kernels_agree_in_double_precision(name):
    with jax.enable_x64(True):
        check_agreement(ARCHITECTURES[name], jnp.float64, rtol=1e-10)


def deep(nonlinearity, padding=None):
    """Ten hidden layers, dense or convolutional."""
    weights = {"w_std": 1.4, "b_std": 0.1}
    layer = Dense(FEATURES, **weights) if padding is None else Conv(FEATURES, 2, padding, **weights)
    head = () if padding is None else (Flatten() if padding == "SAME" else GlobalAvgPool(),)
    return Architecture((*[layer, nonlinearity] * 10, *head, Dense(2, **weights)))


DEEP = {"MLP, Relu": deep(Relu()), "MLP, Erf": deep(Erf()), "MLP, Gelu": deep(Gelu())} | {
    f"{padding}, {type(phi).__name__}": deep(phi, padding)
    for padding, phi in (("SAME", Relu()), ("CIRCULAR", Erf()), ("SAME", Gelu()), ("VALID", Relu()))
}


TOLERANCE = {jnp.float32: 1e-5, jnp.float64: 1e-10}
QUICK = [("MLP, Relu", jnp.float64), ("SAME, Relu", jnp.float32), ("CIRCULAR, Erf", jnp.float64)]
CASES = [  # compiling one takes 5 to 30 s
    pytest.param(name, dtype, marks=() if (name, dtype) in QUICK else pytest.mark.slow, id=f"{name}, {dtype.__name__}")
    for name in DEEP
    for dtype in TOLERANCE
]


@pytest.mark.usefixtures("nt")
@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_ten_layers_agree(name, dtype):
    """Between different inputs, of which one is smooth and one has a zero row; smooth nonlinearities, all pairs."""
    architecture, rng = DEEP[name], np.random.default_rng(0)
    x = rng.normal(size=(5, 8) if name.startswith("MLP") else (5, 11, 11, 1))
    x[0] = np.sin(np.linspace(0, 3, x[0].size)).reshape(x[0].shape)
    x[1, :1] = 0
    kernel = to_stax(architecture)[2]
    with jax.enable_x64(dtype == jnp.float64):
        x1, x2 = jnp.asarray(x[:2], dtype), jnp.asarray(x[0 if "Relu" not in name else 2 :], dtype)
        ours, theirs = analytic_kernel(architecture)(x1, x2), jax.jit(lambda *x: kernel(*x, ("nngp", "ntk")))(x1, x2)
    np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE[dtype])


@pytest.mark.usefixtures("nt")
@pytest.mark.parametrize("name", SINGLE_PRECISION)
def test_kernels_agree_in_single_precision(name):
    check_agreement(ARCHITECTURES[name], jnp.float32, rtol=1e-5)
