"""Checklists as a run's files fill them: what is known of each item, from which files, and what is left to write."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from medcls.document.blocks import Block, Note, Section, Table, Text
from medcls.sheet.answering import Source, objectives
from medcls.sheet.items import CHECKLISTS, HOW, Checklist, Item

FILLED, NOT_RECORDED, YOURS = "filled", "not recorded", "yours to write"


@dataclass(frozen=True)
class Answer:
    """An item, whether it is filled, what the files say, their names, and how to have what they do not say."""

    item: Item
    state: str
    text: str
    files: tuple[str, ...]
    how: tuple[str, ...]


@dataclass(frozen=True)
class Filled:
    """A checklist with the answers to all of its items, in their order."""

    checklist: Checklist
    answers: tuple[Answer, ...]

    def numbers(self, state: str) -> list[str]:
        """Items in a state, by number."""
        return [one.item.number for one in self.answers if one.state == state]

    @property
    def count(self) -> str:
        """How many items are filled, in words."""
        return f"{self.checklist.name} {len(self.numbers(FILLED))} of {len(self.answers)}"


def fill(source: Source) -> list[Filled]:
    """All checklists. An item is filled where the files answer all of its questions."""
    return [Filled(one, tuple(answer(item, source) for item in one.items)) for one in CHECKLISTS]


def answer(item: Item, source: Source) -> Answer:
    """What the files say about one item."""
    facts = {question: source.answer(question) for question in item.questions}
    known = [fact for fact in facts.values() if fact is not None]
    missing = [question for question, fact in facts.items() if fact is None]
    recorded = NOT_RECORDED if missing else FILLED
    state = recorded if facts and missing != [objectives] else YOURS
    files = tuple(dict.fromkeys(file for fact in known for file in fact.files))
    how = tuple(HOW[question] for question in missing if question in HOW)
    return Answer(item, state, " ".join(fact.text for fact in known), files, how)


def overview(filled: Sequence[Filled]) -> Section:
    """Numbers of the items in each state."""
    states = (FILLED, NOT_RECORDED, YOURS)
    rows = tuple((one.checklist.name, *(_listed(one, state) for state in states)) for one in filled)
    note = (
        "Filled: read from the files that are named; what no file can contain stands beside it. Not recorded: a run "
        "can record it, but this one's files do not contain it. TRIPOD+AI has 27 items, 52 with their parts."
    )
    return Section("At a glance", (Table(("", *states), rows, words=True), Note(note)))


def _listed(filled: Filled, state: str) -> str:
    numbers = filled.numbers(state)
    return f"{len(numbers)} {state}{': ' if numbers else ''}{', '.join(numbers)}"


def section(filled: Filled) -> Section:
    """Every item of a checklist."""
    rows = tuple((f"{one.item.number} {one.item.words}", _said(one), ", ".join(one.files)) for one in filled.answers)
    blocks: list[Block] = [
        Text(f"Items in our own words, by their numbers; the checklist itself: {filled.checklist.source}."),
        Table(("item", "what the files say", "files"), rows, words=True),
    ]
    return Section(filled.checklist.name, tuple(blocks))


def _said(one: Answer) -> str:
    return " ".join(_parts(one))


def _parts(one: Answer) -> Iterator[str]:
    if one.text:
        yield one.text
    if one.state == YOURS:
        yield f"Yours to write{f': {one.item.yours}' if one.item.yours and one.text else '.'}"
        return
    if one.state == NOT_RECORDED:
        yield f"Not recorded{f'; it takes {one.how[0]}' if one.how else ''}."
    if one.item.yours:
        yield f"Yours to write: {one.item.yours[0].lower()}{one.item.yours[1:]}"
