// The four workers of the brief: dedup in Redis, mapping from the cache or PostgreSQL, one REST call a message.
import { Worker } from "bullmq";
import { Agent, request } from "undici";
import { database, Portals, QUEUES, queue, redis } from "./house.mjs";

const CONVERSATION_S = 3600;
const SEEN_S = 86400;
const GRAPH = process.env.PEER_GRAPH_URL;
const VERSION = "v26.0";
const MARKS = process.env.PEER_MARKS === "1";

const connection = redis();
const cache = redis();
const agent = new Agent({ connections: 128, pipelining: 1 });
const portals = await new Portals().load();
const bitrix24 = queue("bitrix24-messages", connection);
const meta = queue("meta-messages", connection);

const byCustomer = (portal, customer) => `conversation:meta:${portal}:${customer}`;
const byChat = (portal, chat) => `conversation:chat:${portal}:${chat}`;

async function post(url, token, body) {
  const answer = await request(url, {
    method: "POST",
    dispatcher: agent,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const told = await answer.body.json();
  if (answer.statusCode !== 200 || told.error) throw new Error(`${answer.statusCode}`);
  return told;
}

const FIND = { name: "find", text: "SELECT * FROM conversation_mapping WHERE portal_id = $1 AND meta_whatsapp_id = $2" };
const ADD = {
  name: "add",
  text: `INSERT INTO conversation_mapping (portal_id, meta_whatsapp_id, contact_name) VALUES ($1, $2, $3)
    ON CONFLICT (portal_id, meta_whatsapp_id) DO UPDATE SET updated_at = now() RETURNING *`,
};
const BY_CHAT = {
  name: "by_chat", text: "SELECT * FROM conversation_mapping WHERE portal_id = $1 AND bitrix_chat_id = $2",
};
const TOUCH = {
  name: "touch",
  text: `UPDATE conversation_mapping SET last_message_at = now(), updated_at = now(),
    bitrix_chat_id = coalesce($2, bitrix_chat_id) WHERE id = $1`,
};

async function conversationOf(portal, customer, name) {
  const key = byCustomer(portal.id, customer);
  const cached = await cache.get(key);
  if (cached) return JSON.parse(cached);
  let { rows } = await database.query({ ...FIND, values: [portal.id, customer] });
  if (!rows.length) ({ rows } = await database.query({ ...ADD, values: [portal.id, customer, name] }));
  await cache.set(key, JSON.stringify(rows[0]), "EX", CONVERSATION_S);
  return rows[0];
}

async function routeInbound({ data }) {
  const { number, message, name } = data;
  if (!(await cache.set(`seen:${message.id}`, "1", "EX", SEEN_S, "NX"))) return;
  const portal = await portals.find("number", number);
  const talk = await conversationOf(portal, message.from, name);
  await bitrix24.add("send", { portal: portal.id, talk: talk.id, customer: message.from, name, message }, { jobId: message.id });
}

async function deliverToBitrix24({ data }) {
  const { talk, customer, name, message } = data;
  const portal = await portals.find("id", data.portal);
  const told = await post(`${portal.client_endpoint}imconnector.send.messages`, portal.access_token, {
    CONNECTOR: portal.connector_id,
    LINE: portal.line_id,
    MESSAGES: [{
      user: { id: customer, name, phone: `+${customer}` },
      message: { id: message.id, date: Number(message.timestamp), text: message.text.body },
      chat: { id: `${portal.phone_number_id}-${customer}` },
    }],
  });
  const chat = told.result.DATA.RESULT[0].session.CHAT_ID;
  await database.query({ ...TOUCH, values: [talk, chat] });
  await cache.set(byChat(portal.id, chat), JSON.stringify({ id: talk, meta_whatsapp_id: customer }), "EX", CONVERSATION_S);
  if (MARKS) await markAsRead(portal, message.id);
}

// A mark that fails must not bring its message a second time.
async function markAsRead(portal, id) {
  const mark = { messaging_product: "whatsapp", status: "read", message_id: id };
  try {
    await post(`${GRAPH}/${VERSION}/${portal.phone_number_id}/messages`, portal.number_token, mark);
  } catch (error) {
    console.error("mark", error.message);
  }
}

async function routeOutbound({ data }) {
  const { portal, chat, id, text } = data;
  let talk = JSON.parse(await cache.get(byChat(portal, chat)));
  if (!talk) {
    const { rows } = await database.query({ ...BY_CHAT, values: [portal, chat] });
    if (!rows.length) return;
    [talk] = rows;
    await cache.set(byChat(portal, chat), JSON.stringify(talk), "EX", CONVERSATION_S);
  }
  const said = text.replace(/^\[b\].*?:\[\/b\] \[br\]/, "");
  await meta.add("send", { portal, talk: talk.id, to: talk.meta_whatsapp_id, text: said }, { jobId: `${portal}-${id}` });
}

async function deliverToMeta({ data }) {
  const portal = await portals.find("id", data.portal);
  await post(`${GRAPH}/${VERSION}/${portal.phone_number_id}/messages`, portal.number_token, {
    messaging_product: "whatsapp",
    recipient_type: "individual",
    to: `+${data.to}`,
    type: "text",
    text: { body: data.text },
  });
  await database.query({ ...TOUCH, values: [data.talk, null] });
}

const STEPS = [routeInbound, deliverToBitrix24, routeOutbound, deliverToMeta];
const concurrency = Number(process.env.PEER_CONCURRENCY);
const workers = QUEUES.map((name, place) => new Worker(name, STEPS[place], { connection: redis(), concurrency }));
for (const worker of workers) worker.on("error", (error) => console.error(error.message));
for (const worker of workers) worker.on("failed", (job, error) => console.error(job?.queueName, error.message));
process.on("SIGTERM", async () => {
  await Promise.all(workers.map((worker) => worker.close()));
  process.exit(0);
});
