"""A search space: what is asked, what is fixed, what is searched, and how one trial is made from it.

Precedence: schema defaults < the model file's settings < the space file's settings < `--set`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from steerheal import yaml_io
from steerheal.config.checks import check_read, check_space
from steerheal.config.dimensions import Dimension, read_dimensions, typed, walk
from steerheal.config.instil import check_instil
from steerheal.config.messages import unknown_key, validate
from steerheal.config.objectives import SLOPE, Objective, ObjectiveEntry
from steerheal.config.overrides import apply, split
from steerheal.config.sections import KL_ONLY, SECTION_OF, Frozen, Settings, count, several
from steerheal.config.sources import (
    NAME,
    DataEntry,
    DataPaths,
    Resources,
    find_data,
    find_model,
    find_persona,
)
from steerheal.config.trial import Alpha, ExperimentName, ModelRef, Persona, Prose, Rounds, Seeds, Stop, TrialConfig
from steerheal.redact import redacted
from steerheal.yaml_io import one_line, refusal

MAX_GRID = 10_000
MAX_MODELS = 16
MAX_RESOLVED = 48 * 1024
DEFAULT_TRIALS = 24


class SpaceFile(Frozen):
    """A space file as written. `model`, `persona` and `search` have several forms and are read one by one."""

    name: Annotated[str, Field(min_length=1)] | None = None
    hypothesis: Prose
    experiment: ExperimentName = "steer"
    model: Any = "builtin"
    persona: Any = "care_over_authority"
    data: DataEntry = DataEntry()
    settings: Settings = Settings()
    alpha: Alpha = 1.0
    search: dict[str, Any] = {}
    sampler: Literal["optuna", "grid"] = "optuna"
    objective: ObjectiveEntry = SLOPE
    trials: count(1, 100_000) | None = None
    rounds: Rounds = 1
    seeds: Seeds = (0,)
    repeats: Literal["all", "race"] = "all"
    stop: Stop = Stop()
    resources: Resources = Resources()
    among: several(str, 0, MAX_MODELS) = ()


@dataclass(frozen=True)
class Space:
    """A space with every name resolved and every default filled in; equal spaces ask for the same trials.

    among: the models of the file that this one is taken from, where it lists several.
    """

    name: str
    hypothesis: str
    experiment: str
    model: ModelRef
    persona: Persona
    data: DataPaths
    settings: Settings
    alpha: float
    dimensions: tuple[Dimension, ...]
    sampler: str
    objective: Objective
    trials_asked: int | None
    rounds: int
    seeds: tuple[int, ...]
    repeats: str
    stop: Stop
    resources: Resources
    among: tuple[str, ...]
    path: Path = field(compare=False)

    @property
    def racing(self) -> bool:
        """Whether trials earn their seeds (`racing`) instead of running on all of them."""
        return self.repeats == "race"

    @property
    def first_seeds(self) -> tuple[int, ...]:
        """What every trial runs on before anything is known of it."""
        return self.seeds[:1] if self.racing else self.seeds

    def values(self, leaf: str) -> list[tuple[str, Any]]:
        """(key in the file, value): what a setting is, or the extremes of what is searched for it."""
        for dimension in self.dimensions:
            if dimension.name == leaf:
                return [(f"search.{leaf}", value) for value in dimension.extremes()]
        section = SECTION_OF[leaf]
        return [(f"settings.{section}.{leaf}", getattr(getattr(self.settings, section), leaf))]

    @property
    def trials(self) -> int:
        """How many trials are run: a grid has an end, and a space without dimensions has one trial."""
        if not self.dimensions:
            return 1
        if self.sampler == "optuna":
            return self.trials_asked or DEFAULT_TRIALS
        return min(self.trials_asked or MAX_GRID, len(self.grid()))

    def grid(self) -> list[dict[str, Any]]:
        """Every combination, in the order of the file; conditional dimensions only where they exist."""
        values = {dimension.name: dimension.steps() for dimension in self.dimensions}
        endless = next((name for name, steps in values.items() if steps is None), None)
        if endless:
            what = "a grid cannot go over a range without (or with too many) steps"
            raise refusal(str(self.path), f"search.{endless}", what, "list its values, or use sampler: optuna")
        grid = list(islice(walk(self.dimensions, values), MAX_GRID + 1))
        if len(grid) > MAX_GRID:
            what = f"the grid has more than {MAX_GRID} trials"
            raise refusal(str(self.path), "search", what, "search fewer values, or use sampler: optuna")
        return grid

    def trial(self, params: Mapping[str, Any]) -> TrialConfig:
        """The trial at a point: `params` names exactly the dimensions that exist there."""
        chosen = self._checked(params)
        settings = self.settings.model_dump()
        for leaf, value in chosen.items():
            if leaf != "alpha":
                settings[SECTION_OF[leaf]][leaf] = value
        if settings["heal"]["reg"] == "nll":
            settings["heal"] |= KL_ONLY
        whole = settings | {
            "experiment": self.experiment,
            "alpha": chosen.get("alpha", self.alpha),
            "rounds": self.rounds,
            "seeds": self.seeds,
            "stop": self.stop,
            "model": self.model,
            "persona": self.persona,
        }
        return validate(TrialConfig, whole, str(self.path), "trial")

    def _checked(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """`params` with their types, after checking that they are the dimensions that exist there."""
        where = str(self.path)
        chosen: dict[str, Any] = {}
        for dimension in self.dimensions:
            name = dimension.name
            if dimension.active(chosen) != (name in params):
                state = "exists here but has no value" if name not in params else "does not exist at this point"
                raise refusal(where, f"search.{name}", state, "resume with the space that the trial came from")
            if name in params:
                chosen[name] = typed(name, params[name], where, "search")
                if not dimension.contains(chosen[name]):
                    what = f"{one_line(str(params[name]), 60)} is not in the space"
                    raise refusal(where, f"search.{name}", what, "resume with the space that the trial came from")
        if strange := [name for name in params if name not in chosen]:
            known = [dimension.name for dimension in self.dimensions]
            raise refusal(where, f"search.{one_line(strange[0], 60)}", *unknown_key(strange[0], known or ["none"]))
        return chosen

    def resolved(self) -> dict[str, Any]:
        """The space as a file that names nothing but its data files: loaded again, it equals this one."""
        model = self.model.model_dump()
        if self.model.name == "builtin":
            del model["path_or_hub"]
        return {
            "name": self.name,
            "hypothesis": self.hypothesis,
            "experiment": self.experiment,
            "model": model,
            "persona": self.persona.model_dump(),
            "data": asdict(self.data),
            "settings": self.settings.model_dump(),
            "alpha": self.alpha,
            "search": {dimension.name: dimension.entry() for dimension in self.dimensions},
            "sampler": self.sampler,
            "objective": self.objective.entry(),
            "trials": self.trials_asked,
            "rounds": self.rounds,
            "seeds": list(self.seeds),
            "repeats": self.repeats,
            "stop": self.stop.model_dump(),
            "resources": self.resources.model_dump(),
        } | ({"among": list(self.among)} if self.among else {})


def load_space(path: str | Path, overrides: Sequence[str] = ()) -> Space:
    """Read a space file of one model, apply `key=value` overrides, resolve names, and refuse what cannot be run."""
    path = Path(path)
    raw = _overridden(path, overrides)
    if isinstance(raw.get("model"), list):
        raise refusal(str(path), "model", "it lists several, and one is needed here", "choose one: --set model=NAME")
    return _complete(raw, path)


def load_spaces(path: str | Path, overrides: Sequence[str] = ()) -> list[Space]:
    """A space for each model that the file lists; as `load_space` for a file with one.

    Their trials are equal but for what a model's own settings say, and are compared within a model only.
    """
    path = Path(path)
    raw = _overridden(path, overrides)
    if not isinstance(models := raw.get("model"), list):
        return [_complete(raw, path)]
    names = [_model_label(entry) for entry in models]
    if not 2 <= len(models) <= MAX_MODELS or len({*names}) < len(names):
        what = f"a list of models holds 2 to {MAX_MODELS}, each once"
        raise refusal(str(path), "model", what, "correct the list, or name one model")
    stem = raw.get("name") or path.stem
    return [
        _complete(raw | {"model": entry, "name": f"{stem}-{name}", "among": names}, path)
        for entry, name in zip(models, names)
    ]


def _model_label(entry: Any) -> str:
    """A model's name as part of a run's."""
    name = str(entry.get("name") if isinstance(entry, dict) else entry)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name.rstrip("/").rpartition("/")[2])[:40]


def _overridden(path: Path, overrides: Sequence[str]) -> dict:
    """The file's data with every override, each checked by itself."""
    raw = yaml_io.load(path)
    _read(raw, str(path))
    for override in overrides:
        key, value = split(override)
        raw = apply(raw, key, value, list(SpaceFile.model_fields))
        _read(raw, f"--set {one_line(redacted(override), 60)}")
    return raw


