"""What is printed for people: plain lines, and tables that can be read on 80 columns."""

from collections.abc import Collection

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text


def print_plain(console: Console, text: str) -> None:
    """Print a text as it is: neither coloured nor wrapped, and nothing in it is read as markup or as an emoji."""
    console.out(text, highlight=False)


class TitledTable(Table):
    """A table between its title and its caption, which are as wide as the console, however narrow the table is."""

    def __init__(self, title: str | None, caption: str | None):
        super().__init__(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
        self.above, self.below = title, caption

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The title's lines, the table, the caption's lines."""
        if self.above:
            yield Text(self.above, style="bold")
        yield from super().__rich_console__(console, options)
        if self.below:
            yield Text(self.below, style="dim")


def table_of(*headers: str, numbers: Collection[str], title: str | None = None, caption: str | None = None) -> Table:
    """An empty table with these columns. Where they are too wide for the console the texts in them are wrapped, but
    `numbers` are not: that would make other numbers of them.
    """
    made = TitledTable(title, caption)
    for header in headers:
        if header in numbers:
            made.add_column(header, justify="right", no_wrap=True)
        else:
            made.add_column(header, overflow="fold")
    return made
