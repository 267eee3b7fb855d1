"""What is printed for people: plain lines, and tables that can be read on 80 columns."""

from collections.abc import Collection

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table


def print_plain(console: Console, text: str) -> None:
    """Print a text as it is: neither coloured nor wrapped, and nothing in it is read as markup or as an emoji."""
    console.out(text, highlight=False)


def table_of(*headers: str, numbers: Collection[str], title: str | None = None, caption: str | None = None) -> Table:
    """An empty table with these columns. Where they are too wide for the console the texts in them are wrapped, but
    `numbers` are not: that would make other numbers of them.
    """
    made = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), title=title, caption=caption)
    for header in headers:
        if header in numbers:
            made.add_column(header, justify="right", no_wrap=True)
        else:
            made.add_column(header, overflow="fold")
    return made
