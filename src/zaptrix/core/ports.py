"""Protocols by which the packages call each other without importing each other.

So the bridge knows no platform: `app.py` passes the implementations in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

import msgspec

from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.outcome import Outcome, Proof
from zaptrix.core.delivery.pace import Bucket, Operating, Spending
from zaptrix.core.delivery.retry import Patience
from zaptrix.core.ids import AttemptId, ChannelId, ConversationId, PortalId
from zaptrix.core.limits import WHATSAPP_TEXT_MAX
from zaptrix.core.message.media import MediaSource
from zaptrix.core.message.message import Said, Side
from zaptrix.core.message.template import CreatedTemplate, Definition
from zaptrix.core.message.text import Text
from zaptrix.core.portal import Channel, Locale, Portal

Call = tuple[Claim, ...]  # what goes into one request, in order


class Platform(Protocol):
    """A side of the bridge, as delivery sees it. No method raises `PlatformError`: it is returned as an outcome."""

    side: Side
    patience: Patience
    calls_at_once: int  # requests that one process has under way for one portal or channel
    claims_per_call: int  # claims that one request may carry

    def calls(self, claims: Sequence[Claim]) -> list[Call]:
        """`claims`, in order and each of another conversation, grouped into requests."""
        ...

    def throttled_s(self, owner: UUID) -> float:
        """How many seconds a call of that portal or channel would wait for its pace, as far as this process knows.

        0 where a call carries one claim anyway.
        """
        ...

    async def send(self, call: Call) -> list[Outcome]:
        """Send; one outcome a claim, in order. May take as long as the platform's timeout."""
        ...

    async def prove(self, claim: Claim) -> Proof:
        """After an unclear send: Accepted when the platform has it, Absent when it surely has not, else an error."""
        ...

    async def confirm(self, claims: Sequence[Claim]) -> list[Outcome]:
        """Tell this side, where `claims` came from, that they have arrived on the other; one outcome each."""
        ...


class TextLimits(Protocol):
    """What WhatsApp takes as one text. Sizes are of what is sent: marks, and the name of `author` above it, count."""

    def length(self, text: Text) -> int:
        """The characters that are sent for `text`, which nobody signs."""
        ...

    def may_be_long(self, text: Text, most: int = WHATSAPP_TEXT_MAX) -> bool:
        """Whether it is worth asking who signs, and measuring what is sent; quick."""
        ...

    def fits(self, text: Text, author: str | None, most: int) -> bool:
        """Whether `text` is sent with at most so many characters."""
        ...

    def split(self, text: Text, author: str | None) -> list[Text]:
        """`text` as texts that go one by one, with room for the name above the first. Linear in its length."""
        ...


class OperatorView(Protocol):
    """What an operator sees of a message."""

    def shown(self, content: Said, locale: Locale) -> Text:
        """`content` as the operator reads it; never empty."""
        ...


class Offer(Protocol):
    """What may be launched at once, counted over one batch of routing."""

    def attempt_for(self, owner: UUID, conversation_id: ConversationId) -> AttemptId | None:
        """The attempt that a message may be inserted as claimed by; None: it is inserted as waiting.

        `owner`: the portal of an inbound message, the channel of an outbound one.
        """
        ...


class Handover(Protocol):
    """Delivery in the same process, as routing sees it."""

    def offer(self) -> Offer:
        """Asked for before the transaction of the batch begins: a claim counts from then. One that is not used is
        dropped without a word, as its batch was not committed."""
        ...

    def take(self, claims: Sequence[Claim]) -> None:
        """Committed as claimed by attempts of an offer: they go now."""
        ...

    def waits(self, owner: UUID, conversation_id: ConversationId) -> None:
        """A message was committed that nobody has claimed: behind another of its conversation, or for want of room."""
        ...


class TemplateAccount(Protocol):
    """Where the templates of channels stand. Every method raises `PlatformError`."""

    async def waba_id(self, channel: Channel) -> str | None:
        """The account that the number belongs to, when its token may know."""
        ...

    async def templates(self, channel: Channel, waba_id: str) -> list[Definition]:
        """All of an account."""
        ...

    async def create_template(self, channel: Channel, waba_id: str, wanted: dict[str, object]) -> CreatedTemplate:
        """Hand one in for review. Raises Refused with what is wrong with it."""
        ...

    async def delete_template(self, channel: Channel, waba_id: str, name: str, template_id: str | None) -> None:
        """One language of it by its id, else all."""
        ...


class MediaAccount(Protocol):
    """WhatsApp, as those see it who prepare a file. Every method raises `PlatformError`."""

    async def media_source(self, channel: Channel, media_id: str) -> MediaSource:
        """Where a customer's file is right now."""
        ...

    async def upload(
        self, channel: Channel, parts: AsyncIterator[bytes], *, size: int, type_: str, name: str, timeout_s: float
    ) -> str:
        """Hand over a file in parts; its id. Doing it again harms nothing."""
        ...

    async def mark_read(
        self, channel: Channel, whatsapp_id: str, request_id: str = "", *, typing: bool = False
    ) -> None:
        """Blue ticks for a customer's message; `typing`: and the sign that an answer is coming."""
        ...


class Witness(Protocol):
    """The side that a message came from, asked what became of it where the other cannot be."""

    async def delivered(self, claim: Claim) -> Proof:
        """Accepted when it was told that the message had arrived; else Unprovable, or why it does not answer."""
        ...


class Statuses(Protocol):
    """Meta's word on what was sent."""

    async def under_way_s(self, channel: Channel) -> float:
        """How many seconds a status of the channel's number may need yet, mostly 0: because the gateway was away when
        Meta told it, or because nobody has read yet what came. May take `limits.STATUS_READ_S`.
        """
        ...


