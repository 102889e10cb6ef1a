"""What is said of a sweep besides its trials: question, model, data and code, without local paths."""

import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from steerheal import __version__, yaml_io
from steerheal.config.sections import SECTION_OF
from steerheal.config.space import Space
from steerheal.jobs import plain
from steerheal.trial_data import TrialData

PACKAGE = Path(__file__).resolve().parents[1]
# What each kind of data is for.
USES = {
    "vignettes": "evaluation",
    "instrument": "evaluation",
    "canaries": "evaluation",
    "prompts": "generation",
    "contexts": "extraction",
    "beliefs": "training",
    "pairs": "training",
}


@dataclass(frozen=True)
class Data:
    """One of the data sets that trials read. `digest` identifies its content, `source` where it is from."""

    kind: str
    digest: str
    source: str
    rows: int | None

    @property
    def use(self) -> str:
        """What it is for."""
        return USES[self.kind]


@dataclass(frozen=True)
class About:
    """`space`: the text that is logged of the space; `dimensions`: what is searched; `serving`: what an adapter of this
    sweep needs to be called (see `served`).
    """

    title: str
    hypothesis: str
    space: str
    tags: Mapping[str, str]
    dimensions: tuple[str, ...] = ()
    data: tuple[Data, ...] = ()
    serving: Mapping[str, Any] | None = None

    @property
    def recorded(self) -> dict[str, Any]:
        """What the run's own folder keeps of it, as plain JSON data."""
        return {"title": self.title, "tags": dict(self.tags), "data": [asdict(one) for one in self.data]}


def about_sweep(space: Space, data: TrialData, path: Path, fingerprint: str) -> About:
    """Everything that is said of the sweep whose resolved space lies at `path`."""
    tags = {
        "steerheal": __version__,
        "model": space.model.name,
        "fingerprint": fingerprint,
        "persona": space.persona.name,
        "objective": str(space.objective),
        "rounds": str(space.rounds),
        "seeds": ", ".join(map(str, space.seeds)),
    }
    found = datasets(space, data)
    return About(
        title=path.parent.name,
        hypothesis=space.hypothesis,
        space=yaml_io.dump(without_places(space, found)),
        tags=tags | code_version(),
        dimensions=_searched(space),
        data=found,
        serving={
            "model": space.model.model_dump(include={"revision", "dtype", "load_in_4bit"}),
            "system": space.persona.neutral,
            "sample": space.settings.sample.model_dump(),
        },
    )


def without_places(space: Space, data: Sequence[Data]) -> dict[str, Any]:
    """The resolved space as others may read it: data by name and digest, a local model by its folder's name. Only
    the run's own `space.yaml` can be resumed.
    """
    told = space.resolved()
    told["data"] = {one.kind: {"name": one.source, "digest": one.digest} for one in data}
    place = told["model"].get("path_or_hub", "")
    if Path(place).is_absolute():
        told["model"]["path_or_hub"] = Path(place).name
    return told


def in_force(space: Space, params: Mapping[str, Any]) -> dict[str, Any]:
    """A trial's value of every searched setting, also of one that does not exist at its point (a barrier's
    strength where there is no barrier: 0), since parallel coordinates leave out a run that lacks a value.
    """
    trial = space.trial(params)
    names = _searched(space)
    holders = {name: trial if name == "alpha" else getattr(trial, SECTION_OF[name]) for name in names}
    return {name: getattr(holder, name) for name, holder in holders.items()}


def _searched(space: Space) -> tuple[str, ...]:
    return tuple(dimension.name for dimension in space.dimensions)


def datasets(space: Space, data: TrialData) -> tuple[Data, ...]:
    """The data sets by content; of a file only its name is told, since folders are nobody's business."""
    contents = (
        {
            "vignettes": data.vignettes,
            "instrument": data.instrument,
            "canaries": data.suite,
            "prompts": data.prompts,
            "contexts": data.contexts,
        }
        | ({"pairs": data.pairs} if data.pairs else {})
        | ({"beliefs": data.beliefs} if data.beliefs else {})
    )
    found = []
    for kind, content in contents.items():
        text = json.dumps(plain(content), sort_keys=True, ensure_ascii=False)
        reference = str(getattr(space.data, kind))
        source = reference if reference.startswith("hub:") else Path(reference).name
        rows = len(content) if isinstance(content, tuple) else None
        found.append(Data(kind, hashlib.sha256(text.encode()).hexdigest()[:16], source, rows))
    return tuple(found)


def code_version() -> dict[str, str]:
    """The tags by which MLflow knows the code: where it lies in a git checkout, the commit, and whether it
    was changed since.
    """
    tags = {"mlflow.source.name": "steerheal.tune", "mlflow.source.type": "LOCAL"}
    # An installed copy may lie inside somebody's checkout without being part of it.
    ours = _git("ls-files", "--error-unmatch", "__init__.py") is not None
    if not ours or not (commit := _git("rev-parse", "HEAD")):
        return tags
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".")
    return tags | {"mlflow.source.git.commit": commit, "mlflow.source.git.dirty": str(changed != "").lower()}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(PACKAGE), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
