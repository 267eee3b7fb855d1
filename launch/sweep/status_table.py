"""How runs stand as a table for people, on 80 columns as well."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table

from widesym.launch.console import literal, table_of
from widesym.launch.sweep.changes import describe_changes
from widesym.launch.sweep.status import FIRST, Row

WHERE = "where, or why"
NUMBERS = ("steps", "member-\nsteps/s", "left", "loss", "accu-\nracy")
COLUMNS = ("run", "what", "state", *NUMBERS, WHERE)
ALWAYS = COLUMNS[:3]
WIDE = 110  # columns of a terminal from which on everything is in one row
LEFT_OUT = ("member-\nsteps/s", WHERE)  # of a narrower one; why something failed stands below then
DIGEST = 12  # digits of a run's name, which are not broken; longer names are paths
COLOURS = {"failed": "red", "stale": "yellow", "running": "cyan", "queued": "blue", "finished": "green"}


class StatusTable:
    """The table as it fits the console: of `most` rows, those that people look for first, and how many there are."""

    def __init__(self, rows: Sequence[Row], most: int):
        self.rows = rows
        self.chosen = sorted(rows, key=lambda row: FIRST.index(row.state))[:most] if len(rows) > most else rows
        self.filled = [cells(row) for row in self.chosen]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table, what stands below it on a narrow console, and the counts."""
        wide = options.max_width >= WIDE
        hidden = len(self.rows) - len(self.chosen)
        tail = f"; {hidden} rows not shown" if hidden else ""
        yield Group(self._table(wide), *([] if wide else self._reasons()), "\n" + count_states(self.rows) + tail)

    def _table(self, wide: bool) -> Table:
        columns = [name for name in COLUMNS if wide or name not in LEFT_OUT]
        columns = [name for name in columns if name in ALWAYS or any(row[name] for row in self.filled)]
        table = table_of(*columns, numbers=NUMBERS)
        table.columns[0].no_wrap = all(len(row.run) <= DIGEST for row in self.chosen)
        table.columns[2].no_wrap = all(len(row.jobs) <= 1 for row in self.chosen)
        for row in self.filled:
            table.add_row(*(row[name] for name in columns))
        return table

    def _reasons(self) -> list[str]:
        """Why what failed did, and where what is stale was."""
        told = [
            f"{row.state}: {filled['run']}: {filled[WHERE]}"
            for row, filled in zip(self.chosen, self.filled, strict=True)
            if row.state in ("failed", "stale") and filled[WHERE]
        ]
        return ["", *told] if told else []


def cells(row: Row) -> dict[str, str]:
    """A row of the table, by column."""
    job, job_state = row.job
    colour = COLOURS.get(row.state)
    state = f"[{colour}]{row.state}[/]" if colour else row.state
    if len(row.jobs) > 1:
        done = sum(each.state == "finished" for _, each in row.jobs)
        state += f" ({done} of {len(row.jobs)} parts finished)"
    elif job not in ("", row.run):
        state += f" (in {literal(job)})"
    medians = {name: f"{value:.3g}" for name, value in row.medians().items()}
    found = {
        **dict.fromkeys(COLUMNS, ""),
        "run": literal(row.run),
        "what": literal(describe_changes(row.changes)),
        "state": state,
        "loss": medians.get("loss", ""),
        "accu-\nracy": medians.get("accuracy", ""),
        WHERE: literal(job_state.failure),
    }
    beat = job_state.heartbeat
    if beat is None or row.state in ("finished", "waiting", "queued"):
        return found
    running = row.state == "running"
    left = f"{beat.seconds_left:.0f} s" if running and beat.seconds_left is not None else ""
    return found | {
        "steps": f"{beat.step}/{beat.steps}",
        "member-\nsteps/s": f"{beat.rate:.0f}" if running else "",
        "left": left,
        WHERE: literal(job_state.failure or beat.process),
    }


def count_states(rows: Sequence[Row]) -> str:
    """How many there are of each state."""
    counts = Counter(row.state for row in rows)
    of_each = ", ".join(f"{counts[state]} {state}" for state in reversed(FIRST) if counts[state])
    return f"{len(rows)} runs: {of_each}" if rows else "there are no such runs"
