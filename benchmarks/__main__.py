"""`python -m benchmarks`: all of them. WIDESYM_PEERS names an interpreter with PyTorch and escnn."""

from benchmarks import empirical, ensembles, kernels
from launch.cli import configure_jax

ensembles.main()
configure_jax()
kernels.main()
empirical.main()
