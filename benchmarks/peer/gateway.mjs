// As many processes behind one port as the gateway beside it has.
import cluster from "node:cluster";

const processes = Number(process.env.PEER_PROCESSES);
if (cluster.isPrimary && processes > 1) {
  for (let place = 0; place < processes; place += 1) cluster.fork();
  process.on("SIGTERM", () => cluster.disconnect(() => process.exit(0)));
} else {
  await import("./server.mjs");
}
