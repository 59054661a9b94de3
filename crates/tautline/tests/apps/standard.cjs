// Verifies a request by the official library of Standard Webhooks: {secret, headers, body} on standard input.
const { Webhook } = require("standardwebhooks");

const { secret, headers, body } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(new Webhook(secret).verify(body, headers)));
