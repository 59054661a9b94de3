// Sends so many messages to each of so many channels by Slack's own SDK, all at once, and says how long that took.
import { WebClient } from '@slack/web-api';

const [url, channels, each] = process.argv.slice(2);
const client = new WebClient('xoxb-T0000000', { slackApiUrl: url, logLevel: 'error' });
const begun = process.hrtime.bigint();
const sent = [];
for (let number = 0; number < Number(each); number += 1) {
  for (let channel = 0; channel < Number(channels); channel += 1) {
    sent.push(client.chat.postMessage({ channel: `C${channel}`, text: `message ${number}` }));
  }
}
await Promise.all(sent);
console.log(Number((process.hrtime.bigint() - begun) / 1000n));
