"""A portal's history, asked for replies that no event told of: many chats a request.

Bitrix24 sends an event once; what was written while nobody listened stands in the history alone.
https://apidocs.bitrix24.com/api-reference/events/index.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias, TypeVar

from zaptrix.bitrix24 import wire
from zaptrix.bitrix24.disknames import named
from zaptrix.bitrix24.inbound.webhook import told_late
from zaptrix.bitrix24.markup.markup import from_bbcode
from zaptrix.bitrix24.rest.client import PortalClient
from zaptrix.bitrix24.rest.codes import RestFailure, judge, words
from zaptrix.bitrix24.translate import is_part
from zaptrix.core import limits
from zaptrix.core.delivery.errors import PlatformError, Refused, TooFast, Unauthorized, Unavailable, Unclear
from zaptrix.core.delivery.pace import Spending
from zaptrix.core.event import NewEvent, Recovered
from zaptrix.core.ids import parse_callback_data
from zaptrix.core.portal import Portal
from zaptrix.core.recovery import Chat, ChatState, Look, OperatorReply, ReplyFile, Shown
from zaptrix.core.wording.notices import is_notice

_DIALOG = "imopenlines.dialog.get"
_HISTORY = "imopenlines.session.history.get"

# What a line shows to operators alone, and the marks of its own that an operator may be named as the author of. What is
# marked as output went to the customer.
_HIDDEN = "content-item-system"
_LINES_OWN = "content-item-ol-"
_TO_CUSTOMER = "content-item-ol-output"

T = TypeVar("T")
Found: TypeAlias = "T | PlatformError"


class PortalHistories:
    """Implements `core.recovery.Histories`."""

    def __init__(self, client: PortalClient, now: Callable[[], datetime]) -> None:
        self._client = client
        self._now = now

    async def states(self, portal: Portal, chats: Sequence[Chat]) -> list[ChatState | None]:
        """https://apidocs.bitrix24.com/api-reference/imopenlines/openlines/sessions/imopenlines-dialog-get.html"""
        found = await self._batch(portal, _DIALOG, [f"CHAT_ID={chat.bitrix_chat_id}" for chat in chats], _state)
        _refused_by_all(found)
        return [None if isinstance(each, PlatformError) else each for each in found]

    async def looks(self, portal: Portal, asked: Sequence[tuple[Chat, ChatState]]) -> list[Look]:
        """A session is asked for by its id: by its chat's, only members may read it."""
        wanted = [list(_where(chat, state)) for chat, state in asked]
        found = await self._batch(portal, _HISTORY, [where for wheres in wanted for where in wheres], wire.history)
        _refused_by_all(found)
        sessions = iter(found)
        return [_look([next(sessions) for _ in wheres]) for wheres in wanted]

    def event(self, chat: Chat, portal: Portal, reply: OperatorReply, *, late: bool, give_up: str | None) -> NewEvent:
        """As the portal would have posted it, with the operator's name in front."""
        signed = f"[b]{reply.author}:[/b] [br]{reply.text}" if reply.author else reply.text
        files = [
            {"name": file.name, "type": file.type, "downloadLink": file.source, "size": file.size}
            for file in reply.files
        ]
        item: dict[str, object] = {
            "im": {"chat_id": str(chat.bitrix_chat_id), "message_id": str(reply.bitrix_message_id)},
            "message": {"text": signed, "files": files},
            "chat": {"id": chat.external_chat_id},
            "recovered": Recovered(late=late, written_at=reply.written_at, give_up=give_up),
        }
        return told_late(
            portal.id, item, connector=portal.connector_id, line_id=chat.line_id, message_id=reply.bitrix_message_id
        )

    async def _batch(
        self, portal: Portal, method: str, queries: Sequence[str], reader: Callable[[object], T]
    ) -> list[Found[T]]:
        """The results of one method, in order. Raises what concerns the portal and not one command."""
        commands = {f"c{place}": f"{method}?{query}" for place, query in enumerate(queries)}
        spends = Spending(portal_id=portal.id, method=method, items=len(commands))
        return await self._client.ask(
            portal,
            "batch",
            {"halt": 0, "cmd": commands},
            lambda told: [self._command(method, told, name, reader) for name in commands],
            spends=spends,
        )

    def _command(self, method: str, told: object, name: str, reader: Callable[[object], T]) -> Found[T]:
        error = wire.dig(told, "result_error", name)
        if error is None:
            result = wire.dig(told, "result", name)
            return Refused("no_result", method) if result is None else reader(result)
        code, description = wire.dig(error, "error"), wire.dig(error, "error_description")
        failure = RestFailure(
            method=method, status=400, code=words(code), description=words(description), reset_at=None, now=self._now()
        )  # fmt: skip
        judged = judge(failure)
        if isinstance(judged, TooFast | Unavailable | Unclear | Unauthorized):
            raise judged
        return judged


