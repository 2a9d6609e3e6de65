// What the simulator tells of a phone's or a chat's messages -> what a thread shows: one item a bubble. A reaction, an
// edit and a deletion are no bubbles of their own on a phone: they change the bubble that they name.

import { plain, plainLine } from "./markup.js";
import { say } from "./words.js";

const FILE_KINDS = ["image", "video", "audio", "document", "sticker"];
const PHONE_TICKS = {
  accepted: "sent",
  sent: "sent",
  delivered: "delivered",
  read: "read",
  played: "played",
  failed: "failed",
};
const SIDES = { customer: "in", operator: "out" };
const QUOTED_MAX = 140;

// --- the phone -------------------------------------------------------------------------------------------------------

/** names: what the other side is called in a quote. */
export function phoneItems(phone, business) {
  const byId = new Map();
  const items = [];
  for (const message of phone?.messages ?? []) {
    if (message.from !== "customer" && message.status === "failed") continue;
    const fold = FOLDS[message.type];
    if (fold) {
      fold(message, byId);
      continue;
    }
    const item = phoneItem(message);
    byId.set(item.id, item);
    items.push(item);
  }
  for (const item of items) item.quote = phoneQuote(item, byId, business);
  if (phone?.typing) items.push(typing(phone));
  return items;
}

function phoneItem(message) {
  const own = message.from === "customer";
  const reply = replyTitle(message);
  const item = {
    ...bare(message.id, own ? "out" : "in", message.at),
    kind: message.type,
    text: reply ?? (TEXTLESS.has(message.type) ? "" : message.text),
    file: message.file,
    voice: Boolean(message.file?.voice),
    tick: own ? ownTick(message) : null,
    own,
    status: message.status,
    quotes: message.context?.message_id ?? message.context?.id ?? null,
    forwarded: message.context?.frequently_forwarded ? "often" : message.context?.forwarded ? "once" : "",
    buttons: message.buttons ?? [],
    parts: message.parts ?? [],
    acts: ["react", "reply"].concat(own && message.type === "text" ? ["edit"] : [], own ? ["delete"] : []),
  };
  const detail = message[message.type];
  if (detail && DETAILED.has(message.type) && reply === null) item.detail = detail;
  if (message.type === "group" || message.group_id) item.mark = say("inGroup");
  return item;
}

const TEXTLESS = new Set(["location", "contacts", "order", "unsupported"]);
const DETAILED = new Set(["location", "contacts", "order", "interactive", "unsupported"]);

const bare = (id, side, at) => ({ id, side, at, author: "", reactions: [], quote: null });

// Two grey ticks once the business's webhook took the message, two blue ones once the business marked it as read.
const ownTick = (message) => (message.read_by_business ? "read" : message.status === "pending" ? "sent" : "delivered");

/** The words of a pressed button, a chosen row, a filled form; null for everything else. */
function replyTitle({ type, interactive, button }) {
  if (type === "button") return button?.text ?? "";
  if (type !== "interactive") return null;
  const reply = interactive?.button_reply ?? interactive?.list_reply;
  if (reply) return [reply.title, reply.description].filter(Boolean).join("\n");
  return interactive?.nfm_reply ? formText(interactive.nfm_reply.response_json) : null;
}

function formText(json) {
  try {
    const filled = Object.entries(JSON.parse(json)).filter(([name]) => name !== "flow_token");
    return [say("formSent"), ...filled.map(([name, value]) => `${name}: ${value}`)].join("\n");
  } catch {
    return say("formSent");
  }
}

const FOLDS = {
  reaction(message, byId) {
    const target = byId.get(message.reaction?.message_id);
    if (!target) return;
    const by = message.from === "customer" ? "own" : "other";
    target.reactions = target.reactions.filter((one) => one.by !== by);
    if (message.reaction.emoji) target.reactions.push({ by, emoji: message.reaction.emoji });
  },
  edit(message, byId) {
    const target = byId.get(message.edit?.original_message_id);
    const fresh = message.edit?.message;
    if (!target || !fresh) return;
    target.text = fresh.text?.body ?? fresh[fresh.type]?.caption ?? target.text;
    target.edited = true;
  },
  revoke(message, byId) {
    const target = byId.get(message.revoke?.original_message_id);
    if (target) wipe(target);
  },
};

function wipe(item) {
  const { id, side, at, author, tick } = item;
  for (const name of Object.keys(item)) delete item[name];
  Object.assign(item, bare(id, side, at), { author, tick, kind: "text", text: "", deleted: true });
}

function phoneQuote(item, byId, business) {
  if (!item.quotes) return null;
  const target = byId.get(item.quotes);
  if (!target) return { id: null, who: "", text: say("quoteMissing") };
  return { id: target.id, who: target.own ? say("you") : business, text: preview(target), file: target.file };
}

const typing = (phone) => ({ ...bare("typing", "in", phone.typing_until), kind: "typing", text: "" });

