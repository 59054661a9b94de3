//! The store's own limits. Those that others must know are in `tautline_core::limits`.

use std::time::Duration;

/// Connections that look things up on the way of a request. More would not read faster: SQLite's pages are in
/// the machine's own cache.
pub(crate) const LOOKUP_READERS: usize = 3;
/// Connections for what is looked at here and now, on the thread that asks: tenants, keys, installations, what is due. More
/// threads than this look at once only on machines that have as many cores; the others wait their turn among the readers.
pub(crate) const GLANCES: usize = 4;
/// Installations kept in memory once they were looked up; of a kilobyte at most, mostly half of one.
pub(crate) const KNOWN_INSTALLATIONS: usize = 16_384;
/// Connections that make lists, apart from the others: a long list must not keep Slack waiting.
pub(crate) const LIST_READERS: usize = 2;
/// Memory of the writer's connection for pages, in KiB. Keys come in no order: with SQLite's own 2 MiB the pages of
/// `seen` and of the indexes were read anew for most rows.
pub(crate) const WRITER_CACHE_KIB: i64 = 16 * 1024;
/// Commits after which SQLite's log is brought into the file. The fewer, the sooner it is done, and the shorter a
/// commit that comes meanwhile waits for the disk; the more, the more often what several commits wrote to one page is
/// written once.
pub(crate) const CHECKPOINT_COMMITS: u32 = 16;
/// Pages in SQLite's log, of 4 KiB each, at which a commit waits until all of them are in the file and the log can
/// start anew.
pub(crate) const LOG_PAGES: i64 = 16_000;
/// How long a connection waits for a lock that some other program holds on the file (a backup tool, say).
pub(crate) const BUSY: Duration = Duration::from_secs(5);
/// Prepared statements that a connection keeps: more than there are in the code.
pub(crate) const STATEMENTS: usize = 64;
/// Rows that one reap changes, so that it stays short beside the traffic. The next one takes the rest.
pub(crate) const REAP_BATCH: i64 = 500;
/// Rows that one part of deleting or erasing goes through.
pub(crate) const PART: i64 = 500;
/// Rows that one part of sealing anew goes through: each may be of a megabyte.
pub(crate) const RESEAL_PART: i64 = 50;
/// [`tautline_core::limits::REFRESH_AHEAD`], as SQL counts.
pub(crate) const REFRESH_AHEAD_US: i64 = tautline_core::limits::REFRESH_AHEAD.as_micros() as i64;
/// How long something waits for one of PostgreSQL's connections: longer than Slack's requests can.
pub(crate) const POSTGRES_ACQUIRE: Duration = Duration::from_secs(2);
/// How long an answer of PostgreSQL's may take. The server itself gives a statement the same time.
pub(crate) const POSTGRES_ANSWER: Duration = Duration::from_secs(10);
/// Connections on Slack's way: looking up, accepting, putting attempts on record, and one for whether we are ready.
pub(crate) const POSTGRES_INBOUND_CONNECTIONS: u32 = 4;
/// Connections for lists.
pub(crate) const POSTGRES_LIST_CONNECTIONS: u32 = 2;
/// A reading of the database's clock that takes longer is not used.
pub(crate) const POSTGRES_READING: Duration = Duration::from_millis(500);
/// Connections for everything else. With the above, 14 for each replica: a database's 100 serve several.
pub(crate) const POSTGRES_CONNECTIONS: u32 = 8;
/// How often the database's clock is read. Clocks that drift by 100 ppm part by 3 ms in that time.
pub(crate) const POSTGRES_CLOCK: Duration = Duration::from_secs(30);
