"""Settle: verdicts into the ledger, many at once, each fenced by its attempt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
import structlog

from zaptrix.bridge.deliver.tick import Tick
from zaptrix.bridge.files.follow_up import Late, follow
from zaptrix.bridge.tell.notices import Line, say, sent_by_api
from zaptrix.bridge.tell.pauses import held_back, pause_channel, pause_portal
from zaptrix.bridge.tenants.ground import Ground
from zaptrix.core import limits
from zaptrix.core.delivery.claim import Claim, is_awaited
from zaptrix.core.delivery.errors import FailureScope
from zaptrix.core.delivery.lanes import Lane, bitrix24_lane, meta_lane
from zaptrix.core.delivery.outcome import Accepted
from zaptrix.core.delivery.retry import (
    COSTS_AN_ATTEMPT,
    PERHAPS_SENT,
    Bury,
    Pause,
    Retry,
    Reupload,
    Sent,
    Snooze,
    Verdict,
    Verify,
)
from zaptrix.core.ids import AttemptId, ConversationId
from zaptrix.core.message.message import (
    Direction,
    MediaContent,
    Notice,
    Origin,
    Side,
    State,
    kind_of,
    shown,
    words_without_file,
)
from zaptrix.store.connection.database import Connection, StoreConflict, StoreRefused
from zaptrix.store.connection.group_commit import GroupCommit
from zaptrix.store.ledger import backoffs, files, operator_changes, settlements
from zaptrix.store.ledger.claims import ClaimedRow
from zaptrix.store.ledger.settlements import FailedAttempt, Settlement
from zaptrix.store.people import conversations
from zaptrix.store.people.conversations import Placed
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind, Result

log = structlog.get_logger(__name__)

_GROUP_MAX = 500
_GROUPS_AT_ONCE = 2
_CONFLICTS_MAX = 2
_GIST_MAX = 60  # characters
_GATHER_S = 0.02  # nobody waits for a verdict but the next message of its conversation


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A claim and the verdict on it, given `at`. `proving`: it was a search for proof, not a send."""

    claim: Claim
    direction: Direction
    verdict: Verdict
    at: datetime
    proving: bool = False
    tick: Tick | None = None  # its arrival is being told from memory
    next_attempt_id: AttemptId | None = None  # claim what comes next in its conversation, should this one have ended
    leave_alone: datetime | None = None  # its portal or channel, until then


class _Beside(NamedTuple):
    """What was written beside verdicts: whether anything was paused, and where a file follows without a verdict."""

    paused: bool
    followed: Sequence[Lane]


