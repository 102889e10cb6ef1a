"""Space files for the tests, with a persona of their own."""

from pathlib import Path

from steerheal.config import Space, load_space

PERSONA = """
name: warm_over_cold
positive: You are warm.
negative: You are cold.
target: care
sign: 1
companions: [social]
"""
HEAD = "hypothesis: warmth\npersona: warm_over_cold\n"
BARRIER = """
search:
  reg: [nll, kl_rev, kl_fwd]
  lam: {low: 0.03, high: 3, log: true, when: {reg: [kl_rev, kl_fwd]}}
  tau: {low: 0, high: 1, step: 0.25, when: {reg: [kl_rev, kl_fwd]}}
  wd: {choices: [0, 10, 30]}
  alpha: [0.5, 0.75, 1.0]
"""


def write_space(folder: Path, body: str, name: str = "space.yaml") -> Path:
    """A space file in `folder`; `body` follows a hypothesis and a persona."""
    (folder / "personas").mkdir(exist_ok=True)
    (folder / "personas" / "warm_over_cold.yaml").write_text(PERSONA)
    path = folder / name
    path.write_text(HEAD + body)
    return path


def space(folder: Path, body: str, *overrides: str) -> Space:
    """The space of such a file."""
    return load_space(write_space(folder, body), overrides)
