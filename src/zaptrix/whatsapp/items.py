"""The wire format of what customers say: one of `messages[]` with all its kinds.

Every field may be absent.
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

from __future__ import annotations

import msgspec


class ErrorData(msgspec.Struct, frozen=True):
    details: str | None = None


class MetaError(msgspec.Struct, frozen=True):
    """An error as webhooks and answers carry it. `code` None: it names none, which is not Meta's 0, a bad token."""

    code: int | None = None
    title: str | None = None
    message: str | None = None
    error_subcode: int | None = None
    error_user_msg: str | None = None
    error_data: ErrorData | None = None
    fbtrace_id: str | None = None


# --- what stands beside every kind -----------------------------------------------------------------------------------


class ReferredProduct(msgspec.Struct, frozen=True):
    catalog_id: str | None = None
    product_retailer_id: str | None = None


class Context(msgspec.Struct, frozen=True):
    """`from_` wrote the quoted message: the business's number, or the customer."""

    from_: str | None = msgspec.field(default=None, name="from")
    id: str | None = None
    forwarded: bool | None = None
    frequently_forwarded: bool | None = None
    referred_product: ReferredProduct | None = None


class ReferralItem(msgspec.Struct, frozen=True):
    source_url: str | None = None
    source_id: str | None = None
    source_type: str | None = None
    headline: str | None = None
    body: str | None = None
    media_type: str | None = None
    ctwa_clid: str | None = None


# --- kinds -----------------------------------------------------------------------------------------------------------


class TextItem(msgspec.Struct, frozen=True):
    body: str = ""


class File(msgspec.Struct, frozen=True):
    """image, video, audio, document or sticker. `url` lives five minutes; `id` lives seven days."""

    id: str | None = None
    mime_type: str | None = None
    sha256: str | None = None
    caption: str | None = None
    filename: str | None = None
    voice: bool | None = None


class LocationItem(msgspec.Struct, frozen=True):
    """Degrees as they came: what is no number is shown, and never made into one."""

    latitude: object = None
    longitude: object = None
    name: str | None = None
    address: str | None = None
    url: str | None = None


class CardName(msgspec.Struct, frozen=True):
    formatted_name: str | None = None
    first_name: str | None = None
    middle_name: str | None = None
    last_name: str | None = None


class CardPhone(msgspec.Struct, frozen=True):
    phone: str | None = None
    wa_id: str | None = None
    type: str | None = None


class CardEmail(msgspec.Struct, frozen=True):
    email: str | None = None


class CardUrl(msgspec.Struct, frozen=True):
    url: str | None = None


class CardOrg(msgspec.Struct, frozen=True):
    company: str | None = None
    department: str | None = None
    title: str | None = None


class CardAddress(msgspec.Struct, frozen=True):
    street: str | None = None
    city: str | None = None
    state: str | None = None
    zip: str | None = None
    country: str | None = None


class CardItem(msgspec.Struct, frozen=True):
    """`origin` "contact_request": the customer's own number, on our request; then there may be no name."""

    name: CardName | None = None
    phones: list[CardPhone] = []
    emails: list[CardEmail] = []
    addresses: list[CardAddress] = []
    urls: list[CardUrl] = []
    org: CardOrg | None = None
    birthday: str | None = None
    origin: str | None = None
    vcard: str | None = None


class Pressed(msgspec.Struct, frozen=True):
    """button_reply or list_reply."""

    id: str | None = None
    title: str | None = None
    description: str | None = None


class NfmReply(msgspec.Struct, frozen=True):
    """nfm_reply. `response_json` is a text that holds JSON."""

    name: str | None = None
    body: str | None = None
    response_json: str | None = None


class CallPermission(msgspec.Struct, frozen=True):
    response: str | None = None


class PaymentMethod(msgspec.Struct, frozen=True):
    """The way of payment that a customer has chosen, for which order.

    https://developers.facebook.com/documentation/business-messaging/whatsapp/payments/payments-br/one-click-payments
    """

    payment_method: str | None = None
    reference_id: str | None = None


class InteractiveReply(msgspec.Struct, frozen=True):
    type: str | None = None
    button_reply: Pressed | None = None
    list_reply: Pressed | None = None
    nfm_reply: NfmReply | None = None
    call_permission_reply: CallPermission | None = None
    payment_method: PaymentMethod | None = None


class TemplateButton(msgspec.Struct, frozen=True):
    text: str | None = None
    payload: str | None = None


class ReactionItem(msgspec.Struct, frozen=True):
    """A removal has no emoji, or an empty one."""

    message_id: str | None = None
    emoji: str | None = None


class OrderedProduct(msgspec.Struct, frozen=True):
    """Quantity and price as they came: what is no number is shown, and never made into one."""

    product_retailer_id: str | None = None
    quantity: object = None
    item_price: object = None
    currency: str | None = None


class OrderItem(msgspec.Struct, frozen=True):
    catalog_id: str | None = None
    text: str | None = None
    product_items: list[OrderedProduct] = []


class NewWords(msgspec.Struct, frozen=True):
    type: str | None = None
    text: TextItem | None = None
    image: File | None = None
    video: File | None = None
    document: File | None = None


class Edit(msgspec.Struct, frozen=True):
    original_message_id: str | None = None
    message: NewWords | None = None


class Revoke(msgspec.Struct, frozen=True):
    original_message_id: str | None = None


class UnsupportedItem(msgspec.Struct, frozen=True):
    type: str | None = None


class System(msgspec.Struct, frozen=True):
    """A customer's ids have changed. `new_wa_id` is an older name of `wa_id`; `customer` was the id before."""

    type: str | None = None
    body: str | None = None
    customer: str | None = None
    wa_id: str | None = None
    new_wa_id: str | None = None
    user_id: str | None = None
    previous_user_id: str | None = None


class Message(msgspec.Struct, frozen=True):
    """One of `messages[]`."""

    id: str = ""
    from_: str | None = msgspec.field(default=None, name="from")
    from_user_id: str | None = None
    group_id: str | None = None
    timestamp: str | None = None
    type: str = ""
    context: Context | None = None
    referral: ReferralItem | None = None
    errors: list[MetaError] = []
    text: TextItem | None = None
    image: File | None = None
    video: File | None = None
    audio: File | None = None
    document: File | None = None
    sticker: File | None = None
    location: LocationItem | None = None
    contacts: list[CardItem] | None = None
    interactive: InteractiveReply | None = None
    button: TemplateButton | None = None
    reaction: ReactionItem | None = None
    order: OrderItem | None = None
    edit: Edit | None = None
    revoke: Revoke | None = None
    unsupported: UnsupportedItem | None = None
    system: System | None = None
