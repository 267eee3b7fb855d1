"""`python -m benchmarks`: all of them."""

from benchmarks import kernels, training
from launch.cli import configure_jax

configure_jax()
training.main()
kernels.main()
