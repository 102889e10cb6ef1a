"""YAML 1.2 as read here: what is data comes through, everything else is refused in one line."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steerheal import yaml_io
from steerheal.errors import UserError

AWKWARD = [
    "no",
    "1e-4",
    "null",
    "~",
    "- a",
    "a: b",
    "'",
    "#x",
    "a\nb\n",
    " a",
    "1_0",
    "2001-01-01",
    "0x1",
    "<<",
]
AWKWARD += [
    "=",
    "é\u2028x",
    "\x85",
    "\ufeff",
    "\t",
    "",
    ".nan",
    "1.",
    "*a",
    "&a",
    "!x",
    "%",
    "? a",
    "| x",
    "> y",
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.sampled_from(AWKWARD),
)
DATA = st.recursive(SCALARS, lambda item: st.lists(item) | st.dictionaries(st.text(), item), max_leaves=15)


def refused(text, *words):
    with pytest.raises(UserError) as caught:
        yaml_io.loads(text, "space.yaml")
    message = str(caught.value)
    assert "\n" not in message and message.isprintable()
    assert message.startswith("space.yaml: ") and "; " in message
    for word in words:
        assert word in message


def test_scalars_follow_yaml_1_2():
    read = yaml_io.loads("a: 1e-4\nb: no\nc: 012\nd: 1:30\ne: 2001-01-01\nf: .5\ng: '3'\nh: ~\ni: True", "x")
    assert read == {
        "a": 1e-4,
        "b": "no",
        "c": 12,
        "d": "1:30",
        "e": "2001-01-01",
        "f": 0.5,
        "g": "3",
        "h": None,
        "i": True,
    }
    assert isinstance(read["a"], float) and isinstance(read["c"], int)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: 2\na: 3", ("line 3", "a is given twice")),
        ("a: {b: 1, b: 2}", ("line 1", "b is given twice")),
        ("a: &x 1\nb: 2", ("line 1", "anchors and aliases")),
        ("a: 1\nb: *x", ("line 2", "anchors and aliases")),
        ("a: !!python/object/apply:os.system [ls]", ("line 1", "tags")),
        ("a: !!float 3", ("line 1", "tags")),
        ("a: .nan", ("line 1", "write a finite number")),
        ("a: -.inf", ("line 1", "write a finite number")),
        ("a: 1e999", ("line 1", "write a finite number")),
        ("a: " + "9" * 5000, ("line 1", "digits")),
        ("a: 1\n---\nb: 2", ("line 2", "second document")),
        ("%YAML 1.1\n---\na: 1", ("directive",)),
        ("%TAG ! x:\n---\na: 1", ("directive",)),
        ("1: 2", ("line 1", "the key 1 is not text", "quotes")),
        ("? [a]\n: 1", ("line 1", "list or a mapping")),
        ("a: [", ("line 1", "not YAML")),
        ("a: b: c", ("line 1", "not YAML")),
        ("a: \x01", ("not YAML",)),
        ('a: "\\ud800"', ("surrogate",)),
        ('a: "\\UFFFFFFFF"', ("not YAML",)),
        ("3", ("mapping",)),
        ("", ("mapping",)),
        ("[" * 21 + "]" * 21, ("nested more than 20",)),
        ("[" * 60_000, ("nested more than 20",)),
        ("a: " + "x" * 65_536, ("64 KiB",)),
    ],
)
def test_what_is_not_plain_data_is_refused(text, words):
    refused(text, *words)


def test_an_alias_bomb_is_refused_at_once():
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    refused("\n".join(lines), "line 1", "anchors and aliases")


def test_depth_and_size_limits_are_inclusive():
    assert yaml_io.loads("[" * 20 + "]" * 20, "x")
    assert yaml_io.loads("a: " + "x" * (yaml_io.MAX_BYTES - 3), "x")


def test_files(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_bytes("\ufeffa: é".encode())
    assert yaml_io.load(path) == {"a": "é"}
    path.write_bytes(b"a: \xff")
    with pytest.raises(UserError, match=r"s\.yaml: .*UTF-8"):
        yaml_io.load(path)
    for missing in (tmp_path / "none.yaml", tmp_path, "nul\0byte"):
        with pytest.raises(UserError, match="cannot be read .*; check the path"):
            yaml_io.load(missing)


def test_a_name_with_a_line_break_stays_in_one_line():
    with pytest.raises(UserError) as caught:
        yaml_io.loads("[", "a\nb.yaml")
    assert "\n" not in str(caught.value)


@settings(max_examples=120, deadline=None)
@given(st.dictionaries(st.text(), DATA))
def test_dump_reads_back_as_the_same_data(data):
    again = yaml_io.loads(yaml_io.dump(data), "x")
    assert again == data
    assert repr(again) == repr(data)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_dump_refuses_what_it_could_not_read(value):
    with pytest.raises(ValueError):
        yaml_io.dump({"a": value})


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab:-?[]{}&*!|>'\"%@`#,\\ \n\t0.~e") | st.text() | st.binary())
def test_any_text_is_read_or_refused_in_one_line(text):
    try:
        data = yaml_io.loads(text, "x.yaml")
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert yaml_io.loads(yaml_io.dump(data), "x.yaml") == data