def _refused_by_all(found: Sequence[Found[T]]) -> None:
    refusals = [each for each in found if isinstance(each, PlatformError)]
    if found and len(refusals) == len(found):
        raise refusals[0]


def _state(dialog: object) -> ChatState | None:
    last = wire.number(wire.dig(dialog, "last_message_id"))
    return ChatState(last_message_id=last, bitrix_session_id=wire.session_of(dialog)) if last else None


def _where(chat: Chat, state: ChatState) -> Iterator[str]:
    """The session that is open now, and the one that was when we last heard: replies may stand in both."""
    sessions = sorted({each for each in (chat.bitrix_session_id, state.bitrix_session_id) if each})
    yield from (f"SESSION_ID={session}" for session in sessions)
    if not sessions:
        yield f"CHAT_ID={chat.bitrix_chat_id}"


def _look(sessions: Iterable[Found[wire.History]]) -> Look:
    histories = [each for each in sessions if not isinstance(each, PlatformError)]
    shown = {one.key: one for history in histories for message in history.messages if (one := _shown(message, history))}
    return Look(replies=tuple(_operators(histories)), shown=tuple(shown.values()))


def _shown(message: wire.HistoryMessage, history: wire.History) -> Shown | None:
    author = history.people.get(message.sender_id) if message.sender_id else None
    if author is None or not message.id or not message.external_ids:
        return None
    if not author.guest:
        return Shown(key=str(message.id), customers=False, written_at=message.written_at)
    key = message.external_ids[0]
    # A part is not its message, and a file that followed its words has no id of WhatsApp's.
    if parse_callback_data(key) is not None or is_part(key):
        return None
    return Shown(key=key, customers=True, written_at=message.written_at)


def _operators(histories: Iterable[wire.History]) -> list[OperatorReply]:
    found = {
        message.id: _reply(message, history)
        for history in histories
        for message in history.messages
        if message.id and _is_operators(message, history.people)
    }
    return [found[message_id] for message_id in sorted(found)]


def _is_operators(message: wire.HistoryMessage, people: Mapping[int, wire.Person]) -> bool:
    """Written by an employee, for the customer, and not confirmed: what was confirmed carries WhatsApp's id."""
    author = people.get(message.sender_id) if message.sender_id else None
    if author is None or author.guest or message.external_ids:
        return False
    if _HIDDEN in message.style or (_LINES_OWN in message.style and _TO_CUSTOMER not in message.style):
        return False
    return bool(message.bbcode or message.files) and not is_notice(
        from_bbcode(message.bbcode[: limits.OPERATOR_TEXT_MAX]).plain
    )


def _reply(message: wire.HistoryMessage, history: wire.History) -> OperatorReply:
    assert message.id is not None
    assert message.sender_id is not None
    return OperatorReply(
        bitrix_message_id=message.id,
        author=history.people[message.sender_id].name,
        text=message.bbcode,
        written_at=message.written_at,
        files=tuple(_file(history.files.get(file_id), file_id) for file_id in message.files),
    )


def _file(told: wire.SentFile | None, file_id: int) -> ReplyFile:
    """The history tells of its files; of one that it does not, the id is enough."""
    if told is None:
        return ReplyFile(source=named(file_id))
    return ReplyFile(source=told.link, name=told.name, type=told.type, size=told.size)
