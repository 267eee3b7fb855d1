"""YAML as configuration files and options are read: numbers and truth values as in YAML 1.2's core schema, every name
given once, and nothing inside itself; no more of it than people write.

Words that YAML 1.1 reads as something else are refused, with how to write them: 0042 is 34 or 42, `1:30` 90 or text,
`no` false or text, depending on who reads.
"""

import math
import re
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import yaml

CORE = "tag:yaml.org,2002:"
FLOAT = f"{CORE}float"
AMBIGUOUS = "!ambiguous"
QUOTES = "put it in quotes, if text is meant"
MOST_NODES = 10**6  # values of a file, those of aliases counted wherever they stand
LARGEST = 2**63 - 1  # whole number, which arrays can hold; seeds are far below
LONGEST = 60  # characters of a word that a message shows
TAGS = tuple(f"{CORE}{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map"))


class Word(NamedTuple):
    """What a plain word may stand for."""

    tag: str
    pattern: re.Pattern[str]
    made: Callable[[str], Any]


WORDS = (  # https://yaml.org/spec/1.2.2/#103-core-schema
    Word(f"{CORE}null", re.compile(r"(null|Null|NULL|~|)\Z"), lambda text: None),
    Word(f"{CORE}bool", re.compile(r"(true|True|TRUE|false|False|FALSE)\Z"), lambda text: text.lower() == "true"),
    Word(f"{CORE}int", re.compile(r"([-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+)\Z"), lambda text: int(text, 0)),
    Word(f"{CORE}float", re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?\Z"), float),
    Word(f"{CORE}float", re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+\Z"), float),  # text in YAML 1.1, which nobody means
    Word(
        f"{CORE}float",
        re.compile(r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z"),
        lambda text: float(text.replace(".", "")),
    ),
)
REFUSED = (  # what YAML 1.1 and 1.2 read differently (https://yaml.org/type), and what to write
    (re.compile(r"[-+]?0[0-9]+\Z"), f"leave out the leading zeros, or {QUOTES}"),
    (re.compile(r"[-+]?0(o[0-7]+|b[01_]+|x[0-9a-fA-F_]+)\Z"), f"write it in decimal digits, or {QUOTES}"),
    (re.compile(r"[-+]?\.?[0-9][0-9.]*_[0-9_.]*([eE][-+]?[0-9]+)?\Z"), f"leave out the underscores, or {QUOTES}"),
    (re.compile(r"[-+]?[0-9][0-9_]*(:[0-9]+)+(\.[0-9_]*)?\Z"), f"write one number, or {QUOTES}"),
    (re.compile(r"(yes|no|on|off)\Z", re.IGNORECASE), f"write true or false, or {QUOTES}"),
    (re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?\Z"), QUOTES),
)
RESOLVERS: Any = {
    None: [(word.tag, word.pattern) for word in WORDS] + [(AMBIGUOUS, pattern) for pattern, _ in REFUSED],
    "<": [(f"{CORE}merge", re.compile(r"<<\Z"))],
}


def plain(text: str) -> Any:
    """What a word without quotes stands for; raises ValueError for one that YAML 1.1 and 1.2 read differently."""
    for word in WORDS:
        if word.pattern.match(text):
            return _in_range(text, word.made(text))
    for pattern, remedy in REFUSED:
        if pattern.match(text):
            raise ValueError(f"{text!r} is read in one way by YAML 1.1 and in another by 1.2; {remedy}")
    return text


def _in_range(text: str, value: Any) -> Any:
    """The value; raises ValueError for a number that would overflow, or become infinite without a word."""
    is_infinite = isinstance(value, float) and math.isinf(value) and "inf" not in text.lower()
    if is_infinite or (type(value) is int and abs(value) > LARGEST):
        raise ValueError(f"{shown(text)} is too large; whole numbers go to 2^63 - 1, others to 1.8e308")
    return value


def shown(text: str) -> str:
    """What was written, or its beginning."""
    return repr(text) if len(text) <= LONGEST else f"{text[:LONGEST]!r}…"


def parsed(text: str) -> Any:
    """What YAML says; raises ValueError, on one line, for what is none."""
    try:
        return yaml.load(text, Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # no YAML, too many digits, brackets without end
        raise ValueError(" ".join(str(error).split())) from None


def dumped(value: Any) -> str:
    """Plain values as YAML that `parsed` reads as the same."""
    return yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)


def _word(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    """A word, which must be of the type that its tag says, if there is one; a whole number may be tagged as float."""
    if not isinstance(node, yaml.ScalarNode):
        raise yaml.MarkedYAMLError(problem=f"what is tagged {node.tag} is no word", problem_mark=node.start_mark)
    try:
        value = plain(node.value)
    except ValueError as error:
        raise yaml.MarkedYAMLError(problem=str(error), problem_mark=node.start_mark) from None
    tags = [word.tag for word in WORDS if word.pattern.match(node.value)]
    if node.tag == FLOAT and type(value) is int:
        return float(value)
    if node.tag != AMBIGUOUS and node.tag not in tags:
        problem = f"{shown(node.value)} is tagged {node.tag}, and is none"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    return value


def _date(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    raise yaml.MarkedYAMLError(
        problem=f"{shown(str(node.value))} is a date, of which no field is", problem_mark=node.start_mark
    )


class Loader(yaml.SafeLoader):
    """YAML with the words above; names that are given twice and values that refer to themselves are refused."""

    yaml_implicit_resolvers = RESOLVERS
    yaml_constructors: ClassVar = {
        **{tag: made for tag, made in yaml.SafeLoader.yaml_constructors.items() if tag in (*TAGS, None)},
        **dict.fromkeys((AMBIGUOUS, *(word.tag for word in WORDS)), _word),
        f"{CORE}timestamp": _date,
    }

    def __init__(self, text: str):
        super().__init__(text)
        self.open: set[str] = set()  # anchors of what is being read
        self.sizes: dict[int, int] = {}  # of each node, with all that it holds

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """A value, which must not be one that this one is in."""
        event = self.peek_event()
        anchor = getattr(event, "anchor", None)
        if not isinstance(event, yaml.AliasEvent):
            self.open |= {str(anchor)} if anchor else set()
            node = super().compose_node(parent, index)
            self.open -= {anchor}
            self._count(node)
            return node
        if anchor in self.open:
            raise yaml.MarkedYAMLError(problem=f"{anchor!r} refers to itself", problem_mark=event.start_mark)
        return super().compose_node(parent, index)

    def _count(self, node: Any) -> None:
        """Note how large a value is with all that it refers to written out; raises MarkedYAMLError beyond the most."""
        within = node.value if isinstance(node, yaml.CollectionNode) else ()
        parts = [part for pair in within for part in pair] if isinstance(node, yaml.MappingNode) else within
        size = self.sizes[id(node)] = 1 + sum(self.sizes[id(part)] for part in parts)
        if size > MOST_NODES:
            problem = f"there are more than {MOST_NODES:,} values here, aliases written out"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Names and values, each name once."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for name, _ in node.value:
            if isinstance(name, yaml.ScalarNode) and name.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{name.value!r} is given twice", problem_mark=name.start_mark)
            seen.add(name.value if isinstance(name, yaml.ScalarNode) else None)
        return node


class Dumper(yaml.SafeDumper):
    """Texts are quoted that the loader would read as something else, or refuse."""

    yaml_implicit_resolvers = RESOLVERS
