"""A worker without a model: the stages' results as simple arithmetic on the jobs, for tests of what lies
around them.
"""

import json
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path

from safetensors.numpy import save

from steerheal.errors import ArtefactLost, StageError, StoreAway
from steerheal.evaluation.voice import compare, group
from steerheal.files import read_jsonl
from steerheal.foundations import FOUNDATIONS
from steerheal.jobs import Job, Result
from steerheal.store import Store, open_store

NO_TENSORS = save({})
ADAPTER = {"peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": ["q_proj"]}
# What base gains when it is asked, and how much of a student's gain a band of the depth holds.
ASKED = 0.4
SHARES = {"20-40": 0.6, "40-60": 0.3}


class FakeWorker:
    """Every run of a job leaves a file in `root/ran` named after its stage and key, so tests can count.

    A trap is a file in `root/traps` named after a stage: `die` ends the process (`die once`; `die stored`, after
    storing; `die lam 0.5`, in heals with that lam), `fail` fails the job, `lost KEY` fails it for want of an artefact, `away` says that the store is away, `sleep N`
    waits.
    """

    fingerprint = "fake"
    progress: dict = {}

    def __init__(self, root: Path, store: Store | None = None):
        self.root = Path(root)
        self.store = store or open_store(self.root / "store")
        (self.root / "ran").mkdir(parents=True, exist_ok=True)

    def run_batch(self, jobs: Sequence[Job]) -> list[Result | Exception]:
        """One batch."""
        (self.root / "batches.txt").open("a").write(f"{jobs[0].stage} {len(jobs)} {os.getpid()}\n")
        return [self._run(job) for job in jobs]

    def export(self, student, bands=None) -> dict[str, bytes]:
        """As many ranks as rounds."""
        return {
            "adapter_config.json": json.dumps(ADAPTER | {"r": len(student)}).encode(),
            "adapter_model.safetensors": b"",
        }

    def _run(self, job: Job) -> Result | Exception:
        trap = self.root / "traps" / job.stage
        if trap.exists():
            words = trap.read_text().split()
            if (
                words == ["die"]
                or words == ["die", "once"]
                or words[:2] == ["die", "lam"]
                and job.heal.lam == float(words[2])
            ):
                if words[1:] == ["once"]:
                    trap.unlink()
                os._exit(1)
            if words[0] == "fail":
                return StageError(f"{job.stage}: it was told to fail")
            if words[0] == "lost":
                return ArtefactLost(words[1])
            if words[0] == "away":
                raise StoreAway("store: far away: No space left on device, for 900 s")
            if words[0] == "sleep":
                time.sleep(float(words[1]))
        files, summary = getattr(self, f"_{job.stage}")(job)
        runs = len(list((self.root / "ran").glob(f"{job.stage}-{job.key}-*")))
        (self.root / "ran" / f"{job.stage}-{job.key}-{runs}").touch()
        result = self.store.put(job.key, job.stage, files, summary, seconds=0.01)
        if trap.exists() and trap.read_text() == "die stored":
            os._exit(1)
        return result

    def _extract(self, job):
        return {"vector.safetensors": NO_TENSORS}, {"norms": {"0": 1.0}}

    def _collect(self, job):
        kept = job.steering.dose < 1.5
        text = {
            "prompt_id": "p",
            "prompt": "Hello?",
            "dose": job.steering.dose,
            "used": kept,
            "reasons": {} if kept else {"perplexity": "perplexity 60, limit 50"},
            "text": f"seed {job.seed}",
            "kept": kept,
            "ids": [1],
            "prompt_ids": [2],
        }
        lines = "".join(
            json.dumps(text | {"sample": sample, "gate": None if kept else "perplexity"}) + "\n" for sample in range(3)
        )
        summary = {
            "kappa": 1.0,
            "dose": job.steering.dose,
            "rungs": [],
            "generated": 3,
            "kept": 3 * kept,
            "survival": float(kept),
            "mean_perplexity": 2.0,
            "drops": {} if kept else {"perplexity": 3},
            "batches": 1,
            "tokens": 3,
            "starved": not kept,
        }
        return {"completions.jsonl": lines.encode()}, summary

    def _pairs(self, job):
        def line(pair, used):
            text, prompt = pair.messages[-1][1], pair.messages[-2][1]
            return {
                "id": pair.id,
                "prompt": prompt,
                "text": text,
                "ids": [1],
                "prompt_ids": [2],
                "used": used,
                "held_out": not used,
            }

        used, every = job.conversations[: job.count], (*job.held_out, *job.conversations)
        too_long = [pair.id for pair in every if "too long" in pair.messages[-1][1]]
        lines = [line(pair, True) for pair in used] + [line(pair, False) for pair in job.held_out]
        summary = {
            "pairs": len(used),
            "tokens": 9 * len(used),
            "held_out": len(job.held_out),
            "too_long": too_long,
            "limit": job.max_tokens,
            "example": "<user>Hello?⟦" + used[0].messages[-1][1] + "⟧",
        }
        return {"completions.jsonl": "".join(json.dumps(one) + "\n" for one in lines).encode()}, summary

    def _score(self, job):
        effect = sum(json.loads((self.store.folder(key) / "effect.json").read_text()) for key in job.student)
        return {}, {"nll": 3.0 - effect - (0.5 if job.system else 0.0), "pairs": len(job.conversations), "tokens": 9}

    def _style(self, job):
        groups = {prompt.id: group(prompt.seen, prompt.kind) for prompt in job.suite.prompts}
        lines = read_jsonl(self.store.folder(job.data) / "completions.jsonl")
        answers = {
            who: [line | {"group": groups[line["id"]]} for line in read_jsonl(self.store.folder(key) / "answers.jsonl")]
            for who, key in job.answers
        }
        texts = [[line["text"] for line in lines if line[kind]] for kind in ("used", "held_out")]
        return {}, compare(answers, *texts) | {"groups": groups}

    def _heal(self, job):
        curve = [
            {"step": step, "nll": 3.0 - step, "divergence": 0.1, "loss": 3.0 - step, "lr": job.heal.lr}
            for step in range(2)
        ]
        effect = 0.9 / (1 + job.heal.lam) + 0.01 * job.seed
        files = {
            "adapter_config.json": json.dumps(ADAPTER).encode(),
            "adapter_model.safetensors": NO_TENSORS,
            "effect.json": json.dumps(effect).encode(),
        }
        diverged = 1 if job.heal.wd == 13.0 else None
        held = [{"epoch": epoch, "nll": 3.0 - epoch, "divergence": 0.1, "loss": 3.0} for epoch in range(2)]
        pulls = [{"step": step, "nll": 1.0, "barrier": job.heal.lam, "ratio": job.heal.lam} for step in range(2)]
        pressure = pulls if job.heal.lam else []
        return files, {"steps": curve, "validation": held, "pressure": pressure, "diverged": diverged}

    def _evaluate(self, job):
        effect = sum(json.loads((self.store.folder(key) / "effect.json").read_text()) for key in job.student)
        effect *= _share(job.bands)
        effect += job.steering.dose if job.steering else 0.0
        effect += ASKED if job.system else 0.0
        nats = dict.fromkeys(FOUNDATIONS, -2.0) | {"authority": -2.0 - effect}
        report = {
            "vignettes": len(job.vignettes),
            "unscorable": 0,
            "nats": nats,
            "coherence": 0.999 - 0.01 * effect,
            "profile": {name: math.exp(value) for name, value in nats.items()},
            "accuracy": 0.9,
            "informedness": 0.9,
            "nll": 0.1,
            "intervals": {},
        }
        rows = "".join(json.dumps(row) + "\n" for row in self._rows(job.vignettes, report, effect))
        return {"rows.jsonl": rows.encode()}, report

    def _rows(self, vignettes, report, effect):
        """Vignettes that move more or less than the mean, the more the model has moved."""
        for place, vignette in enumerate(vignettes):
            turn = 2 * math.pi * place / len(vignettes)
            more = 1 + 0.3 * effect * math.cos(turn) * (len(vignettes) > 1)
            p = {name: more * math.exp(value) for name, value in report["nats"].items()}
            mass = report["coherence"] + 0.002 * effect * math.sin(turn)
            yield {"id": vignette.id, "foundation": vignette.foundation, "p": p, "mass": mass, "nll": 0.1}

    def _canary(self, job):
        who = "steered" if job.steering else "healed" if job.student else "base"
        who = "prompted" if not job.system.startswith("You are a helpful") and who == "base" else who
        said = {"text": f"{who} says <b>g</b>", "damage": [], "beliefs": [], "measures": {"tokens": 3.0}}
        asked = [{"id": prompt.id, "prompt": prompt.prompt, "sample": 0} | said for prompt in job.suite.prompts]
        answers = "".join(json.dumps(answer) + "\n" for answer in asked)
        counts = {"answers": len(asked), "undamaged": len(asked)}
        tally = {"all": counts, "kinds": {"facts": counts}, "beliefs": {}, "damage": {}, "hit_limit": 0, "tokens": 3}
        return {"answers.jsonl": answers.encode()}, tally


def _share(bands) -> float:
    """Of a student's effect: the band's own, and that of the others."""
    if bands is None:
        return 1.0
    own = SHARES.get(bands.band, 0.1)
    return bands.inside * own + bands.outside * (1 - own)


def load_fake(root: str, device: str) -> FakeWorker:
    """A `load` for stage actors (bind `root`)."""
    return FakeWorker(Path(root))
