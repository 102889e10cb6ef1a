"""What the commands share: the options that name a model, and errors as one line with exit code 2."""

import argparse
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path

from steerheal.errors import UserError

DTYPES = ("float32", "bfloat16", "float16", "float64")


def run(main: Callable[[], None]) -> None:
    """Call `main`; a UserError becomes one line on stderr and exit code 2, Ctrl-C exit code 130."""
    # OpenMP threads that spin while they wait made a shared two-core machine ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def python() -> str:
    """The interpreter as a command to type: the one of an environment below this folder by its path."""
    here, environment = Path.cwd(), Path(sys.prefix)
    return str(environment.relative_to(here) / "bin" / "python") if environment.is_relative_to(here) else "python"


def model_options(parser: argparse.ArgumentParser) -> None:
    """--model, --revision, --dtype, --4bit, --device."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        default="builtin",
        help="builtin, a folder, a hub name, or a name in search_spaces/models (default: builtin)",
    )
    group.add_argument("--revision", help="a hub model's branch, tag or commit")
    group.add_argument("--dtype", choices=DTYPES, help="default: as the model's settings say, else float32")
    group.add_argument("--4bit", dest="four_bit", action="store_true", help="load the base in 4-bit (bitsandbytes)")
    group.add_argument("--device", default="auto", help="cpu, cuda, cuda:1 (default: a GPU if there is one)")


def find_model(args: argparse.Namespace):
    """The model that --model names, with what its settings file says (`config.sources.FoundModel`)."""
    from steerheal.config.sources import find_model as find

    return find(args.model, Path.cwd(), "--model")


def load_model(args: argparse.Namespace):
    """The base that `model_options` describes; options given win over the model's settings file."""
    from steerheal.students.base import load_base

    ref = find_model(args).ref
    path = "builtin" if ref.name == "builtin" else ref.path_or_hub
    four_bit, revision = args.four_bit or ref.load_in_4bit, args.revision or ref.revision
    return load_base(path, args.dtype or ref.dtype, four_bit, revision, args.device)


def persona_of(name: str):
    """The persona pair of a name or a YAML file."""
    from steerheal.config.sources import find_persona

    return find_persona(name, Path.cwd(), "--persona")


def student_options(group) -> None:
    """--adapter, --band."""
    group.add_argument(
        "--adapter", type=Path, nargs="*", action="extend", default=[], help="PEFT folders, oldest first"
    )
    group.add_argument(
        "--band", metavar="LOW-HIGH", help="apply the adapters in this part of the depth alone, in percent, e.g. 20-40"
    )


def band_of(args: argparse.Namespace):
    """What --band means (`config.sections.Bands`); the whole depth without it."""
    from steerheal.bands import band_text
    from steerheal.config.sections import Bands

    if args.band is None:
        return Bands()
    if not args.adapter:
        raise UserError("--band: says where an adapter is applied; give --adapter too")
    try:
        return Bands(band=band_text(args.band))
    except ValueError as error:
        raise UserError(f"--band: {error}") from None


def finite(text: str) -> float:
    """The type of an option that is a number, and neither infinite nor none."""
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError("must be a finite number")
    return value


def at_least(low: int) -> Callable[[str], int]:
    """The type of an option that is a whole number from `low` on."""

    def count(text: str) -> int:
        value = int(text)
        if value < low:
            raise argparse.ArgumentTypeError(f"must be at least {low}")
        return value

    return count


def check_writable(path: Path, option: str = "--out") -> None:
    """Refuse an output file before the work, not after it."""
    if not path.parent.is_dir():
        raise UserError(f"{option}: {path.parent}: no such folder; create it first")
    if path.is_dir():
        raise UserError(f"{option}: {path} is a folder; name a file in it")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"{option}: {path.parent} cannot be written to; choose another folder")


def check_folder(path: Path, option: str) -> None:
    """Refuse a folder that is neither there to be written to, nor can be made."""
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise UserError(f"{option}: {path} cannot be written to; choose another folder")
