"""The model zoo as a table."""

from dataclasses import dataclass

from rich.console import Console

from widesym.analysis.kernels.closed_form import check_kinds, check_layers
from widesym.launch.console import table_of
from widesym.models.architecture import Architecture
from widesym.models.layer import NoClosedFormError
from widesym.models.zoo import MODELS


@dataclass(frozen=True)
class ModelsTable:
    """List the model zoo: input shape, number of parameters, what leaves the logits alone, and whether there is an
    analytic kernel.
    """

    width: int | None = None
    """Count parameters at this width; else at each model's own."""

    def __post_init__(self):
        if self.width is not None and not 2 <= self.width <= 65536:
            raise ValueError(f"--width is {self.width}; it must be between 2 and 65536")

    def run(self, console: Console) -> None:
        """Print a row for each model of the zoo, at its own width or at `width`."""
        headers = ("model", "input", "width", "parameters", "invariant to", "kernel")
        table = table_of(*headers, numbers=("width", "parameters"))
        for column in table.columns[:2]:  # names are there to be typed, and shapes are numbers
            column.no_wrap = True
        for model in MODELS:
            width = self.width or model.width
            architecture = model.make(width)
            parameters = f"{architecture.count_parameters(model.input_shape):,}"
            shape = "×".join(map(str, model.input_shape))
            table.add_row(
                model.name, shape, str(width), parameters, model.invariance, _kernel(architecture, model.input_shape)
            )
        console.print(table)


def _kernel(architecture: Architecture, input_shape: tuple[int, ...]) -> str:
    try:
        check_kinds(architecture.layers)
        check_layers(architecture.layers, architecture.signals(input_shape)[0])
    except NoClosedFormError as error:
        return f"no ({str(error).partition(': ')[2].partition(' ')[0]})"
    return "yes"
