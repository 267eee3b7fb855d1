"""neural-tangents (arXiv:1912.02803) on current JAX.

neural-tangents 0.6.5 imports names that JAX has dropped since. They are back for as long as it is being imported, and
gone afterwards. No other module imports it.
"""

import importlib
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

import jax
import jax.core
import jax.extend.core
from jax.interpreters import ad

# With jax.util and ad.zeros_like_p, this is all that the import needs, and none of it has to stay. neural-tangents
# binds most names as it is imported. What it looks up as an attribute at run time is either still public in JAX
# 0.10-0.12 (jax.core.eval_context, jax.core.ShapedArray), or is read by STRUCTURED_DERIVATIVES alone (jax.core.Var,
# ad.config, ad.source_info_util), which stops before it gets there: it calls ad.linearize in a way that is no more.
JAX_CORE_NAMES = ("Jaxpr", "JaxprEqn", "Literal", "Primitive", "Var")
INSTALL_HINT = (
    'neural-tangents is not installed: pip install "widesym[tangents]", or, without TensorFlow, '
    "pip install --no-deps neural-tangents frozendict"
)

_import_lock = threading.Lock()


def import_neural_tangents() -> ModuleType:
    """neural-tangents, on a JAX newer than it knows; every call returns the same module.

    Its stax kernels, `predict`, `batch`, `monte_carlo_kernel_fn` and its empirical kernels by JACOBIAN_CONTRACTION
    (the default) and NTK_VECTOR_PRODUCTS work; STRUCTURED_DERIVATIVES and AUTO do not. `experimental`, the one part
    that needs TensorFlow, is not imported. Raises ImportError where neural-tangents is not installed, or where the
    installed JAX is one that it cannot be imported on.
    """
    with _import_lock:
        return sys.modules.get("neural_tangents") or _import()


def _import() -> ModuleType:
    try:
        with _older_jax(), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            module = importlib.import_module("neural_tangents")
    except (ImportError, AttributeError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name in ("neural_tangents", "frozendict"):
            raise ImportError(INSTALL_HINT, name=error.name) from None
        raise ImportError(
            f"neural-tangents cannot be imported on JAX {jax.__version__} ({error}); 0.6.5 works on JAX 0.10 to 0.12"
        ) from error
    module.__dict__.pop("experimental", None)  # the stub: importing neural_tangents.experimental now gives the real one
    return module


@contextmanager
def _older_jax() -> Iterator[None]:
    """The names that neural-tangents imports, where it looks for them, and a stub for its TensorFlow half."""
    util, experimental = ModuleType("jax.util"), ModuleType("neural_tangents.experimental")
    util.__dict__.update(safe_map=_safe_map, safe_zip=_safe_zip)
    core = {name: getattr(jax.extend.core, name) for name in JAX_CORE_NAMES}
    zeros_like_p = jax.extend.core.Primitive("zeros_like")  # a key in tables; no JAX program contains it any more
    with ExitStack() as stack:
        stack.enter_context(_added(jax.core.__dict__, core))
        stack.enter_context(_added(ad.__dict__, {"zeros_like_p": zeros_like_p}))
        stack.enter_context(_added(sys.modules, {module.__name__: module for module in (util, experimental)}))
        yield


@contextmanager
def _added(namespace: dict[str, Any], names: dict[str, Any]) -> Iterator[None]:
    """Add what `namespace` lacks of `names`, and take exactly that out again."""
    missing = {name: value for name, value in names.items() if name not in namespace}
    namespace.update(missing)
    try:
        yield
    finally:
        for name in missing:
            del namespace[name]


def _safe_map(function: Callable[..., Any], *sequences: Any) -> list[Any]:
    return [function(*items) for items in zip(*sequences, strict=True)]


def _safe_zip(*sequences: Any) -> list[tuple[Any, ...]]:
    return list(zip(*sequences, strict=True))
