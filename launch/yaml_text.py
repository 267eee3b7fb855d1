"""YAML as configuration files are read: 1e-3 is a number, every name is given once, and nothing is inside itself."""

import re
from typing import Any

import yaml


class Loader(yaml.SafeLoader):
    """YAML in which 1e-3 is a number, as in YAML 1.2 and JSON, not a string; names that are given twice and values that
    refer to themselves are refused.
    """

    def __init__(self, text: str):
        super().__init__(text)
        self.open: set[str] = set()  # anchors of what is being read

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """A value, which must not be one that this one is in."""
        event = self.peek_event()
        anchor = getattr(event, "anchor", None)
        if not isinstance(event, yaml.AliasEvent):
            self.open |= {str(anchor)} if anchor else set()
            node = super().compose_node(parent, index)
            self.open -= {anchor}
            return node
        if anchor in self.open:
            raise yaml.MarkedYAMLError(problem=f"{anchor!r} refers to itself", problem_mark=event.start_mark)
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Names and values, each name once."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for name, _ in node.value:
            if isinstance(name, yaml.ScalarNode) and name.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{name.value!r} is given twice", problem_mark=name.start_mark)
            seen.add(name.value if isinstance(name, yaml.ScalarNode) else None)
        return node


Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+"), [*"-+0123456789"])


def parsed(text: str) -> Any:
    """What YAML says; raises ValueError, on one line, for what is none."""
    try:
        return yaml.load(text, Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # no YAML, no date, brackets without end
        raise ValueError(" ".join(str(error).split())) from None
