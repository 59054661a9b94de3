"""Verifies a request by the official library of Standard Webhooks: {secret, headers, body} on standard input."""

import json
import sys

from standardwebhooks.webhooks import Webhook

given = json.load(sys.stdin)
print(json.dumps(Webhook(given["secret"]).verify(given["body"], given["headers"])))
