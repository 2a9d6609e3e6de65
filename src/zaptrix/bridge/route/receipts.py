"""Receipts onto the ledger: forward only; early ones are parked; a failure is buried and the operator told.

And what Meta changed about templates: recorded, told to the admin, and the lists that hold them are fetched anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
import structlog

from zaptrix.bridge.tell.notices import Line, say, sent_by_api
from zaptrix.bridge.tell.pauses import held_back, pause_channel
from zaptrix.core.delivery.errors import FailureScope
from zaptrix.core.delivery.lanes import Lane, bitrix24_lane, meta_lane
from zaptrix.core.delivery.retry import Pause
from zaptrix.core.event import Pricing, Receipt, TemplateChange
from zaptrix.core.ids import ChannelId, MessageId
from zaptrix.core.limits import SKETCH_MAX
from zaptrix.core.message.message import (
    OPEN_STATES,
    Content,
    Direction,
    MediaContent,
    Notice,
    Origin,
    Side,
    State,
    shown,
    words_without_file,
)
from zaptrix.core.message.states import advance
from zaptrix.core.message.text import Text, in_a_line
from zaptrix.core.wording.error_codes import OF_FILES, CodeTable, ErrorClass, Rule, notice_of
from zaptrix.store.accounts import templates
from zaptrix.store.connection.database import Connection
from zaptrix.store.ledger import awaited, messages, operator_changes
from zaptrix.store.ledger import receipts as stored
from zaptrix.store.ledger.messages import NewMessage
from zaptrix.store.ledger.receipts import Advance, ChannelReceipt, MessageStanding
from zaptrix.store.people import conversations
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind, Result

log = structlog.get_logger(__name__)

# After these a template works no worse than before.
_GOOD_NEWS = {
    "status": ("APPROVED", "PENDING", "REINSTATED", "UNARCHIVED"),
    "quality": ("GREEN", "UNKNOWN"),
    "components": ("",),
}


class Applied(NamedTuple):
    """The lanes to ring after the transaction, whether a number stands still now, and which open messages it ended."""

    lanes: set[Lane]
    paused: bool = False
    ended: Sequence[tuple[MessageStanding, State]] = ()


async def apply_receipts(connection: Connection, told: Sequence[ChannelReceipt], codes: CodeTable) -> Applied:
    """Move the messages that receipts speak of, inside the caller's transaction."""
    standings = await stored.standings(connection, told)
    by_id = {standing.id: standing for standing in standings}
    by_whatsapp_id = {(each.channel_id, each.whatsapp_id): each for each in standings if each.whatsapp_id}
    matched: list[tuple[MessageStanding, Receipt]] = []
    unknown: list[ChannelReceipt] = []
    for each in told:
        receipt = each.receipt
        standing = by_id.get(receipt.message_id) if receipt.message_id else None
        if standing is None or standing.channel_id != each.channel_id:
            standing = by_whatsapp_id.get((each.channel_id, receipt.whatsapp_id))
        if standing is None:
            unknown.append(each)
        elif not _is_of_an_earlier_send(receipt, standing):
            matched.append((standing, receipt))
    if unknown:
        await stored.park(connection, unknown)
    advances = _furthest(matched)
    if not advances:
        return Applied(set())
    await stored.advance(connection, advances)
    await awaited.await_now(connection, [step.id for step in advances if _proves_arrival(step, by_id[step.id])])
    await awaited.withdraw(connection, [step.id for step in advances if step.state is State.DEAD])
    await say(connection, await _said(connection, advances, by_id, codes))
    lanes = await _words_alone(connection, advances, by_id, codes)
    paused = await _pause(connection, advances, by_id, codes)
    ended = [(by_id[step.id], step.state) for step in advances if by_id[step.id].state in OPEN_STATES]
    return Applied(lanes | _lanes_to_ring(advances, by_id), bool(paused), ended)


