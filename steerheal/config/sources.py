"""Where a name in a space file leads: model settings, personas, data files.

A path is taken relative to the file that names it, else to the current folder, and is absolute from then on.
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from steerheal import yaml_io
from steerheal.config.messages import unknown_key, validate
from steerheal.config.sections import Frozen, Settings, count, number
from steerheal.config.trial import ModelRef, Persona
from steerheal.yaml_io import one_line, refusal

PACKAGE = Path(__file__).resolve().parents[1]
BUILTIN_SETTINGS = PACKAGE / "organism" / "data" / "settings.yaml"
BUILTIN_WEIGHTS = PACKAGE / "organism" / "weights"
PERSONAS = PACKAGE / "organism" / "data" / "personas"
SHIPPED_MODELS = PACKAGE.parent / "search_spaces" / "models"

NAME = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,64}")
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
HUB_FILE = re.compile(r"hub:[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(/[A-Za-z0-9_-][\w.-]*)+", re.ASCII)
Reference = Annotated[str, Field(min_length=1, max_length=4096)]


class DataEntry(Frozen):
    """Each data file of a space: `builtin`, a path, or `hub:owner/repo/path` (a data set's file)."""

    vignettes: Reference = "builtin"
    instrument: Reference = "builtin"
    prompts: Reference = "builtin"
    contexts: Reference = "builtin"
    canaries: Reference = "builtin"
    beliefs: Reference = "builtin"
    pairs: Reference = "builtin"


@dataclass(frozen=True)
class DataPaths:
    """`DataEntry` with its paths absolute; `data_files` reads them."""

    vignettes: str = "builtin"
    instrument: str = "builtin"
    prompts: str = "builtin"
    contexts: str = "builtin"
    canaries: str = "builtin"
    beliefs: str = "builtin"
    pairs: str = "builtin"


# Ray's own begin with a capital letter, but for two.
OWN_NAME = re.compile("[a-z][A-Za-z0-9_]{0,63}")


class Kind(Frozen):
    """How many actors of a kind there are, and what each takes of a node. `resources`: names of one's own that its nodes
    offer (`ray start --resources='{"big": 1}'`), under the placement `spread`.
    """

    replicas: count(1, 1024) = 1
    cpus: number(0, 4096) = 1.0
    gpus: number(0, 64) = 0.0
    resources: dict[str, number(0, 4096)] = {}

    @field_validator("resources")
    @classmethod
    def _own(cls, given: dict[str, float]) -> dict[str, float]:
        for name in given:
            if name in ("memory", "object_store_memory") or not OWN_NAME.fullmatch(name):
                what = f"{one_line(name, 40)} is no name that nodes can offer with ray start --resources"
                raise ValueError(
                    f"{what}; use a small letter and up to 63 letters and digits, and none of Ray's own names"
                )
        return given


def _store(place: str) -> str:
    """A folder's absolute path, or a URL of a file system that fsspec knows; no password, which would be recorded."""
    protocol, url, rest = place.partition("://")
    if not place.isprintable() or "::" in place or (url and not rest.strip("/")):
        raise ValueError("this is no place for a store; write an absolute path, or a URL such as s3://bucket/folder")
    if not url and not Path(place).is_absolute():
        raise ValueError("a path that every node understands is needed; write an absolute one, or a URL")
    if not url:
        return place
    if "?" in rest or ":" in rest.rpartition("@")[0]:
        what = "an address with a password or key would be recorded with the sweep"
        raise ValueError(f"{what}; leave it out, and give it by the environment (see docker/README.md)")
    from fsspec import available_protocols

    if protocol not in available_protocols():
        near = get_close_matches(protocol, available_protocols(), n=1, cutoff=0.5)
        what = f"fsspec knows no protocol {one_line(protocol, 40)}://"
        raise ValueError(f"{what}; {f'did you mean {near[0]}://?' if near else 'write s3://, gs:// or a path'}")
    if protocol == "memory":
        raise ValueError("the processes of a sweep do not share memory://; write a path, or a URL that all reach")
    return place


class Resources(Frozen):
    """Placement, how many trials run at once, how many heals a pass holds, how many rows generation holds.

    `processes` counts for the placement `process` alone: each holds the model and does everything, on a GPU of its own
    where there are GPUs. `store`: where finished stages are kept, null for the folder `store` beside the runs.
    """

    placement: Literal["process", "gpu", "spread"] = "process"
    processes: count(1, 1024) = 1
    concurrent: count(1, 1024) = 8
    pack: count(1, 1024) = 8
    slots: count(1, 65_536) = 64
    store: Annotated[Reference, AfterValidator(_store)] | None = None
    generation: Kind = Kind()
    trainer: Kind = Kind()
    evaluation: Kind = Kind()


class ModelFile(Frozen):
    """A model's settings file: what it is, how it is loaded, which settings, data and resources suit it."""

    model: Reference
    revision: Reference | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    load_in_4bit: bool = False
    settings: Settings = Settings()
    data: DataEntry = DataEntry()
    resources: Resources = Resources()


class ModelEntry(Frozen):
    """`model:` as a mapping: a name as it would stand alone, with some of the loading options replaced."""

    name: Reference
    path_or_hub: Reference | None = None
    revision: Reference | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    load_in_4bit: bool = False


@dataclass(frozen=True)
class FoundModel:
    """A model with what its settings file says beyond it: raw mappings, under the space's own."""

    ref: ModelRef
    settings: dict
    data: dict
    resources: dict


def find_model(entry: Any, folder: Path, name: str) -> FoundModel:
    """The model that `model:` means, in a space file `name` that lies in `folder`."""
    if isinstance(entry, str):
        entry = {"name": entry}
    asked = validate(ModelEntry, entry, name, "model")
    if asked.path_or_hub is not None:
        place = _model_place(asked.path_or_hub, folder)
        found = FoundModel(ModelRef(name=asked.name, path_or_hub=place), {}, {}, {})
    else:
        found = _named_model(asked.name, folder, name)
    given = asked.model_dump(include=asked.model_fields_set & {"revision", "dtype", "load_in_4bit"})
    return FoundModel(found.ref.model_copy(update=given), found.settings, found.data, found.resources)


def _named_model(asked: str, folder: Path, name: str) -> FoundModel:
    if asked == "builtin":
        return _model_file(asked, BUILTIN_SETTINGS)
    if NAME.fullmatch(asked):
        for place in (folder / "models", SHIPPED_MODELS):
            if (place / f"{asked}.yaml").is_file():
                return _model_file(asked, place / f"{asked}.yaml")
    if local := existing(asked, folder, Path.is_dir):
        return FoundModel(ModelRef(name=local.name, path_or_hub=str(local)), {}, {}, {})
    if HUB_NAME.fullmatch(asked) and ".." not in asked:
        return FoundModel(ModelRef(name=asked, path_or_hub=asked), {}, {}, {})
    known = ["builtin", *_stems(folder / "models", SHIPPED_MODELS)]
    what = f"{one_line(asked, 80)} is no model settings file, no folder and no hub name (owner/name)"
    raise refusal(name, "model", what, unknown_key(asked, known)[1])


def _model_file(asked: str, path: Path) -> FoundModel:
    """What a settings file says; its data paths are relative to itself."""
    raw = yaml_io.load(path)
    file = validate(ModelFile, raw, str(path))
    place = str(BUILTIN_WEIGHTS) if asked == "builtin" else _model_place(file.model, path.parent)
    ref = ModelRef(
        name=asked,
        path_or_hub=place,
        revision=file.revision,
        dtype=file.dtype,
        load_in_4bit=file.load_in_4bit,
    )
    data = {key: find_data(key, value, path.parent, str(path)) for key, value in raw.get("data", {}).items()}
    return FoundModel(ref, raw.get("settings", {}), data, raw.get("resources", {}))


def _model_place(entry: str, folder: Path) -> str:
    local = existing(entry, folder, Path.is_dir)
    return str(local) if local else entry


def find_persona(entry: Any, folder: Path, name: str) -> Persona:
    """The pair that `persona:` means: a name, a .yaml file, or the pair itself."""
    if isinstance(entry, dict):
        return validate(Persona, entry, name, "persona")
    if not isinstance(entry, str):
        raise refusal(name, "persona", "neither a name nor a mapping", "write a persona's name")
    if entry.endswith((".yaml", ".yml")):
        path = existing(entry, folder, Path.is_file)
        if path is None:
            raise refusal(name, "persona", f"there is no file {one_line(entry, 80)}", "check the path")
    else:
        places = [folder / "personas", PERSONAS]
        files = [place / f"{entry}.yaml" for place in places] if NAME.fullmatch(entry) else []
        path = next((file for file in files if file.is_file()), None)
        if path is None:
            known = _stems(*places)
            what = f"there is no persona {one_line(entry, 80)}"
            raise refusal(name, "persona", what, unknown_key(entry, known)[1] if known else "give a .yaml file")
    pair = yaml_io.load(path)
    if isinstance(pair, dict):
        pair = {"name": path.stem[:64]} | pair
    return validate(Persona, pair, str(path))


def find_data(key: str, entry: str, folder: Path, name: str) -> str:
    """A data reference with its path made absolute; a file that is not there is refused."""
    if entry == "builtin":
        return entry
    if entry.startswith("hub:"):
        if not HUB_FILE.fullmatch(entry):
            what = f"{one_line(entry, 80)} is no file of a data set on the hub"
            raise refusal(name, f"data.{key}", what, "write hub:owner/repo/path/in/it")
        return entry
    path = existing(entry, folder, Path.is_file)
    if path is None:
        what = f"there is no file {one_line(entry, 80)}"
        raise refusal(name, f"data.{key}", what, "give a path relative to the space file, hub:.., or builtin")
    return str(path)


def existing(entry: str, folder: Path, kind: Any) -> Path | None:
    """The absolute path that `entry` means, if there is one of that kind."""
    for place in (folder, Path.cwd()):
        try:
            if kind(place / entry):
                return (place / entry).resolve()
        except (OSError, ValueError):
            continue
    return None


def _stems(*folders: Path) -> list[str]:
    return sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
