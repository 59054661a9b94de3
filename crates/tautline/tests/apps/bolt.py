"""What a product's Bolt app does: an event, a command with a reply, a button that opens a modal, the modal's check, a menu.

Nothing in it knows of Tautline but where its Web API calls go, and what stands in a token's place.
"""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from slack_bolt import App, BoltRequest
from slack_bolt.authorization import AuthorizeResult
from slack_sdk import WebClient

URL, KEY = os.environ["TAUTLINE_URL"], os.environ["TAUTLINE_KEY"]


def plain(text):
    return {"type": "plain_text", "text": text}


def authorize(enterprise_id, team_id):
    token = f"{KEY}.{team_id or enterprise_id}"
    return AuthorizeResult(enterprise_id=enterprise_id, team_id=team_id, bot_token=token)


app = App(
    signing_secret=os.environ["SLACK_SIGNING_SECRET"],
    client=WebClient(base_url=f"{URL}/slack/api/"),
    authorize=authorize,
)


@app.event("app_mention")
def mentioned(say):
    say("hi from bolt")


@app.command("/ask")
def ask(ack, respond):
    ack({"response_type": "ephemeral", "text": "asked"})
    respond("and answered")


@app.action("open")
def open_form(ack, body, client):
    ack()
    element = {"type": "plain_text_input", "action_id": "in"}
    block = {"type": "input", "block_id": "name", "label": plain("Name"), "element": element}
    view = {"type": "modal", "callback_id": "form", "title": plain("Form"), "submit": plain("Send"), "blocks": [block]}
    opened = client.views_open(trigger_id=body["trigger_id"], view=view)
    print("opened", opened["view"]["callback_id"], flush=True)


@app.view("form")
def submitted(ack, view):
    if len(view["state"]["values"]["name"]["in"]["value"]) < 2:
        ack(response_action="errors", errors={"name": "Two letters or more."})
    else:
        ack()


@app.options("topping")
def toppings(ack):
    ack(options=[{"text": plain("Olives"), "value": "olives"}])


class Handler(BaseHTTPRequestHandler):
    """Bolt's own development server listens on every address; this one on the one it is given."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode("utf-8")
        said = app.dispatch(BoltRequest(body=body, headers=dict(self.headers)))
        self.send_response(said.status)
        for name, values in said.headers.items():
            self.send_header(name, values[0])
        self.end_headers()
        self.wfile.write(said.body.encode("utf-8"))

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler)
print("listening on", flush=True)
server.serve_forever()
