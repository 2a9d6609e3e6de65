"""The delivery port (`core.ports.Platform`) for WhatsApp."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

from msgspec.structs import replace

from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.errors import PlatformError, Refused, StaleUpload, TooFast
from zaptrix.core.delivery.outcome import Absent, Accepted, Outcome, Proof
from zaptrix.core.delivery.retry import Patience
from zaptrix.core.ids import ConversationId, callback_data
from zaptrix.core.limits import FILE_AGAIN_S, MEDIA_CAPTION_MAX, WHATSAPP_TEXT_MAX
from zaptrix.core.message.filewords import promise
from zaptrix.core.message.kinds import Cards, Location, Reaction
from zaptrix.core.message.media import Attachment, AttachmentState
from zaptrix.core.message.message import (
    Interactive,
    MediaContent,
    MediaKind,
    Origin,
    Side,
    Words,
    file_of,
    quote_of,
    words_without_file,
)
from zaptrix.core.message.template import Template
from zaptrix.core.message.text import Span, Text, plain_text, rich_text
from zaptrix.core.ports import Call, Statuses
from zaptrix.core.wording.error_codes import OF_FILES
from zaptrix.whatsapp.client import GraphClient
from zaptrix.whatsapp.markup.markup import to_whatsapp
from zaptrix.whatsapp.outbound.quoted import in_words
from zaptrix.whatsapp.outbound.split_text import fits, in_parts, may_be_long, signed
from zaptrix.whatsapp.outbound.translate import (
    Typed,
    contacts,
    interactive,
    location,
    media_message,
    reaction,
    text_message,
)
from zaptrix.whatsapp.outbound.upload import MediaToSend, Wamid
from zaptrix.whatsapp.templates import to_wire

CALLS_AT_ONCE = 32
_BAD_PARAMETER = frozenset({"100", "131009"})


class WhatsApp:
    """Implements `core.ports.Platform` and `core.ports.TextLimits`."""

    side = Side.WHATSAPP
    claims_per_call = 1
    may_be_long = staticmethod(may_be_long)
    fits = staticmethod(fits)
    split = staticmethod(in_parts)

    def __init__(
        self, graph: GraphClient, statuses: Statuses, *, patience: Patience, calls_at_once: int = CALLS_AT_ONCE
    ) -> None:
        self._graph = graph
        self._statuses = statuses
        self.patience = patience
        self.calls_at_once = calls_at_once

    @staticmethod
    def length(text: Text) -> int:
        return len(to_whatsapp(text))

    def calls(self, claims: Sequence[Claim]) -> list[Call]:
        """The Graph API takes one message a request."""
        return [(claim,) for claim in claims]

    def throttled_s(self, owner: UUID) -> float:  # noqa: ARG002 -- the port names it
        """0: there is no call that messages could share."""
        return 0.0

    async def send(self, call: Call) -> list[Outcome]:
        return [await self._send(claim) for claim in call]

    async def prove(self, claim: Claim) -> Proof:
        """Meta cannot be asked. A status that names the message proves it, and by now would have moved it by itself:
        unless nobody was there to be told, and Meta tries again later, or it came and nobody has read it yet.

        https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/status
        """
        wait_s = await self._statuses.under_way_s(claim.channel)
        return TooFast("status_under_way", "Meta may still have to tell", wait_s=wait_s) if wait_s else Absent()

    async def confirm(self, claims: Sequence[Claim]) -> list[Outcome]:
        """Blue ticks. Marking a message marks all before it, so that the newest of a conversation does for the rest."""
        newest: dict[ConversationId, Claim] = {}
        for claim in claims:
            known = newest.get(claim.conversation.id)
            if _can_be_read(claim) and (known is None or known.message_id < claim.message_id):
                newest[claim.conversation.id] = claim
        at_once = asyncio.Semaphore(self.calls_at_once)
        marks = [self._mark_read(claim, at_once) for claim in newest.values()]
        outcomes = await asyncio.gather(*marks) if len(marks) > 1 else [await mark for mark in marks]
        marked = dict(zip(newest, outcomes, strict=True))
        return [marked[p.conversation.id] if _can_be_read(p) else Accepted() for p in claims]

    async def _send(self, claim: Claim) -> Outcome:
        try:
            sent = await self._answering(claim)
        except Refused as error:
            if error.of_file and _names_an_upload(claim) and not _is_uploaded_anew(claim):
                return _of_upload(error)
            return await self._words_alone(claim, error) if _is_about_file(error) else error
        except PlatformError as error:
            return error
        return Accepted(whatsapp_id=sent.whatsapp_id, wa_id=sent.wa_id)

    async def _words_alone(self, claim: Claim, refused: Refused) -> Outcome:
        """Words outlive their file, in its place; the file is told of by itself."""
        words = words_without_file(claim.content)
        if words is None:
            return refused
        try:
            sent = await self._answering(replace(claim, content=words, attachment=None))
        except Refused:
            return refused
        except PlatformError as error:
            return error
        return Accepted(whatsapp_id=sent.whatsapp_id, wa_id=sent.wa_id, file_lost=refused.code)

    async def _answering(self, claim: Claim) -> Wamid:
        """As an answer to what it quotes; where Meta will not have that, with the quoted words in front."""
        # A reaction names its message by itself.
        quote = None if isinstance(claim.content, Reaction) else quote_of(claim.content)
        if quote is None:
            return await self._handed(claim)
        try:
            return await self._handed(claim, quote.whatsapp_id)
        except Refused as error:
            if error.code not in _BAD_PARAMETER:
                raise
            # What was refused was surely not sent, and the quote is the one parameter that may have gone stale.
            return await self._handed(replace(claim, content=in_words(claim.content, quote)))

    async def _handed(self, claim: Claim, quotes: str | None = None) -> Wamid:
        mark = callback_data(claim.message_id)
        return await self._graph.send(
            claim.channel, claim.conversation, message_of(claim), mark, claim.request_id, quotes=quotes
        )

    async def _mark_read(self, claim: Claim, at_once: asyncio.Semaphore) -> Outcome:
        assert claim.whatsapp_id is not None
        async with at_once:
            try:
                await self._graph.mark_read(claim.channel, claim.whatsapp_id, claim.request_id)
            except PlatformError as error:
                return error
        return Accepted()


def _can_be_read(claim: Claim) -> bool:
    return claim.channel.mark_read and claim.whatsapp_id is not None and claim.origin is Origin.CUSTOMER


def message_of(claim: Claim) -> Typed:
    """The message as it goes out. Raises Refused for what WhatsApp would never take, TooFast when its file is not
    there yet."""
    match claim.content:
        case Template() as template:
            return "template", to_wire(template)
        case Location() as place:
            return location(place)
        case Cards() as cards:
            return contacts(cards)
        case Reaction() as reacted:
            return reaction(reacted)
        case Interactive() as asked:
            return interactive(asked, _header(claim, asked.file) if asked.file else None)
        case MediaContent() as media if (file := claim.attachment) and _is_at_meta(file):
            return media_message(_media(claim, media, file))
        case _:
            return text_message(_body(claim))


def _header(claim: Claim, content: MediaContent) -> MediaToSend:
    file = claim.attachment
    if file is not None and file.state is AttachmentState.WANTED:
        raise _under_way()
    if file is None or file.media_id is None:
        raise _lost(file)
    name = file.blob.name if file.blob else content.name or ""
    return MediaToSend(file.sent_as or content.kind, file.media_id, name=name)


def _is_at_meta(file: Attachment | None) -> bool:
    """Also when it could not be fetched from there for the operator: the customer needs its id alone."""
    if file is None or file.media_id is None:
        return False
    return file.state in {AttachmentState.READY, AttachmentState.FAILED}


def _names_an_upload(claim: Claim) -> bool:
    """Whether it carries a file by the id of an upload of ours. One that a caller gave cannot be made anew."""
    content, file = file_of(claim.content), claim.attachment
    return content is not None and file is not None and _is_at_meta(file) and file.media_id != content.source


def _is_uploaded_anew(claim: Claim) -> bool:
    return claim.attachment is not None and claim.attachment.reuploaded


def _is_about_file(error: Refused) -> bool:
    return error.of_file or error.notice in OF_FILES


def _of_upload(error: Refused) -> StaleUpload:
    return StaleUpload(error.code, error.detail, notice=error.notice)


def _under_way() -> TooFast:
    """Nothing is wrong with it, so that waiting costs no attempt."""
    return TooFast("file_under_way", "its file is not there yet", wait_s=FILE_AGAIN_S, one_conversation=True)


def _lost(file: Attachment | None) -> Refused:
    if file is None:
        return Refused("no_file", "its file is unknown", notice="file_gone", of_file=True)
    notice = file.notice or "unavailable"
    return Refused(file.code or "file_failed", "its file did not come", notice=notice, of_file=True)


def _body(claim: Claim) -> str:
    """The text as it goes out. Raises Refused for what WhatsApp would never take."""
    content = claim.content
    if isinstance(content, MediaContent):
        content = Words(_in_its_place(claim, content), content.author)
    if not isinstance(content, Words):
        raise Refused("unsupported", "only text goes to WhatsApp", notice="unsupported")
    if not content.text:
        raise Refused("empty", "the text is empty")
    body = _rendered(claim, content.text, content.author)
    if len(body) > WHATSAPP_TEXT_MAX:
        # The detail is the limit: the operator's notice names it.
        raise Refused("too_long", str(WHATSAPP_TEXT_MAX), notice="too_long")
    return body


def _media(claim: Claim, content: MediaContent, file: Attachment) -> MediaToSend:
    """The file as it goes out, its caption signed as a text would be."""
    assert file.media_id is not None
    caption = _rendered(claim, content.caption, content.author) if content.caption else ""
    if len(caption) > MEDIA_CAPTION_MAX:
        raise Refused("too_long", str(MEDIA_CAPTION_MAX), notice="too_long")
    if file.blob is None:
        return MediaToSend(content.kind, file.media_id, caption, content.name or "", voice=content.voice)
    return MediaToSend(
        file.sent_as or MediaKind.DOCUMENT, file.media_id, caption, file.blob.name, voice=file.blob.voice
    )


def _in_its_place(claim: Claim, content: MediaContent) -> Text:
    """What goes when the file itself does not. Raises Refused when it never will."""
    file = claim.attachment
    if file is None or file.state is AttachmentState.FAILED:
        raise _lost(file)
    if file.state is AttachmentState.WANTED:
        raise _under_way()
    if file.state is AttachmentState.READY and file.blob:
        line = f"{file.blob.name}: {file.address}"
    else:
        line = promise(content.kind, claim.portal.locale)
    return rich_text([*plain_text(line).spans, *([Span("\n"), *content.caption.spans] if content.caption else [])])


def _rendered(claim: Claim, text: Text, author: str | None) -> str:
    return to_whatsapp(signed(text, author if claim.channel.operator_prefix else None))