def _proves_arrival(step: Advance, standing: MessageStanding) -> bool:
    """Whether the operator's side is told of it: the runner may never come back to say that the message was sent."""
    unsaid = standing.state in OPEN_STATES or standing.state is State.DEAD
    return step.state is not State.DEAD and unsaid and standing.origin is Origin.OPERATOR


def tell_ended(ended: Iterable[tuple[MessageStanding, State]]) -> None:
    """Count and log messages whose receipt came before their runner's own word, which then says nothing any more.

    To be called after the transaction, which may be rolled back and played again.
    """
    for standing, state in ended:
        dead = state is State.DEAD
        metrics.messages_processed(Direction.OUTBOUND, Result.FAILURE if dead else Result.SUCCESS)
        said = {"message_id": standing.id, "request_id": standing.request_id, "direction": Direction.OUTBOUND.value}
        log.info("buried" if dead else "delivered", by="receipt", **said)


def _is_of_an_earlier_send(receipt: Receipt, standing: MessageStanding) -> bool:
    """Whether it tells that a send failed which was made good since then."""
    return receipt.status is State.DEAD and standing.whatsapp_id not in {None, receipt.whatsapp_id}


def _lanes_to_ring(advances: Iterable[Advance], standings: dict[MessageId, MessageStanding]) -> set[Lane]:
    """The portal has a confirmation or a notice to be told; the conversation's next message may go.

    That what was sent is delivered or read tells neither of them anything.
    """
    lanes: set[Lane] = set()
    for step in advances:
        standing = standings[step.id]
        if State.DEAD in {step.state, standing.state} or standing.state in OPEN_STATES:
            lanes.add(bitrix24_lane(standing.portal_id))
        if standing.state in OPEN_STATES:
            lanes.add(meta_lane(standing.channel_id))
    return lanes


def _furthest(matched: Iterable[tuple[MessageStanding, Receipt]]) -> list[Advance]:
    """The one step that each message takes, when its receipts are taken one after another."""
    states: dict[int, State] = {}
    steps: dict[int, Advance] = {}
    prices: dict[int, Pricing] = {}
    for standing, receipt in matched:
        if receipt.pricing is not None:
            prices.setdefault(standing.id, receipt.pricing)
        step = advance(states.get(standing.id, standing.state), receipt.status)
        if step is None:
            continue
        states[standing.id] = step
        steps[standing.id] = Advance(
            id=standing.id,
            state=step,
            at=receipt.at,
            whatsapp_id=receipt.whatsapp_id,
            code=receipt.code,
            detail=receipt.detail,
        )
    return [msgspec.structs.replace(step, pricing=prices.get(id_)) for id_, step in steps.items()]


async def _said(
    connection: Connection, advances: Sequence[Advance], standings: dict[MessageId, MessageStanding], codes: CodeTable
) -> list[Line]:
    """Notices in the chat: of what WhatsApp failed to deliver, and of a program's text that it has just proven sent."""
    said = [_failed(step, standings[step.id], codes) for step in advances if step.state is State.DEAD]
    proven = {step.id: step for step in advances if step.state is not State.DEAD}
    to_show = [id_ for id_ in proven if standings[id_].origin is Origin.API and standings[id_].state in OPEN_STATES]
    for message_id, content in (await messages.contents(connection, to_show)).items():
        if notice := sent_by_api(message_id, content):
            said.append(Line(standings[message_id].conversation_id, notice, proven[message_id].at))
    revived = [
        step for step in proven.values() if standings[step.id].state is State.DEAD and standings[step.id].notice_id
    ]
    told = await messages.contents(connection, [step.id for step in revived])
    said += [_arrived_after_all(step, standings[step.id], told.get(step.id)) for step in revived]
    return said


def _arrived_after_all(step: Advance, standing: MessageStanding, content: Content | None) -> Line:
    """The operator was told that it failed: that is not so any more."""
    words = in_a_line((content and shown(content)) or "", SKETCH_MAX)
    notice = Notice("arrived_after_all", {"text": f" “{words}”" if words else ""})
    return Line(standing.conversation_id, notice, step.at, step.id)


