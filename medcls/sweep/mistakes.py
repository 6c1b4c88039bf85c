"""The mistakes of all jobs of a sweep, told at once."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from medcls.errors import UserError


class Mistakes:
    """What is wrong, and in which of the jobs."""

    def __init__(self) -> None:
        self.told: dict[str, list[str]] = {}
        self.n_jobs = 0

    @contextmanager
    def collected(self, job: Sequence[str]) -> Iterator[None]:
        """Keep a UserError of the block for later; ``job``: the overrides that are its own."""
        try:
            yield
        except UserError as error:
            self.n_jobs += 1
            for told in re.split(r"\n(?! )", str(error)):  # one wrong key on a line, indented what belongs to it
                self.told.setdefault(told, []).append(" ".join(job) or "the only one")

    def check(self, n_right: int) -> None:
        """Raise UserError that lists all, unless there is none; ``n_right``: number of jobs without."""
        if self.told:
            n_jobs = self.n_jobs + n_right
            raise UserError("\n".join(f"{told}\n  {which(jobs, n_jobs)}" for told, jobs in self.told.items()))


def which(jobs: Sequence[str], n_jobs: int) -> str:
    """Which of ``n_jobs`` jobs a mistake concerns."""
    if len(jobs) == n_jobs:
        return "In every job."
    return f"In the job {jobs[0]}" if len(jobs) == 1 else f"In {len(jobs)} of {n_jobs} jobs, the first: {jobs[0]}"
