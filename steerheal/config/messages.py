"""From pydantic's errors to one line that names file, key and remedy."""

import difflib
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from steerheal.config.sections import SECTION_OF
from steerheal.errors import UserError
from steerheal.yaml_io import one_line, refusal

Model = TypeVar("Model", bound=BaseModel)

# What a researcher should write, by pydantic's name for the slip.
REMEDIES = {
    "missing": ("is missing", "add it"),
    "float_type": ("is not a number", "write one such as 0.5 or 1e-4, without quotes"),
    "finite_number": ("is not a finite number", "write a finite one"),
    "int_type": ("is not a whole number", "write one such as 8, without quotes or a point"),
    "bool_type": ("is neither true nor false", "write true or false"),
    "string_type": ("is not text", "write text, in quotes if it looks like a number"),
    "string_too_short": ("is empty", "write something"),
    "tuple_type": ("is not a list", "write it as [a, b]"),
    "dict_type": ("is not a mapping", "write `key: value` pairs"),
    "model_type": ("is not a mapping", "write `key: value` pairs"),
}


def validate(model: type[Model], data: Any, name: str, *where: str) -> Model:
    """`data` as `model`, or the first slip as a UserError; `where` leads to it in the file `name`."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise explained(error, model, name, *where) from None


def explained(error: ValidationError, model: type[BaseModel], name: str, *where: str) -> UserError:
    """The first slip in one line; an unknown key goes first, since a misspelt one also shows as missing."""
    slips = error.errors(include_url=False)
    slip = next((slip for slip in slips if slip["type"] == "extra_forbidden"), slips[0])
    location = [*where, *(str(part) for part in slip["loc"])]
    key = ".".join(location) or "the file"
    if slip["type"] == "extra_forbidden":
        return refusal(name, key, *unknown_key(location[-1], _known(model, slip["loc"][:-1])))
    if slip["type"] == "value_error":
        what, _, remedy = str(slip["ctx"]["error"]).rpartition("; ")
        return refusal(name, key, what, remedy)
    return refusal(name, key, *_slip(slip))


def unknown_key(key: str, known: list[str]) -> tuple[str, str]:
    """What is wrong with an unknown key, and the nearest known one."""
    key = one_line(key, 60)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if near:
        return "unknown key", f"did you mean {near[0]}?"
    if key in SECTION_OF:
        return "unknown key here", f"it belongs at settings.{SECTION_OF[key]}.{key}"
    elsewhere = difflib.get_close_matches(key, SECTION_OF, n=1, cutoff=0.75)
    if elsewhere:
        return "unknown key", f"did you mean settings.{SECTION_OF[elsewhere[0]]}.{elsewhere[0]}?"
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
    others = f"; known: {', '.join(known)}" if len(known) <= 12 else ""
    return "unknown key", f"the nearest known one is {nearest[0]}{others}"


def _known(model: type[BaseModel], location: tuple) -> list[str]:
    """The keys that the model found at `location` has."""
    for part in location:
        model = model.model_fields[part].annotation
    return list(model.model_fields)


def _slip(slip: dict) -> tuple[str, str]:
    """(what is wrong, remedy) of a slip that pydantic found itself."""
    given = one_line(repr(slip["input"]), 60) if isinstance(slip["input"], str | int | float) else "it"
    if slip["type"] in REMEDIES:
        what, remedy = REMEDIES[slip["type"]]
        return (what if slip["type"] == "missing" else f"{given} {what}"), remedy
    limits = slip.get("ctx", {})
    if slip["type"] == "literal_error":
        return f"{given} is not one of {limits['expected']}", _choose(slip["input"], limits["expected"])
    for bound, word in (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below")):
        if bound in limits:
            return f"{given} is out of range", f"write a number {word} {limits[bound]:g}"
    if "max_length" in limits:
        return "it is too long", f"at most {limits['max_length']} are read here"
    if "min_length" in limits:
        return "it is too short", f"at least {limits['min_length']} needed"
    return one_line(slip["msg"]), "correct it"


def _choose(given: Any, expected: str) -> str:
    options = [option.strip("' ") for option in expected.replace(" or ", ", ").split(",")]
    near = difflib.get_close_matches(str(given), options, n=1, cutoff=0.4)
    return f"did you mean {near[0]}?" if near else f"write {options[0]}"
