"""The variants of benchmarks/ensembles.py, each a process: JAX's here, PyTorch's in an environment of its own."""
