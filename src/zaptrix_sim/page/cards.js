// What is neither words nor a file: places, contacts, orders, templates and interactive messages.

import { build, link, press, shape } from "./dom.js";
import { mediaNode } from "./media.js";
import { currentLanguage, say } from "./words.js";

const MAP = "https://www.google.com/maps/search/?api=1&query=";

/** The card of an item that has one, else null. `act` is what can be done to it: press(button), answer(item). */
export function cardNode(item, act) {
  return CARDS[item.kind]?.(item, act) ?? null;
}

const CARDS = {
  location: ({ detail }) => placeCard(detail),
  contacts: ({ detail }) => contactCards(detail),
  order: ({ detail }) => orderCard(detail),
  unsupported: () => note("unsupported", say("unsupportedHere")),
  typing: typingDots,
};

function placeCard(place) {
  if (!place) return null;
  const spot = `${place.latitude},${place.longitude}`;
  const card = link("place", "", `${MAP}${encodeURIComponent(spot)}`);
  const map = build("span", "map");
  map.append(shape("pin"));
  const words = build("span", "place-words");
  words.append(build("strong", "", place.name || say("kind_of_location")));
  words.append(build("small", "", [place.address, `${round(place.latitude)}, ${round(place.longitude)}`].filter(Boolean).join("\n")));
  card.append(map, words);
  card.setAttribute("aria-label", say("openMap", { what: place.name || spot }));
  return card;
}

const round = (degrees) => Number(degrees).toFixed(5);

function contactCards(contacts) {
  const list = build("div", "contact-cards");
  for (const one of Array.isArray(contacts) ? contacts : []) list.append(contactCard(one));
  return list;
}

function contactCard(one) {
  const card = build("div", "contact-card");
  const name = one.name?.formatted_name ?? say("ownNumber");
  const face = build("span", "avatar tone-2", [...name.trim()][0]?.toUpperCase() ?? "?");
  face.setAttribute("aria-hidden", "true");
  const words = build("span", "contact-words");
  words.append(build("strong", "", name));
  const org = [one.org?.title, one.org?.company].filter(Boolean).join(" · ");
  const lines = [org, ...(one.phones ?? []).map((phone) => phone.phone), ...(one.emails ?? []).map((mail) => mail.email)];
  for (const line of lines.filter(Boolean)) words.append(build("small", "", line));
  card.append(face, words);
  return card;
}

function orderCard(order) {
  const card = build("div", "order");
  const head = build("span", "order-head");
  head.append(shape("cart"), build("strong", "", say("order")));
  card.append(head);
  const list = build("ul");
  const totals = new Map();
  for (const item of order?.product_items ?? []) {
    const cost = Number(item.item_price) * Number(item.quantity);
    totals.set(item.currency ?? "", (totals.get(item.currency ?? "") ?? 0) + cost);
    const row = build("li");
    row.append(build("span", "", `${item.quantity} × ${item.product_retailer_id}`));
    row.append(build("span", "", money(cost, item.currency)));
    list.append(row);
  }
  card.append(list);
  for (const [currency, cost] of totals) {
    const row = build("div", "order-total");
    row.append(build("span", "", say("total")), build("span", "", money(cost, currency)));
    card.append(row);
  }
  if (order?.text) card.append(build("p", "order-text", order.text));
  return card;
}

function money(amount, currency) {
  const plainly = amount.toLocaleString(currentLanguage(), { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  try {
    return currency ? amount.toLocaleString(currentLanguage(), { style: "currency", currency }) : plainly;
  } catch {
    return `${plainly} ${currency}`;
  }
}

function typingDots() {
  const dots = build("span", "typing");
  dots.setAttribute("role", "img");
  dots.setAttribute("aria-label", say("typing"));
  dots.append(build("i"), build("i"), build("i"));
  return dots;
}

const note = (name, text) => build("span", `note ${name}`, text);

// --- templates and interactive messages ------------------------------------------------------------------------------

/** {head, body, foot, offers} of a template or an interactive message; null for everything else. */
export function framed(item, act) {
  if (item.parts?.length) return template(item, act);
  return item.kind === "interactive" && item.detail?.action ? interactive(item, act) : null;
}

function template(item, act) {
  const part = (type) => item.parts.find((one) => one.type === type);
  const head = part("HEADER");
  const offers = item.buttons.map((button) => templateButton(item, button, act));
  for (const card of item.parts.filter((one) => one.type === "CARD")) offers.push(carouselCard(item, card, act));
  return {
    head: head ? header(head.format.toLowerCase(), head, item) : null,
    body: part("BODY")?.text ?? "",
    foot: part("FOOTER")?.text ?? "",
    offers,
  };
}

/** kind: text, image, video, document, location: Meta's own name of what stands in it. */
function header(kind, content, item) {
  if (kind === "text") return build("strong", "headline", content.text);
  if (kind === "location") return placeCard(content.location);
  if (item.file) return mediaNode(item.file, { kind: item.file.kind ?? item.file.type, caption: "" });
  return build("span", "headline", content.text || say(`kind_of_${kind}`));
}

function templateButton(item, button, act) {
  const words = button.text || button.type;
  const made = TEMPLATE_BUTTONS[button.type]?.(words, button, item, act) ?? build("span", "offer", words);
  made.dataset.kind = button.type;
  return made;
}

const TEMPLATE_BUTTONS = {
  url: (words, { url }) => withShape(link("offer", words, url ?? ""), "out"),
  quick_reply: (words, button, item, act) => withShape(press("offer", words, () => act.press(item, button)), "reply"),
  phone_number: (words, { phone_number }) => titled(withShape(build("span", "offer", words), "phone"), phone_number),
  copy_code: (words, { code }) =>
    titled(withShape(press("offer", words, () => navigator.clipboard?.writeText(code)), "copy"), code),
  otp: (words) => withShape(build("span", "offer", words), "copy"),
};

function carouselCard(item, card, act) {
  const made = build("div", "carousel-card");
  const body = card.parts.find((part) => part.type === "BODY");
  made.append(build("span", "", body?.text ?? card.text));
  for (const button of card.buttons ?? []) made.append(templateButton(item, button, act));
  return made;
}

function interactive(item, act) {
  const { header: head, body, footer, action, type } = item.detail;
  return {
    head: head ? header(head.type, head, item) : null,
    body: body?.text ?? "",
    foot: footer?.text ?? "",
    offers: OFFERS[type]?.(item, action, act) ?? [],
  };
}

const OFFERS = {
  button: (item, action, act) =>
    action.buttons.map(({ reply }) => withShape(press("offer", reply.title, () => act.answer(item, reply.id)), "reply")),
  list: (item, action, act) => [withShape(press("offer", action.button, () => act.choose(item, action)), "list")],
  cta_url: (_item, { parameters }) => [withShape(link("offer", parameters.display_text, parameters.url), "out")],
  location_request_message: (item, _action, act) => [
    withShape(press("offer", say("sendLocation"), () => act.giveLocation(item)), "pin"),
  ],
  flow: (item, { parameters }, act) => [
    withShape(press("offer", parameters.flow_cta, () => act.fillIn(item, parameters)), "form"),
  ],
};

function withShape(node, name) {
  node.prepend(shape(name));
  return node;
}

function titled(node, title) {
  node.title = title ?? "";
  return node;
}