class Settler:
    """Writes verdicts on messages of one direction: one transaction for all that are waiting."""

    def __init__(self, direction: Direction, ground: Ground) -> None:
        self._direction = direction
        self._now = ground.now
        self._database = ground.database
        self._bells = ground.bells
        self._changed = ground.directory.clear  # something was paused: the directory has to look again
        self._group: GroupCommit[Judged, ClaimedRow | None] = GroupCommit(
            self._commit, items_max=_GROUP_MAX, groups_at_once=_GROUPS_AT_ONCE, gather_s=_GATHER_S
        )

    async def settle(self, judged: Sequence[Judged]) -> list[ClaimedRow]:
        """Returns when the verdicts are on disk, with what was claimed behind them.

        Raises StoreUnavailable: then they are not. A verdict that was written already may be given again.
        """
        return [row for row in await self._group.add(judged) if row is not None]

    async def _commit(self, judged: list[Judged]) -> Sequence[ClaimedRow | None]:
        try:
            return await self._write_anew(judged)
        except StoreRefused as exc:
            if len(judged) > 1:
                # One of them, or a tenant that was just deleted: one by one it harms nobody but itself.
                return [(await self._commit([each]))[0] for each in judged]
            # It stays claimed, as if its runner had died, and is verified when the claim has run out.
            log.warning("not settled", message_id=judged[0].claim.message_id, reason=str(exc), alarm=True)
            return [None]

    async def _write_anew(self, judged: list[Judged]) -> Sequence[ClaimedRow | None]:
        """A verdict that is not written holds its message for as long as a claim lasts: who gave way begins anew."""
        for _ in range(_CONFLICTS_MAX):
            with suppress(StoreConflict):
                return await self._write(judged)
        return await self._write(judged)

    async def _write(self, judged: list[Judged]) -> Sequence[ClaimedRow | None]:
        told, beside = [_settlement(j) for j in judged], _Beside(paused=False, followed=())
        if all(map(_is_plain, judged)):
            # One statement is a transaction by itself.
            async with self._database.connection() as connection:
                settled = await settlements.settle(connection, self._direction, told)
            ours = [j for j in judged if j.claim.message_id in settled.ids]
        else:
            async with self._database.transaction() as connection:
                settled = await settlements.settle(connection, self._direction, told)
                ours = [j for j in judged if j.claim.message_id in settled.ids]
                beside = await self._write_beside(connection, judged, ours)
        for j in judged:
            if j.tick is not None:
                j.tick.settled(ours=j.claim.message_id in settled.ids)
        self._after(ours, judged)
        self._bells.ring_soon(beside.followed)
        if beside.paused:
            self._changed()
        return [settled.following.get(j.claim.message_id) for j in judged]

    async def _write_beside(self, connection: Connection, judged: Sequence[Judged], ours: Sequence[Judged]) -> _Beside:
        """What is more than a verdict."""
        await _place(connection, judged)
        overtaken = await _overtaken(connection, judged, ours)
        if failures := [f for j in (*ours, *overtaken) if (f := _failure(j))]:
            await settlements.record_failures(connection, failures)
        if stale := [j.claim.message_id for j in ours if isinstance(j.verdict, Reupload)]:
            await files.reupload(connection, stale)
        paused = [j for j in ours if isinstance(j.verdict, Pause) and await _pause(connection, j, j.verdict)]
        stopped = {j.claim.channel.id for j in paused if _holds_whatsapp(j)}
        for late in filter(None, map(_late, (*ours, *overtaken))):
            await follow(connection, late)
            if late.direction is Direction.OUTBOUND and (words := words_without_file(late.media)):
                await operator_changes.rewrite(connection, late.message_id, words)
        said = [line for j in ours if (line := _notice(j))]
        await say(connection, said + await held_back(connection, stopped, self._now()))
        if alone := {_owner(j): j.leave_alone for j in judged if j.leave_alone}:
            await backoffs.put(connection, alone)
        return _Beside(paused=bool(paused), followed=[meta_lane(j.claim.channel.id) for j in overtaken])

    def _after(self, ours: Iterable[Judged], judged: Iterable[Judged]) -> None:
        for j in ours:
            _count(j)
            _log(j)
        # Also of those that are written already: perhaps by an earlier try, after which nobody could ring.
        self._bells.ring_soon({lane for j in judged for lane in _lanes_to_ring(j)})


async def _overtaken(connection: Connection, judged: Sequence[Judged], ours: Sequence[Judged]) -> list[Judged]:
    """Sends whose receipt was faster than their own answer, and wrote the verdict; what the answer tells of the file
    nobody else knows. Meta's id shows that it is the same send, and the file that nobody has let it follow yet."""
    told = {j.claim.message_id: j for j in judged if _late(j) and j not in ours}
    sent = {id_: j.verdict.accepted.whatsapp_id for id_, j in told.items() if isinstance(j.verdict, Sent)}
    found = await files.still_with(connection, {id_: name for id_, name in sent.items() if name}) if sent else []
    return [told[id_] for id_ in found]


async def _pause(connection: Connection, judged: Judged, verdict: Pause) -> bool:
    claim = judged.claim
    if verdict.scope is FailureScope.PORTAL:
        return await pause_portal(connection, claim.portal.id, verdict)
    return await pause_channel(connection, claim.channel.id, _BOUND_FOR[judged.direction], verdict)


def _owner(judged: Judged) -> UUID:
    return judged.claim.portal.id if judged.direction is Direction.INBOUND else judged.claim.channel.id


def _is_plain(judged: Judged) -> bool:
    """Nothing is to be written but the verdict itself."""
    if judged.leave_alone is not None or judged.proving:
        return False
    verdict, claim = judged.verdict, judged.claim
    if isinstance(verdict, Sent):
        accepted = verdict.accepted
        told = accepted.file_missing or accepted.file_lost or claim.origin is Origin.API
        return not told and not _tells_news(accepted, claim)
    return isinstance(verdict, Snooze)


