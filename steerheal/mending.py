"""Artefacts that are lost while a trial needs them are computed again, from those of earlier rounds."""

from collections import Counter
from collections.abc import Sequence

from steerheal.errors import ArtefactLost
from steerheal.jobs import Job, Result, Stages

# Where artefacts are lost as often as this, the storage is broken, and the loss is the job's outcome.
MOST_LOSSES = 3


class Mending:
    """`jobs.Stages` of one trial, which remembers the jobs that it has run."""

    def __init__(self, stages: Stages):
        self.stages = stages
        self.jobs: dict[str, Job] = {}
        self.losses: Counter[str] = Counter()

    def run(self, jobs: Sequence[Job]) -> list[Result]:
        """As `jobs.Stages.run`; what a lost artefact was made from may be lost too."""
        self.jobs |= {job.key: job for job in jobs}
        while True:
            try:
                return self.stages.run(jobs)
            except ArtefactLost as lost:
                self.losses[lost.key] += 1
                if lost.key not in self.jobs or self.losses[lost.key] > MOST_LOSSES:
                    raise
                self.run([self.jobs[lost.key]])
