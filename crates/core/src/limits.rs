//! Every limit of the gateway, once. Nothing is unbounded.

use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An inbound body. Slack's largest (a view of 250 kB, percent-encoded) fits with room to spare.
pub const INBOUND_BODY_BYTES: usize = 1024 * 1024;
/// How long a request waits for its commit before Slack gets a 503.
pub const COMMIT_BUDGET: Duration = Duration::from_millis(500);
/// How long an inbound body may take to arrive: Slack has given up by then.
pub const INBOUND_READ: Duration = Duration::from_secs(3);
/// How long the head of any request may take to arrive, so that half-sent heads hold no connection for ever.
pub const HEAD_READ: Duration = Duration::from_secs(10);
/// How long Slack is kept waiting for a handler, from receipt, commit included: Slack gives up at 3 s.
pub const HOLD: Duration = Duration::from_millis(2500);
/// Requests that share one commit.
pub const COMMIT_BATCH: usize = 1024;
/// Writes that wait for the writer. More wait outside.
pub const WRITE_QUEUE: usize = 1024;
/// Requests of Slack's that wait for the store, each with its body. More are answered 503 at once.
pub const ACCEPTING: usize = 1024;

/// One attempt at an endpoint, connection and answer included.
pub const ENDPOINT_TIMEOUT: Duration = Duration::from_secs(30);
/// The part of it that connecting may take. Short, so that an unreachable endpoint is known to be so before
/// Slack must have an answer.
pub const ENDPOINT_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a delivery belongs to whoever took it: twice the longest attempt.
pub const LEASE: Duration = MINUTE;
/// Attempts under way at one endpoint, unless it is given another limit.
pub const IN_FLIGHT_PER_ENDPOINT: u32 = 64;
/// The highest limit that an endpoint can be given.
pub const IN_FLIGHT_MAX: u32 = 1000;
/// One slot in so many is kept for first attempts: retries, however many, hold up nothing that is new.
pub const SLOTS_PER_RESERVED: u32 = 4;
/// Failures with no success between them after which an endpoint is given a rest.
pub const CIRCUIT_FAILURES: u32 = 5;
/// The first and the longest rest of an endpoint that fails; each is twice the one before.
pub const CIRCUIT_RESTS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(5 * 60));
/// The distance between two turns of one tenant in the queue of an endpoint.
pub const TURN: Duration = Duration::from_secs(1);
/// Tenants of which an endpoint's last turn is remembered; some 100 bytes each.
pub const TURNS: usize = 20_000;
/// The pause between two words that deliveries to an endpoint were given up, where it is well otherwise.
pub const EXHAUSTED_AGAIN: Duration = DAY;
/// How long the secret of an endpoint is good after it was replaced.
pub const SECRET_OVERLAP: Duration = DAY;
/// Endpoints: each request is held against all of them.
pub const ENDPOINTS: usize = 1000;
/// Filters of an endpoint.
pub const FILTERS: usize = 100;
/// The name in a filter: Slack's longest names (an `action_id`, a `callback_id`) have 255 characters.
pub const FILTER_BYTES: usize = 1024;
/// An endpoint's URL.
pub const ENDPOINT_URL_BYTES: usize = 2048;
/// Deliveries that are looked at for one page of a list, however few of them fit what is asked for.
pub const DELIVERIES_SEEN: u32 = 20_000;
/// What is kept of an endpoint's answer; a longer answer is a failure, as half of it would be nonsense.
pub const ENDPOINT_ANSWER_BYTES: usize = 64 * 1024;
/// How often the sweep looks for deliveries that are due.
pub const SWEEP: Duration = Duration::from_millis(200);
/// How often one looks for what the dead left, however often the sweep is called in between.
pub const REAP: Duration = Duration::from_secs(5);
/// The longest pause of the sweep while the store is unavailable.
pub const SWEEP_PAUSE: Duration = Duration::from_secs(5);
/// The life of a `trigger_id`.
pub const TRIGGER_LIFE: Duration = Duration::from_secs(3);
/// The longest wait that an endpoint's `Retry-After` can ask for.
pub const RETRY_AFTER: Duration = DAY;

