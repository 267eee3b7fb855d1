"""What is asked of a comparison of runs, and what that makes of an analysis."""

from dataclasses import dataclass
from typing import Any, Literal

from widesym.launch.analyses.matching import Matched
from widesym.launch.runs.begun import as_earlier
from widesym.models.checks import check_seed


@dataclass(frozen=True)
class AnalysisOptions:
    """What is asked of a comparison; raises ValueError for values that cannot be."""

    theory: bool = False
    """Compute what theory predicts of each run."""
    reference: str | None = None
    """The run that divergences are from; by default the first."""
    sick: Literal["refuse", "exclude"] = "refuse"
    """What to do where members are not healthy: refuse, or leave these out and say so."""
    draws: int = 200
    """Resamples of members that intervals come from."""
    seed: int = 0
    """Seed of the resamples."""
    overwrite: bool = False
    """Replace the analysis that is there, if it is of other runs or was asked otherwise."""
    yes: bool = False
    """Compute kernels for theory however long it takes, without being asked."""

    def __post_init__(self):
        if self.draws < 20:
            raise ValueError(f"--draws is {self.draws}; 95 % intervals need at least 20")
        check_seed(self.seed, "--seed")


def config_of(asked: AnalysisOptions, matched: Matched, reference: str) -> dict[str, Any]:
    """What an analysis is of; another one of the same runs, trained further, takes its place."""
    names = ("architecture", "recipe", "members", "seed", "randomness", "data", "orbit")
    configs = {name: as_earlier(run.record.to_json()) for name, run in matched.runs.items()}
    return {
        "name": f"{', '.join(name for name in matched.runs if name != reference) or reference} and {reference}",
        "runs": {name: {key: config.get(key) for key in names} for name, config in configs.items()},
        "reference": reference,
        **{name: getattr(asked, name) for name in ("theory", "sick", "draws", "seed")},
    }
