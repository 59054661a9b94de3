"""Calls as a product makes them by Slack's SDK for Python, against whatever stands at the URL with whatever stands for a token."""

import asyncio
import sys

from slack_sdk.web import WebClient
from slack_sdk.web.async_client import AsyncWebClient

how, url, token = sys.argv[1:]
blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "*ünïcode* & <b>"}}]
calls = [
    ("chat_postMessage", {"channel": "C1", "text": "a & b = ü", "blocks": blocks, "unfurl_links": False}),
    ("conversations_list", {"limit": 3, "cursor": "dGVhbTpDMQ=="}),
    ("chat_update", {"channel": "C1", "ts": "1.2", "text": "x"}),
]


async def all_async():
    client = AsyncWebClient(token=token, base_url=url)
    for name, arguments in calls:
        await getattr(client, name)(**arguments)


if how == "async":
    asyncio.run(all_async())
else:
    client = WebClient(token=token, base_url=url)
    for name, arguments in calls:
        getattr(client, name)(**arguments)
