"""What is printed for people: plain lines, and tables that can be read on 80 columns.

Names, files and what other processes have left may hold anything: what would steer a terminal, style a table or be
computed by a spreadsheet is shown as it is written.
"""

import re
from collections.abc import Collection
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.table import Table
from rich.text import Text

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # all but tabs and ends of lines
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?(inf|nan)")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # with which a text begins that spreadsheets compute


def print_plain(console: Console, text: str) -> None:
    """Print a text as it is: neither coloured nor wrapped, and nothing in it is read as markup or as an emoji."""
    console.out(printable(text), highlight=False)


def printable(text: str) -> str:
    """The text, characters that steer a terminal written out: \\x1b."""
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def literal(text: str) -> str:
    """A text for cells of tables, which are markup, as it is."""
    return escape(printable(text))


def of_spreadsheet(value: Any) -> Any:
    """A value for a cell of a CSV file; texts that a spreadsheet would compute begin with an apostrophe."""
    if not isinstance(value, str) or not value.startswith(FORMULA) or NUMBER.fullmatch(value):
        return value
    return f"'{value}"


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
            made.add_column(literal(header), justify="right", no_wrap=True)
        else:
            made.add_column(literal(header), overflow="fold")
    return made
