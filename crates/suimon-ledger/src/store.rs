//! Appending to and reading from the database.

use crate::chain::{GENESIS, Hash, Link};
use crate::head::{self, Head};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use suimon_base::party::ActorKind;
use suimon_base::{Actor, Event, Recorded, Timestamp};

/// Largest event, in octets of JSON: far above any plan of a thousand lines, far below what would hurt a page.
pub const MAX_BODY_BYTES: usize = 4 << 20;

/// How long a write waits for another program that holds the database. One daemon writes, so this is a backup or a person
/// with a shell; the engine goes on without the ledger meanwhile.
const BUSY: Duration = Duration::from_secs(1);

/// What a caller can do about it differs, so the kinds do too.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another process holds the folder: stop it first.
    #[error("{0} is in use by another process")]
    InUse(PathBuf),
    /// The folder or its files cannot be made or opened.
    #[error("{path}: {source}")]
    Folder {
        /// Which file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The database refuses or fails; nothing of this append was stored, or it is not known whether it was. Reopen or retry.
    #[error("ledger database: {0}")]
    Database(#[from] sqlx::Error),
    /// The database was deleted or replaced under us: what is written would be lost with it. Stop, and bring it back.
    #[error("{0} was deleted or replaced while it was open")]
    Gone(PathBuf),
    /// The event is too large.
    #[error("an event of {0} octets is over the limit of {MAX_BODY_BYTES}")]
    TooLarge(usize),
    /// What is stored is not what this version writes.
    #[error("event {seq} cannot be read: {what}")]
    Unreadable {
        /// Place in the ledger.
        seq: u64,
        /// Which part.
        what: String,
    },
}

/// An event about to be appended.
#[derive(Clone, Debug)]
pub struct Draft {
    /// When; stored to the millisecond.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What.
    pub event: Event,
}

/// An event as stored, with its place in the chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The event.
    pub recorded: Recorded,
    /// The JSON text that was hashed.
    pub body: String,
    /// Hash of the event before.
    pub prev: Hash,
    /// Its own hash.
    pub hash: Hash,
}

/// The open ledger of one daemon.
#[derive(Debug)]
pub struct Ledger {
    dir: PathBuf,
    /// Device and inode of the database.
    file: (u64, u64),
    /// For reading.
    pool: SqlitePool,
    /// The one connection that writes; a new one after every failure.
    writer: Option<SqliteConnection>,
    head: Head,
    /// After a failed commit the database may or may not hold the events: the next append looks first.
    unsure: bool,
    exercise: bool,
    _lock: File,
}

impl Ledger {
    /// Opens or creates the ledger in `dir`. `exercise` marks every event that this run appends.
    ///
    /// # Errors
    /// When another process holds the folder, or it or the database cannot be opened.
    pub async fn open(dir: &Path, exercise: bool) -> Result<Ledger, LedgerError> {
        let folder = |path: &Path| {
            let path = path.to_path_buf();
            move |source| LedgerError::Folder { path, source }
        };
        std::fs::create_dir_all(dir).map_err(folder(dir))?;
        let lock_path = dir.join("lock");
        let lock = File::create(&lock_path).map_err(folder(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LedgerError::InUse(dir.to_path_buf())),
            Err(TryLockError::Error(source)) => return Err(folder(&lock_path)(source)),
        }
        let pool = connect(dir, true).await?;
        sqlx::raw_sql(include_str!("../migrations/0001_events.sql")).execute(&pool).await?;
        let file = identity(dir).ok_or_else(|| LedgerError::Gone(dir.join("ledger.db")))?;
        let mut ledger = Ledger {
            dir: dir.to_path_buf(),
            file,
            pool,
            writer: None,
            head: Head { seq: 0, hash: GENESIS },
            unsure: false,
            exercise,
            _lock: lock,
        };
        ledger.head = ledger.stored_head().await?;
        Ok(ledger)
    }

