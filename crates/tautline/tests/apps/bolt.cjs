// What a product's Bolt app does: an event, a command with a reply, a button that opens a modal, the modal's check, a
// menu. Nothing in it knows of Tautline but where its Web API calls go, and what stands in a token's place.
const { App } = require('@slack/bolt');

const { SLACK_SIGNING_SECRET, TAUTLINE_URL, TAUTLINE_KEY, HOST, PORT } = process.env;
const plain = (text) => ({ type: 'plain_text', text });

const app = new App({
  signingSecret: SLACK_SIGNING_SECRET,
  authorize: async ({ teamId, enterpriseId }) => ({ botToken: `${TAUTLINE_KEY}.${teamId ?? enterpriseId}` }),
  clientOptions: { slackApiUrl: `${TAUTLINE_URL}/slack/api/` },
});

app.event('app_mention', async ({ say }) => say('hi from bolt'));

app.command('/ask', async ({ ack, respond }) => {
  await ack({ response_type: 'ephemeral', text: 'asked' });
  await respond('and answered');
});

app.action('open', async ({ ack, body, client }) => {
  await ack();
  const input = { type: 'input', block_id: 'name', label: plain('Name'), element: { type: 'plain_text_input', action_id: 'in' } };
  const view = { type: 'modal', callback_id: 'form', title: plain('Form'), submit: plain('Send'), blocks: [input] };
  const opened = await client.views.open({ trigger_id: body.trigger_id, view });
  console.log(`opened ${opened.view.callback_id}`);
});

app.view('form', async ({ ack, view }) => {
  const name = view.state.values.name.in.value;
  await (name.length < 2 ? ack({ response_action: 'errors', errors: { name: 'Two letters or more.' } }) : ack());
});

app.options('topping', async ({ ack }) => ack({ options: [{ text: plain('Olives'), value: 'olives' }] }));

app.start({ host: HOST, port: Number(PORT) }).then(() => console.log('listening on'));
