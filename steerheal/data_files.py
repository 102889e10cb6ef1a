"""The data that a space names: vignettes, prompts, contexts, the instrument. Plain frozen values, checked.

A reference is `builtin`, a path, or `hub:owner/repo/path` (a file of a data set on the hub).
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from steerheal.config.messages import unknown_key, validate
from steerheal.config.sections import Frozen, several
from steerheal.config.sources import HUB_FILE, PACKAGE
from steerheal.config.trial import Foundation
from steerheal.foundations import FOUNDATIONS, foundation_key
from steerheal.jobs import Prompt, Vignette
from steerheal.yaml_io import one_line, refusal

BUILTIN = {
    "vignettes": PACKAGE / "organism" / "data" / "vignettes.jsonl",
    "prompts": PACKAGE / "organism" / "data" / "prompts.jsonl",
    "contexts": PACKAGE / "organism" / "data" / "contexts.jsonl",
    "instrument": PACKAGE / "organism" / "data" / "instrument.json",
    "canaries": PACKAGE / "organism" / "data" / "canaries.yaml",
    "beliefs": PACKAGE / "organism" / "data" / "beliefs.yaml",
    "pairs": PACKAGE / "organism" / "data" / "pairs.jsonl",
}
LABELS = {"social": "SocialNorms"} | {key: key.title() for key in FOUNDATIONS if key != "social"}
MAX_BYTES = 64 * 1024 * 1024
Text = Annotated[str, Field(min_length=1, max_length=20_000)]


class Option(Frozen):
    """One answer of the instrument: a foundation and the gloss that explains it."""

    key: Foundation
    foundation: Text
    gloss: Text


class Instrument(Frozen):
    """The texts of the forced choice. What the protocol does with them is told in prose in `rules`."""

    name: Text
    answer: str = ""
    user_template: Text
    schema_header: str
    schema_option: Text
    schema_option_separator: str
    schema_footer: str
    think_open: str
    think_open_rule: str = ""
    think_close: Text
    suppress_while_thinking: several(Text, 0, 20) = ()
    after_think: str = ""
    nudge: Text
    prefill: Text
    orders: several(Literal["forward", "reversed"], 2, 2) = ("forward", "reversed")
    options: several(Option, len(FOUNDATIONS), len(FOUNDATIONS))
    rules: several(Text, 0, 100) = ()

    @model_validator(mode="after")
    def _complete(self) -> "Instrument":
        for key, mark in (
            ("user_template", "{scenario}"),
            ("user_template", "{schema}"),
            ("schema_option", "{index}"),
            ("schema_option", "{gloss}"),
        ):
            if mark not in getattr(self, key):
                raise ValueError(f"{key}: {mark} does not occur in it; put it where the text belongs")
        if {option.key for option in self.options} != set(FOUNDATIONS):
            raise ValueError("options: a foundation is listed twice; list each of the seven once")
        return self


def locate(kind: str, reference: str | Path) -> Path:
    """The file that a reference means; a file on the hub is fetched once and kept in the hub's own cache."""
    if reference == "builtin":
        return BUILTIN[kind]
    if not isinstance(reference, str) or not reference.startswith("hub:"):
        return Path(reference)
    if not HUB_FILE.fullmatch(reference):
        raise refusal(reference, f"data.{kind}", "it is no file of a data set on the hub", "write hub:owner/repo/path")
    owner, repository, filename = reference.removeprefix("hub:").split("/", 2)
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(f"{owner}/{repository}", filename, repo_type="dataset"))
    except Exception as error:  # whatever the network, the hub or its cache may raise
        what = f"it cannot be fetched ({one_line(str(error).strip(), 120)})"
        raise refusal(reference, f"data.{kind}", what, "check the name and the network, or give a path") from None


def load_vignettes(reference: str | Path) -> tuple[Vignette, ...]:
    """Vignettes of a JSONL file: id, foundation_coarse, text, human_<Foundation> in percent."""
    path = locate("vignettes", reference)
    return tuple(_vignette(row, str(path), line) for line, row in _rows(path))


def choose_vignettes(vignettes: Sequence[Vignette], count: int | None) -> tuple[Vignette, ...]:
    """At most `count`: the first in an order that depends on the ids alone. None: all, in file order.

    No error when there are fewer: a model's settings name a count that suits its own vignettes, and a user's file
    may be smaller. Every report says how many it rests on.
    """
    if count is None:
        return tuple(vignettes)
    shuffled = sorted(vignettes, key=lambda vignette: hashlib.sha256(vignette.id.encode()).digest())
    return tuple(shuffled[:count])


