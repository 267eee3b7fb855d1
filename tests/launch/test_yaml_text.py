"""How YAML is read: names once, nothing inside itself, numbers as in YAML 1.2, in files and options alike."""

import math

import pytest

from tests.support.small_configs import SMALL, created
from widesym.launch.config.numeric_options import number, whole_number
from widesym.launch.config.yaml import dumped, parsed
from widesym.launch.errors import ConfigError
from widesym.launch.training.config import TrainOptions


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("-2E+4", -2e4),
        ("[&a {b: 1}, *a]", [{"b": 1}, {"b": 1}]),
        ("{c: &a {b: 1}, d: {<<: *a, e: 2}}", {"c": {"b": 1}, "d": {"b": 1, "e": 2}}),
        ("{c: &a {b: 1}, d: &d {<<: *a, b: 2}, e: {<<: *d}}", {"c": {"b": 1}, "d": {"b": 2}, "e": {"b": 2}}),
    ],
)
def test_what_is_yaml_is_read(text, value):
    assert parsed(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{a: 1, b: 2, a: 3}", "'a' is given twice"),
        ("a: 1\nb: {c: 1, 'c': 2}", "'c' is given twice .*line 2"),
        ("a: &x [1, *x]", "'x' refers to itself"),
        ("&x {a: {b: *x}}", "'x' refers to itself"),
        ("{a: *x}", "undefined alias 'x'"),
        ("{a: [", "expected the node content"),
        ("[" * 100_000, "recursion"),
        ("\0", "special characters"),
    ],
)
def test_what_is_none_is_refused_on_one_line(text, message):
    with pytest.raises(ValueError, match=message) as refused:
        parsed(text)
    assert "\n" not in str(refused.value)


WORDS = {  # by the core schema of YAML 1.2.2, sec. 10.3.2; NaN and text by their names
    "0": 0,
    "42": 42,
    "+1": 1,
    "-7": -7,
    "0x1F": 31,
    "9007199254740992": 2**53,  # a float, too
    ".5": 0.5,
    "-.5": -0.5,
    "1.": 1.0,
    "007.5": 7.5,
    "1e3": 1000.0,
    "1E-3": 0.001,
    ".inf": math.inf,
    "-.INF": -math.inf,
    "~": None,
    "null": None,
    "true": True,
    "False": False,
    "y": "y",
    "inf": "inf",
    "nan": "nan",
    "1.2.3": "1.2.3",
    "1-2": "1-2",
    "a_b": "a_b",
    "digits:30": "digits:30",
    "'0042'": "0042",
}
AMBIGUOUS = {  # YAML 1.1 has 34, 90, …, 1.2 others
    "0042": "leave out the leading zeros",
    "-017": "leave out the leading zeros",
    "00": "leave out the leading zeros",
    "0o17": "write it in decimal digits",
    "0b11": "write it in decimal digits",
    "0x_F": "write it in decimal digits",
    "1_000": "leave out the underscores",
    "1_0.5e3": "leave out the underscores",
    "1:30": "write one number",
    "-190:20:30.15": "write one number",
    "yes": "write true or false",
    "No": "write true or false",
    "ON": "write true or false",
    "off": "write true or false",
    "2020-01-01": "put it in quotes",
    "2020-1-1T10:00:00Z": "put it in quotes",
}


@pytest.mark.parametrize("text", WORDS)
def test_words_are_read_alike_in_files_and_options(text):
    """What is a number of an option's type is taken, and all else refused, as in the field of a file."""
    value = WORDS[text]
    assert parsed(text) == parsed(f"{{a: [{text}]}}")["a"][0] == value
    assert type(parsed(text)) is type(value)
    for read, kinds in ((whole_number, {int}), (number, {int, float})):
        if type(value) in kinds:
            assert read(text) == value
        else:
            with pytest.raises(ValueError, match=r"is no (whole )?number"):
                read(text)


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_words_that_are_read_in_two_ways_are_refused(text):
    """In files, with and without a type, and in options; in quotes they are text."""
    message = f"{text}' is read in one way by YAML 1.1 and in another by 1.2; {AMBIGUOUS[text]}"
    for read in (
        parsed,
        whole_number,
        number,
        lambda text: parsed(f"{{a: [{text}]}}"),
        lambda text: parsed(f"!!int {text}"),
    ):
        with pytest.raises(ValueError, match=message):
            read(text)
    assert parsed(f"'{text}'") == parsed(f"!!str {text}") == text


@pytest.mark.parametrize(
    "text", [*WORDS, *AMBIGUOUS, "", "=", "<<", "#a", "a #b", "@a", "%a", "a: b", "- a", "a\nb", "ü"]
)
def test_texts_come_back_from_what_is_printed(text):
    assert parsed(dumped({text: [text, {"a": text}]})) == {text: [text, {"a": text}]}
    assert parsed(text if text[:1] == "'" else dumped(text)) == text.strip("'")


@pytest.mark.parametrize("value", [0, -3, 0.1, 1e-05, 1e300, math.inf, True, None, [1, [2.5]], {"a": {"b": 1}}])
def test_values_come_back_from_what_is_printed(value):
    assert parsed(dumped(value)) == value
    assert type(parsed(dumped(value))) is type(value)


@pytest.mark.parametrize(
    ("text", "field", "option"),
    [
        ("0042", "seed", "--seed"),
        ("1:30", "steps", "--steps"),
        ("1_0", "train", "--train"),
        ("0o2", "members", "--members"),
    ],
)
def test_a_file_and_its_option_refuse_alike(widesym, tmp_path, text, field, option):
    """And write nothing."""
    lines = [line for line in SMALL.splitlines() if not line.startswith(f"{field}:")]
    for content, options in (("\n".join([*lines, f"{field}: {text}"]), ()), (SMALL, (option, text))):
        code, _, error = widesym(content, "run.yaml", *options)
        assert code == 2
        assert f"'{text}' is read in one way by YAML 1.1 and in another by 1.2" in error
        assert created(tmp_path) == set()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "my digits #3",
            r"--data is 'my digits #3', of which YAML takes 'my digits' alone; text is taken as it is in quo",
        ),
        ("two\nlines", r"of which YAML takes 'two lines' alone"),
        ("@home", r"--data is '@home', which is not YAML: .*; text is taken as it is in quotes"),
        ("%data", r"--data is '%data', which is not YAML: .*; text is taken as it is in quotes"),
        ("2020-01-01", r"--data is '2020-01-01', which is not YAML: '2020-01-01' is read in one way"),
    ],
)
def test_text_of_which_yaml_makes_something_else_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        TrainOptions(data=text).changes()
    assert TrainOptions(data=f'"{text}"'.replace("\n", "\\n")).changes() == {"data": text}


def test_words_that_are_like_folders_of_users_stay_text():
    assert TrainOptions(data="~/digits", ood=("~ada", "a%b", "[1]")).changes() == {
        "data": "~/digits",
        "ood": ["~ada", "a%b", [1]],
    }
