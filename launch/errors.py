"""What `widesym` tells people is wrong, with exit code 2 and no traceback."""

from widesym.models.errors import UserError


class ConfigError(UserError):
    """A configuration that is not right: the message names file and field."""


class RunDirectoryError(UserError):
    """A run directory that cannot be used: another configuration's, or another process's."""


class InUseError(RunDirectoryError):
    """A run directory that another process uses."""


class MismatchError(UserError):
    """Runs that cannot be compared: the message says which two, and why."""


class NoTheoryError(UserError):
    """A run that the formulas do not cover: the message says what in it they leave out."""


class NotAgreedError(UserError):
    """Work that takes long, and that nobody has agreed to: the message says how to."""


class SampleError(UserError):
    """Kernels of random networks that are not finite, or that cannot be compared with analytic ones."""


class SlurmError(UserError):
    """SLURM or submitit is not there, or SLURM refuses what it is asked."""
