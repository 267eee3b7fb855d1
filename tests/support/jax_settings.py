"""Settings of JAX that a process may have, none of which numbers may depend on."""

SETTINGS = (
    ("enable_x64", True),
    ("default_prng_impl", "rbg"),
    ("threefry_partitionable", False),
    ("default_matmul_precision", "BF16_BF16_F32"),
    ("numpy_dtype_promotion", "strict"),
    ("numpy_rank_promotion", "raise"),
    ("debug_nans", True),
    ("debug_infs", True),
)
