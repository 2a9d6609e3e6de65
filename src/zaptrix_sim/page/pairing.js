// Which phone and which chat are one conversation, and which of its messages are the same message.
// The simulator's answer is taken where it gives one; otherwise it is concluded from the texts, and a conclusion that is
// not certain is not made: the page then shows each side for itself.

import { plain } from "./markup.js";
import { moment } from "./thread.js";

const COMPARED_MAX = 40;

export const customerId = (phone) => phone.customer.wa_id || phone.customer.user_id || "";
export const phoneKey = (phone) => `${phone.phone_number_id} ${customerId(phone)}`;
export const chatKey = (chat) => `${chat.portal} ${chat.chat_id}`;
export const lastAt = (room) => (room.messages.length ? moment(room.messages.at(-1).at).getTime() : 0);

export class Pairs {
  #state;
  #phones = new Map();
  #chats = null;

  constructor(state) {
    this.#state = state;
  }

  phoneOf(chat) {
    const key = chatKey(chat);
    if (!this.#phones.has(key)) this.#phones.set(key, namedPhone(chat, this.#state) ?? likelyPhone(chat, this.#state));
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
}

function namedPhone(chat, state) {
  if (!chat.phone_number_id || !chat.customer) return null;
  const id = typeof chat.customer === "string" ? chat.customer : customerId(chat);
  return state.phones.find((phone) => phone.phone_number_id === chat.phone_number_id && belongsTo(phone, id)) ?? null;
}

const belongsTo = (phone, id) => phone.customer.wa_id === id || phone.customer.user_id === id;

/** The only phone that wrote the chat's customer texts in that order; a name decides between equals, a draw is nobody. */
function likelyPhone(chat, state) {
  const texts = chat.messages.filter((message) => message.author === "customer").map((message) => plain(message.text));
  if (!texts.length) return null;
  const possible = state.phones.filter((phone) => wroteInOrder(phone, texts.slice(-COMPARED_MAX)));
  if (possible.length === 1) return possible[0];
  const named = possible.filter((phone) => phone.customer.name && chat.title.includes(phone.customer.name));
  return named.length === 1 ? named[0] : null;
}

function wroteInOrder(phone, texts) {
  let next = texts.length - 1;
  for (let at = phone.messages.length - 1; at >= 0 && next >= 0; at -= 1) {
    const message = phone.messages[at];
    if (message.from === "customer" && plain(message.text) === texts[next]) next -= 1;
  }
  return next < 0;
}

/** Operator message id -> the phone's status of it: n-th to n-th, passing over what the other side never had. */
export function statusesOnPhone(chat, phone) {
  const statuses = new Map();
  if (!phone) return statuses;
  const arrived = phone.messages.filter((message) => message.from === "business");
  let next = 0;
  for (const message of chat.messages) {
    // One that is still on its way must not take the place of a later one with the same words.
    if (message.author !== "operator" || message.status === "sending") continue;
    const found = arrived.findIndex((one, at) => at >= next && isSameText(one.text, message));
    if (found < 0) continue;
    statuses.set(message.id, arrived[found].status);
    next = found + 1;
  }
  return statuses;
}

function isSameText(onPhone, message) {
  const wrote = plain(message.text);
  const there = plain(onPhone);
  return there === wrote || there === plain(`${message.name}:`) + wrote;
}
