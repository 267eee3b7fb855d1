"""How well members do, from their last batches: accuracy where there are classes, an error where there are values."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from widesym.ensembles.data import Dataset
from widesym.ensembles.losses import Loss, MeanSquaredError
from widesym.ensembles.member import Metrics

OfMembers = Float[np.ndarray, " member"]


class Scores(NamedTuple):
    """Of each member's last batch; None is what the training set does not define. `rmse` is in `unit`."""

    loss: OfMembers
    gradient_norm: OfMembers
    accuracy: OfMembers | None = None
    rmse: OfMembers | None = None
    unit: str = ""

    @property
    def arrays(self) -> dict[str, OfMembers]:
        """Those that there are, by name."""
        return {name: values for name, values in self._asdict().items() if isinstance(values, np.ndarray)}


def scores(metrics: Metrics, data: Dataset, loss: Loss) -> Scores:
    """What is to be shown of metrics of training on `data`.

    The root mean squared error, over samples and quantities, is √(2L/K) for K quantities, L = 1/(2N) Σ ‖f − y‖².
    """
    of_loss, accuracy, norm = (np.asarray(values) for values in metrics)
    if data.has_classes:
        return Scores(of_loss, norm, accuracy)
    if data.unit is None or loss != MeanSquaredError():
        return Scores(of_loss, norm)
    return Scores(of_loss, norm, rmse=np.sqrt(2 * of_loss / len(data.quantities)), unit=data.unit)
