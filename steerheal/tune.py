"""The main door: `python -m steerheal.tune SPACE.yaml` runs a sweep, resumes it, extends it."""

import argparse
import json
import shlex
import sys
import textwrap
from pathlib import Path

from steerheal import cli, yaml_io
from steerheal.config.sources import NAME
from steerheal.config.space import Space, load_spaces
from steerheal.errors import UserError
from steerheal.goals import in_words
from steerheal.results import RESERVED, SPACE, RunFolder, fresh_name, latest_run
from steerheal.tracking.about import datasets
from steerheal.trial_data import TrialData, load_data

# Keys of a space that may differ when a sweep is resumed: how long it runs, and where.
MAY_CHANGE = ("trials", "resources")

EPILOG = """\
examples:
  python -m steerheal.tune search_spaces/quick.yaml
      a first look, in about a minute
  python -m steerheal.tune search_spaces/barrier.yaml
      the question of the project: which barrier loses least coherence per nat of trait
  python -m steerheal.tune search_spaces/bands.yaml
      where in the depth the trait lives: one adapter, measured band by band
  python -m steerheal.tune search_spaces/barrier.yaml --set trials=8 --set lr=1e-3
      any key of the space, by its path (settings.heal.lr) or its bare name (lr)
  python -m steerheal.tune search_spaces/barrier.yaml --set model=gemma-3-4b-it
      another model: one of search_spaces/models, a folder, or a hub name
  python -m steerheal.tune search_spaces/belief.yaml
      beliefs: telling a model a fact against training it on one, and what either costs
  python -m steerheal.tune search_spaces/belief.yaml --set data.beliefs=mine.yaml --set belief=[x,y]
      your own beliefs; what the file holds is told in steerheal/beliefs.py
  python -m steerheal.tune search_spaces/voice.yaml --set pairs=mine.jsonl
      how many pairs teach a voice; mine.jsonl has chat messages, or prompt and completion
  python -m steerheal.tune search_spaces/voice.yaml --set "model=[Qwen3-4B, gemma-3-4b-it]"
      several models: a sweep for each, since results are compared within a model
  python -m steerheal.tune search_spaces/barrier.yaml --resume
      go on after any interruption; finished trials are not repeated
  python -m steerheal.tune search_spaces/barrier.yaml --resume --set trials=48
      extend a sweep, finished or not

Results are in OUT/NAME: trials.csv, records.jsonl, completions, adapters, plots. A run that exists is never
overwritten: without --resume the next run of a space is called NAME-2, NAME-3, and so on. What an earlier
run has computed is taken from OUT/store, so an equal run takes seconds. Ctrl-C stops cleanly, a second one
at once.
Exit code: 0 finished, 1 could not go on (--resume can), 2 wrong input (nothing written), 130 interrupted.
"""


def main() -> None:
    """Read the command line, check everything, run the sweep."""
    arguments = parser().parse_args()
    runs = [prepared(space, arguments) for space in load_spaces(arguments.space, arguments.overrides)]

    from steerheal.conduct import conduct

    code = 0
    for run in runs:
        code = code or conduct(*run)
    sys.exit(code)


