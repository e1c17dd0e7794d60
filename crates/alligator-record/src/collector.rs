//! A conversion on a thread of its own, so that the program waits for a copy only.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use alligator_trace::Totals;

use crate::convert::Conversion;

/// Buffers that wait to be converted, at most; then the program waits as well.
const WAITING_MAX: usize = 64;

/// A buffer of a thread's events, or the end.
enum Message {
    Events {
        thread: u32,
        time_ns: u64,
        bytes: Vec<u8>,
    },
    End(Option<String>),
}

/// A [`Conversion`] on a thread of its own. Memory: at most 64 buffers.
#[derive(Debug)]
pub struct Collector<W> {
    sender: SyncSender<Message>,
    thread: JoinHandle<io::Result<(W, Totals)>>,
}

impl<W: Write + Send + 'static> Collector<W> {
    /// Starts the thread.
    pub fn new(conversion: Conversion<W>) -> Self {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let thread = std::thread::spawn(move || convert(conversion, &receiver));
        Self { sender, thread }
    }

    /// Takes a buffer: [`Conversion::events`]. What is wrong with it is said at the end; `false` if there is something
    /// wrong already, and nothing is taken any more.
    pub fn events(&self, thread: u32, time_ns: u64, bytes: &[u8]) -> bool {
        let bytes = bytes.to_vec();
        let message = Message::Events {
            thread,
            time_ns,
            bytes,
        };
        self.sender.send(message).is_ok()
    }

    /// Ends the trace: [`Conversion::finish`].
    ///
    /// # Errors
    /// Those of the output, and of buffers that were not made of whole records.
    pub fn finish(self, ending: Option<&str>) -> io::Result<(W, Totals)> {
        // If it has ended by an error, that is its result.
        let _ = self.sender.send(Message::End(ending.map(str::to_owned)));
        let failed = |_| io::Error::other("the thread that writes the trace has failed");
        self.thread.join().map_err(failed)?
    }
}

fn convert<W: Write>(
    mut conversion: Conversion<W>,
    receiver: &Receiver<Message>,
) -> io::Result<(W, Totals)> {
    for message in receiver {
        match message {
            Message::Events {
                thread,
                time_ns,
                bytes,
            } => conversion.events(thread, time_ns, &bytes)?,
            Message::End(ending) => return conversion.finish(ending.as_deref()),
        }
    }
    conversion.finish(Some("the recorder was stopped"))
}
