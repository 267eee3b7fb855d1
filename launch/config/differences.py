"""Where two configurations differ, on little space."""

from typing import Any

from widesym.models.description import without_modules

MOST = 5  # differences that are told one by one
LONGEST = 60  # characters of a value
ABSENT = object()


def first_differences(found: Any, asked: Any) -> list[str]:
    """The first differences, and how many more there are."""
    lines = differences(found, asked)
    more = len(lines) - MOST
    return lines if more <= 1 else [*lines[:MOST], f"… and {more} more"]


def differences(found: Any, asked: Any, key: str = "") -> list[str]:
    """Where two JSON values differ, a line each: the dotted key, what is on disk and what was asked."""
    if isinstance(found, dict) and isinstance(asked, dict):
        keys = sorted(found.keys() | asked.keys())
        return [
            line
            for name in keys
            for line in differences(found.get(name, ABSENT), asked.get(name, ABSENT), f"{key}.{name}".lstrip("."))
        ]
    if isinstance(found, list) and isinstance(asked, list) and len(found) == len(asked):
        return [
            line for i, pair in enumerate(zip(found, asked, strict=True)) for line in differences(*pair, f"{key}[{i}]")
        ]
    is_same = found == asked or (key.rpartition(".")[2] == "type" and _are_of_one_name(found, asked))
    if is_same:
        return []
    on_disk, wanted = (_short(found), _short(asked)) if _short(found) != _short(asked) else (repr(found), repr(asked))
    return [f"{key}: {on_disk} on disk, {wanted} asked for"]


def _are_of_one_name(found: Any, asked: Any) -> bool:
    """Whether two classes may be the same: one of them is named without its module, as by earlier versions, or is of a
    script, which has no module to be found again by.
    """
    names = [without_modules({"type": each})["type"] for each in (found, asked)]
    is_open = any(
        isinstance(each, str) and (":" not in each or each.startswith("__main__:")) for each in (found, asked)
    )
    return is_open and names[0] == names[1]


def _short(value: Any) -> str:
    """A value on one line; of large ones the ends, and how much they hold."""
    text = "nothing" if value is ABSENT else repr(value)
    if len(text) <= LONGEST:
        return text
    if isinstance(value, dict):
        kind = value.get("type")
        return f"{kind}(…)" if isinstance(kind, str) else f"{{…}} of {len(value)} fields"
    ends = f"{text[: LONGEST * 2 // 3]}…{text[-LONGEST // 3 :]}"
    return f"{ends} ({len(value)} items)" if isinstance(value, list) else ends