/// One call of Slack's Web API.
pub const SLACK_TIMEOUT: Duration = Duration::from_secs(10);
/// The part of it that connecting may take. Short, so that a call which surely did not reach Slack is known as such.
pub const SLACK_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// An answer of Slack's that we read ourselves. (What the proxy passes on is streamed.)
pub const SLACK_ANSWER_BYTES: usize = 1024 * 1024;
/// A call that passes through the Web API proxy.
pub const PROXY_BODY_BYTES: usize = 1024 * 1024;
/// A body of our own API.
pub const API_BODY_BYTES: usize = 256 * 1024;

/// How long before its end a token is renewed. Source: docs.slack.dev, authentication/using-token-rotation, whose tokens
/// live for twelve hours, and whose SDKs renew as early.
pub const REFRESH_AHEAD: Duration = Duration::from_secs(2 * 60 * 60);
/// How long the right to renew a token is good: longer than the call it is for, and not by much: whoever dies with it has
/// perhaps used the refresh token up, which works again only for a short grace.
pub const REFRESH_LEASE: Duration = Duration::from_secs(15);
/// How often one looks for tokens that are due.
pub const REFRESH_SWEEP: Duration = Duration::from_secs(1);
/// How often one looks for tokens that an earlier version stored, and that would not be renewed.
pub const REFRESH_RECONCILE: Duration = HOUR;
/// Tokens that are renewed at once, of all that are due.
pub const REFRESHING: usize = 8;
/// The first pause, doubled from try to try, after an answer was lost; and the longest.
pub const REFRESH_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5 * 60));
/// The first pause after Slack refused to renew for a reason that is not the token's.
pub const REFRESH_REFUSED: Duration = MINUTE;
/// What a proxied answer is looked into for Slack's word about the token: refusals are short.
pub const REFUSAL_BYTES: usize = 2048;
/// A token that ends within this time is renewed before it is used: Slack would hardly get it in time.
pub const TOKEN_LEAST_LIFE: Duration = Duration::from_secs(2);

