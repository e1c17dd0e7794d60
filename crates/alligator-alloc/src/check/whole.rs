//! The default heap, checked and walked as a whole.

use super::parts::Kind;
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

    /// Calls `visit` with every piece of the heap, in the order of the addresses; stops before the first one
    /// that a broken header hides. *Time:* linear in the pieces.
    pub fn walk(&self, mut visit: impl FnMut(Piece)) {
        for part in self.runs.parts().map_while(Result::ok) {
            let (address, bytes) = (part.address, bytes_of(part.granules));
            visit(match part.kind {
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
            });
        }
    }
}
