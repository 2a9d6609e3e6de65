"""Endpoints for webhooks of both platforms, outside of the framework.

They are on the hot path: no framework, no task, and a log line a webhook at debug only. What a platform signed is never
throttled: a refused webhook of one tenant would make the platform slow for all. Nothing is answered 200 before it is on
disk.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

import structlog

from zaptrix.app import App
from zaptrix.bitrix24.inbound.webhook import BadForm, claimed_in
from zaptrix.broker.connection.quiet import RateLimitedLog
from zaptrix.core.limits import BITRIX_BODY_BYTES_MAX, META_BODY_BYTES_MAX
from zaptrix.core.message.message import Side
from zaptrix.core.wording.catalog import Sentence
from zaptrix.store.connection.database import StoreUnavailable
from zaptrix.store.encryption import UnreadableSecret
from zaptrix.store.journal.spool import SpoolFull
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind
from zaptrix.web.doors.bitrix24_admission import Admission, NotAdmitted
from zaptrix.web.http.address import client_address
from zaptrix.web.http.bodies import Bodies
from zaptrix.web.http.problems import (
    FORBIDDEN,
    MALFORMED,
    METHOD_NOT_ALLOWED,
    Problem,
    too_many,
    unauthorized,
    unavailable,
)
from zaptrix.web.http.responses import EMPTY, Response, plain
from zaptrix.web.http.talk import Scope, Talk
from zaptrix.whatsapp.inbound import webhook

META_PATH = "/webhooks/meta"
BITRIX24_PATH = "/webhooks/bitrix24/outbound"

log = structlog.get_logger(__name__)
_quiet = RateLimitedLog(__name__)

_NO_SIGNATURE = Sentence("webhooks.no_signature")
_NOT_ADMITTED = Sentence("webhooks.not_admitted")
_NOT_KEPT = Sentence("webhooks.not_kept")
_NOWHERE = Sentence("webhooks.nowhere")
_NOT_OUR_TOKEN = Sentence("webhooks.verify_token")


class Doors:
    """Answers webhooks. Every refusal is raised as a Problem."""

    def __init__(self, app: App, bodies: Bodies) -> None:
        self._app = app
        self._bodies = bodies
        self._admission = Admission(app.directory, app.watch)
        self._secrets = app.settings.meta_app_secret
        self._verify_token = app.settings.meta_verify_token

    async def meta(self, scope: Scope, talk: Talk, request_id: str) -> Response:
        """https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/create-webhook-endpoint"""
        if scope.method == "GET":
            return await self._challenge(scope)
        _only(scope, "POST", allow="GET, POST")
        signature = scope.headers.get("x-hub-signature-256")
        if not webhook.is_signature(signature):
            self._refuse_over(scope)  # nothing in the body could make it Meta's
        body = await self._bodies.read(scope, talk, META_BODY_BYTES_MAX)
        if not webhook.verify(self._secrets, body, signature):
            raise await self._stranger(scope, unauthorized(_NO_SIGNATURE))
        try:
            await self._app.receiver.accept(webhook.split(body, request_id))
        except StoreUnavailable:
            raise unavailable(_NOT_KEPT) from None
        metrics.webhook_received(Side.WHATSAPP)
        log.debug("webhook received", source="meta", bytes=len(body), request_id=request_id)
        return EMPTY

    async def bitrix24(self, scope: Scope, talk: Talk, request_id: str) -> Response:
        """https://apidocs.bitrix24.com/api-reference/events/index.html"""
        _only(scope, "POST", allow="POST")
        body = await self._bodies.read(scope, talk, BITRIX_BODY_BYTES_MAX)
        if self._app.senders.know(*claimed_in(body)):
            await self._bitrix24(scope, body, request_id, known=True)
        else:
            with self._bodies.judged(len(body)):
                known = await self._known_after_all(scope, body)
                await self._bitrix24(scope, body, request_id, known=known)
        metrics.webhook_received(Side.BITRIX24)
        log.debug("webhook received", source="bitrix24", bytes=len(body), request_id=request_id)
        return EMPTY

    async def _known_after_all(self, scope: Scope, body: bytes) -> bool:
        """False for who is not known. Raises a Problem when their address is over the limit.

        Before that is said to somebody with a token, it is looked whether it is a new one: that look is everybody's.
        """
        if self._app.throttle.refused_for(self._limited_as(scope)) is None:
            return False
        claimed = claimed_in(body)
        if all(claimed):
            await self._app.senders.look_again()
            if self._app.senders.know(*claimed):
                return True
        self._refuse_over(scope)
        return False  # their time was over meanwhile

    async def _bitrix24(self, scope: Scope, body: bytes, request_id: str, *, known: bool) -> None:
        """Returns when the event is on disk. `known`: it is a portal's, as far as can be told from memory."""
        try:
            events = await self._admission.admit(body, request_id)
            if self._app.spool.waits():
                # An earlier event of the same conversation may be among what waits: no overtaking.
                await self._keep(body, request_id)
            else:
                await self._app.receiver.accept(events)
        except BadForm as exc:
            raise await self._stranger(
                scope, Problem(MALFORMED, Sentence("webhooks.bad_form", {"why": str(exc)}))
            ) from None
        except NotAdmitted:
            raise await self._stranger(scope, unauthorized(_NOT_ADMITTED)) from None
        except StoreUnavailable:
            await self._keep_unproven(scope, body, request_id, known=known)
        except UnreadableSecret:
            await self._keep_unproven(scope, body, request_id, known=known, held=True)
        except Exception:
            # Bitrix24 never sends an event twice: whatever broke here, the event is not lost with it.
            metrics.alarmed(AlarmKind.BROKE_DOWN)
            log.exception("event not admitted", request_id=request_id, alarm=True)
            await self._keep_unproven(scope, body, request_id, known=known)

    async def _challenge(self, scope: Scope) -> Response:
        query = dict(parse_qsl(scope.query_string, keep_blank_values=True))
        text = webhook.challenge(query, self._verify_token)
        if text is None:
            raise await self._stranger(scope, Problem(FORBIDDEN, _NOT_OUR_TOKEN))
        return plain(200, text)

    async def _keep_unproven(
        self, scope: Scope, body: bytes, request_id: str, *, known: bool, held: bool = False
    ) -> None:
        """Nobody can say for sure whose it is. `held`: nor will anybody soon, and the others do not wait for it."""
        if known:
            await self._keep(body, request_id, held=held)
        else:
            await self._keep_unknown(scope, body, request_id, held=held)

    async def _keep(self, body: bytes, request_id: str, *, held: bool = False) -> None:
        """A known portal's event, on the disk: the replay looks once more whose it is."""
        try:
            await self._app.spool.keep(body, request_id, held=held)
        except (SpoolFull, OSError) as exc:
            log.error("event not kept", reason=type(exc).__name__, request_id=request_id, alarm=True)  # noqa: TRY400
            raise unavailable(_NOWHERE) from None
        metrics.alarmed(AlarmKind.SPOOLED)
        log.warning("spooled", request_id=request_id)

    async def _keep_unknown(self, scope: Scope, body: bytes, request_id: str, *, held: bool) -> None:
        """An event of whom nobody can be asked about, within the limit of unknown callers and their share of the disk.

        No alarm: it is anybody's to make, and perhaps a portal that was made a moment ago.
        """
        await self._spend(scope)
        try:
            await self._app.spool.keep(body, request_id, vouched=False, held=held)
        except (SpoolFull, OSError) as exc:
            _quiet.warning("event of an unknown portal not kept", exc)
            raise unavailable(_NOWHERE) from None
        log.info("spooled for an unknown portal", request_id=request_id)

    def _refuse_over(self, scope: Scope) -> None:
        """Raises a Problem for an address that is over the limit of unknown callers."""
        wait_s = self._app.throttle.refused_for(self._limited_as(scope))
        if wait_s is not None:
            raise too_many(wait_s)

    async def _stranger(self, scope: Scope, refusal: Problem) -> Problem:
        """`refusal`, or that they have to slow down, who cannot show that they are a platform."""
        await self._spend(scope)
        return refusal

    async def _spend(self, scope: Scope) -> None:
        """Count a call of an unknown caller. Raises a Problem when that was one too many."""
        rate = self._app.settings.webhook_unauthenticated_rate_per_min
        wait_s = await self._app.throttle.allow(self._limited_as(scope), rate)
        if wait_s is not None:
            raise too_many(wait_s)

    def _limited_as(self, scope: Scope) -> str:
        return f"door:{client_address(scope.asgi, self._app.settings.trusted_proxies)}"


def _only(scope: Scope, method: str, *, allow: str) -> None:
    if scope.method != method:
        raise Problem(METHOD_NOT_ALLOWED, Sentence("webhooks.only", {"allowed": allow}), headers={"Allow": allow})
