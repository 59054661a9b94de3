// Calls as a product makes them by Slack's SDK for Node, against whatever stands at the URL with whatever stands for a token.
const { WebClient } = require('@slack/web-api');

const [url, token] = process.argv.slice(2);
const client = new WebClient(token, { slackApiUrl: url, retryConfig: { retries: 0 } });

(async () => {
  const blocks = [{ type: 'section', text: { type: 'mrkdwn', text: '*ünïcode* & <b>' } }];
  await client.chat.postMessage({ channel: 'C1', text: 'a & b = ü', blocks, unfurl_links: false });
  await client.conversations.list({ limit: 3, cursor: 'dGVhbTpDMQ==' });
  await client.apiCall('chat.update', { channel: 'C1', ts: '1.2', text: 'x' });
})();
