//! A conversation with a child process: every wait has an end, every answer a bound.

use crate::error::DeviceError;
use crate::ssh::{SshMode, SshTarget};
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

/// Output of one step that is still read, in octets: a large router's whole configuration has a few million.
pub const MAX_OUTPUT_OCTETS: usize = 16 << 20;
/// Standard error that is kept, in octets.
const MAX_SAID_OCTETS: usize = 16 << 10;
/// Pieces that wait between the reading threads and us, each at most [`PIECE_OCTETS`].
const PIECES: usize = 16;
const PIECE_OCTETS: usize = 32 << 10;
/// Milliseconds in which the client's last words must have arrived after its output ended.
const LAST_WORDS_MS: u64 = 500;

enum Piece {
    Out(Vec<u8>),
    Said(Vec<u8>),
    OutEnd,
    SaidEnd,
    Late(u64),
}

/// The child, killed when this goes.
pub(crate) struct Session {
    child: Child,
    input: Option<Sender<Vec<u8>>>,
    pieces: Receiver<Piece>,
    tick: SyncSender<Piece>,
    step: u64,
    out: Vec<u8>,
    said: Vec<u8>,
    target: SshTarget,
}

impl Session {
    /// Starts the client. That it started says nothing yet about the router.
    pub(crate) fn open(target: &SshTarget, mode: SshMode<'_>) -> Result<Self, DeviceError> {
        target.check()?;
        let mut command = target.command(mode);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().map_err(|e| DeviceError::Config(format!("the ssh client cannot start: {e}")))?;
        let (tick, pieces) = sync_channel(PIECES);
        let (input, texts) = channel::<Vec<u8>>();
        if let Some(mut stdin) = child.stdin.take() {
            // A router that stops reading must not stop us: the wait for its answer ends by itself.
            std::thread::spawn(move || {
                while let Ok(text) = texts.recv() {
                    if stdin.write_all(&text).and_then(|()| stdin.flush()).is_err() {
                        break;
                    }
                }
            });
        }
        if let Some(stdout) = child.stdout.take() {
            pump(stdout, tick.clone(), Piece::Out, Piece::OutEnd);
        }
        if let Some(stderr) = child.stderr.take() {
            pump(stderr, tick.clone(), Piece::Said, Piece::SaidEnd);
        }
        let target = target.clone();
        Ok(Session { child, input: Some(input), pieces, tick, step: 0, out: Vec::new(), said: Vec::new(), target })
    }

    /// Queues octets for the router.
    pub(crate) fn send(&mut self, text: &[u8]) {
        if let Some(input) = &self.input {
            // Where the client is gone, the next wait says so.
            let _ = input.send(text.to_vec());
        }
    }

    /// Waits until `found` finds what it looks for in the octets so far; it returns that and how many octets it took.
    pub(crate) fn until<T>(
        &mut self,
        step: &str,
        limit_s: u64,
        mut found: impl FnMut(&[u8]) -> Option<(T, usize)>,
    ) -> Result<T, DeviceError> {
        self.step += 1;
        let (number, tick) = (self.step, self.tick.clone());
        let (_cancel, wait) = channel::<()>();
        std::thread::spawn(move || {
            if wait.recv_timeout(Duration::from_secs(limit_s)) == Err(RecvTimeoutError::Timeout) {
                let _ = tick.send(Piece::Late(number));
            }
        });
        loop {
            if let Some((value, taken)) = found(&self.out) {
                self.out.drain(..taken.min(self.out.len()));
                return Ok(value);
            }
            if self.out.len() > MAX_OUTPUT_OCTETS {
                self.kill();
                return Err(DeviceError::Flood { step: step.into(), limit_octets: MAX_OUTPUT_OCTETS });
            }
            match self.pieces.recv() {
                Ok(Piece::Out(p)) => self.out.extend(p),
                Ok(Piece::Said(p)) => self.hear(p),
                Ok(Piece::Late(n)) if n == number => {
                    self.kill();
                    return Err(DeviceError::Late { step: step.into(), limit_s });
                }
                Ok(Piece::OutEnd) | Err(_) => {
                    self.last_words();
                    return Err(self.target.ended(step, &String::from_utf8_lossy(&self.said)));
                }
                Ok(Piece::SaidEnd | Piece::Late(_)) => {}
            }
        }
    }

    fn hear(&mut self, piece: Vec<u8>) {
        let room = MAX_SAID_OCTETS.saturating_sub(self.said.len());
        self.said.extend(piece.into_iter().take(room));
    }

    fn last_words(&mut self) {
        while let Ok(piece) = self.pieces.recv_timeout(Duration::from_millis(LAST_WORDS_MS)) {
            match piece {
                Piece::Said(p) => self.hear(p),
                Piece::SaidEnd => break,
                _ => {}
            }
        }
    }

    fn kill(&mut self) {
        self.input = None;
        let _ = self.child.kill();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.kill();
        // The reading threads end with the pipes; a full queue must not hold them.
        while self.pieces.try_recv().is_ok() {}
        let _ = self.child.wait();
    }
}

fn pump(mut from: impl Read + Send + 'static, to: SyncSender<Piece>, piece: fn(Vec<u8>) -> Piece, end: Piece) {
    std::thread::spawn(move || {
        let mut buffer = vec![0; PIECE_OCTETS];
        loop {
            match from.read(&mut buffer) {
                Ok(n) if n > 0 => {
                    let Some(text) = buffer.get(..n) else { break };
                    if to.send(piece(text.to_vec())).is_err() {
                        return;
                    }
                }
                _ => break,
            }
        }
        let _ = to.send(end);
    });
}
