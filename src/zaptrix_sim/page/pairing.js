// Which phone and which chat are one conversation, and which of its messages are the same message.
// The simulator's answer is taken where it gives one; otherwise it is concluded from the texts, and a conclusion that
// is not certain is not made: the page then shows each side for itself.

import { plain } from "./markup.js";
import { moment } from "./dom.js";

const COMPARED_MAX = 40;
const PAIRED_MAX = 300; // As many as a thread shows.

export const customerId = (phone) => phone.customer.wa_id || phone.customer.user_id || "";
export const phoneKey = (phone) => `${phone.phone_number_id} ${customerId(phone)}`;
export const chatKey = (chat) => `${chat.portal} ${chat.chat_id}`;
const wamids = (message) => message.connector_mids ?? [];
const everything = (phone) => phone.messages.concat(phone.failed ?? []); // What failed was never on its screen.
export const lastAt = (room) => (room.messages.length ? moment(room.messages.at(-1).at).getTime() : 0);

export class Pairs {
  #state;
  #byMessage = new Map();
  #byText = null;
  #phones = new Map();
  #chats = null;

  constructor(state) {
    this.#state = state;
    for (const phone of state.phones) for (const message of everything(phone)) this.#byMessage.set(message.id, phone);
  }

  phoneOf(chat) {
    const key = chatKey(chat);
    if (!this.#phones.has(key)) this.#phones.set(key, this.#namedPhone(chat) ?? this.#likelyPhone(chat));
    return this.#phones.get(key);
  }

  /** The phone's chat; of several (one number joined to two portals) the one with the latest message. */
  chatOf(phone) {
    if (!this.#chats) {
      this.#chats = new Map();
      for (const chat of [...this.#state.chats].sort((a, b) => lastAt(a) - lastAt(b))) {
        const found = this.phoneOf(chat);
        if (found) this.#chats.set(phoneKey(found), chat);
      }
    }
    return this.#chats.get(phoneKey(phone)) ?? null;
  }

  /** A chat message that carries the wamids of its other side names its phone. */
  #namedPhone(chat) {
    for (let at = chat.messages.length - 1; at >= 0; at -= 1) {
      for (const id of wamids(chat.messages[at])) if (this.#byMessage.has(id)) return this.#byMessage.get(id);
    }
    return null;
  }

  /** The only phone that wrote the chat's customer texts in that order; a name decides among several, else nobody. */
  #likelyPhone(chat) {
    const texts = chat.messages.filter((one) => one.author === "customer").map((one) => plain(one.text));
    if (!texts.length) return null;
    this.#byText ??= phonesByText(this.#state.phones);
    const candidates = [...(this.#byText.get(texts.at(-1)) ?? [])];
    const possible = candidates.filter((phone) => wroteInOrder(phone, texts.slice(-COMPARED_MAX)));
    if (possible.length === 1) return possible[0];
    const named = possible.filter((phone) => phone.customer.name && chat.title.includes(phone.customer.name));
    return named.length === 1 ? named[0] : null;
  }
}

function phonesByText(phones) {
  const found = new Map();
  for (const phone of phones) {
    for (const message of phone.messages) {
      if (message.from !== "customer") continue;
      const text = plain(message.text);
      if (!found.has(text)) found.set(text, new Set());
      found.get(text).add(phone);
    }
  }
  return found;
}

function wroteInOrder(phone, texts) {
  let next = texts.length - 1;
  for (let at = phone.messages.length - 1; at >= 0 && next >= 0; at -= 1) {
    const message = phone.messages[at];
    if (message.from === "customer" && plain(message.text) === texts[next]) next -= 1;
  }
  return next < 0;
}

/** Operator message id -> the phone's status of it: by its wamids where the chat has them, else n-th to n-th. */
export function statusesOnPhone(chat, phone) {
  const statuses = new Map();
  if (!phone) return statuses;
  const arrived = everything(phone).slice(-3 * PAIRED_MAX).filter((message) => message.from === "business");
  let next = 0;
  for (const message of chat.messages.slice(-PAIRED_MAX)) {
    // One that is still on its way must not take the place of a later one with the same words.
    if (message.author !== "operator" || message.status === "sending") continue;
    const found = arrived.findIndex((one, at) => isSame(one, message, at >= next));
    if (found < 0) continue;
    statuses.set(message.id, arrived[found].status);
    next = found + 1;
  }
  return statuses;
}

function isSame(onPhone, message, inOrder) {
  if (wamids(message).length) return wamids(message).includes(onPhone.id);
  if (!inOrder) return false;
  const wrote = plain(message.text);
  const there = plain(onPhone.text);
  return there === wrote || there === plain(`${message.name}:`) + wrote;
}