def _complete(raw: dict, path: Path) -> Space:
    space = _resolve(_read(raw, str(path)), raw, path)
    resolved = space.resolved()
    # The second test costs a second for a large file, so the first spares it the worst.
    if (
        len(json.dumps(resolved, ensure_ascii=False)) > MAX_RESOLVED
        or len(yaml_io.dump(resolved).encode()) > yaml_io.MAX_BYTES
    ):
        raise refusal(str(path), "the file", "resolved, it is too large for one file", "search fewer values")
    return space


def _read(raw: Any, name: str) -> SpaceFile:
    """The file's keys, types and dimensions, before any name in it is followed."""
    file = validate(SpaceFile, raw, name)
    read_dimensions(file.search, name)
    return file


def _resolve(file: SpaceFile, raw: dict, path: Path) -> Space:
    where, folder = str(path), path.parent
    name = file.name if file.name is not None else path.stem
    if not NAME.fullmatch(name):
        what = f"{one_line(name, 80)} is no name"
        remedy = "use 1 to 64 letters, digits, '.', '_' or '-', not starting with a dot"
        raise refusal(where, "name", what, remedy)
    model = find_model(file.model, folder, where)
    given = raw.get("data", {})
    data = {key: find_data(key, value, folder, where) for key, value in given.items()}
    settings = validate(Settings, _merged(model.settings, raw.get("settings", {})), where, "settings")
    resources = validate(Resources, _merged(model.resources, raw.get("resources", {})), where, "resources")
    space = Space(
        name=name,
        hypothesis=file.hypothesis,
        experiment=file.experiment,
        model=model.ref,
        persona=find_persona(file.persona, folder, where),
        data=DataPaths(**model.data | data),
        settings=settings,
        alpha=file.alpha,
        dimensions=read_dimensions(file.search, where),
        sampler=file.sampler,
        objective=file.objective,
        trials_asked=file.trials,
        rounds=file.rounds,
        seeds=file.seeds,
        repeats=file.repeats,
        stop=file.stop,
        resources=resources,
        among=file.among,
        path=path,
    )
    fixed = {leaf: getattr(getattr(settings, SECTION_OF[leaf]), leaf) for leaf in SECTION_OF}
    check_space(space.dimensions, fixed, where)
    check_instil(space)
    usual = Settings()
    changed = [leaf for leaf, section in SECTION_OF.items() if fixed[leaf] != getattr(getattr(usual, section), leaf)]
    check_read(space.dimensions, changed, space.experiment, where)
    _check_files(space, where)
    if space.sampler == "grid":
        space.grid()
    _check_race(space, where)
    _check_nodes(space, where)
    return space