def _failed(step: Advance, standing: MessageStanding, codes: CodeTable) -> Line:
    log.warning("failed on whatsapp", message_id=step.id, code=step.code)
    code = step.code or "unknown"
    return Line(
        standing.conversation_id, Notice(notice_of(codes.rule_of(code), late=True), {"code": code}), step.at, step.id
    )


async def _words_alone(
    connection: Connection, advances: Sequence[Advance], standings: dict[MessageId, MessageStanding], codes: CodeTable
) -> set[Lane]:
    """An operator's words outlive their file also when WhatsApp refuses it afterwards: they go by themselves.

    What is left of the first one is the file, so that whoever revives it does not send the words again.
    """
    of_file = {
        step.id: step
        for step in advances
        if step.state is State.DEAD
        and standings[step.id].origin is Origin.OPERATOR
        and notice_of(codes.rule_of(step.code or "unknown")) in OF_FILES
    }
    if not of_file:
        return set()
    rows: list[NewMessage] = []
    talks = await conversations.by_ids(connection, [standings[id_].conversation_id for id_ in of_file])
    for message_id, content in (await messages.contents(connection, list(of_file))).items():
        standing, words = standings[message_id], words_without_file(content)
        if words is None or not isinstance(content, MediaContent):
            continue
        row = NewMessage(
            conversation=talks[standing.conversation_id],
            direction=Direction.OUTBOUND,
            origin=Origin.OPERATOR,
            content=words,
            request_id=standing.request_id or "",
            written_at=of_file[message_id].at,
        )
        rows.append(row)
        await operator_changes.rewrite(connection, message_id, msgspec.structs.replace(content, caption=Text()))
    if rows:
        await messages.insert(connection, rows)
    return {meta_lane(row.conversation.channel_id) for row in rows}


async def _pause(
    connection: Connection, advances: Sequence[Advance], standings: dict[MessageId, MessageStanding], codes: CodeTable
) -> set[ChannelId]:
    """Numbers whose key proved bad only after WhatsApp had taken the message; who waits behind them is told."""
    paused: set[ChannelId] = set()
    for step in advances:
        code, channel_id = step.code, standings[step.id].channel_id
        if step.state is not State.DEAD or code is None or not _is_bad_key(codes.rule_of(code)):
            continue
        verdict = Pause(FailureScope.CHANNEL, code, step.detail or "", step.at)
        if await pause_channel(connection, channel_id, Side.WHATSAPP, verdict, step.at):
            paused.add(channel_id)
    if paused:
        await say(connection, await held_back(connection, paused, max(step.at for step in advances)))
    return paused


def _is_bad_key(rule: Rule | None) -> bool:
    return rule is not None and rule.kind in {ErrorClass.CHANNEL, ErrorClass.PORTAL}


# --- templates -------------------------------------------------------------------------------------------------------


async def apply_template_changes(connection: Connection, told: Sequence[TemplateChange]) -> set[str]:
    """Record changes inside the caller's transaction; the accounts that a channel belongs to."""
    accounts = await templates.known_accounts(connection, list({each.waba_id for each in told}))
    ours = [each for each in told if each.waba_id in accounts]
    for each in ours:
        old = await templates.change(connection, each)
        _tell_change(each, old)
    await templates.outdate(connection, list(accounts))
    return accounts


def _tell_change(change: TemplateChange, old: str | None) -> None:
    is_bad = change.new not in _GOOD_NEWS.get(change.what, ())
    if is_bad:
        metrics.alarmed(AlarmKind.TEMPLATE)
    tell = log.warning if is_bad else log.info
    tell(
        "template changed",
        waba_id=change.waba_id,
        template=change.name,
        language=change.language,
        what=change.what,
        old=old,
        new=change.new,
        reason=change.reason,
        alarm=is_bad,
    )