/// The time between two messages of one lane: what Slack allows a channel.
pub const LANE_PACE: Duration = Duration::from_secs(1);
/// Messages that a lane may send at once after a quiet time.
pub const LANE_BURST: u32 = 1;
/// Posts of one workspace in a minute: Slack says "several hundred".
pub const WORKSPACE_POSTS_PER_MINUTE: u32 = 600;
/// How long it is believed that Slack gives this app one look at a channel's history a minute, once it showed so.
pub const SLOW_BELIEVED: Duration = HOUR;
/// How long a proxied call, or an upload, waits for its turn; beyond it the caller is told when to come again. SDKs give up
/// later.
pub const PROXY_WAIT: Duration = Duration::from_secs(5);
/// Proxied calls that wait for their turn at once, each with its body.
pub const PROXY_WAITING: usize = 256;
/// A file on its way to Slack: it is passed on as it comes. Slack's own limit is the same.
pub const UPLOAD_BYTES: u64 = 1024 * 1024 * 1024;
/// How long a file on its way may stand still.
pub const FILE_PAUSE: Duration = Duration::from_secs(30);
/// How long a lane waits until it is known whether Slack has its message.
pub const LOOK_UP: Duration = MINUTE;
/// How soon after an answer was lost one looks for the message, and how often.
pub const LOOK_UP_PAUSE: Duration = Duration::from_secs(2);
/// How soon Slack is asked again that did not say anything about a message.
pub const LOOK_UP_AGAIN: Duration = Duration::from_secs(5);
/// How long a page of a history, or a look at one channel, waits for its turn.
pub const LOOK_UP_WAIT: Duration = Duration::from_secs(3);
/// How long a file may be on its way to Slack.
pub const UPLOAD: Duration = HOUR;
/// The least time between two looks for lanes that are due: what comes in between is taken together.
pub const SEND_PAUSE: Duration = Duration::from_millis(4);
/// How long after its answer was lost a message may still turn up in the channel: before that, not to be there proves nothing.
pub const LOOK_UP_SETTLED: Duration = Duration::from_secs(5);
/// How far Slack's clock may be from ours when it is asked what was posted since.
pub const LOOK_UP_SKEW: Duration = MINUTE;
/// Entries of a channel's history on a page, and pages that are looked through.
pub const LOOK_UP_PAGE: u32 = 100;
/// See [`LOOK_UP_PAGE`].
pub const LOOK_UP_PAGES: u32 = 3;
/// A lane whose head has waited so long says so.
pub const LANE_PARKED: Duration = MINUTE;
/// How far ahead a message can be scheduled: as far as with Slack's own `chat.scheduleMessage`.
pub const SCHEDULE_AHEAD: Duration = Duration::from_secs(120 * 24 * 60 * 60);
/// Messages in one call.
pub const MESSAGE_BATCH: usize = 100;
/// Messages on their way at once, over all lanes.
pub const SENDING: usize = 64;
/// How long a claimed message belongs to whoever took it: three times the longest call.
pub const SEND_LEASE: Duration = Duration::from_secs(30);
/// How long a message may wait until it is no longer worth sending.
pub const MESSAGE_LIFE: Duration = DAY;
/// How long a message may be asked to wait at most.
pub const MESSAGE_LIFE_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The name of a route.
pub const ROUTE_NAME_BYTES: usize = 100;
/// Routes of one workspace, and channels of one route: each channel is a message.
pub const ROUTES: usize = 500;
/// See [`ROUTES`].
pub const ROUTE_CHANNELS: usize = 20;
/// Channels on a page of a crawl: Slack's most is "under 1,000".
pub const CRAWL_PAGE: u32 = 999;
/// The pause between two pages, and how long the right to fetch one is good.
pub const CRAWL_PAUSE: Duration = Duration::from_secs(3);
/// See [`CRAWL_PAUSE`].
pub const CRAWL_LEASE: Duration = Duration::from_secs(30);
/// How often a workspace is crawled; in between, events tell what changes.
pub const CRAWL_AGAIN: Duration = Duration::from_secs(6 * 60 * 60);
/// How soon a crawl is tried again that failed for a reason that may last.
pub const CRAWL_FAILED: Duration = HOUR;
/// How often one looks for crawls that are due.
pub const CRAWL_SWEEP: Duration = Duration::from_secs(1);
/// Channels that a search shows, unless asked for.
pub const CHANNELS_SHOWN: u32 = 20;
/// How long it is believed whose an e-mail address is, and how many are remembered; some 100 bytes each.
pub const EMAIL_BELIEVED: (Duration, usize) = (HOUR, 10_000);
/// An e-mail address.
pub const EMAIL_BYTES: usize = 254;
/// How long a lane waits when Slack asks for patience and does not say how much.
pub const SLACK_RETRY_AFTER: Duration = Duration::from_secs(30);
/// The longest wait that Slack's `Retry-After` can ask of a lane: far less than a message's life.
pub const SLACK_RETRY_AFTER_MAX: Duration = HOUR;
/// Messages of one tenant that wait; more are refused.
pub const WAITING_MESSAGES: u32 = 1_000_000;
/// A message's text: what is longer Slack would cut.
pub const MESSAGE_TEXT_CHARS: usize = 40_000;
/// A message's text when it is changed: Slack refuses what is longer.
pub const UPDATE_TEXT_CHARS: usize = 4_000;
/// A message's text in Markdown.
pub const MARKDOWN_TEXT_CHARS: usize = 12_000;
/// Blocks in a message.
pub const MESSAGE_BLOCKS: usize = 50;
/// Attachments of a message.
pub const MESSAGE_ATTACHMENTS: usize = 100;
/// A channel or user that a message is addressed to.
pub const CHANNEL_CHARS: usize = 80;

/// How long the body of any other request may take to arrive.
pub const BODY_READ: Duration = Duration::from_secs(30);
/// What a `return_to` may be long.
pub const RETURN_TO_BYTES: usize = 2048;

/// An alert, answer included: whoever raises one has other work to do.
pub const ALERT_TIMEOUT: Duration = Duration::from_secs(10);
/// What is read of a webhook's answer: `ok`, or one word.
pub const ALERT_ANSWER_BYTES: usize = 4096;
/// The first and the longest pause between two tries to ask Slack whose `SLACK_BOT_TOKEN` is.
pub const HOME_PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(5 * 60));