def _check_files(space: Space, where: str) -> None:
    """Refuse what only another experiment reads; what a model's own file says is for whoever can use it."""
    for key, reader in (("pairs", "voice"), ("beliefs", "belief")):
        if getattr(space.data, key) != "builtin" and space.experiment != reader:
            what = f"the experiment {space.experiment} does not read it"
            raise refusal(where, f"data.{key}", what, f"remove it, or write experiment: {reader}")
    if space.experiment == "voice" and space.alpha != SpaceFile.model_fields["alpha"].default:
        raise refusal(where, "alpha", "the experiment voice does not steer, so it cannot matter", "remove it")


def _check_race(space: Space, where: str) -> None:
    if space.racing and len(space.seeds) < 2:
        what = "a race gives seeds to some trials, and there is one seed"
        raise refusal(where, "repeats", what, "list more seeds, or write repeats: all")
    if space.racing and space.objective.kind == "pareto":
        what = "a race has one winner, and a front has many"
        raise refusal(where, "repeats", what, "use objective slope or trait_at_coherence, or repeats: all")


def _check_nodes(space: Space, where: str) -> None:
    placement = space.resources.placement
    if placement != "process" and space.resources.processes > 1:
        what = f"it counts processes that do everything, and under placement {placement} each kind has its own"
        raise refusal(where, "resources.processes", what, "write placement: process, or remove it")
    for kind in ("generation", "trainer", "evaluation"):
        asked = getattr(space.resources, kind)
        if asked.resources and placement != "spread":
            what = f"it says which nodes a kind goes to, and under placement {placement} no kind goes by itself"
            raise refusal(where, f"resources.{kind}.resources", what, "write placement: spread, or remove it")
        if asked.replicas > 1 and placement != "spread":
            what = f"it counts actors of one kind, and under placement {placement} there are no more than one"
            raise refusal(where, f"resources.{kind}.replicas", what, "write placement: spread, or remove it")


def _merged(under: dict, over: dict) -> dict:
    """Two levels of settings, the second winning leaf by leaf."""
    merged = dict(under)
    for name, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = merged[name] | value if both else value
    return merged
