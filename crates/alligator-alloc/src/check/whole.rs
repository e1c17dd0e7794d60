//! The default heap, checked and walked as a whole.

use super::parts::{Kind, Parts};
use super::{Piece, Violation};
use crate::heap::Heap;
use crate::mini_page::medium::check::free_slots;
use crate::size_class::Class;
use crate::source::Source;
use crate::units::bytes_of;

impl<S: Source> Heap<S> {
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
            match part.kind {
                Kind::MiniPage(id, class) => {
                    self.classes[class.index()].check_mini_page(id, class, &part, &self.runs)?;
                }
                Kind::Medium(id, class) => {
                    self.medium.check_mini_page(id, class, &part, &self.runs)?;
                }
                _ => {}
            }
        }
        for (index, state) in self.classes.iter().enumerate() {
            state.check(Class::from_index(index), &self.runs)?;
        }
        self.medium.check(&self.runs)
    }

    /// The pieces by address, from the one that starts at `from` on, or all; without what a broken header hides.
    pub(crate) fn pieces(&self, from: Option<usize>) -> impl Iterator<Item = Piece> {
        let parts = match from {
            Some(address) => Parts::starting_at(&self.runs, address, self.pieces_end()),
            None => self.runs.parts(),
        };
        parts.map_while(Result::ok).map(|part| {
            let (address, bytes) = (part.address, bytes_of(part.granules));
            match part.kind {
                Kind::Meta => Piece::Meta { address, bytes },
                Kind::Foreign => Piece::Foreign { address, bytes },
                Kind::Used(_) => Piece::Run { address, bytes },
                Kind::Free(_) | Kind::Recent(_) => Piece::FreeRun { address, bytes },
                Kind::MiniPage(id, class) => Piece::MiniPage {
                    address,
                    bytes,
                    slot_bytes: class.info().slot_bytes.into(),
                    slot_count: class.info().all_slots().count_ones() as usize,
                    free_slots: self.classes[class.index()]
                        .free_slots(id, class, address, &self.runs),
                },
                Kind::Medium(id, class) => Piece::MiniPage {
                    address,
                    bytes,
                    slot_bytes: class.slot_bytes(),
                    slot_count: class.slot_count(),
                    free_slots: free_slots(id, &self.runs),
                },
            }
        })
    }

    /// How often runs have been split or merged: pieces lie where they did as long as this stays.
    pub(crate) fn changes(&self) -> usize {
        self.runs.changes
    }

    /// The address after the heap's last piece.
    pub(crate) fn pieces_end(&self) -> usize {
        self.runs.end()
    }
}
