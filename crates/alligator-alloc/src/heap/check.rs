//! The heap, checked and walked as a whole.

use super::Heap;
use crate::check::parts::{Kind, Parts};
use crate::check::{Piece, Violation};
use crate::policy::Policy;
use crate::records::GRANULE;
use crate::size_class::Class;
use crate::source::Source;
use crate::units::bytes_of;

impl<S: Source, P: Policy> Heap<S, P> {
    /// Checks every invariant of the heap. *Time:* linear in its pieces, and in the square of the free runs
    /// in one bin and of the MiniPages in one list.
    ///
    /// # Errors
    ///
    /// The first invariant found broken, and where.
    pub fn check(&self) -> Result<(), Violation> {
        self.runs.check()?;
        for part in self.runs.parts() {
            let part = part?;
            if let Kind::MiniPage(class) = part.kind {
                self.state(class)
                    .check_mini_page(class, &part, &self.runs)?;
            }
        }
        for (index, state) in self.classes.iter().enumerate() {
            state.check(Class::from_index(index), &self.runs)?;
        }
        Ok(())
    }

    /// The pieces by address, from the one that starts at `from` on, or all; without what a broken record hides.
    pub(crate) fn pieces(&self, from: Option<usize>) -> impl Iterator<Item = Piece> {
        let records = &self.runs.records;
        let parts = match from {
            Some(address) => Parts::starting_at(&self.runs, records.id_at(address)),
            None => self.runs.parts(),
        };
        parts.map_while(Result::ok).map(|part| {
            let address = records.place(part.id);
            let bytes = bytes_of((part.length / GRANULE) as usize);
            match part.kind {
                Kind::Table => Piece::Meta { address, bytes },
                Kind::Foreign => Piece::Foreign { address, bytes },
                Kind::Used => Piece::Run { address, bytes },
                Kind::Free => Piece::FreeRun { address, bytes },
                Kind::MiniPage(class) => {
                    let state = self.state(class);
                    Piece::MiniPage {
                        address,
                        bytes,
                        slot_bytes: class.info().slot_bytes.into(),
                        slot_count: class.info().all.count_ones() as usize,
                        free_slots: state.unused_slots(class, part.id, &self.runs),
                    }
                }
            }
        })
    }

    /// How often runs have been split or merged: pieces lie where they did as long as this stays.
    pub(crate) fn changes(&self) -> usize {
        self.runs.changes.get()
    }

    /// The address after the heap's last piece.
    pub(crate) fn pieces_end(&self) -> usize {
        if self.runs.records.is_there() {
            self.runs.records.place(self.runs.end())
        } else {
            0
        }
    }
}
