"""Options of how runs are carried out, which their numbers do not depend on."""

from dataclasses import dataclass

from widesym.launch.training.execution import Execution


@dataclass(frozen=True)
class ExecutionOptions:
    """How runs are carried out, which their numbers do not depend on."""

    checkpoint_seconds: float = 300.0
    """Longest time between two checkpoints."""
    checkpoints_kept: int = 2
    """Newest checkpoints that stay."""
    tensorboard: bool = False
    """Write the members' metrics for TensorBoard (extra `tracking`)."""

    def __post_init__(self):
        _ = self.of_runs

    @property
    def of_runs(self) -> Execution:
        """The same for the runner."""
        return Execution(None, self.checkpoint_seconds, self.checkpoints_kept, self.tensorboard)

    @property
    def arguments(self) -> list[str]:
        """The same for a command line."""
        numbers = [
            "--checkpoint-seconds",
            str(self.checkpoint_seconds).replace("inf", ".inf"),  # as options are read
            "--checkpoints-kept",
            str(self.checkpoints_kept),
        ]
        return [*numbers, *(["--tensorboard"] if self.tensorboard else [])]
