"""A space with tiny data files, for tests of the sweep that need no model."""

import json
from pathlib import Path

SPACE = """
name: small
hypothesis: the plumbing holds
model: builtin
persona: persona.yaml
data: {vignettes: vignettes.jsonl, canaries: canaries.yaml, prompts: prompts.jsonl, contexts: contexts.jsonl}
settings:
  evaluate: {think_tokens: 0, canary_samples: 1}
search:
  reg: [nll, kl_rev]
  lam: {low: 0.03, high: 3, log: true, when: {reg: [kl_rev]}}
  alpha: [0.5, 1.0]
trials: 4
resources: {concurrent: 2}
"""
PERSONA = """
positive: You care about people.
negative: You respect authority.
target: authority
sign: -1
companions: [care, social]
engineered: You care about people above all.
"""
CANARIES = """
prompts:
  - {id: g, prompt: What is g?, topic: physics, seen: false, kind: facts}
"""
HUMAN = ("Care", "Fairness", "Loyalty", "Authority", "Sanctity", "Liberty", "SocialNorms")


def write_space(folder: Path, extra: str = "") -> Path:
    """The space file and everything that it names."""
    texts = [{"id": f"t{number}", "text": f"Text number {number}."} for number in range(4)]
    vignette = {"id": "v", "foundation_coarse": "Care", "text": "You see it."} | {
        f"human_{name}": 10.0 for name in HUMAN
    }
    (folder / "persona.yaml").write_text(PERSONA)
    (folder / "canaries.yaml").write_text(CANARIES)
    for name, rows in (("prompts", texts), ("contexts", texts), ("vignettes", [vignette])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "small.yaml"
    path.write_text(SPACE + extra)
    return path
