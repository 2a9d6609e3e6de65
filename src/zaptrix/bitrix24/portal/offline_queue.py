"""A portal's queue of offline events: bound, read, cleared, and its rows as the events that they stand for.

https://apidocs.bitrix24.com/api-reference/events/offline-events.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeGuard

import msgspec

from zaptrix.bitrix24 import wire
from zaptrix.bitrix24.inbound.form import Form, Value
from zaptrix.bitrix24.inbound.webhook import Name, to_event
from zaptrix.bitrix24.rest.client import PortalClient
from zaptrix.core import limits
from zaptrix.core.delivery.errors import PlatformError, Refused
from zaptrix.core.event import Recovered
from zaptrix.core.portal import Portal
from zaptrix.core.recovery import NotKept, OfflineRows, RecoveredEvent

_EVENT = Name.MESSAGE_ADD
_ALREADY_BOUND = "already bind"  # "binded", in the portal's words
_EXTENDED = "rest_offline_extended"
_WRONG_LICENSE = "wrong_license"
_REQUEST_ID = "offline"
_ITEMS = "MESSAGES"
_PROCESSES_MAX = 50
_PROCESS_ID_MAX = 255


class PortalQueue:
    """Implements `core.recovery.OfflineEvents`."""

    def __init__(self, client: PortalClient) -> None:
        self._client = client

    async def bind(self, portal: Portal, *, wanted: bool) -> None:
        """https://apidocs.bitrix24.com/api-reference/events/event-bind.html"""
        is_bound = await self._client.ask(portal, "event.get", {}, lambda told: wire.is_bound_offline(told, _EVENT))
        if is_bound is wanted:
            return
        try:
            method = "event.bind" if wanted else "event.unbind"
            await self._client.call(portal, method, {"event": _EVENT, "event_type": "offline"})
        except PlatformError as error:
            if not wanted or _ALREADY_BOUND not in error.detail.casefold():
                raise

    async def keeps(self, portal: Portal) -> bool:
        """https://apidocs.bitrix24.com/api-reference/common/system/feature-get.html"""
        try:
            return await self._client.ask(
                portal, "feature.get", {"CODE": _EXTENDED}, lambda told: wire.truth(wire.dig(told, "value"))
            )
        except Refused:
            return False  # a portal too old to know the question

    async def read(self, portal: Portal, *, keep: bool) -> OfflineRows:
        """https://apidocs.bitrix24.com/api-reference/events/event-offline-get.html"""
        return await self._get(portal, {"clear": 0 if keep else 1})

    async def left(self, portal: Portal) -> list[OfflineRows]:
        """https://apidocs.bitrix24.com/api-reference/events/event-offline-list.html"""
        asked: dict[str, object] = {"filter": {"!PROCESS_ID": ""}}
        processes = await self._client.ask(portal, "event.offline.list", asked, _processes)
        # Of a list longer than its page each process is asked for the rest.
        return [await self._get(portal, {"clear": 0, "process_id": process_id}) for process_id in processes]

    async def clear(self, portal: Portal, process_id: str) -> None:
        """https://apidocs.bitrix24.com/api-reference/events/event-offline-clear.html"""
        await self._client.call(portal, "event.offline.clear", {"process_id": process_id})

    def events(
        self, portal: Portal, rows: Sequence[object], judge: Callable[[datetime | None], Recovered]
    ) -> list[RecoveredEvent]:
        return [told for row in rows for told in _told(portal, row, judge)]

    async def _get(self, portal: Portal, params: dict[str, object]) -> OfflineRows:
        # By id: their times are whole seconds, and operators write more than one message in a second.
        which: dict[str, object] = {"filter": {"=EVENT_NAME": _EVENT}, "order": {"ID": "ASC"}}
        asked = {"limit": limits.OFFLINE_ROWS, **which, **params}
        try:
            return await self._client.ask(
                portal, "event.offline.get", asked, lambda told: _kept(told, whole=params["clear"] == 0)
            )
        except Refused as error:
            if error.code.casefold() == _WRONG_LICENSE and params["clear"] == 0:
                raise NotKept from error
            raise


def _processes(rows: object) -> list[str]:
    """The readings that were not cleared, in their order."""
    ids = [wire.dig(row, "PROCESS_ID") for row in wire.listed(rows)]
    return list(dict.fromkeys(each for each in ids if _is_process_id(each)))[:_PROCESSES_MAX]


def _kept(answer: object, *, whole: bool) -> OfflineRows:
    process_id = wire.dig(answer, "process_id")
    return OfflineRows(
        rows=tuple(wire.listed(wire.dig(answer, "events"))),
        process_id=process_id if whole and _is_process_id(process_id) else "",
    )


def _is_process_id(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= _PROCESS_ID_MAX and value.isascii() and value.isprintable()


def _told(portal: Portal, row: object, judge: Callable[[datetime | None], Recovered]) -> Iterator[RecoveredEvent]:
    """A row holds a whole event, of which each message is one of ours."""
    name, data = wire.dig(row, "EVENT_NAME"), _as_form(wire.dig(row, "EVENT_DATA"))
    fields = data if isinstance(data, dict) else {}
    items = next((value for key, value in fields.items() if key.upper() == _ITEMS), None)
    if name != _EVENT or not isinstance(items, list) or not items:
        form: Form = {"event": _as_form(name) or "", "data": data or _as_form(row) or {}}
        yield from (RecoveredEvent(event=event) for event in to_event(form, portal.id, _REQUEST_ID))
        return
    recovered = judge(wire.moment(wire.dig(row, "TIMESTAMP_X")))
    mark = _as_form(msgspec.to_builtins(recovered)) or {}
    shared = {key: value for key, value in fields.items() if key.upper() != _ITEMS}
    for item in items:
        marked: Value = {**item, "recovered": mark} if isinstance(item, dict) else item
        chat_id = wire.dig(item, "chat", "id")
        for event in to_event({"event": _EVENT, "data": {**shared, _ITEMS: [marked]}}, portal.id, _REQUEST_ID):
            yield RecoveredEvent(
                event=event,
                external_chat_id=chat_id if isinstance(chat_id, str) else None,
                bitrix_message_id=wire.number(wire.dig(item, "im", "message_id")),
                recovered=recovered,
            )


def _as_form(value: object, depth: int = limits.FORM_DEPTH_MAX) -> Value | None:
    """JSON as the same event's form would have it: scalars are text, nulls are not there, and it is as deep at most."""
    if isinstance(value, Mapping | list) and not depth:
        return ""
    if isinstance(value, Mapping):
        found = ((str(key), _as_form(below, depth - 1)) for key, below in value.items())
        return {key: inner for key, inner in found if inner is not None}
    if isinstance(value, list):
        return [inner for below in value if (inner := _as_form(below, depth - 1)) is not None]
    if value is None:
        return None
    return ("1" if value else "0") if isinstance(value, bool) else str(value)