def load_prompts(reference: str | Path) -> tuple[Prompt, ...]:
    """User prompts of a JSONL file of {id, text}; more columns are ignored."""
    return _prompts("prompts", reference)


def load_contexts(reference: str | Path) -> tuple[str, ...]:
    """The texts of a JSONL file of {id, text}: what a vector is extracted over."""
    return tuple(prompt.text for prompt in _prompts("contexts", reference))


def load_instrument(reference: str | Path) -> Instrument:
    """The instrument of a JSON file."""
    path = locate("instrument", reference)
    return validate(Instrument, _json(_text(path), str(path), "the file"), str(path))


def _prompts(kind: str, reference: str | Path) -> tuple[Prompt, ...]:
    path = locate(kind, reference)
    rows = list(_rows(path))
    return tuple(Prompt(row["id"], _cell(row, "text", str(path), line)) for line, row in rows)


def _vignette(row: dict, name: str, line: int) -> Vignette:
    label = _cell(row, "foundation_coarse", name, line)
    text = _cell(row, "text", name, line)
    foundation = foundation_key(label)
    if foundation is None:
        near = unknown_key(label, list(LABELS.values()))[1]
        what = f"unknown foundation {one_line(label, 60)}"
        raise refusal(name, f"line {line}: column foundation_coarse", what, near)
    human = {foundation_key(column[6:]): value for column, value in row.items() if column.startswith("human_")}
    for key in FOUNDATIONS:
        where = f"line {line}: column human_{LABELS[key]}"
        if key not in human:
            raise refusal(name, where, "it is missing", "add it (percent of human raters)")
        share = human[key]
        if not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share <= 100:
            raise refusal(name, where, "no number from 0 to 100", "write the percentage of human raters")
    return Vignette(row["id"], foundation, text, tuple((key, float(human[key])) for key in FOUNDATIONS))


def _rows(path: Path) -> Iterator[tuple[int, dict]]:
    """(line number, object) of every line that is not blank, with distinct ids; no line at all is refused."""
    name, seen = str(path), {}
    for line, text in enumerate(_text(path).split("\n"), start=1):
        if not text.strip():
            continue
        row = _json(text, name, f"line {line}")
        if not isinstance(row, dict):
            raise refusal(name, f"line {line}", "this is no JSON object", "write {..} on every line")
        key = _cell(row, "id", name, line)
        if key in seen:
            what = f"the id {one_line(key, 60)} is that of line {seen[key]}"
            raise refusal(name, f"line {line}: column id", what, "give each line an id of its own")
        seen[key] = line
        yield line, row
    if not seen:
        raise refusal(name, "the file", "it holds no line", "put one JSON object on each line")


def _cell(row: dict, column: str, name: str, line: int) -> str:
    """A text column that is there and not empty."""
    where = f"line {line}: column {column}"
    if column not in row:
        raise refusal(name, where, "it is missing", "add it to every line")
    value = row[column]
    if not isinstance(value, str):
        raise refusal(name, where, "it is not text", "write it in quotes")
    if not value.strip():
        raise refusal(name, where, "it is empty", "write something, or remove the line")
    return value


def _text(path: Path) -> str:
    name = str(path)
    try:
        with open(path, "rb") as stream:
            payload = stream.read(MAX_BYTES + 1)
        text = payload.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise refusal(name, "the file", "it is not UTF-8 text", "save it as UTF-8") from None
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or "not a path"
        raise refusal(name, "the file", f"cannot be read ({what})", "check the path") from None
    if len(payload) > MAX_BYTES:
        raise refusal(name, "the file", "it is larger than 64 MiB", "split it")
    return text


def _json(text: str, name: str, where: str) -> Any:
    def no_constant(word: str) -> None:
        raise ValueError(f"{word} is not JSON")

    def distinct(pairs: list[tuple[str, Any]]) -> dict:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a key is given twice")
        return dict(pairs)

    try:
        data = json.loads(text, parse_constant=no_constant, object_pairs_hook=distinct)
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise refusal(name, where, "half of a surrogate pair", "write the character itself") from None
    except RecursionError:
        raise refusal(name, where, "it is nested too deep", "flatten it") from None
    except json.JSONDecodeError as error:
        at = where if where.startswith("line") else f"line {error.lineno}"
        raise refusal(name, at, f"not JSON ({error.msg})", "correct the syntax") from None
    except ValueError as error:
        raise refusal(name, where, f"not JSON ({one_line(str(error), 80)})", "correct it") from None
    return data