/// The life of an OAuth `state`, equal to that of Slack's code.
pub const OAUTH_STATE: Duration = Duration::from_secs(10 * 60);
/// Installations in one call that takes them over: each is tried at Slack.
pub const IMPORT_ROWS: usize = 100;
/// How long an install that began at Slack waits for somebody who claims it.
pub const PARKED_INSTALL: Duration = Duration::from_secs(30 * 60);
/// The life of a connect link.
pub const CONNECT_LINK: Duration = HOUR;
/// The life of a dashboard link: it is opened as soon as it is made.
pub const DASHBOARD_LINK: Duration = Duration::from_secs(10 * 60);
/// Wrong credentials of one address, or tries of one credential, within a minute; beyond them the answer is 429. A right one
/// still passes.
pub const FAILURES_PER_MINUTE: u32 = 300;
/// Addresses and credentials whose failures of a minute are counted; some 16 bytes each. Beyond them nothing is counted anew.
pub const FAILURES_KNOWN: usize = 100_000;
/// Codes of installs without a state that are redeemed at once: anybody can bring one.
pub const PARKING: usize = 4;
/// How far the issuer's clock may be from ours.
pub const ISSUER_SKEW: Duration = Duration::from_secs(30);
/// A user id of Slack's, with room to spare.
pub const SLACK_USER_BYTES: usize = 32;
/// How long it is said that Slack held events back: Slack counts by the hour.
pub const RATE_LIMIT_SAID: Duration = HOUR;
/// A token of the product's issuer.
pub const TOKEN_BYTES: usize = 16 * 1024;
/// How long the issuer's keys are used before they are looked at again.
pub const ISSUER_KEYS_LIFE: Duration = Duration::from_secs(10 * 60);
/// The pause between two looks at the issuer's keys, however many tokens name one that is not known.
pub const ISSUER_KEYS_AGAIN: Duration = Duration::from_secs(30);
/// One look at the issuer's keys.
pub const ISSUER_TIMEOUT: Duration = Duration::from_secs(5);
/// What an issuer publishes.
pub const ISSUER_ANSWER_BYTES: usize = 256 * 1024;
/// How long a person stays signed in: a working day.
pub const SESSION: Duration = Duration::from_secs(8 * 60 * 60);

/// How long an event is redelivered.
pub const EVENT_LIFE: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// The life of a `response_url`: after it nothing can be said to the person who clicked.
pub const INTERACTION_LIFE: Duration = Duration::from_secs(30 * 60);

/// Of an hour's answers to Slack, the percentage of failures at which somebody is told. Slack switches events off at 95.
pub const EVENT_SHARE_PERCENT: u64 = 50;
/// Answers within the hour below which nobody is told: the first request of a night may well fail.
pub const EVENT_SHARE_LEAST: u32 = 100;
/// The pause between two such words.
pub const EVENT_SHARE_PAUSE: Duration = Duration::from_secs(10 * 60);

/// Answers that a `response_url` takes. Source: docs.slack.dev, interactivity/handling-user-interaction.
pub const RESPONSES: u32 = 5;

/// How long what Slack sent, what endpoints answered and what was said to Slack is kept, sealed.
pub const BODY_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How long it is on record that there was something.
pub const RECORD_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long a request is kept that matches no installation.
pub const UNCLAIMED_KEPT: Duration = DAY;
/// How long a request is known again: Slack's last retry comes within an hour, a replay fails by its age.
pub const SEEN_KEPT: Duration = Duration::from_secs(26 * 60 * 60);
/// How often it is noted at most that a key was used: to look at something is no reason to write.
pub const KEY_USE_NOTED: Duration = Duration::from_secs(60);
/// How long an `Idempotency-Key` is known, and how long a used or expired link, an idle lane.
pub const KEY_KEPT: Duration = DAY;
/// The pause between two looks for what is old, and between two parts while there is something.
pub const FORGET_PAUSES: (Duration, Duration) = (MINUTE, Duration::from_millis(50));

/// Of so many of a tenant's last requests one is looked for, to say when a workspace was last heard of.
pub const LAST_EVENT_SEEN: u32 = 500;

/// Entries on a page, unless asked for.
pub const PAGE_DEFAULT: u32 = 50;
/// Entries on a page at most.
pub const PAGE_MAX: u32 = 500;
/// An `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_BYTES: usize = 255;
/// A tenant's name.
pub const TENANT_NAME_CHARS: usize = 200;

/// How long a stopping server finishes what is in hand; the rest is left to leases.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
