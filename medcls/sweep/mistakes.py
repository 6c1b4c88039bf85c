"""The configuration mistakes of all jobs of a sweep, reported together."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from medcls.errors import UserError


class Mistakes:
    """What is wrong, and in which of the jobs."""

    def __init__(self) -> None:
        self.jobs_by_message: dict[str, list[str]] = {}
        self.n_jobs = 0

    @contextmanager
    def collected(self, job: Sequence[str]) -> Iterator[None]:
        """Keep a UserError of the block for later; ``job``: the overrides that distinguish the job."""
        try:
            yield
        except UserError as error:
            self.add(job, str(error))

    def add(self, job: Sequence[str], text: str) -> None:
        """Keep what is wrong in a job."""
        self.n_jobs += 1
        for message in re.split(r"\n(?! )", text):  # each wrong key starts a line, its details are indented
            self.jobs_by_message.setdefault(message, []).append(" ".join(job) or "the only one")

    def check(self, n_right: int) -> None:
        """Raise UserError that lists all mistakes, if there are any; ``n_right``: number of jobs without."""
        if self.jobs_by_message:
            n_jobs = self.n_jobs + n_right
            messages = self.jobs_by_message.items()
            raise UserError("\n".join(f"{message}\n  {which(jobs, n_jobs)}" for message, jobs in messages))


def which(jobs: Sequence[str], n_jobs: int) -> str:
    """Which of ``n_jobs`` jobs have a mistake."""
    if len(jobs) == n_jobs:
        return "In every job."
    return f"In the job {jobs[0]}" if len(jobs) == 1 else f"In {len(jobs)} of {n_jobs} jobs, the first: {jobs[0]}"
