//! The small heap, checked and walked as a whole. See [`crate::check`].

#[cfg(test)]
mod planted;

use super::Heap;
use super::headers::{HEADER_BYTES, Header, Id};
use super::sizes::{LIST_COUNT, SLOT_BYTES_MAX, block_bytes, list_of};
use crate::check::{Invariant, Piece, Violation};
use crate::policy::Policy;
use crate::source::Source;
use crate::units::{GRANULE_BYTES, granule_floor};

/// One part of the heap.
#[derive(Clone, Copy, Debug)]
struct Part {
    kind: Kind,
    /// The address of its first byte.
    address: usize,
    bytes: usize,
}

impl Part {
    fn end(&self) -> usize {
        self.address + self.bytes
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The table of headers.
    Table,
    /// Not the heap's.
    Foreign,
    Used,
    Free,
    /// With slots of so many bytes.
    MiniPage(usize),
}

impl<S: Source, P: Policy> Heap<S, P> {
    /// Checks every invariant of the heap. *Time:* linear in its granules, and in the square of the headers in
    /// one list.
    ///
    /// # Errors
    ///
    /// The first invariant found broken, and where.
    pub fn check(&self) -> Result<(), Violation> {
        let mut below = Id::NONE;
        for part in self.parts() {
            let part = part?;
            let id = Id::at(part.address);
            Invariant::Below.require(self.header(id).below.get() == below, part.address)?;
            let is_free = part.kind == Kind::Free;
            Invariant::Merged.require(!is_free || !below.is_some(), part.address)?;
            self.part_is_right(&part, self.header(id))?;
            below = if is_free { id } else { Id::NONE };
        }
        if self.end > self.start() {
            self.end_is_right(below)?;
        }
        (0..=LIST_COUNT).try_for_each(|list| self.list_is_right(list))
    }

    /// The pieces by address, from the one that starts at `from` on, or all; without what a broken header hides.
    pub(crate) fn pieces(&self, from: Option<usize>) -> impl Iterator<Item = Piece> {
        self.parts_from(from).map_while(Result::ok).map(|part| {
            let Part { address, bytes, .. } = part;
            match part.kind {
                Kind::Table => Piece::Meta { address, bytes },
                Kind::Foreign => Piece::Foreign { address, bytes },
                Kind::Used => Piece::Run { address, bytes },
                Kind::Free => Piece::FreeRun { address, bytes },
                Kind::MiniPage(slot_bytes) => {
                    let in_use = self.header(Id::at(address)).slots.get();
                    Piece::MiniPage {
                        address,
                        bytes,
                        slot_bytes,
                        slot_count: slots_of(slot_bytes),
                        free_slots: slots_of(slot_bytes) - in_use.count_ones() as usize,
                    }
                }
            }
        })
    }

    /// How often runs have been split or merged: pieces lie where they did as long as this stays.
    pub(crate) fn changes(&self) -> usize {
        self.changes
    }

    /// The address after the heap's last piece.
    pub(crate) fn pieces_end(&self) -> usize {
        self.end
    }

    /// All parts of the heap by address. After the first violation there is no going on.
    fn parts(&self) -> impl Iterator<Item = Result<Part, Violation>> {
        self.parts_from(None)
    }

    /// The parts from the one that starts at `from` on, or all.
    fn parts_from(&self, from: Option<usize>) -> impl Iterator<Item = Result<Part, Violation>> {
        let mut address = from.unwrap_or_else(|| self.first_known(self.start()));
        core::iter::from_fn(move || {
            if address >= self.end {
                return None;
            }
            let part = self.part(address);
            address = part.as_ref().map_or(self.end, Part::end);
            Some(part)
        })
    }

    /// The part that starts at `address`, below the end.
    fn part(&self, address: usize) -> Result<Part, Violation> {
        let header = self.header(Id::at(address));
        let bytes = header.bytes.get();
        let (kind, bytes) = if address == self.table {
            (Kind::Table, self.end - address)
        } else if bytes == 0 {
            (Kind::Foreign, self.first_known(address) - address)
        } else if bytes >= GRANULE_BYTES {
            let is_free = header.previous.get() != 0;
            (if is_free { Kind::Free } else { Kind::Used }, bytes)
        } else {
            (Kind::MiniPage(bytes), GRANULE_BYTES)
        };
        let is_whole = bytes != 0 && bytes % GRANULE_BYTES == 0;
        Invariant::Extent.require(is_whole && bytes <= self.end - address, address)?;
        Ok(Part {
            kind,
            address,
            bytes,
        })
    }

    /// The lowest granule that has a header: where the heap begins.
    fn start(&self) -> usize {
        self.first_header().place()
    }

    /// The lowest granule at or above `address` whose header is known, or the end.
    fn first_known(&self, address: usize) -> usize {
        let granules = (address..self.end).step_by(GRANULE_BYTES);
        let mut known = granules.filter(|&at| self.header(Id::at(at)).bytes.get() != 0);
        known.next().unwrap_or(self.end)
    }