    /// Appends all drafts or none, and returns when they are on the disk.
    ///
    /// # Errors
    /// When an event is too large or the database fails; after a failure the next call finds out what is stored.
    pub async fn append(&mut self, drafts: Vec<Draft>) -> Result<Vec<Recorded>, LedgerError> {
        // SQLite writes on into a file that has no name any more, and says nothing.
        if identity(&self.dir) != Some(self.file) {
            return Err(LedgerError::Gone(self.dir.join("ledger.db")));
        }
        if self.unsure {
            self.head = self.stored_head().await?;
            self.unsure = false;
        }
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => SqliteConnection::connect_with(&options(&self.dir, true)).await?,
        };
        match self.write(&mut writer, drafts).await {
            Ok((head, out)) => {
                self.writer = Some(writer);
                self.head = head;
                if let Err(error) = head::write(&self.dir, head) {
                    // The events are safe; only the proof against cutting them off later lags behind.
                    tracing::warn!(%error, "the ledger's head file could not be written");
                }
                Ok(out)
            }
            Err(error) => {
                // SQLite ends a transaction by itself on some failures and not on others. What is half done goes with its
                // connection: on one that is kept, a later commit could end an inner transaction only, and store nothing.
                if let Err(error) = writer.close().await {
                    tracing::warn!(%error, "the ledger's connection could not be closed");
                }
                Err(error)
            }
        }
    }

    async fn write(
        &mut self,
        writer: &mut SqliteConnection,
        drafts: Vec<Draft>,
    ) -> Result<(Head, Vec<Recorded>), LedgerError> {
        let mut tx = writer.begin().await?;
        let mut head = self.head;
        let mut out = Vec::with_capacity(drafts.len());
        for Draft { at, actor, event } in drafts {
            let at = at.floor_ms();
            let body = serde_json::to_string(&event)
                .map_err(|e| LedgerError::Unreadable { seq: head.seq + 1, what: e.to_string() })?;
            if body.len() > MAX_BODY_BYTES {
                return Err(LedgerError::TooLarge(body.len()));
            }
            let actor_text = actor.to_string();
            let link = Link {
                prev: head.hash,
                seq: head.seq + 1,
                at,
                actor: &actor_text,
                exercise: self.exercise,
                kind: event.kind(),
                body: &body,
            };
            let hash = link.hash();
            sqlx::query(
                "INSERT INTO events (seq, at_us, actor, exercise, kind, body, prev, hash) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(i64::try_from(link.seq).unwrap_or(i64::MAX))
            .bind(at.as_micros())
            .bind(&actor_text)
            .bind(self.exercise)
            .bind(link.kind)
            .bind(&body)
            .bind(head.hash.to_string())
            .bind(hash.to_string())
            .execute(&mut *tx)
            .await?;
            head = Head { seq: link.seq, hash };
            out.push(Recorded { seq: head.seq, at, actor, exercise: self.exercise, event });
        }
        self.unsure = true;
        tx.commit().await?;
        self.unsure = false;
        Ok((head, out))
    }

    /// Place and hash of the last event.
    pub fn head(&self) -> Head {
        self.head
    }

    /// A second way to read, for pages and reports; it cannot write.
    pub fn reader(&self) -> Reader {
        Reader { pool: self.pool.clone() }
    }

    async fn stored_head(&self) -> Result<Head, LedgerError> {
        let row =
            sqlx::query("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1").fetch_optional(&self.pool).await?;
        row.map_or(Ok(Head { seq: 0, hash: GENESIS }), |row| {
            let seq = seq_of(&row)?;
            Ok(Head { seq, hash: hash_of(&row, "hash", seq)? })
        })
    }
}

/// Reads events; cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader {
    pool: SqlitePool,
}

impl Reader {
    /// Events from place `from` on, at most `limit`, in order.
    ///
    /// # Errors
    /// When the database fails or an event is not what this version writes.
    pub async fn read(&self, from: u64, limit: u32) -> Result<Vec<Row>, LedgerError> {
        let rows =
            sqlx::query(AssertSqlSafe(format!("SELECT {COLUMNS} FROM events WHERE seq >= $1 ORDER BY seq LIMIT $2")))
                .bind(i64::try_from(from).unwrap_or(i64::MAX))
                .bind(i64::from(limit))
                .fetch_all(&self.pool)
                .await?;
        rows.iter().map(row_of).collect()
    }
}

