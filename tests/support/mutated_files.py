"""Files for `widesym train` with one thing wrong, or only different, and how a message must name it."""

import copy

import yaml
from hypothesis import strategies as st

from tests.support.small_configs import SMALL

FILE = "run.yaml"
JUNK = [
    *(None, True, 0, -1, 1.5, float("nan"), float("inf"), -float("inf"), 10**30, 1e300, "", "x", "C4", "Dense"),
    *("Ünïcödé 象", "\ud800", "a\0b", "../..", "%s{0}", "~nobody", "null "),
    *([], {}, [1], [0, 1, 4], [4, 1], [[[]]], {"a": 1}),
    *({"type": None}, {"type": []}, {"type": "Nope"}, {1: 2}, {None: None}, {"type": "Architecture", "layers": []}),
    *({"type": name} for name in ("Relu", "Sgd", "Adam", "Strategy", "Parameters", "Digits", "TrainingRecipe")),
    *({"type": name, "group": "C4"} for name in ("FullOrbit", "RandomElement", "LiftingConv")),
]  # fmt: skip
NAMES = ["", "x", "typ", "0", "Ünïcödé 象", "members", "a b", "a.b", "type "]


def places(value, place=()):
    """Where something stands in nested mappings and lists."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place] * bool(place) + [deeper for key, each in inner for deeper in places(each, (*place, key))]


def named(place):
    """What a message calls a place: the name of its field or, of architectures that do not fit the data, theirs."""
    name = next(key for key in reversed(place) if isinstance(key, str))
    return (name, "layer ", "the network", "this architecture's logits") if place[0] == "architecture" else (name,)


@st.composite
def mutated_fields(draw):
    """The file with one value changed, moved, left out, or called something else, and how a message may name it."""
    content = copy.deepcopy(yaml.safe_load(SMALL))
    place = draw(st.sampled_from(places(content)))
    *above, last = place
    parent = content
    for key in above:
        parent = parent[key]
    kind = draw(st.sampled_from(["replaced", "replaced", "left out", "renamed", "wrapped", "listed", "moved"]))
    value, words = parent[last], named(place)
    word = words[0]
    if kind == "replaced":
        parent[last] = draw(st.sampled_from(JUNK))
    elif kind == "wrapped":
        parent[last] = {word: value}
    elif kind == "listed":
        parent[last] = [value]
    else:
        parent.pop(last)
    if kind == "renamed" and isinstance(parent, dict):
        word = draw(st.sampled_from([name for name in NAMES if name not in parent]))
        parent[word], words = value, (word, *words[1:])
    elif kind == "moved":
        content["recipe" if place[0] != "recipe" else "orbit"][word] = value
    return yaml.safe_dump(content).encode(), words


@st.composite
def names_given_twice(draw):
    """The file with one of its lines, or one part of a mapping, a second time."""
    line = draw(st.sampled_from([line for line in SMALL.splitlines() if line and line[0] != " " and "[{" not in line]))
    return (SMALL + line + "\n").encode(), (line.partition(":")[0],)


@st.composite
def mutated_text(draw):
    """The file with a few characters replaced or put in, or its end cut off."""
    text = SMALL
    for _ in range(draw(st.integers(0, 3))):
        at, width = draw(st.integers(0, len(text) - 1)), draw(st.integers(0, 1))
        text = text[:at] + draw(st.sampled_from("[]{}:,-&*!|>#\"'\t\n 019.e\0é象")) + text[at + width :]
    return text[: draw(st.integers(1, len(text)))].encode(), (FILE,)


@st.composite
def random_bytes(draw):
    """No YAML at all, most of the time."""
    return draw(st.binary(max_size=200)), (FILE,)


MUTANTS = st.one_of(mutated_fields(), mutated_fields(), names_given_twice(), mutated_text(), random_bytes())
