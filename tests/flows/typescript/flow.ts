// A program that somebody else could have written: types from the description, a text sent and followed to the phone.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

const [url, key, channelId, to] = process.argv.slice(2) as [string, string, string, string];
const client = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${key}` } });

async function main(): Promise<string> {
  const channels = await client.GET("/api/channels", { params: { query: { limit: 200 } } });
  if (!channels.data?.items.some((channel) => channel.id === channelId)) throw new Error("the channel is not listed");

  const refused = await client.POST("/api/messages/text", { body: { channel_id: channelId, to: "nobody", text: "oi" } });
  const problem: components["schemas"]["ProblemDocument"] | undefined = refused.error;
  if (problem?.errors?.[0]?.field !== "/to") throw new Error(`refused otherwise: ${JSON.stringify(problem)}`);

  const sent = await client.POST("/api/messages/text", { body: { channel_id: channelId, to, text: "From TypeScript" } });
  if (sent.data === undefined) throw new Error(JSON.stringify(sent.error));
  const { data: moved } = await client.POST("/api/dead-letters/dismiss", { body: { ids: [sent.data.id] } });
  if (moved?.count !== 0) throw new Error("what is no dead letter was dismissed");

  const deadline = Date.now() + 60_000;
  while (Date.now() < deadline) {
    const { data } = await client.GET("/api/messages/{message_id}", { params: { path: { message_id: sent.data.id } } });
    if (data?.message.delivered_at) return String(data.message.id);
    await new Promise((later) => setTimeout(later, 100));
  }
  throw new Error("the text was not delivered");
}

console.log(await main());