impl Ledger {
    /// [`Reader::read`].
    ///
    /// # Errors
    /// As there.
    pub async fn read(&self, from: u64, limit: u32) -> Result<Vec<Row>, LedgerError> {
        self.reader().read(from, limit).await
    }
}

const COLUMNS: &str = "seq, at_us, actor, exercise, kind, body, prev, hash";

/// Which file it is, whatever its name.
fn identity(dir: &Path) -> Option<(u64, u64)> {
    let meta = std::fs::metadata(dir.join("ledger.db")).ok()?;
    Some((meta.dev(), meta.ino()))
}

fn options(dir: &Path, create: bool) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(dir.join("ledger.db"))
        .create_if_missing(create)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
}

pub(crate) async fn connect(dir: &Path, create: bool) -> Result<SqlitePool, LedgerError> {
    Ok(SqlitePoolOptions::new().max_connections(4).connect_with(options(dir, create)).await?)
}

fn seq_of(row: &SqliteRow) -> Result<u64, LedgerError> {
    let seq: i64 = row.try_get("seq")?;
    u64::try_from(seq).map_err(|_| LedgerError::Unreadable { seq: 0, what: format!("place {seq}") })
}

fn hash_of(row: &SqliteRow, column: &str, seq: u64) -> Result<Hash, LedgerError> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|()| LedgerError::Unreadable { seq, what: format!("{column} is not a SHA-256") })
}

/// An event as stored, not yet understood; verification needs no more than this.
pub(crate) struct RawRow {
    pub seq: u64,
    pub at: Timestamp,
    pub actor: String,
    pub exercise: bool,
    pub kind: String,
    pub body: String,
    pub prev: Hash,
    pub hash: Hash,
}

pub(crate) fn raw_of(row: &SqliteRow) -> Result<RawRow, LedgerError> {
    let seq = seq_of(row)?;
    Ok(RawRow {
        seq,
        at: Timestamp::from_micros(row.try_get("at_us")?),
        actor: row.try_get("actor")?,
        exercise: row.try_get("exercise")?,
        kind: row.try_get("kind")?,
        body: row.try_get("body")?,
        prev: hash_of(row, "prev", seq)?,
        hash: hash_of(row, "hash", seq)?,
    })
}

pub(crate) async fn raw_page(pool: &SqlitePool, from: u64, limit: u32) -> Result<Vec<RawRow>, LedgerError> {
    let rows =
        sqlx::query(AssertSqlSafe(format!("SELECT {COLUMNS} FROM events WHERE seq >= $1 ORDER BY seq LIMIT $2")))
            .bind(i64::try_from(from).unwrap_or(i64::MAX))
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await?;
    rows.iter().map(raw_of).collect()
}

fn row_of(row: &SqliteRow) -> Result<Row, LedgerError> {
    let raw = raw_of(row)?;
    let bad = |what: String| LedgerError::Unreadable { seq: raw.seq, what };
    let event = serde_json::from_str(&raw.body).map_err(|e| bad(e.to_string()))?;
    let actor = parse_actor(&raw.actor).ok_or_else(|| bad(format!("actor `{}`", raw.actor)))?;
    Ok(Row {
        recorded: Recorded { seq: raw.seq, at: raw.at, actor, exercise: raw.exercise, event },
        body: raw.body,
        prev: raw.prev,
        hash: raw.hash,
    })
}

fn parse_actor(text: &str) -> Option<Actor> {
    let (kind, name) = text.split_once(':')?;
    let kind = match kind {
        "system" => ActorKind::System,
        "os-user" => ActorKind::OsUser,
        "role" => ActorKind::Role,
        _ => return None,
    };
    Some(Actor { kind, name: name.to_owned() })
}
