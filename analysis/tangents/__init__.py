"""The bridge to neural-tangents: optional interop, and the oracle of the analytic kernels (docs/neural-tangents.md)."""

from widesym.analysis.tangents.bridge import to_stax
from widesym.analysis.tangents.patch import import_neural_tangents

__all__ = ["import_neural_tangents", "to_stax"]
