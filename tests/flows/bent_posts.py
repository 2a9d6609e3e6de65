"""A drawn sample of captured posts of every kind for the real doors: each whole, and some bent copies of each."""

import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from proof.world import Tenant
from tests.bitrix24.captured import CHAT, TREES, form_of
from tests.variations import all_single
from tests.whatsapp.builders import NUMBER
from tests.whatsapp.test_fixtures import BECOMES, POSTS
from zaptrix.bitrix24.inbound.webhook import parse_form, to_event
from zaptrix.core.ids import PortalId, connector_id
from zaptrix.whatsapp.inbound.webhook import split

SEED = 20_261_127
BENDS_OF_META = 8
BENDS_OF_BITRIX24 = 16
ANA, ANAS_ID = "554188887777", "BR.7391046285510937264"
NEW_NUMBER, NEW_ID = "5511955554444", "BR.2200558811119999"


@dataclass(frozen=True)
class Post:
    """One post. `keys`: of the events in it, by which the journal tells them apart. `items`: how many a whole one has,
    written down by hand; None of a bent one, or one that nobody vouches for."""

    name: str
    bend: str
    request_id: str
    body: bytes
    keys: frozenset[bytes]
    items: int | None
    vouched: bool = True

    def __str__(self) -> str:
        return f"{self.name}, {self.bend}"


def customers() -> dict[str, str]:
    """The customer of each captured post of Meta's, of its own, so that a move moves nobody else's conversation."""
    return {name: f"5541{30_000_000 + place}" for place, name in enumerate(POSTS)}


def askers() -> dict[str, str]:
    """The customer in whose chat each captured event of Bitrix24 stands."""
    return {name: f"5541{31_000_000 + place}" for place, name in enumerate(TREES)}


def of_meta(tenant: Tenant) -> list[Post]:
    """Each message under an id of its own, or most would be one message delivered again."""
    posts: list[Post] = []
    for name, bend, post in _drawn(POSTS, BENDS_OF_META):
        request_id = f"bent-meta-{len(posts):05d}"
        body = _meta_body(tenant, name, post, f"{len(posts)}")
        keys = frozenset(event.key for event in split(body, request_id))
        items = None if bend else len(BECOMES[name])
        posts.append(Post(name, bend, request_id, body, keys, items))
    return posts


def writers() -> dict[str, dict[str, str]]:
    """As whom the customer of each captured post writes after all of them: some posts say that she moved."""
    ids = {name: _ids(own) for name, own in customers().items()}
    told = {name: {"from": each[ANA], "user_id": each[ANAS_ID]} for name, each in ids.items()}
    told["system_new_user_id"]["user_id"] = ids["system_new_user_id"][NEW_ID]
    told["system_number_changed"] = {
        "from": ids["system_number_changed"][NEW_NUMBER],
        "user_id": ids["system_number_changed"][NEW_ID],
    }
    return told


def _meta_body(tenant: Tenant, name: str, post: Any, mark: str) -> bytes:
    changed = {NUMBER: tenant.number, "wamid.": f"wamid.{name}.{mark}.", **_ids(customers()[name])}
    text = json.dumps(post)
    for old, new in changed.items():
        text = text.replace(old, new)
    return text.encode()


def _ids(own: str) -> dict[str, str]:
    return {ANA: own, ANAS_ID: f"BR.7391{own}", NEW_NUMBER: f"5511{own[4:]}", NEW_ID: f"BR.2200{own}"}


def of_bitrix24(tenant: Tenant, chats: Mapping[str, dict[str, Any]]) -> list[Post]:
    """Each in the chat that `chats` has for it, and each message under an id of its own."""
    posts: list[Post] = []
    portal_id = PortalId(tenant.portal_id)
    for name, bend, tree in _drawn(TREES, BENDS_OF_BITRIX24):
        request_id = f"bent-bitrix24-{len(posts):05d}"
        told = _bitrix24_tree(tenant, tree, chats[name], len(posts))
        body = form_of(told)
        vouched = _is_vouched(tenant, told)
        keys = frozenset(event.key for event in to_event(parse_form(body), portal_id, request_id) if vouched)
        items = 2 if name == "two_texts" else 1
        posts.append(Post(name, bend, request_id, body, keys, None if bend else items, vouched))
    return posts


def _bitrix24_tree(tenant: Tenant, tree: Any, chat: dict[str, Any], mark: int) -> Any:
    changed = {
        CHAT: chat["external_chat_id"],
        '"1767"': f'"{chat["chat_id"]}"',
        "zaptrix_1": connector_id(PortalId(tenant.portal_id)),
        "https://acme-demo.bitrix24.com": tenant.portal["portal_url"].rstrip("/"),
        "0f6c3b7e9a1d4c5588aa77bb66cc55dd": tenant.portal["member_id"],
        "the-constant-token": tenant.portal["application_token"],
    }
    text = json.dumps(tree)
    for old, new in changed.items():
        text = text.replace(old, new)
    return json.loads(re.sub(r'"865(\d\d)"', rf'"9{mark:04d}\1"', text))


def _is_vouched(tenant: Tenant, tree: Any) -> bool:
    auth = tree.get("auth")
    given = (auth.get("member_id"), auth.get("application_token")) if isinstance(auth, dict) else None
    return given == (tenant.portal["member_id"], tenant.portal["application_token"])


def _drawn(captured: Mapping[str, Any], bends: int) -> Iterator[tuple[str, str, Any]]:
    """Name, bend and tree: all the whole ones first, then the bent ones of all, mixed."""
    drawing = random.Random(SEED)  # a sample, no secret
    yield from ((name, "", tree) for name, tree in captured.items())
    all_bends = {name: [*all_single(tree)] for name, tree in captured.items()}
    bent = [(name, bend, tree) for name, each in all_bends.items() for bend, tree in drawing.sample(each, bends)]
    drawing.shuffle(bent)
    yield from bent
