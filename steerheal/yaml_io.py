"""Strict YAML 1.2: one document of plain data, or one line that says what is wrong, where, and what to do.

The parser's events are turned into data here, by the core schema of YAML 1.2, so `1e-4` is a number and `no`
a string. Anchors, aliases, tags, duplicate keys, `.nan` and `.inf` are refused: none of them is data that a
researcher writes on purpose, and each has a way to surprise.
"""

import io
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.representer import SafeRepresenter

from steerheal.errors import UserError

MAX_BYTES = 64 * 1024
MAX_DEPTH = 20
MAX_DIGITS = 300

WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
WORDS |= {word: True for word in ("true", "True", "TRUE")} | {word: False for word in ("false", "False", "FALSE")}
INTEGER = re.compile(r"[-+]?[0-9]+")
OCTAL = re.compile(r"0o[0-7]+")
HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
# Text that needs no quotes wherever it stands.
PLAIN = re.compile(r"[A-Za-z/]([A-Za-z0-9_ ./()+-]*[A-Za-z0-9_./()+-])?")
NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def load(path: str | Path) -> dict | list:
    """The data of a YAML file (a mapping or a list)."""
    path = Path(path)
    try:
        with open(path, "rb") as stream:
            payload = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or "not a path"
        raise refusal(str(path), "the file", f"cannot be read ({what})", "check the path") from None
    return loads(payload, str(path))


def loads(text: str | bytes, name: str) -> dict | list:
    """The data of a YAML text; `name` is what a refusal calls it."""
    data = parse(text, name)
    if not isinstance(data, dict | list):
        raise refusal(name, "line 1", "this is no mapping of keys to values", "write `key: value` lines")
    return data


def parse(text: str | bytes, name: str) -> Any:
    """Like `loads`, but a lone scalar is welcome too (the value of a `--set`)."""
    return _Reader(name).read(_decoded(text, name))


def dump(data: Any) -> str:
    """YAML 1.2 text that `loads` turns back into equal data; NaN and infinity are refused (ValueError)."""
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = None
    writer.allow_unicode = True
    writer.sort_base_mapping_type_on_output = False
    writer.width = MAX_BYTES
    writer.Representer = _Representer
    stream = io.StringIO()
    writer.dump(data, stream)
    return stream.getvalue()


