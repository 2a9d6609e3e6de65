"""One running house in which every error code is met: many conversations at once, and what became of each."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import UUID

from proof.world import Tenant, World, eventually
from tests.flows.error_codes import BITRIX24, LATE, META, OAUTH

TALKS_PER_PORTAL = 14  # their notices fit a portal's bucket
TENANTS_AT_ONCE = 6
ASKED_AT_ONCE = 8
SETTLED_S_MAX = 90.0
POLL_S = 0.3
DELIVERED = frozenset({"sent", "delivered", "read"})
ALONE = frozenset({"snooze", "pause"})  # these stop a whole number
SOON = ("130429", "131056")  # limits that are over within seconds

Json = dict[str, Any]


@dataclass(kw_only=True)
class Talk:
    """A conversation in which one code is met, and what was seen of it."""

    code: str
    verdict: str  # expected: it tells when to stop looking
    wa_id: str
    late: bool = False
    tenant: Tenant | None = None
    locale: str = "pt-BR"
    chat: Json = field(default_factory=dict)
    message_id: int = 0
    known: int = 0  # lines of ours that were in the chat before
    story: Json = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    held: bool = False  # the line or the portal is paused

    @property
    def message(self) -> Json:
        found: Json = self.story["message"]
        return found

    @property
    def attempts(self) -> list[tuple[str, str]]:
        return [(one["verdict"], one["code"]) for one in self.story["attempts"]]

    @property
    def at(self) -> Tenant:
        assert self.tenant is not None
        return self.tenant

    @property
    def conversation(self) -> UUID:
        return UUID(self.chat["external_chat_id"].rpartition("-")[2])

    @property
    def is_over(self) -> bool:
        if not self.story:
            return False
        state, failed = self.message["state"], self.message["error_code"] is not None
        match self.verdict:
            case "bury" | "unexpected":
                return state == "dead" and bool(self.said)
            case "pause":
                return failed and bool(self.said)
            case "pause line" | "pause portal":  # not at once: a key that was given seconds ago has its chance
                return failed and state == "pending" and self.held
            case "retry" | "verify":
                return state in DELIVERED
            case _:
                return failed and state == "pending"


@dataclass(kw_only=True)
class Driven:
    """Every talk by its code, and how their tenants stood in the end."""

    meta: dict[str, Talk]
    late: dict[str, Talk]
    bitrix24: dict[str, Talk]
    oauth: dict[str, Talk]
    channels: dict[UUID, Json]
    portals: dict[UUID, Json]
    resumed: dict[str, str]  # the state of what only had to wait for seconds


async def drive(world: World) -> Driven:
    """Meet every code."""
    numbers = count(1)
    meta = {code: Talk(code=code, verdict=want.verdict, wa_id=_wa_id(numbers)) for code, want in META.items()}
    late = {code: Talk(code=code, verdict="bury", wa_id=_wa_id(numbers), late=True) for code in LATE}
    alone = [talk for talk in meta.values() if talk.verdict in ALONE]
    alone += [talk for talk in late.values() if META[talk.code].verdict == "pause"]
    together = [talk for talk in (*meta.values(), *late.values()) if talk not in alone]
    opened = [*alone, *together]
    tenants = await _tenants(world, [*([talk] for talk in alone), *_chunks(together)])
    free = iter([talk for talk in alone if talk.tenant])
    await _open(world, opened)
    await world.faults(*map(_meta_fault, opened))
    await _each(opened, _operator_writes)
    await _watch(world, opened, direction="outbound")
    channels = {id_: await world.api("GET", f"/api/channels/{id_}") for id_ in (one.channel_id for one in tenants)}
    # The portals of numbers that stand still are as good as new, and there is one for each code.
    bitrix24 = {code: _again(next(free), code, want.verdict) for code, want in BITRIX24.items()}
    await _meet_bitrix24(world, bitrix24.values(), map(_bitrix24_fault, bitrix24.values()))
    rest = [Talk(code=code, verdict="pause portal", wa_id=_wa_id(numbers)) for code in OAUTH]
    tenants += await _tenants(world, [[talk] for talk in rest])
    await world.heal()
    await _open(world, rest)
    for talk in rest:
        await world.control("POST", f"portals/{talk.at.key}/expire", {})
    await _meet_bitrix24(world, rest, map(_oauth_fault, rest))
    portals = {id_: await world.api("GET", f"/api/portals/{id_}") for id_ in (one.portal_id for one in tenants)}
    lines = {id_: await world.api("GET", f"/api/channels/{id_}") for id_ in (one.channel_id for one in tenants)}
    channels = {id_: lines[id_] | {"whatsapp": channels.get(id_, lines[id_])} for id_ in lines}
    resumed = {code: await _resumed(world, meta[code]) for code in SOON}
    return Driven(
        meta=meta, late=late, bitrix24=bitrix24, oauth={talk.code: talk for talk in rest}, channels=channels,
        portals=portals, resumed=resumed,
    )  # fmt: skip


def _wa_id(numbers: Iterator[int]) -> str:
    return f"55418{next(numbers):07d}"


def _chunks(talks: list[Talk]) -> Iterator[list[Talk]]:
    for start in range(0, len(talks), TALKS_PER_PORTAL):
        yield talks[start : start + TALKS_PER_PORTAL]


def _again(talk: Talk, code: str, verdict: str) -> Talk:
    return Talk(
        code=code, verdict=verdict, wa_id=talk.wa_id, tenant=talk.tenant, locale=talk.locale, chat=talk.chat,
        known=len(talk.said),
    )  # fmt: skip


async def _each(talks: Iterable[Talk], act: Any, at_once: int = ASKED_AT_ONCE) -> None:
    gate = asyncio.Semaphore(at_once)

    async def one(talk: Talk) -> None:
        async with gate:
            await act(talk)

    await asyncio.gather(*map(one, talks))


async def _tenants(world: World, groups: list[list[Talk]]) -> list[Tenant]:
    """A portal with a number for each group; every other one speaks English."""
    gate, made = asyncio.Semaphore(TENANTS_AT_ONCE), []

    async def one(place: int, talks: list[Talk]) -> None:
        async with gate:
            tenant = await world.tenant()
        locale = "en" if place % 2 else "pt-BR"
        await world.api("PUT", f"/api/portals/{tenant.portal_id}", {"locale": locale})
        made.append(tenant)
        for talk in talks:
            talk.tenant, talk.locale = tenant, locale

    await asyncio.gather(*(one(place, talks) for place, talks in enumerate(groups)))
    return made


async def _open(world: World, talks: list[Talk]) -> None:
    """Each customer writes once, so that there is a chat to answer in."""
    writes = [
        {"phone_number_id": talk.at.number, "from": talk.wa_id, "name": "Ana", "text": f"bom dia de {talk.wa_id}"}
        for talk in talks
    ]
    await world.control("POST", "customers/write_many", {"writes": writes})

    async def all_there() -> bool:
        chats = {chat["messages"][0]["text"]: chat for chat in await _chats(world) if chat["messages"]}
        for talk in talks:
            talk.chat = chats.get(f"bom dia de {talk.wa_id}", {})
        return all(talk.chat for talk in talks)

    await eventually(all_there, SETTLED_S_MAX, "a chat for each customer")


async def _chats(world: World) -> list[Json]:
    chats: list[Json] = (await world.control("GET", "state?threads=2000"))["chats"]
    return chats


def _meta_fault(talk: Talk) -> Json:
    match = {"phone_number_id": talk.at.number, "customer": talk.wa_id}
    if talk.late:
        return {"side": "meta", "where": "webhook", "kind": "fail", "code": talk.code, "match": match}
    fault = {"side": "meta", "where": "api", "kind": "refuse", "code": talk.code, "match": match}
    return fault | ({"times": 1} if talk.verdict == "retry" else {})


def _bitrix24_fault(talk: Talk) -> Json:
    # An expired token is renewed inside of the call, so that only a second refusal is one.
    times = {"retry": 2 if talk.code == "expired_token" else 1, "verify": 1}.get(talk.verdict)
    match = {"portal": talk.at.key, "method": "imconnector.send.messages"}
    return {"side": "bitrix24", "where": "api", "kind": "refuse", "code": talk.code, "match": match, "times": times}


def _oauth_fault(talk: Talk) -> Json:
    return {"side": "oauth", "where": "api", "kind": "refuse", "code": talk.code, "match": {"portal": talk.at.key}}


async def _operator_writes(talk: Talk) -> None:
    letter = {"portal": talk.at.key, "chat_id": talk.chat["chat_id"], "text": f"resposta a {talk.wa_id}"}
    await talk.at.world.control("POST", "operators/write", letter)


async def _meet_bitrix24(world: World, talks: Iterable[Talk], faults: Iterable[Json]) -> None:
    talks = list(talks)
    await world.faults(*faults)
    await _each(talks, lambda talk: talk.at.customer_writes("e agora?", wa_id=talk.wa_id))
    await _watch(world, talks, direction="inbound")


async def _watch(world: World, talks: list[Talk], *, direction: str) -> None:
    """Look until each talk is over, or time is up: then what was seen last is what is judged."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SETTLED_S_MAX

    async def look(talk: Talk) -> None:
        if not talk.message_id:
            talk.message_id = await _newest(world, talk, direction)
        if talk.message_id:
            talk.story = await world.api("GET", f"/api/messages/{talk.message_id}?lang={talk.locale}")
        if talk.verdict == "pause portal":
            talk.held = bool((await world.api("GET", f"/api/portals/{talk.at.portal_id}"))["paused_at"])
        elif talk.verdict == "pause line":
            talk.held = bool((await world.api("GET", f"/api/channels/{talk.at.channel_id}"))["line_paused_at"])

    while (open_ := [talk for talk in talks if not talk.is_over]) and loop.time() < deadline:
        chats = {chat["external_chat_id"]: chat for chat in await _chats(world)}
        for talk in open_:
            lines = chats[talk.chat["external_chat_id"]]["messages"]
            talk.said = [line["text"] for line in lines if line["author"] == "system"][talk.known :]
        await _each(open_, look)
        await asyncio.sleep(POLL_S)


async def _newest(world: World, talk: Talk, direction: str) -> int:
    """The message that meets the code: the opening one went before it."""
    told = await world.api("GET", f"/api/conversations/{talk.conversation}/messages")
    whose = [one for one in told["items"] if one["direction"] == direction and one["origin"] != "gateway"]
    return int(whose[0]["id"]) if len(whose) > (direction == "inbound") else 0


async def _resumed(world: World, talk: Talk) -> str:
    async def sent() -> bool:
        talk_now = await world.api("GET", f"/api/messages/{talk.message_id}")
        return talk_now["message"]["state"] in DELIVERED

    await eventually(sent, SETTLED_S_MAX, f"what waited for {talk.code}")
    return "sent"
