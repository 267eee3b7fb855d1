"""Weight decay of all parameters and of weights alone, against a loop in NumPy."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widesym.ensembles import Adam, Sgd, Trainer, TrainingRecipe, adamw
from widesym.ensembles.optimizers import spares_biases
from widesym.models import Architecture, AtomSum, Dense, Flatten, Relu
from widesym.models.description import describe

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((6, 3)).astype("f"), RNG.standard_normal((6, 2)).astype("f")
# float32 against float64: a dozen steps of sums over a handful of terms round by a few 1e-7 each.
FLOAT32 = {"rtol": 2e-5, "atol": 2e-6}
BIASED = Architecture((Dense(3, b_std=0.7), Dense(2, b_std=0.5)))


def biased_gradient(params):
    """∇ of 1/(2N) Σ ‖f − y‖² of f = (V h/√3 + 0.5 c), h = (W x/√3 + 0.7 b), in NumPy float64: (W, b, V, c)."""
    w, b, v, c = params
    h = X @ w.T / 3**0.5 + 0.7 * b
    error = (h @ v.T / 3**0.5 + 0.5 * c - Y) / len(X)
    back = error @ v / 3**0.5
    return [back.T @ X / 3**0.5, 0.7 * back.sum(0), error.T @ h / 3**0.5, 0.5 * error.sum(0)]


def biased_params(state, member=0):
    layers = state.params["layers"]
    return [np.float64(layers[place][name])[member] for place in (0, 1) for name in ("weight", "bias")]


@pytest.mark.parametrize("decays_biases", [True, False])
@pytest.mark.parametrize(
    "optimizer",
    [Sgd(momentum=0.5, weight_decay=(0.3, 0.0)), Adam(eps=0.1, weight_decay=(0.3, 0.0))],
    ids=["sgd", "adam"],
)
def test_biases_are_spared_on_request(optimizer, decays_biases):
    """Against a loop in NumPy with λ for each of four arrays, member by member."""
    trainer = Trainer(BIASED, TrainingRecipe(0.2, replace(optimizer, decay_biases=decays_biases)), 2)
    state = trainer.init((3,))
    trained = trainer.advance(state, (jnp.asarray(X), jnp.asarray(Y)), 0, 6)
    for member, weight_decay in enumerate((0.3, 0.0)):
        params, decay = biased_params(state, member), [weight_decay, weight_decay * decays_biases] * 2
        m, v = [np.zeros_like(p) for p in params], [np.zeros_like(p) for p in params]
        for step in range(1, 7):
            for i, g in enumerate(biased_gradient(params)):
                if isinstance(optimizer, Sgd):
                    m[i] = 0.5 * m[i] + g + decay[i] * params[i]
                    params[i] = params[i] - 0.2 * m[i]
                else:
                    m[i], v[i] = 0.9 * m[i] + 0.1 * g, 0.999 * v[i] + 0.001 * g**2
                    update = m[i] / (1 - 0.9**step) / (np.sqrt(v[i] / (1 - 0.999**step)) + 0.1)
                    params[i] = params[i] - 0.2 * (update + decay[i] * params[i])
        for found, expected in zip(biased_params(trained, member), params, strict=True):
            np.testing.assert_allclose(found, expected, **FLOAT32)


def test_biases_of_a_network_for_each_atom_are_biases():
    """They have an axis of atoms, as the weights have."""
    body = (Flatten(), Dense(4, b_std=1.0), Relu())
    params = Architecture((AtomSum(body, shared=False), Dense(1))).init(jax.random.key(0), (3, 4, 4, 1))
    shapes = jax.tree.map(lambda leaf: leaf.shape, params)["layers"]
    assert shapes[0]["body"]["layers"][1] == {"bias": (3, 4), "weight": (3, 4, 16)}
    spared = {"layers": {0: {"body": {"layers": {1: {"bias": False, "weight": True}}}}, 1: {"weight": True}}}
    assert spares_biases(params) == spared


def test_sparing_biases_is_written_down_where_it_is_asked_for():
    """What earlier versions wrote says nothing of it, and random numbers follow from what is written."""
    assert describe(Sgd(weight_decay=0.1)) == {"type": "Sgd", "momentum": 0.0, "weight_decay": 0.1, "nesterov": False}
    assert describe(Adam()).keys() == {"type", "b1", "b2", "eps", "weight_decay"}
    for optimizer in (Sgd(weight_decay=0.1, decay_biases=False), adamw((0.1, 0.2), decay_biases=False)):
        written = describe(optimizer)
        assert written.pop("decay_biases") is False
        assert type(optimizer)(**{k: v for k, v in written.items() if k != "type"}, decay_biases=False) == optimizer


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sgd(decay_biases=False), "decay_biases is false, but there is no weight_decay; give one above 0"),
        (lambda: adamw(0.0, decay_biases=False), "decay_biases is false, but there is no weight_decay"),
        (lambda: adamw(decay_biases="no"), "decay_biases is 'no'; it must be true or false"),
    ],
)
def test_what_says_nothing_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
