//! What lies on people's desks: open modals, half-typed forms, triggers that still count.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::blocks::placed::{self, Values, with_ids};
use crate::limits;
use crate::time::now_us;
use crate::world::short_ids;

/// What is open and half-typed. By surface: see [`Desk::message`] and the views' ids.
#[derive(Default)]
pub(crate) struct Desk {
    views: Vec<OpenView>,
    pub(crate) drafts: HashMap<String, Values>,
    /// What external selects were given to choose from: by surface, then by place.
    pub(crate) suggested: HashMap<String, HashMap<String, Vec<Value>>>,
    triggers: HashMap<String, Trigger>,
    views_made: u64,
}

struct Trigger {
    team: String,
    user: String,
    expires_at_us: u64,
    used: bool,
}

/// A modal before a person.
#[derive(Clone)]
pub(crate) struct OpenView {
    pub(crate) id: String,
    pub(crate) team: String,
    pub(crate) user: String,
    pub(crate) root: String,
    pub(crate) previous: Option<String>,
    /// The view as the app gave it. A legacy dialog is one as well, see [`Legacy`].
    pub(crate) view: Value,
    pub(crate) legacy: Option<Legacy>,
    pub(crate) hash: String,
    /// What is wrong, by block.
    pub(crate) errors: HashMap<String, String>,
    /// What is wrong as a whole.
    pub(crate) trouble: Option<&'static str>,
}

/// What a legacy dialog has besides.
#[derive(Clone)]
pub(crate) struct Legacy {
    pub(crate) dialog: Value,
    pub(crate) channel: String,
    pub(crate) response_url: String,
}

impl Desk {
    /// A message as a surface.
    pub(crate) fn message(user: &str, ts: &str) -> String {
        format!("{user}|{ts}")
    }

    pub(crate) fn trigger(&mut self, id: &str, team: &str, user: &str, life: Duration) {
        let now = now_us();
        self.triggers.retain(|_, trigger| trigger.expires_at_us + 60_000_000 > now);
        let expires_at_us = now + u64::try_from(life.as_micros()).unwrap_or(u64::MAX / 2);
        let trigger = Trigger { team: team.to_owned(), user: user.to_owned(), expires_at_us, used: false };
        self.triggers.insert(id.to_owned(), trigger);
    }

    /// Whose trigger this is: of a team and a person. It counts once.
    pub(crate) fn pull(&mut self, id: &str) -> Result<(String, String), &'static str> {
        let trigger = self.triggers.get_mut(id).ok_or("invalid_trigger_id")?;
        if trigger.used {
            return Err("exchanged_trigger_id");
        }
        if trigger.expires_at_us <= now_us() {
            return Err("expired_trigger_id");
        }
        trigger.used = true;
        Ok((trigger.team.clone(), trigger.user.clone()))
    }

    /// Puts a view before a person: above the others (`push`), or in place of them.
    pub(crate) fn open(
        &mut self,
        team: &str,
        user: &str,
        view: &Value,
        push: bool,
    ) -> Result<&OpenView, &'static str> {
        if !push {
            self.clear(user);
        }
        let below = self.stack(user);
        if below.len() >= limits::VIEW_STACK {
            return Err("push_limit_reached");
        }
        let (root, previous) =
            (below.first().map(|view| view.id.clone()), below.last().map(|view| view.id.clone()));
        self.views_made += 1;
        let id = format!("V{:010}", self.views_made);
        self.views.push(OpenView {
            root: root.unwrap_or_else(|| id.clone()),
            previous,
            team: team.to_owned(),
            user: user.to_owned(),
            view: complete(view, &id),
            legacy: None,
            hash: hash(),
            errors: HashMap::new(),
            trouble: None,
            id,
        });
        Ok(self.views.last().expect("just pushed"))
    }

    /// The views before a person, the topmost last.
    fn stack(&self, user: &str) -> Vec<&OpenView> {
        self.views.iter().filter(|view| view.user == user).collect()
    }

    pub(crate) fn top(&self, user: &str) -> Option<&OpenView> {
        self.stack(user).pop()
    }

    pub(crate) fn view(&mut self, id: &str) -> Option<&mut OpenView> {
        self.views.iter_mut().find(|view| view.id == id)
    }

    /// By its id, or by the app's own name for it.
    pub(crate) fn view_named(&mut self, id: Option<&str>, external: Option<&str>) -> Option<&mut OpenView> {
        self.views.iter_mut().find(|view| match (id, external) {
            (Some(id), _) => view.id == id,
            (None, Some(external)) => view.view["external_id"] == external,
            (None, None) => false,
        })
    }

    /// Takes a view away, with what was typed into it.
    pub(crate) fn close(&mut self, id: &str) {
        self.views.retain(|view| view.id != id);
        self.drafts.remove(id);
        self.suggested.remove(id);
    }

    /// Takes all of a person's views away.
    pub(crate) fn clear(&mut self, user: &str) {
        let all = self.stack(user).into_iter().map(|view| view.id.clone()).collect::<Vec<_>>();
        all.iter().for_each(|id| self.close(id));
    }

    pub(crate) fn values(&self, surface: &str) -> Values {
        self.drafts.get(surface).cloned().unwrap_or_default()
    }
}

fn complete(view: &Value, id: &str) -> Value {
    let mut view = view.clone();
    view["blocks"] = with_ids(view["blocks"].take(), short_ids(id.trim_start_matches('V')));
    view
}

fn hash() -> String {
    let now = now_us();
    format!("{}.{:06x}", now / 1_000_000, now % 1_000_000)
}

impl OpenView {
    /// Gives it another face.
    pub(crate) fn update(&mut self, view: &Value) {
        self.view = complete(view, &self.id);
        self.hash = hash();
        self.errors.clear();
        self.trouble = None;
    }

    /// As Slack sends it.
    pub(crate) fn payload(&self, app_id: &str, bot_id: &str, values: &Values) -> Value {
        let mut view = json!({
            "id": self.id,
            "team_id": self.team,
            "type": "modal",
            "blocks": self.view["blocks"],
            "private_metadata": "",
            "callback_id": "",
            "state": placed::state(&self.view["blocks"], values),
            "hash": self.hash,
            "clear_on_close": false,
            "notify_on_close": false,
            "close": null,
            "submit": null,
            "previous_view_id": self.previous,
            "root_view_id": self.root,
            "app_id": app_id,
            "external_id": "",
            "app_installed_team_id": self.team,
            "bot_id": bot_id,
        });
        for field in [
            "type",
            "title",
            "close",
            "submit",
            "private_metadata",
            "callback_id",
            "clear_on_close",
            "notify_on_close",
            "external_id",
        ] {
            if let Some(value) = self.view.get(field) {
                view[field] = value.clone();
            }
        }
        view
    }
}
