"""One builder for each package of the bridge: its parts from the settings, the ground and the platforms.

The platforms come as the ports of `core.ports`: which they are, only the composition root (`app`) knows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from zaptrix.bridge.deliver.attachments import Addresses, Attachments
from zaptrix.bridge.deliver.call_limit import CallBounds, CallLimit
from zaptrix.bridge.deliver.calls import Calls
from zaptrix.bridge.deliver.claiming import Claimer
from zaptrix.bridge.deliver.confirmer import Confirmer
from zaptrix.bridge.deliver.dispatcher import Dispatcher
from zaptrix.bridge.deliver.late_fields import Naming, Quoting
from zaptrix.bridge.deliver.settler import Settler
from zaptrix.bridge.recover.history import Recovery, RecoveryRules
from zaptrix.bridge.recover.offline_queue import Offline, OfflineRules
from zaptrix.bridge.route.inbound import InboundSteps
from zaptrix.bridge.route.outbound import OutboundSteps
from zaptrix.bridge.route.router import Route
from zaptrix.bridge.send.templates import Templates
from zaptrix.bridge.tenants.ground import Ground
from zaptrix.broker.cache.cache import ConversationCache, SeenCache
from zaptrix.broker.queues.workers import Drain
from zaptrix.core.delivery.lanes import Queue
from zaptrix.core.event import Event, Routed
from zaptrix.core.message.message import Side
from zaptrix.core.ports import OperatorView, Platform, TextLimits, Witness
from zaptrix.core.recovery import Histories, OfflineEvents
from zaptrix.core.wording.error_codes import CodeTable
from zaptrix.settings import Settings

Landing = Callable[[], Awaitable[None]]
"""Lets what is under way in memory come to its end."""


class Platforms(NamedTuple):
    """Both sides, as delivery sees them."""

    bitrix24: Platform
    whatsapp: Platform
    witness: Witness  # of what went to WhatsApp, which cannot be asked itself


class Delivery(NamedTuple):
    """Delivery to both sides, and what has to land before the process ends, in this order."""

    to_bitrix24: Dispatcher
    to_whatsapp: Dispatcher
    landing: tuple[Landing, ...]


def deliver(
    settings: Settings, ground: Ground, platforms: Platforms, *, addresses: Addresses, templates: Templates
) -> Delivery:
    database, now = ground.database, ground.now
    bounds = CallBounds(CallLimit(), settings.claim_lease_s)
    attachments = Attachments(database, addresses, now, settings.media_address_s)
    late_fields = (Naming(database, templates, now), Quoting(database, now))

    def dispatcher(platform: Platform, mine: Confirmer, back: Confirmer) -> Dispatcher:
        witness = platforms.witness if platform.side is Side.WHATSAPP else None
        calls = Calls(platform, ground, bounds, attachments=attachments, late_fields=late_fields, witness=witness)
        return Dispatcher(
            ground,
            bounds,
            claimer=Claimer(calls.direction, ground, bounds.lease_s),
            calls=calls,
            settler=Settler(calls.direction, ground),
            confirmer=mine,
            back=back,
        )

    confirmers = [Confirmer(platform, ground, bounds) for platform in (platforms.bitrix24, platforms.whatsapp)]
    to_bitrix24 = dispatcher(platforms.bitrix24, *confirmers)
    to_whatsapp = dispatcher(platforms.whatsapp, *reversed(confirmers))
    landing = (to_bitrix24.landed, to_whatsapp.landed, *(each.landed for each in confirmers))
    return Delivery(to_bitrix24, to_whatsapp, landing)


class Languages(NamedTuple):
    """What routing knows of the platforms: how their events are read, and how texts look there."""

    whatsapp: Callable[[Event], Routed]
    bitrix24: Callable[[Event], Routed]
    whatsapp_codes: CodeTable
    texts: TextLimits
    view: OperatorView


def drains(
    settings: Settings,
    ground: Ground,
    delivery: Delivery,
    languages: Languages,
    *,
    cache: ConversationCache,
    seen: SeenCache,
) -> Mapping[Queue, Drain]:
    """Who answers the bells of each queue."""
    inbound = InboundSteps(
        directory=ground.directory,
        cache=cache,
        seen=seen,
        codes=languages.whatsapp_codes,
        handover=delivery.to_bitrix24,
        file_wait_s=settings.media_ready_s,
    )
    outbound = OutboundSteps(
        directory=ground.directory,
        cache=cache,
        handover=delivery.to_whatsapp,
        texts=languages.texts,
        view=languages.view,
        file_wait_s=settings.media_ready_s,
    )
    return {
        Queue.INCOMING: Route(ground, languages.whatsapp, inbound, settings.slice_s).drain,
        Queue.BITRIX24: delivery.to_bitrix24.answer,
        Queue.OUTBOUND: Route(ground, languages.bitrix24, outbound, settings.slice_s).drain,
        Queue.META: delivery.to_whatsapp.answer,
    }


def recover(settings: Settings, ground: Ground, queue: OfflineEvents, histories: Histories) -> tuple[Offline, Recovery]:
    """What looks for replies that no event told of: in a queue of the portal's own, and in its history."""
    offline = Offline(ground, queue, OfflineRules.of(settings))
    return offline, Recovery(ground, histories, offline, RecoveryRules.of(settings))
