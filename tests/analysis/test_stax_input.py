"""`to_stax` refuses what it cannot be given, and says what to do."""

from importlib.util import find_spec

import jax
import jax.numpy as jnp
import pytest

from widesym.analysis.tangents import to_stax
from widesym.models import Architecture, GroupConv, GroupPool, Identity, LiftingConv, cyclic

pytestmark = pytest.mark.skipif(find_spec("neural_tangents") is None, reason="neural-tangents is not installed")

C4 = cyclic(4)
IMAGES = jnp.zeros((2, 3, 3, 1)) + jnp.arange(3)[:, None]


def test_wrong_use_is_explained():
    conv, lifting = GroupConv(C4, 2, 3), Architecture((LiftingConv(C4, 2, 3), GroupPool()))
    with pytest.raises(ValueError, match=r"layer 1: GroupConv acts on a group.*to_stax\(layers, group=…\)"):
        to_stax((Identity(), conv))
    with pytest.raises(ValueError, match="an architecture's input lives on no group"):
        to_stax(lifting, group=C4)
    with pytest.raises(ValueError, match=r"input shape is \(3, 3, 1\); on C4 it must be \(4, H, W, C\) or \(4, C\)"):
        to_stax(conv, group=C4)[1]({}, IMAGES)
    init_fn, apply_fn, kernel_fn = to_stax(lifting)
    with pytest.raises(ValueError, match=r"input_shape is \(3, 3, 1\), of which the first is the batch: layer 0"):
        init_fn(jax.random.key(0), (3, 3, 1))
    with pytest.raises(ValueError, match=r"x1 holds inputs of shape \(3, 3, 1\), x2 of shape \(2, 2, 1\)"):
        kernel_fn(IMAGES, IMAGES[:, :2, :2])
    params = init_fn(jax.random.key(0), IMAGES.shape)[1]
    for masked in (lambda: apply_fn(params, IMAGES, mask_constant=0.0), lambda: kernel_fn(IMAGES, mask_constant=0.0)):
        with pytest.raises(NotImplementedError, match="do not support masks"):
            masked()
