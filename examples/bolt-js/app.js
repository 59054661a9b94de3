// A plain Bolt app. Two things point it at Tautline instead of Slack: where its Web API calls go, and a
// gateway key in place of a Slack token. It checks signatures with its own signing secret, as ever.
import bolt from '@slack/bolt';

const { SLACK_SIGNING_SECRET, TAUTLINE_URL, TAUTLINE_KEY, HOST = '127.0.0.1', PORT = '3000' } = process.env;

const app = new bolt.App({
  signingSecret: SLACK_SIGNING_SECRET,
  // The key names the workspace too, so that a tenant may have several.
  authorize: async ({ teamId, enterpriseId }) => ({ botToken: `${TAUTLINE_KEY}.${teamId ?? enterpriseId}` }),
  clientOptions: { slackApiUrl: `${TAUTLINE_URL}/slack/api/` },
});

app.event('app_mention', async ({ body, say }) => {
  console.log(`mentioned in event ${body.event_id}`);
  await say('hi');
});

app.command('/hello', async ({ ack }) => {
  await ack('hello');
});

await app.start({ host: HOST, port: Number(PORT) });
console.log(`listening on http://${HOST}:${PORT}/slack/events`);
