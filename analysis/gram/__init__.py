"""Gram matrices at scale: tile by tile, into a store that can be gone on with (docs/kernels.md)."""

from widesym.analysis.gram.compute import GramProgress, compute_tiles
from widesym.analysis.gram.quality import GramError, Quality, measure_quality
from widesym.analysis.gram.spec import Gram
from widesym.analysis.gram.store import create_gram_store, pending_tiles, read_gram
from widesym.analysis.gram.tiling import Info, Tiling, choose_tiling, estimated_seconds, info, why_full

__all__ = [
    "Gram",
    "GramError",
    "GramProgress",
    "Info",
    "Quality",
    "Tiling",
    "choose_tiling",
    "compute_tiles",
    "create_gram_store",
    "estimated_seconds",
    "info",
    "measure_quality",
    "pending_tiles",
    "read_gram",
    "why_full",
]
