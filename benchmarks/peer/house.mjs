// What gateway and workers share: queues, cache, database, tenants.
import IORedis from "ioredis";
import pg from "pg";
import { Queue } from "bullmq";

export const QUEUES = ["incoming-messages", "bitrix24-messages", "outbound-messages", "meta-messages"];

// BullMQ asks for endless retries on the connections that it blocks on.
export const redis = () => new IORedis(process.env.PEER_REDIS, { maxRetriesPerRequest: null });

const url = new URL(process.env.PEER_DATABASE.replace("@/", "@localhost/"));
export const database = new pg.Pool({
  host: url.searchParams.get("host"),
  user: url.username,
  database: url.pathname.slice(1),
  max: 10,
});

// Five attempts, exponential back-off from a second on; what is done leaves nothing behind.
const JOB = { attempts: 5, backoff: { type: "exponential", delay: 1000 }, removeOnComplete: true, removeOnFail: 1000 };

export const queue = (name, connection) => new Queue(name, { connection, defaultJobOptions: JOB });

// Portals hardly change: they are read once, which is kinder than the brief's look-up in the cache for every message.
export class Portals {
  #by = { id: new Map(), member: new Map(), number: new Map() };

  async load() {
    const { rows } = await database.query("SELECT * FROM portal_config");
    for (const row of rows) {
      this.#by.id.set(row.id, row);
      this.#by.member.set(row.member_id, row);
      this.#by.number.set(row.phone_number_id, row);
    }
    return this;
  }

  async find(kind, key) {
    const found = this.#by[kind].get(key);
    if (found) return found;
    await this.load();
    return this.#by[kind].get(key);
  }
}
