"""What people and callers of the API do in a drawn world: texts, and between them everything else. Pure."""

import random
from collections.abc import Iterator, Sequence

import msgspec
from msgspec.structs import replace

Draw = random.Random

# Sums up to what one conversation may get within the pair's burst of 45 and one portal within its own of 50.
BURST_TEXTS_MAX = 12


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A customer of one channel. `hours_ago`: how late her webhooks reach us, by Meta's own timestamps."""

    channel: int
    wa_id: str
    opened: bool  # has a chat before the fire begins, so that operators can answer her
    hours_ago: float
    shut: bool = False  # wrote more than a day ago and does not write again: Meta refuses what is no template


class File(msgspec.Struct, frozen=True, kw_only=True):
    """`kind` is one of FILE_KINDS; `seed` draws bytes that no other file of the world has."""

    kind: str
    size: int
    seed: int


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody does something. `who` is the number of a person; `shape` tells what, of a kind that has several."""

    at_s: float
    kind: str  # one of ACT_KINDS
    who: int
    text: str = ""
    key: str = ""  # the word of the text that no other text has
    shape: str = ""
    files: tuple[File, ...] = ()


TEXTS = ("customer", "operator")
ACT_KINDS = (*TEXTS, "reads", "plays", "ages", "sends", "tells", "attaches", "asks")
SHAPES = {
    "tells": ("location", "contacts", "button", "reaction", "quote"),
    "asks": ("text", "aviso", "foto", "botoes", "buttons", "list", "location", "contacts", "image"),
}
# The same bytes arrive at the far end: none of these is made into something else on its way.
FILE_KINDS = {
    "sends": ("jpeg", "jpeg", "png", "pdf", "voice", "sticker", "mp4"),
    "attaches": ("jpeg", "jpeg", "png", "pdf", "zip", "mp3", "mp4", "voice"),
}
SIZES = (2_000, 2_000, 40_000, 300_000)
STICKER_SIZE = 40_000
# How likely a person is to do a thing that is not a text; one of the busy channel does it twice.
LIKELY = {"sends": 0.5, "tells": 0.4, "attaches": 0.45, "asks": 0.45, "plays": 0.3}
WORDS = 0.5
FILES_AT_ONCE = (1, 1, 2, 3)


def texts(draw: Draw, seconds: float, people: Sequence[Person]) -> Iterator[Act]:
    """Both sides write at the same time; those of the first channel write as much as all others together."""
    acts = [
        act
        for who, person in enumerate(people)
        for act in _texts_of(draw, seconds, who, person, busy=person.channel == 0)
    ]
    for nth, act in enumerate(sorted(acts, key=lambda one: one.at_s)):
        yield replace(act, text=f"{act.kind} {nth:05d}z") if act.kind != "reads" else act


def _texts_of(draw: Draw, seconds: float, who: int, person: Person, *, busy: bool) -> Iterator[Act]:
    turns = max(2, round(seconds / (2.0 if busy else 5.0)))
    for kind in (*TEXTS, "reads") if person.opened else ("customer",):
        for _ in range(draw.randint(1, turns)):
            at_s = draw.uniform(0, seconds)
            yield Act(at_s=at_s, kind=kind, who=who)
            if kind != "reads" and draw.random() < 0.08:
                yield from (Act(at_s=at_s, kind=kind, who=who) for _ in range(draw.randint(3, BURST_TEXTS_MAX)))


def others(draw: Draw, seconds: float, people: Sequence[Person]) -> Iterator[Act]:
    """Files, cards, templates, calls of the API: what is not an ordinary text."""
    acts = [
        act
        for who, person in enumerate(people)
        for act in _others_of(draw, seconds, who, person, busy=person.channel == 0)
    ]
    yield from named(sorted(acts, key=lambda one: one.at_s))


def named(acts: Sequence[Act]) -> Iterator[Act]:
    """The same acts with words and bytes of their own."""
    for nth, act in enumerate(acts):
        key = f"m{nth:05d}z"
        files = tuple(replace(file, seed=10 * nth + place) for place, file in enumerate(act.files))
        yield replace(act, key=key, files=files, text=f"{act.kind} {key}" if act.text else "")


def _others_of(draw: Draw, seconds: float, who: int, person: Person, *, busy: bool) -> Iterator[Act]:
    if person.shut:
        yield Act(at_s=0.0, kind="ages", who=who)
        yield from (other(draw, draw.uniform(0, seconds), "asks", who, shape) for shape in ("aviso", "text"))
    for kind, likely in LIKELY.items():
        if not _can(kind, person):
            continue
        for _ in range(2 if busy else 1):
            if draw.random() < likely:
                yield other(draw, draw.uniform(0, seconds), kind, who)


def _can(kind: str, person: Person) -> bool:
    """Only who has a chat is answered in it; who has been silent for a day stays silent."""
    return not person.shut if kind in {"sends", "tells"} else person.opened


def other(draw: Draw, at_s: float, kind: str, who: int, shape: str = "") -> Act:
    """One act that is no ordinary text, with everything about it drawn; its words and bytes are named later."""
    shape = shape or draw.choice(SHAPES.get(kind, ("",)))
    count = {"sends": 1, "attaches": draw.choice(FILES_AT_ONCE)}.get(kind, 0)
    files = tuple(_file(draw, kind) for _ in range(count))
    # Neither a voice note nor a sticker has words.
    wordless = any(file.kind in {"voice", "sticker"} for file in files) or (files and draw.random() > WORDS)
    wordless = wordless or kind == "plays"
    return Act(at_s=at_s, kind=kind, who=who, shape=shape, files=files, text="" if wordless else kind)


def _file(draw: Draw, act: str) -> File:
    kind, size = draw.choice(FILE_KINDS[act]), draw.choice(SIZES)
    return File(kind=kind, size=min(size, STICKER_SIZE) if kind == "sticker" else size, seed=0)
