"""`python -m benchmarks`: all of them. WIDESYM_PEERS names an interpreter with PyTorch and escnn."""

from benchmarks import analysis, empirical, ensembles, kernels
from widesym.launch.process import configure_jax

ensembles.main()
analysis.main()  # before those that keep to one core
configure_jax()
kernels.main()
empirical.main()