    /// Checks what holds for a part of its kind.
    fn part_is_right(&self, part: &Part, header: &Header) -> Result<(), Violation> {
        let is_listed = header.previous.get() != 0;
        if let Kind::MiniPage(bytes) = part.kind {
            return self.mini_page_is_right(part, bytes);
        }
        Invariant::FreeSlots.require(header.slots.get() == 0, part.address)?;
        match part.kind {
            Kind::Table => {
                let is_unknown = header.bytes.get() == 0 && !is_listed; // As memory of others.
                Invariant::Table.require(is_unknown, part.address)
            }
            Kind::Foreign => Invariant::HeaderAtStart.require(!is_listed, part.address),
            Kind::Used => Invariant::HeaderAtStart.require(self.has_block(part), part.address),
            Kind::Free | Kind::MiniPage(_) => {
                let times = self.times_in(list_of(part.bytes), Id::at(part.address));
                Invariant::InBin.require(times == 1, part.address)
            }
        }
    }

    /// Whether a block starts in the used run `part`, with a header that leads to the run.
    fn has_block(&self, part: &Part) -> bool {
        let mut granules = (part.address..part.end()).step_by(GRANULE_BYTES);
        granules.any(|address| {
            let header = self.header(Id::at(address));
            header.next.get() == Id::at(part.address) && header.bytes.get() == part.end() - address
        })
    }

    /// [`Invariant::HeaderAtStart`], [`Invariant::FreeSlots`] and [`Invariant::Listed`] for a MiniPage with
    /// slots of `bytes`.
    fn mini_page_is_right(&self, part: &Part, bytes: usize) -> Result<(), Violation> {
        let is_size = bytes <= SLOT_BYTES_MAX && block_bytes(bytes, 1) == bytes;
        Invariant::HeaderAtStart.require(is_size, part.address)?;
        let in_use = self.header(Id::at(part.address)).slots.get();
        let all = u64::MAX >> (64 - slots_of(bytes));
        Invariant::FreeSlots.require(in_use & !all == 0 && in_use != 0, part.address)?;
        let times = self.times_in(list_of(bytes), Id::at(part.address));
        let is_unlisted = self.header(Id::at(part.address)).previous.get() == 0;
        let is_full = in_use == all;
        let is_right = times == usize::from(!is_full) && is_unlisted == is_full;
        Invariant::Listed.require(is_right, part.address)
    }

    /// [`Invariant::Below`] for the header after the heap's last granule, which every heap has, and which
    /// says nothing else.
    fn end_is_right(&self, below: Id) -> Result<(), Violation> {
        let exists = self.headers_bytes(self.end) <= self.end - self.table;
        Invariant::Below.require(exists, self.end)?;
        let header = self.header(Id::at(self.end));
        Invariant::Below.require(header.below.get() == below, self.end)?;
        let is_zero = header.bytes.get() == 0 && header.previous.get() == 0;
        Invariant::HeaderAtStart.require(is_zero, self.end)
    }

    /// [`Invariant::BinLinks`], [`Invariant::ListLinks`] and [`Invariant::BinBitmap`] for one list.
    fn list_is_right(&self, list: usize) -> Result<(), Violation> {
        let is_set = list < LIST_COUNT && self.nonempty >> list & 1 == 1;
        Invariant::BinBitmap.require(is_set == self.first(list).is_some(), 0)?;
        let is_of_runs = list >= list_of(GRANULE_BYTES);
        let links = if is_of_runs {
            Invariant::BinLinks
        } else {
            Invariant::ListLinks
        };
        let mut previous = list;
        for id in self.entries(list) {
            let address = id.place();
            links.require(self.is_header(id), address)?;
            let header = self.header(id);
            let bytes = header.bytes.get();
            let is_right = header.previous.get() == previous
                && list_of(bytes) == list
                && (bytes >= GRANULE_BYTES) == is_of_runs;
            links.require(is_right, address)?;
            previous = id.raw();
        }
        Ok(())
    }

    /// How often `id` is in `list`.
    fn times_in(&self, list: usize, id: Id) -> usize {
        self.entries(list).filter(|&entry| entry == id).count()
    }

    /// The entries of `list`, up to one that is no header, which is the last, and no more than fit in the heap.
    fn entries(&self, list: usize) -> impl Iterator<Item = Id> {
        let some = |id: Id| id.is_some().then_some(id);
        let next = move |&id: &Id| self.is_header(id).then(|| self.header(id).next.get());
        core::iter::successors(some(self.first(list)), move |id| next(id).and_then(some))
            .take((self.end - self.table) / HEADER_BYTES + 1)
    }

    /// Whether `id` is that of a granule of the heap.
    fn is_header(&self, id: Id) -> bool {
        let address = id.place();
        (self.start()..self.end).contains(&address) && id == Id::at(granule_floor(address))
    }
}

/// The slots of `bytes` in a MiniPage.
fn slots_of(bytes: usize) -> usize {
    GRANULE_BYTES / bytes
}