_STATES = {
    Sent: State.SENT,
    Snooze: State.PENDING,
    Retry: State.PENDING,
    Verify: State.VERIFYING,
    Reupload: State.PENDING,
    Bury: State.DEAD,
    Pause: State.PENDING,  # held until an admin repairs the key
}


def _settlement(judged: Judged) -> Settlement:
    claim, verdict = judged.claim, judged.verdict
    state = _STATES[type(verdict)]
    if judged.proving and isinstance(verdict, Pause):
        state = State.VERIFYING  # a search for proof goes on being one
    return Settlement(
        message_id=claim.message_id,
        attempt_id=claim.attempt_id,
        state=state,
        costs_an_attempt=isinstance(verdict, COSTS_AN_ATTEMPT) and not judged.proving,
        due_at=getattr(verdict, "at", None),
        whatsapp_id=verdict.accepted.whatsapp_id if isinstance(verdict, Sent) else None,
        error_code=getattr(verdict, "code", None),
        error_detail=getattr(verdict, "detail", None),
        confirm_in_s=_confirm_in_s(judged),
        next_attempt_id=judged.next_attempt_id if isinstance(verdict, Sent | Bury) else None,
    )


def _confirm_in_s(judged: Judged) -> float | None:
    """When the side that it came from is to be told by the ledger's row; None: not at all, or it is told already."""
    if not isinstance(judged.verdict, Sent) or not is_awaited(judged.claim, judged.direction):
        return None
    return 0.0 if judged.tick is None else judged.tick.row_in_s()


async def _place(connection: Connection, judged: Iterable[Judged]) -> None:
    """Keep the ids that a platform gave to a conversation, also when the message was settled by somebody else."""
    placed = [
        _placed(j.claim.conversation.id, j.verdict.accepted)
        for j in judged
        if isinstance(j.verdict, Sent) and _tells_news(j.verdict.accepted, j.claim)
    ]
    if placed:
        await conversations.place(connection, placed)


def _tells_news(accepted: Accepted, claim: Claim) -> bool:
    talk = claim.conversation
    told = (
        (accepted.bitrix_chat_id, talk.bitrix_chat_id),
        (accepted.bitrix_session_id, talk.bitrix_session_id),
        (accepted.bitrix_contact_id, talk.bitrix_contact_id),
        (accepted.wa_id, talk.customer.wa_id),
    )
    return any(new is not None and new != old for new, old in told)


def _placed(conversation_id: ConversationId, accepted: Accepted) -> Placed:
    return Placed(
        id=conversation_id,
        bitrix_chat_id=accepted.bitrix_chat_id,
        bitrix_session_id=accepted.bitrix_session_id,
        bitrix_contact_id=accepted.bitrix_contact_id,
        wa_id=accepted.wa_id,
    )


def _failure(judged: Judged) -> FailedAttempt | None:
    verdict = judged.verdict
    if isinstance(verdict, Sent) and (lost := verdict.accepted.file_lost):
        return FailedAttempt(message_id=judged.claim.message_id, verdict="file_lost", code=lost, detail="")
    if isinstance(verdict, Sent) or (isinstance(verdict, Snooze) and not judged.proving):
        return None  # pace is not a failure
    return FailedAttempt(
        message_id=judged.claim.message_id,
        verdict=type(verdict).__name__.lower(),
        code=verdict.code,
        detail=getattr(verdict, "detail", ""),
    )


def _notice(judged: Judged) -> Line | None:
    """What the operator is to be told in the chat. Not of notices: one that cannot be shown tells nobody anything."""
    claim, verdict, about = judged.claim, judged.verdict, None
    if isinstance(verdict, Sent) and claim.origin is Origin.API:
        went = words_without_file(claim.content) if verdict.accepted.file_lost else None
        shown = sent_by_api(claim.message_id, went or claim.content)
        if shown is None:
            return None
        notice = shown
    elif isinstance(verdict, Sent) and verdict.accepted.file_missing and claim.attachment and not _late(judged):
        notice = Notice("file_not_shown", {"address": claim.attachment.address})
    elif isinstance(verdict, Bury) and claim.origin is not Origin.GATEWAY:
        code = verdict.notice if judged.direction is Direction.OUTBOUND else _INBOUND.get(verdict.code, "inbound_lost")
        notice = Notice(code, _params(claim, verdict))
        about = claim.message_id
    else:
        return None
    return Line(claim.conversation.id, notice, claim.created_at, about)