def one_line(text: str, limit: int = 200) -> str:
    """A text fit for a one-line message: control characters escaped, long ones cut."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def refusal(name: str, where: str, what: str, remedy: str) -> UserError:
    """The one form of every refusal: `<file>: <key or line>: <what>; <remedy>`."""
    # A key of the file's own making may be endless; the remedy is read in any case.
    return UserError(f"{one_line(name, 300)}: {one_line(where)}: {one_line(what, 400)}; {one_line(remedy)}")


def scalar(text: str) -> Any:
    """A plain scalar by the core schema; ValueError for what has no finite value."""
    if text in WORDS:
        return WORDS[text]
    if INTEGER.fullmatch(text) or OCTAL.fullmatch(text) or HEXADECIMAL.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise ValueError("a number of more than 300 digits")
        return int(text) if INTEGER.fullmatch(text) else int(text, 0)
    if FLOAT.fullmatch(text):
        if not math.isfinite(float(text)):
            raise ValueError(f"{one_line(text, 40)} is too large for a number")
        return float(text)
    if NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is no usable number")
    return text


def _decoded(text: str | bytes, name: str) -> str:
    """The text within the size limit, as UTF-8."""
    try:
        payload = text.encode() if isinstance(text, str) else text
        decoded = payload.decode("utf-8-sig")
    except UnicodeError:
        raise refusal(name, "the file", "it is not UTF-8 text", "save it as UTF-8") from None
    if len(payload) > MAX_BYTES:
        raise refusal(name, "the file", "it is larger than 64 KiB", "keep data in files of its own")
    return decoded


class _Reader:
    """Builds data from parser events, refusing whatever is not plain data."""

    def __init__(self, name: str):
        self.name = name

    def read(self, text: str) -> Any:
        """The one document of `text`; None when it is empty."""
        try:
            return self._document(iter(YAML(typ="safe", pure=True).parse(text)))
        except YAMLError as error:
            mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
            line = f"line {mark.line + 1}" if mark else "the file"
            what = getattr(error, "problem", None) or getattr(error, "reason", None) or "the text cannot be read"
            raise refusal(self.name, line, f"not YAML ({what})", "correct the syntax") from None
        except (ValueError, OverflowError, LookupError, AssertionError, TypeError, AttributeError):
            # The parser's own slips on hostile text (impossible escapes, odd directives).
            raise refusal(self.name, "the file", "the text is not YAML", "correct the syntax") from None

    def _document(self, events: Iterator[Event]) -> Any:
        value, documents = None, 0
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                self._check_start(event, documents)
            elif isinstance(event, ScalarEvent | MappingStartEvent | SequenceStartEvent | AliasEvent):
                value = self._node(event, events, depth=1)
        return value

    def _check_start(self, event: DocumentStartEvent, documents: int) -> None:
        if documents > 1:
            self._refuse(event, "a second document begins", "keep one document in a file")
        if event.version not in (None, (1, 2)) or event.tags:
            self._refuse(event, "a directive other than %YAML 1.2", "remove it")

    def _node(self, event: Event, events: Iterator[Event], depth: int) -> Any:
        if isinstance(event, AliasEvent) or event.anchor is not None:
            self._refuse(event, "anchors and aliases are not read", "write the value out")
        if event.tag is not None and event.tag != "!":
            self._refuse(event, "tags are not read", "remove the tag")
        if depth > MAX_DEPTH:
            self._refuse(event, f"nested more than {MAX_DEPTH} deep", "flatten it")
        if isinstance(event, MappingStartEvent):
            return self._mapping(events, depth)
        if isinstance(event, SequenceStartEvent):
            return self._list(events, depth)
        return self._scalar(event)

    def _list(self, events: Iterator[Event], depth: int) -> list:
        items = []
        while not isinstance(event := next(events), SequenceEndEvent):
            items.append(self._node(event, events, depth + 1))
        return items

    def _mapping(self, events: Iterator[Event], depth: int) -> dict:
        mapping = {}
        while not isinstance(event := next(events), MappingEndEvent):
            if isinstance(event, MappingStartEvent | SequenceStartEvent):
                self._refuse(event, "a key is a list or a mapping", "keys are single words")
            key = self._node(event, events, depth + 1)
            if not isinstance(key, str):
                self._refuse(event, f"the key {one_line(event.value, 40)} is not text", "put it in quotes")
            if key in mapping:
                self._refuse(event, f"the key {one_line(key, 80)} is given twice", "keep one of them")
            mapping[key] = self._node(next(events), events, depth + 1)
        return mapping

    def _scalar(self, event: ScalarEvent) -> Any:
        if any("\ud800" <= c <= "\udfff" for c in event.value):
            self._refuse(event, "half of a surrogate pair", "write the character itself")
        plain = event.implicit[0] and event.tag is None
        try:
            return scalar(event.value) if plain else event.value
        except ValueError as error:
            self._refuse(event, str(error), "write a finite number")

    def _refuse(self, event: Event, what: str, remedy: str) -> None:
        raise refusal(self.name, f"line {event.start_mark.line + 1}", what, remedy)


class _Representer(SafeRepresenter):
    """Quotes every string that could read back as something else; refuses what has no finite value."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, data: str) -> Any:
        plain = PLAIN.fullmatch(data) and scalar(data) == data
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if plain else '"')

    def represent_number(self, data: float) -> Any:
        if not math.isfinite(data):
            raise ValueError(f"{data} has no place in a YAML file")
        return self.represent_scalar("tag:yaml.org,2002:float", repr(data))


_Representer.add_representer(str, _Representer.represent_text)
_Representer.add_representer(float, _Representer.represent_number)
_Representer.add_representer(tuple, SafeRepresenter.represent_list)
