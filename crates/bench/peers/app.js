// An app on Bolt JS that acknowledges events: as it comes, or with `--store FILE` after one durable insert.
import bolt from "@slack/bolt";
import Database from "better-sqlite3";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { port: { type: "string" }, store: { type: "string" } } });
const app = new bolt.App({
  token: "xoxb-bench",
  signingSecret: process.env.SLACK_SIGNING_SECRET,
  // What `auth.test` would say: the bench has no Slack to ask.
  authorize: async () => ({ botToken: "xoxb-bench", botId: "B1", botUserId: "U1" }),
  logLevel: bolt.LogLevel.ERROR,
  ...{ token: undefined },
});

let keep = () => {};
if (values.store) {
  const database = new Database(values.store);
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = FULL");
  database.exec("CREATE TABLE events (id TEXT PRIMARY KEY, body TEXT NOT NULL, at INTEGER NOT NULL)");
  const insert = database.prepare("INSERT INTO events (id, body, at) VALUES (?, ?, ?)");
  keep = (body) => insert.run(body.event_id, JSON.stringify(body), Date.now());
}
// Bolt acknowledges an event before its listeners run; middleware comes before that.
app.use(async ({ body, next }) => {
  keep(body);
  await next();
});
app.event("app_mention", async () => {});

await app.start({ port: Number(values.port), host: "127.0.0.1" });
console.log("serving");
