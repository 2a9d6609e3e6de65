// The gateway of the brief: verify, one job a message, 200.
import { createHmac, timingSafeEqual } from "node:crypto";
import Fastify from "fastify";
import qs from "qs";
import { Portals, queue, redis } from "./house.mjs";

const secret = process.env.PEER_APP_SECRET;
const connection = redis();
const incoming = queue("incoming-messages", connection);
const outbound = queue("outbound-messages", connection);
const portals = await new Portals().load();
const app = Fastify({ logger: false, bodyLimit: 3 * 1024 * 1024 });

app.addContentTypeParser("application/json", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
app.addContentTypeParser(
  "application/x-www-form-urlencoded", { parseAs: "string" },
  (_request, body, done) => done(null, qs.parse(body, { depth: 10, parameterLimit: 2000 })),
);

function isMetas(body, header) {
  if (!header?.startsWith("sha256=") || header.length !== 71) return false;
  return timingSafeEqual(createHmac("sha256", secret).update(body).digest(), Buffer.from(header.slice(7), "hex"));
}

app.post("/webhooks/meta", async (request, reply) => {
  if (!isMetas(request.body, request.headers["x-hub-signature-256"])) return reply.code(401).send();
  const jobs = [];
  for (const entry of JSON.parse(request.body).entry ?? []) {
    for (const { value } of entry.changes ?? []) {
      const number = value.metadata?.phone_number_id;
      for (const message of value.messages ?? []) {
        const contact = value.contacts?.find((one) => one.wa_id === message.from);
        jobs.push({ name: "message", data: { number, message, name: contact?.profile?.name }, opts: { jobId: message.id } });
      }
      // Statuses are on the brief's list of what comes later: taken, and not looked at.
    }
  }
  if (jobs.length === 1) await incoming.add(jobs[0].name, jobs[0].data, jobs[0].opts);
  else if (jobs.length) await incoming.addBulk(jobs);
  return reply.code(200).send();
});

app.post("/webhooks/bitrix24/outbound", async (request, reply) => {
  const { event, data, auth } = request.body;
  const portal = auth?.member_id && (await portals.find("member", auth.member_id));
  if (!portal || portal.application_token !== auth.application_token) return reply.code(401).send();
  if (event === "ONIMCONNECTORMESSAGEADD") {
    const jobs = Object.values(data.MESSAGES).map((item) => ({
      name: "message",
      data: { portal: portal.id, chat: item.im.chat_id, id: item.im.message_id, text: item.message.text },
      opts: { jobId: `${portal.id}-${item.im.message_id}` },
    }));
    await outbound.addBulk(jobs);
  }
  return reply.code(200).send();
});

app.get("/health", async () => ({ status: "ok" }));

await app.listen({ port: Number(process.env.PORT), host: "127.0.0.1", backlog: 2048 });
process.on("SIGTERM", async () => {
  await app.close();
  process.exit(0);
});
