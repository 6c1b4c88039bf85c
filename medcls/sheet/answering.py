"""Questions of checklists put to the files of one run, or to those of all runs of a sweep."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from medcls.sheet import result_facts, sweep_facts, training_facts
from medcls.sheet.record import Fact, Record
from medcls.sweep_report.answers import head_of
from medcls.sweep_report.crossvalidation import cross_validate
from medcls.sweep_report.design import Sweep
from medcls.sweep_report.ranking import rank
from medcls.sweep_report.verdicts import judge

Question = Callable[[Record], Fact | None]
_MOST = 4  # answers of a sweep's runs that are all shown where they differ


def objectives(_: Record) -> Fact | None:
    """What was asked beforehand, which only a sweep records."""
    return None


@dataclass(frozen=True)
class Source:
    """Finished runs that answer, the best first, and what a sweep answers as a whole."""

    records: Sequence[Record]
    whole: dict[Question, Callable[[], Fact | None]]

    def answer(self, question: Question) -> Fact | None:
        """What the files say; None where they do not."""
        if question in self.whole:
            return self.whole[question]()
        found = [(record, _asked(question, record)) for record in self.records]
        groups: dict[str, list[tuple[Record, Fact]]] = {}
        for record, fact in found:
            if fact is None:
                return None
            groups.setdefault(fact.text, []).append((record, fact))
        first = next(iter(groups.values()))[0]
        if len(groups) == 1:
            return first[1] if len(found) == 1 else _of_each(*first)
        if len(groups) > _MOST:
            others = f"The other {len(found) - 1} runs have other values: each has its own sheet."
            return Fact(f"{first[0].run.name}: {first[1].text} {others}", first[1].files)
        texts = [f"{self._label([one for one, _ in group])}: {text}" for text, group in groups.items()]
        return Fact(" ".join(texts), tuple(file for group in groups.values() for file in group[0][1].files))

    def _label(self, group: Sequence[Record]) -> str:
        """The variants of which these are all runs, else the runs."""
        names = {record.run.name for record in group}
        variants = dict.fromkeys(record.run.variant for record in group)
        whole = all(record.run.name in names for record in self.records if record.run.variant in variants)
        return ", ".join(variants if whole else sorted(names))


def of_run(record: Record) -> Source:
    """One run answers."""
    return Source([record], {})


def of_sweep(sweep: Sweep, records: Sequence[Record]) -> Source:
    """The finished runs of a sweep answer, those of the variant that ranks first before others."""
    verdicts = judge(sweep)
    ranking = rank(sweep, verdicts)
    order = {one.name: i for i, one in enumerate(ranking.variants)}
    head = head_of(sweep, verdicts, ranking, cross_validate(sweep, verdicts.split))
    whole: dict[Question, Callable[[], Fact | None]] = {
        objectives: partial(sweep_facts.objectives, sweep),
        result_facts.performance: partial(sweep_facts.performance, sweep, verdicts, ranking),
        result_facts.uncertainty: partial(sweep_facts.uncertainty, sweep, verdicts),
        result_facts.limits: partial(sweep_facts.limits, sweep, head),
        training_facts.selection: partial(sweep_facts.selection, sweep, verdicts, ranking),
        training_facts.ensembling: partial(sweep_facts.ensembling, sweep),
        training_facts.repetition: partial(sweep_facts.repetition, sweep),
    }
    return Source(sorted(records, key=lambda record: (order[record.run.variant], record.run.seed)), whole)


def _asked(question: Question, record: Record) -> Fact | None:
    try:
        return question(record)
    except KeyError:  # a key that came after the run: its files do not say
        return None


def _of_each(record: Record, fact: Fact) -> Fact:
    """A fact that all runs tell; ``*/`` stands for each of their folders."""
    names = (f"*/{file.removeprefix(record.prefix)}" if file.startswith(record.prefix) else file for file in fact.files)
    return Fact(fact.text, tuple(names))