// --- the chat --------------------------------------------------------------------------------------------------------

/** onPhone: message id -> the phone's status of it. A line offers only what its connector lets operators do. */
export function chatItems(chat, onPhone) {
  const rights = ["reply"].concat(chat?.edits === false ? [] : ["edit"], chat?.deletes === false ? [] : ["delete"]);
  const items = (chat?.messages ?? []).map((message) => chatItem(message, onPhone, rights));
  const byId = new Map(items.map((item) => [String(item.id), item]));
  items.forEach((item, at) => (item.quote = chatQuote(item, items, at, byId)));
  return items;
}

function chatItem(message, onPhone, rights) {
  const side = SIDES[message.author] ?? "notice";
  const file = message.files?.[0] ?? null;
  const own = side === "out";
  const item = {
    ...bare(message.id, side, message.at),
    author: side === "notice" ? "" : message.name,
    kind: file ? file.type : "text",
    text: message.text,
    file,
    files: message.files ?? [],
    voice: isVoice(file),
    tick: message.hidden ? null : operatorTick(message, onPhone),
    own,
    whisper: Boolean(message.hidden),
    edited: Boolean(message.edited),
    attached: (message.attach ?? []).flatMap((block) => [...(block.IMAGE ?? []), ...(block.FILE ?? [])]),
    acts: side === "notice" || message.hidden ? [] : own ? rights : ["reply"],
  };
  if (message.deleted) wipe(item);
  return item;
}

// A portal knows no voice notes: what is Ogg is one, for WhatsApp records them so.
const isVoice = (file) => file?.type === "audio" && file.mime.startsWith("audio/ogg");

/** The chat's own status, and beyond "delivered" what became of it on the phone, as far as that is known. */
function operatorTick(message, onPhone) {
  if (message.author !== "operator" || !message.status) return null;
  if (message.status !== "delivered") return message.status === "failed" ? "failed" : "sending";
  return PHONE_TICKS[onPhone.get(message.id)] ?? "delivered";
}

// As Bitrix24 writes a quote into a text: a frame of dashes with who and when, and which message where it is named.
const FRAME = /^-{54}\n(.+?) \[[^\]\n]*\](?: #chat\d+\/(\d+))?\n([\s\S]*?)\n-{54}\n?([\s\S]*)$/;

/** A frame, or lines that begin with >>: what they quote is looked for above. */
function chatQuote(item, items, at, byId) {
  const framed = FRAME.exec(item.text ?? "");
  if (framed) {
    const [, who, id, words, rest] = framed;
    const target = (id && byId.get(id)) || said(items.slice(0, at), words);
    item.text = rest;
    return { id: target?.id ?? null, who, text: target ? preview(target) : plainLine(words), file: target?.file ?? null };
  }
  const lines = (item.text ?? "").split("\n");
  const quoted = lines.findIndex((line) => !line.startsWith(">>"));
  const count = quoted < 0 ? lines.length : quoted;
  if (item.deleted || !count) return null;
  item.text = lines.slice(count).join("\n");
  const [, who, words] = /^(?:([^:\n]{1,40}): )?([\s\S]*)$/.exec(lines.slice(0, count).map((one) => one.slice(2)).join("\n"));
  const target = said(items.slice(0, at), words);
  return { id: target?.id ?? null, who: who ?? "", text: words, file: target?.file ?? null };
}

function said(items, words) {
  const wanted = plain(words.replace(/…$/, ""));
  return wanted ? items.findLast((item) => item.side !== "notice" && plain(item.text).startsWith(wanted)) : null;
}

// --- both ------------------------------------------------------------------------------------------------------------

/** A line that stands for a whole message: in a quote, in the list of chats. */
export function preview(item) {
  if (item.deleted) return say("deleted");
  const words = bareLine(bodyOf(item) || item.text);
  if (item.file && FILE_KINDS.includes(item.kind)) {
    const kind = item.voice ? "voice" : item.kind;
    return `${say(`kind_of_${kind}`)}${kind === "document" && !words ? ` ${item.file.name}` : ""} ${words}`.trim();
  }
  if (item.kind === "location") return `${say("kind_of_location")} ${item.detail?.name ?? ""}`.trim();
  if (item.kind === "contacts") return `${say("kind_of_contacts")} ${item.detail?.[0]?.name?.formatted_name ?? ""}`.trim();
  if (item.kind === "order") return say("kind_of_order");
  return words || (item.file ? `${say("kind_of_document")} ${item.file.name}` : "");
}

/** Without the marks of either platform. */
const bareLine = (text) =>
  plainLine(text)
    .replace(/(^|[\s(])([*_~])(\S(?:.*?\S)?)\2(?=$|[\s).,;:!?])/g, "$1$3")
    .slice(0, QUOTED_MAX);

const bodyOf = (item) => item.parts?.find((part) => part.type === "BODY")?.text ?? item.detail?.body?.text ?? "";