class Help(argparse.Action):
    """`--help`, and what is in the space file before it."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, *_: object) -> None:
        parser.print_help()
        for space in load_spaces(namespace.space, namespace.overrides) if namespace.space else ():
            print(f"\n{told(space)}")
        parser.exit()


def told(space: Space) -> str:
    """What a space asks, in a few lines."""
    seeds = ", ".join(map(str, space.seeds))
    rounds = f"{space.rounds} round{'s' if space.rounds > 1 else ''}"
    searched = yaml_io.dump(space.resolved()["search"]).rstrip()
    return "\n".join(
        [
            f"{space.path}: {space.trials} trials of {rounds}, seeds {seeds}, model {space.model.name}",
            textwrap.fill(space.hypothesis or "no hypothesis", 100, initial_indent="expects: ", subsequent_indent="  "),
            f"ranks: {in_words(space.objective)}",
            f"searches:\n{textwrap.indent(searched, '  ')}",
        ]
    )


def prepared(space: Space, arguments: argparse.Namespace) -> tuple:
    """What `conduct` needs for one model's sweep, all of it checked."""
    data = load_data(space)
    cli.check_folder(arguments.out, "--out")
    wanted = arguments.name
    if wanted is not None and space.among:
        wanted += max((f"-{label}" for label in space.among if space.name.endswith(f"-{label}")), key=len, default="")
    name, resuming = choose_run(space, wanted, arguments.resume, arguments.out)
    folder = RunFolder(arguments.out / name)
    if resuming:
        check_same(space, folder)
        check_data(space, data, folder)
    return space, data, folder, resuming, command(arguments, arguments.name if space.among else name)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m steerheal.tune",
        add_help=False,
        description="Run a sweep over what a space file searches: steer, filter, heal, evaluate; or instil beliefs.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "-h", "--help", action=Help, nargs=0, help="show this message, and after SPACE.yaml what that asks, and exit"
    )
    made.add_argument("space", metavar="SPACE.yaml", type=Path, help="what is asked, fixed and searched")
    made.add_argument(
        "--set",
        dest="overrides",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="override a key of the space",
    )
    made.add_argument("--resume", action="store_true", help="go on with the latest run of this space (or of --name)")
    made.add_argument("--name", help="the run's name; by default the space's, with a number if it is taken")
    made.add_argument("--out", metavar="FOLDER", type=Path, default=Path("tune_runs"), help="default: tune_runs")
    return made


def choose_run(space: Space, name: str | None, resume: bool, out: Path) -> tuple[str, bool]:
    """The run's name, and whether it is one that exists and goes on."""
    if name is not None and not NAME.fullmatch(name):
        raise UserError(f"--name: {name!r} is no name for a run; use letters, digits, '.', '_' or '-'")
    if name in RESERVED:
        raise UserError(f"--name: {name} has another use in the folder of runs; choose another name")
    wanted = name or (f"{space.name}-run" if space.name in RESERVED else space.name)
    if not resume and name is not None and (out / name).exists():
        raise UserError(f"--name: {out / name} exists; add --resume to go on with it, or choose another name")
    if not resume:
        return fresh_name(out, wanted), False
    exact = name is not None and (out / name / SPACE).exists()
    found = name if exact else latest_run(out, wanted)
    return (found, True) if found else (wanted, False)


def check_same(space: Space, folder: RunFolder) -> None:
    """Refuse to mix trials of different spaces in one run."""
    before, now = yaml_io.load(folder.path / SPACE), json.loads(json.dumps(space.resolved()))
    if not isinstance(before, dict):
        raise UserError(f"{folder.path / SPACE}: is no space; restore the file that the sweep wrote")
    differing = [key for key in now if key not in MAY_CHANGE and before.get(key) != now[key]]
    if differing:
        raise UserError(
            f"{folder.path / SPACE}: {differing[0]}: differs from the space that is to be resumed; "
            f"only {' and '.join(MAY_CHANGE)} may change, so start a new run (without --resume), "
            "or say which run is meant with --name"
        )


def check_data(space: Space, data: TrialData, folder: RunFolder) -> None:
    """Refuse to mix trials that read different data in one run."""
    before = {one["kind"]: one["digest"] for one in folder.about.get("data", ())}
    for one in datasets(space, data):
        if before.get(one.kind, one.digest) != one.digest:
            raise UserError(
                f"{space.path}: data.{one.kind}: {one.source} has changed since {folder.path} began; "
                "restore it, or start a new run (without --resume)"
            )


def command(arguments: argparse.Namespace, name: str | None) -> str:
    """The command that goes on with this run."""
    words = [cli.python(), "-m", "steerheal.tune", str(arguments.space)]
    for override in arguments.overrides:
        words += ["--set", override]
    if name:
        words += ["--name", name]
    if arguments.out != Path("tune_runs"):
        words += ["--out", str(arguments.out)]
    return shlex.join([*words, "--resume"])


if __name__ == "__main__":
    cli.run(main)