class Pace(Protocol):
    """Buckets shared by all processes. Every client takes a token before every request."""

    async def take(self, *buckets: Bucket) -> object:
        """Take one token of each bucket, waiting up to `limits.PACE_WAIT_S_MAX`.

        Raises TooFast (with `wait_s`, and nothing taken) when it would have to wait longer, or when nobody can tell.
        """
        ...

    async def refused(self, *buckets: Bucket) -> None:
        """The platform has refused for its pace: these buckets are full, for every process."""
        ...


class PortalPace(Pace, Protocol):
    """Pace of a platform that counts the run time of its methods, too."""

    async def take(self, *buckets: Bucket, spending: Spending | None = None) -> str:
        """As above; and reserve what is to be spent, or raise TooFast when the method's time is used up.

        Answers with the reservation's name; empty: the method is far from its limit, and nothing was reserved.
        """
        ...

    def wait_s(self, key: str) -> float:
        """How many seconds whoever asks for a bucket now would wait, as far as this process knows. Asks nobody."""
        ...

    async def settle(self, spending: Spending, reserved: str, told: Operating | None, *, refused: bool) -> None:
        """The portal has answered: what it counts now, and whether it has refused for the method's time."""
        ...


class TokenPair(msgspec.Struct, frozen=True, kw_only=True):
    """What a portal's OAuth chain stands on. Never logged, never in an error."""

    client_id: str
    client_secret: str
    access_token: str
    refresh_token: str
    expires_at: datetime
    oauth_host: str | None  # as the portal handed it over; None: try the official ones


class PortalTokens(Protocol):
    """Access tokens of portals. Both raise PlatformError."""

    async def token(self, portal: Portal) -> str:
        """One that is good for minutes."""
        ...

    async def refused(self, portal: Portal, token: str) -> str:
        """The portal did not take `token`: another one."""
        ...


class PortalAddresses(Protocol):
    """Where portals answer."""

    async def moved(self, portal_id: PortalId, client_endpoint: str) -> None:
        """The portal answers at a new address."""
        ...


class TokenVault(PortalAddresses, Protocol):
    """The stored token pairs: the truth."""

    async def pair(self, portal_id: PortalId) -> TokenPair: ...

    async def save(
        self, portal_id: PortalId, *, spent: str, access_token: str, refresh_token: str, expires_at: datetime
    ) -> bool:
        """Overwrite both tokens at once, which were given for `spent`; False when that is not the stored one any more:
        an admin or another process was faster, and what is stored stays."""
        ...

    def refreshing(self, portal_id: PortalId) -> AbstractAsyncContextManager[None]:
        """Held by the one process that may refresh this portal's tokens."""
        ...


class TokenCache(Protocol):
    """Cached access tokens, for 50 minutes at most. Losing one costs a read."""

    async def get(self, portal_id: PortalId) -> str | None: ...

    async def put(self, portal_id: PortalId, token: str, seconds: int) -> None: ...

    async def drop(self, portal_id: PortalId) -> None: ...

    async def keep_unsaved(self, portal_id: PortalId, record: bytes) -> bool:
        """A pair that was given and that the vault does not have yet, for whichever process refreshes next. False when
        it is not kept."""
        ...

    async def unsaved(self, portal_id: PortalId) -> bytes | None: ...

    async def drop_unsaved(self, portal_id: PortalId) -> None: ...


class PortalFiles(Protocol):
    """A portal's own word on where its files are. Both raise PlatformError."""

    async def address(self, portal: Portal, source: str) -> str:
        """Where a file of an operator's message can be fetched right now: most sources are an address already."""
        ...

    async def fresh(self, portal: Portal, source: str) -> str | None:
        """Another address of the same file; None when the portal tells none."""
        ...


class NumberCredentials(Protocol):
    """WhatsApp, asked with a token that is not kept yet."""

    async def account_of(self, phone_number_id: str, token: str, waba_id: str | None) -> str | None:
        """The number's WhatsApp Business account; None when it was not given and Meta does not tell this token of it.

        Raises NotOwned when Meta says that the token does not open the number, or that the number is not of `waba_id`;
        another PlatformError when Meta cannot be asked.
        """
        ...


class PortalCredentials(Protocol):
    """Bitrix24, asked with tokens that are not kept yet."""

    async def check(self, portal: Portal, pair: TokenPair, *, stored: bool, may_refresh: bool) -> TokenPair:
        """The pair to keep: a fresh one, when `pair` had run out and may be refreshed; `stored`: it is kept already.

        Raises NotOwned when they are not this portal's, or nobody answers for a portal at its address; another
        PlatformError when it cannot be asked.
        """
        ...


class Callback(NamedTuple):
    """Where an account's webhooks go instead of the address of its app, and what that address is asked with first."""

    url: str
    verify_token: str


class SubscribedApp(Protocol):
    """An app that gets an account's webhooks."""

    @property
    def override_callback_uri(self) -> str | None:
        """The address instead of the app's own."""
        ...


class SubscribedAccounts(Protocol):
    """The WhatsApp Business accounts whose webhooks come to our app. Every method raises PlatformError."""

    async def waba_id(self, channel: Channel) -> str | None: ...

    async def subscribed_apps(self, channel: Channel, waba_id: str) -> Sequence[SubscribedApp]:
        """The apps that get them."""
        ...

    async def subscribe(self, channel: Channel, waba_id: str, callback: Callback | None) -> None:
        """Have them sent to ours, at `callback` or at the app's own address. Doing it again harms nothing."""
        ...


class NumberTokens(Protocol):
    """Access tokens of WhatsApp numbers."""

    async def number_token(self, channel_id: ChannelId) -> str:
        """The number's token. Raises Unauthorized when there is none."""
        ...
