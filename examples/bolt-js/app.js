// A plain Bolt app. Two things point it at Tautline instead of Slack: where its Web API calls go, and a
// gateway key in place of a Slack token. It checks signatures with its own signing secret, as ever.
import bolt from '@slack/bolt';
import { WebClient } from '@slack/web-api';

const { SLACK_SIGNING_SECRET, TAUTLINE_URL, TAUTLINE_KEY, HOST = '127.0.0.1', PORT = '3000' } = process.env;

const clientOptions = { slackApiUrl: `${TAUTLINE_URL}/slack/api/` };
const bots = new Map();

// The key names the workspace too, so that a tenant may have several. Who the bot is, is asked once for each: Bolt needs to
// know, or the app would answer its own messages.
async function authorize({ teamId, enterpriseId, isEnterpriseInstall }) {
  const botToken = `${TAUTLINE_KEY}.${isEnterpriseInstall ? enterpriseId : teamId}`;
  if (!bots.has(botToken)) bots.set(botToken, await new WebClient(botToken, clientOptions).auth.test());
  const { bot_id: botId, user_id: botUserId } = bots.get(botToken);
  return { botToken, botId, botUserId };
}

const app = new bolt.App({ signingSecret: SLACK_SIGNING_SECRET, authorize, clientOptions });

app.event('app_mention', async ({ body, say }) => {
  console.log(`mentioned in event ${body.event_id}`);
  await say('hi');
});

app.command('/hello', async ({ ack }) => {
  await ack('hello');
});

await app.start({ host: HOST, port: Number(PORT) });
console.log(`listening on http://${HOST}:${PORT}/slack/events`);
