"""`--set key=value`: any key of a space from the command line, before anything is resolved.

A key is a dotted path (`settings.heal.lr`, `heal.lr`, `data.vignettes`) or a leaf name that is unique (`lr`).
Fixing a searched dimension removes it, along with what existed only under its other values.
"""

import copy
from typing import Any

from pydantic import BaseModel

from steerheal.config.messages import unknown_key
from steerheal.config.sections import SECTION_OF, SECTIONS
from steerheal.config.sources import DataEntry, Kind, ModelEntry, Resources
from steerheal.config.trial import Stop
from steerheal.redact import redacted
from steerheal.yaml_io import one_line, parse, refusal

TUPLES = ("layers", "depth")
MAPPINGS: dict[str, type[BaseModel]] = {
    "data": DataEntry,
    "stop": Stop,
    "resources": Resources,
    "model": ModelEntry,
}


def split(override: str) -> tuple[str, Any]:
    """`key=value` as (key, value), the value read as YAML."""
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise refusal(
            "--set", one_line(redacted(override), 60), "not of the form key=value", "write e.g. --set lr=1e-4"
        )
    return key.strip(), parse(text, f"--set {one_line(redacted(override), 60)}")


def apply(raw: dict, key: str, value: Any, top: list[str]) -> dict:
    """A copy of the raw space with one key replaced; `top` lists a space's top-level keys."""
    raw = copy.deepcopy(raw)
    path = _path(key, top)
    leaf = path[-1]
    if path[0] == "search" and len(path) > 1:
        _search(raw, leaf, value) if len(path) == 2 else _put(raw, path, value)
    elif path[0] == "alpha" or (path[0] == "settings" and len(path) == 3):
        if _is_dimension(leaf, value, searched=leaf in (raw.get("search") or {})):
            _search(raw, leaf, value)
        else:
            _fix(raw, path, value)
    else:
        _put(raw, path, value)
    return raw


def _path(key: str, top: list[str]) -> list[str]:
    """The full path of a key; a UserError names the nearest known key, or the choices of an ambiguous one."""
    head, *rest = key.split(".")
    meanings = _meanings(head, top)
    if len(meanings) > 1:
        names = " or ".join(".".join([*path, *rest]) for path in meanings)
        raise refusal("--set", key, "several keys have this name", f"write {names}")
    if not meanings:
        bare = [
            *top,
            *SECTIONS,
            *SECTION_OF,
            *(leaf for model in MAPPINGS.values() for leaf in model.model_fields),
        ]
        raise refusal("--set", key, *unknown_key(head, bare))
    return [*meanings[0], *rest]


def _meanings(name: str, top: list[str]) -> list[list[str]]:
    """The paths that a bare name can stand for: a top-level key is itself, others are found by their leaf."""
    if name in top:
        return [[name]]
    if name in SECTIONS:
        return [["settings", name]]
    found = [["settings", SECTION_OF[name], name]] if name in SECTION_OF else []
    found += [[mapping, name] for mapping, model in MAPPINGS.items() if name in model.model_fields]
    kinds = [kind for kind, field in Resources.model_fields.items() if field.annotation is Kind]
    return found + [["resources", kind, name] for kind in kinds if name in Kind.model_fields]


def _is_dimension(leaf: str, value: Any, searched: bool) -> bool:
    """Whether a value given for a setting is a set of values to search."""
    if leaf in TUPLES:
        return isinstance(value, dict) or (isinstance(value, list) and list in map(type, value))
    return isinstance(value, list | dict)


def _put(raw: dict, path: list[str], value: Any) -> None:
    """Put a value at a path; a mapping is merged into the mapping that is there, except into `search`."""
    *parents, leaf = path
    node = raw
    for name in parents:
        if name == "model" and isinstance(node.get(name), list):
            what = "the space lists several models"
            raise refusal("--set", ".".join(path), what, "write it into the list's entries, or --set model=NAME first")
        if name == "model" and isinstance(node.get(name), str):
            node[name] = {"name": node[name]}
        if not isinstance(node.get(name), dict):
            node[name] = {"name": "builtin"} if name == "model" else {}
        node = node[name]
    if isinstance(value, dict) and isinstance(node.get(leaf), dict) and path[0] in ("settings", *MAPPINGS):
        for name, item in value.items():
            _put(node, [leaf, name], item)
    else:
        node[leaf] = value


def _search(raw: dict, leaf: str, value: Any) -> None:
    """Replace or add a dimension.

    It keeps its condition unless a new one is given; conditions on it keep the values that are still there.
    """
    search = raw["search"] = dict(raw.get("search") or {})
    values = value if isinstance(value, list) else value.get("choices") if isinstance(value, dict) else None
    when = _when(search.get(leaf))
    if when and isinstance(value, list):
        value = {"choices": value, "when": when}
    elif when and isinstance(value, dict) and "when" not in value:
        value = value | {"when": when}
    search[leaf] = value
    if isinstance(values, list):
        _prune(search, leaf, values, {leaf: values})


def _fix(raw: dict, path: list[str], value: Any) -> None:
    """Set a setting; if it was searched, it is no longer, and what was conditional on it is settled."""
    _put(raw, path, value)
    search = raw.get("search")
    if isinstance(search, dict) and path[-1] in search:
        search = raw["search"] = dict(search)
        gone = search.pop(path[-1])
        inherited = _when(gone)
        _prune(search, path[-1], [value], inherited)


def _prune(search: dict, leaf: str, values: list, inherited: dict) -> None:
    """Settle the conditions on `leaf`, whose possible values are now `values`.

    A dimension that can no longer exist goes. `inherited` takes the condition's place: what `leaf` itself is
    conditional on if it was fixed, its own remaining values if it is still searched.
    """
    for name in list(search):
        # What went with another dimension is no longer there.
        entry = search.get(name)
        when = _when(entry)
        if leaf not in when:
            continue
        kept = [item for item in when.pop(leaf) if item in values]
        for parent, options in inherited.items():
            options = kept if parent == leaf else options
            when[parent] = [item for item in when.get(parent, options) if item in options]
        if not kept or [] in when.values():
            del search[name]
            _prune(search, name, [], {})
            continue
        search[name] = {key: item for key, item in entry.items() if key != "when"} | ({"when": when} if when else {})


def _when(entry: Any) -> dict[str, list]:
    when = entry.get("when") if isinstance(entry, dict) else None
    when = when if isinstance(when, dict) else {}
    return {name: items if isinstance(items, list) else [items] for name, items in when.items()}