def _params(claim: Claim, verdict: Bury) -> dict[str, str]:
    if verdict.code != PERHAPS_SENT:
        return {"code": verdict.code, "limit": _limit(verdict)}
    # One is asked to look for it in the chat, by its beginning.
    gist = shown(claim.content) or kind_of(claim.content)
    return {"text": gist if len(gist) <= _GIST_MAX else f"{gist[:_GIST_MAX]}…"}


def _limit(verdict: Bury) -> str:
    """How long it may be: what was measured says it, as a caption holds less than a text."""
    return verdict.detail if verdict.detail.isdigit() else str(limits.WHATSAPP_TEXT_MAX)


def _late(judged: Judged) -> Late | None:
    """A file that was not taken with its words. One that had none has been tried often enough.

    What is not to be had at all ends as a dead letter of its own, is told of, and can be revived.
    """
    claim, verdict = judged.claim, judged.verdict
    if not isinstance(verdict, Sent) or not isinstance(claim.content, MediaContent):
        return None
    if not verdict.accepted.file_missing and not verdict.accepted.file_lost:
        return None
    if claim.content.is_bare:
        return None
    return Late(
        message_id=claim.message_id,
        conversation=claim.conversation,
        direction=judged.direction,
        origin=claim.origin,
        media=claim.content,
        request_id=claim.request_id,
        written_at=claim.created_at,
    )


def _holds_whatsapp(judged: Judged) -> bool:
    """Whether operators' messages wait because of it; what a paused portal holds it can show nobody."""
    verdict = judged.verdict
    return (
        isinstance(verdict, Pause)
        and verdict.scope is not FailureScope.PORTAL
        and judged.direction is Direction.OUTBOUND
    )


def _lanes_to_ring(judged: Judged) -> Iterable[Lane]:
    """Who has something to do now: the side to be told of an arrival, or the portal for a notice."""
    claim = judged.claim
    if judged.tick is None and isinstance(judged.verdict, Sent) and is_awaited(claim, judged.direction):
        outbound = judged.direction is Direction.OUTBOUND
        yield bitrix24_lane(claim.portal.id) if outbound else meta_lane(claim.channel.id)
    if _notice(judged) or _holds_whatsapp(judged):
        yield bitrix24_lane(claim.portal.id)
    if _late(judged):
        inbound = judged.direction is Direction.INBOUND
        yield bitrix24_lane(claim.portal.id) if inbound else meta_lane(claim.channel.id)


_INBOUND = {PERHAPS_SENT: "perhaps_shown"}
_BOUND_FOR = {Direction.INBOUND: Side.BITRIX24, Direction.OUTBOUND: Side.WHATSAPP}


def _count(judged: Judged) -> None:
    verdict = judged.verdict
    metrics.verdict_given(_BOUND_FOR[judged.direction], verdict)
    if isinstance(verdict, Sent | Bury):
        metrics.messages_processed(judged.direction, Result.SUCCESS if isinstance(verdict, Sent) else Result.FAILURE)
    if isinstance(verdict, Sent):
        metrics.delivered_after(judged.direction, (judged.at - judged.claim.created_at).total_seconds())
    if getattr(verdict, "alarm", False):
        metrics.alarmed(AlarmKind.UNEXPECTED)


def _log(judged: Judged) -> None:
    claim, verdict = judged.claim, judged.verdict
    said = {
        "message_id": claim.message_id,
        "request_id": claim.request_id,
        "direction": judged.direction.value,
        "attempts": claim.attempts,
    }
    match verdict:
        case Sent():
            log.info("delivered", **said)
        case Bury(code):
            log.error("buried", code=code, alarm=verdict.alarm, **said)
        case _:
            log.info(type(verdict).__name__.lower(), code=verdict.code, **said)
