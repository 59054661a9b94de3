"""A Bolt app's SQLAlchemy store, filled as Bolt for Python does it when Slack answers an install; and its rows, as JSON."""
import json
import sys

import sqlalchemy
from slack_sdk.oauth.installation_store import Installation
from slack_sdk.oauth.installation_store.sqlalchemy import SQLAlchemyInstallationStore

database, answer = sys.argv[1], json.loads(sys.argv[2])
engine = sqlalchemy.create_engine(f"sqlite:///{database}")
store = SQLAlchemyInstallationStore(client_id="333.444", engine=engine)
store.create_tables()


def save(bot_token):
    store.save(Installation(
        app_id=answer["app_id"],
        team_id=answer["team"]["id"],
        team_name=answer["team"]["name"],
        bot_token=bot_token,
        bot_id="B0LD",
        bot_user_id=answer["bot_user_id"],
        bot_scopes=answer["scope"],
        user_id=answer["authed_user"]["id"],
        is_enterprise_install=False,
    ))


# The workspace was connected twice; only the later token lives.
save("xoxb-of-an-earlier-install")
save(answer["access_token"])
with engine.connect() as connection:
    for row in connection.execute(sqlalchemy.text("SELECT * FROM slack_installations")).mappings():
        print(json.dumps(dict(row), default=str))
