//! What is written is read again, whatever it is; what is damaged is refused in one line, and what is cut off gives all
//! that came before.

use alligator_trace::{
    Clock, Entry, Event, Frame, Header, Kind, ModuleInfo, Reader, StackId, Writer,
};
use proptest::prelude::*;

fn header() -> Header {
    Header {
        module: ModuleInfo {
            name: "app.wasm".to_owned(),
            sha256: "ab".repeat(32),
            bytes: 1234,
        },
        entries: vec![Entry {
            function: 3,
            name: "malloc".to_owned(),
            role: "alloc".to_owned(),
            found: "export".to_owned(),
        }],
        engine: "wasmtime 48".to_owned(),
        clock: Clock::Event,
        pages: 17,
        stacks: true,
        ..Header::default()
    }
}

/// Events of some seeds. Sites and marks are defined as they are met.
fn write(seeds: &[(u8, u64, u64, u8)]) -> (Vec<u8>, Vec<Event>) {
    let mut writer = Writer::new(Vec::new(), &header()).expect("a vector takes all bytes");
    let mut events = Vec::new();
    let mut time_ns = 0_u64;
    let mut site = StackId::NONE;
    for (sequence, (sort, one, other, small)) in seeds.iter().copied().enumerate() {
        time_ns += other & (0xff * u64::from(small & 1));
        if small & 2 != 0 {
            let name = format!("function {}", one % 5);
            let frame = Frame {
                function: u32::from(small),
                name: &name,
                file: (small & 4 != 0).then_some("src/lib.rs"),
                line: u32::from(small & 8),
                offset: one % 3,
            };
            let frame = writer.frame(&frame).expect("few frames");
            site = writer.stack(site, frame).expect("few stacks");
        } else if small & 4 != 0 {
            site = StackId::NONE;
        }
        let address = one >> 1;
        let bytes = other >> 1;
        let align = if small & 16 == 0 { 0 } else { 1 << (one & 63) };
        let kind = match sort % 6 {
            0 => Kind::Alloc {
                address,
                size: bytes,
                align,
                zeroed: small & 32 != 0,
            },
            1 => Kind::Free { address: one },
            2 => Kind::Realloc {
                old: one,
                address,
                size: bytes,
                align,
            },
            3 => Kind::Grow {
                before: address.min(bytes),
                after: address.max(bytes),
            },
            4 => Kind::Mark {
                name: writer.string(&format!("mark {}", one % 7)).expect("few"),
            },
            _ => Kind::Lost { events: other },
        };
        let thread = u32::from(small >> 6);
        let number = writer.event(time_ns, thread, site, kind).expect("is valid");
        assert_eq!(number, sequence as u64);
        events.push(Event {
            sequence: number,
            time_ns,
            thread,
            site,
            kind,
        });
        if small == 255 {
            writer.flush().expect("a vector takes all bytes");
        }
    }
    let bytes = writer
        .finish(Some("exit status 0"))
        .expect("a vector takes all bytes");
    (bytes, events)
}

fn seeds() -> impl Strategy<Value = Vec<(u8, u64, u64, u8)>> {
    let near = any::<u64>().prop_map(|value| 0x10_0000 + value % 0x1000);
    let number = prop_oneof![any::<u64>(), near, 0..300_u64];
    prop::collection::vec((any::<u8>(), number.clone(), number, any::<u8>()), 0..300)
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(seeds in seeds()) {
        let (bytes, events) = write(&seeds);
        let mut reader = Reader::new(&bytes[..]).expect("a whole header");
        prop_assert_eq!(reader.header(), &header());
        let read: Result<Vec<Event>, _> = reader.by_ref().collect();
        prop_assert_eq!(read.expect("a whole trace"), events);
        prop_assert_eq!(reader.cut_off(), None);
        let totals = reader.totals().expect("an end");
        prop_assert_eq!(totals.ending.as_deref(), Some("exit status 0"));
        prop_assert_eq!(totals.events, seeds.len() as u64);
    }

    #[test]
    fn a_trace_that_is_cut_off_gives_what_came_before(seeds in seeds(), cut in any::<prop::sample::Index>()) {
        let (bytes, events) = write(&seeds);
        let length = cut.index(bytes.len());
        let Ok(mut reader) = Reader::new(&bytes[..length]) else { return Ok(()) };
        let read: Result<Vec<Event>, _> = reader.by_ref().collect();
        let read = read.expect("what is there is whole");
        prop_assert_eq!(&read[..], &events[..read.len()]);
        let offset = reader.cut_off().expect("the end is missing");
        prop_assert!(offset <= length as u64);
    }

    #[test]
    fn a_damaged_trace_is_refused_or_read_and_never_a_panic(
        seeds in seeds(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (mut bytes, _) = write(&seeds);
        for (place, value) in damage {
            let place = place.index(bytes.len());
            bytes[place] ^= value;
        }
        read_all(&bytes);
    }

    #[test]
    fn any_records_are_refused_or_read_and_never_a_panic(records in prop::collection::vec(any::<u8>(), 0..400)) {
        let (whole, _) = write(&[]);
        // The blocks of an empty trace: its header, one of no records, its end.
        let length = u32::from_le_bytes(whole[20..24].try_into().expect("four bytes"));
        let mut bytes = whole[..24 + length as usize].to_vec();
        let contents = [&[0, 0], &records[..]].concat();
        let length = u32::try_from(contents.len()).expect("short").to_le_bytes();
        bytes.extend([2, 0, 0, 0]);
        bytes.extend(length);
        bytes.extend(length);
        bytes.extend(contents);
        read_all(&bytes);
    }
}

fn read_all(bytes: &[u8]) {
    let fault = match Reader::new(bytes) {
        Err(error) => error,
        Ok(mut reader) => loop {
            match reader.next_event() {
                Ok(Some(event)) => {
                    // Whatever an event names is there.
                    assert!(
                        event.site == StackId::NONE
                            || reader.sites().frames(event.site).count() > 0
                    );
                }
                Ok(None) => return,
                Err(error) => {
                    assert_eq!(reader.next_event(), Ok(None), "no event after an error");
                    break error;
                }
            }
        },
    };
    assert!(fault.offset <= bytes.len() as u64, "{fault}");
    assert!(!fault.to_string().contains('\n'), "{fault}");
}

#[test]
fn a_long_trace_is_written_in_several_blocks_of_a_few_bytes_an_event() {
    let mut writer = Writer::new(Vec::new(), &header()).expect("a vector takes all bytes");
    let count = 200_000_u64;
    for number in 0..count {
        let address = 0x10_0000 + number % 1000 * 48;
        let kind = match number / 1000 % 2 {
            0 => Kind::Alloc {
                address,
                size: 40,
                align: 8,
                zeroed: false,
            },
            _ => Kind::Free { address },
        };
        writer
            .event(number * 50, 0, StackId::NONE, kind)
            .expect("is valid");
    }
    let bytes = writer.finish(None).expect("a vector takes all bytes");
    assert!(bytes.len() < 200_000, "{} bytes", bytes.len());
    let mut reader = Reader::new(&bytes[..]).expect("a whole header");
    let last = reader.by_ref().last().expect("events").expect("whole");
    assert_eq!(last.sequence, count - 1);
    assert_eq!(last.time_ns, (count - 1) * 50);
}

#[test]
fn what_is_no_trace_is_refused_with_a_reason() {
    let of = |bytes: &[u8]| Reader::new(bytes).expect_err("is no trace").to_string();
    assert_eq!(
        of(b""),
        "no trace: it does not start as one (at offset 0x0)"
    );
    assert_eq!(
        of(b"\0asm\x01\0\0\0"),
        "no trace: it does not start as one (at offset 0x0)"
    );
    assert_eq!(
        of(b"\x89ALTRC\r\n"),
        "a trace that ends before its first block (at offset 0x0)"
    );
    assert_eq!(
        of(b"\x89ALTRC\r\n\x02\0\0\0"),
        "a trace of version 2; version 1 can be read (at offset 0x8)"
    );
    let (bytes, _) = write(&[]);
    assert_eq!(
        of(&bytes[..30]),
        "a trace that ends in its header (at offset 0xc)"
    );
}

#[test]
fn an_end_that_counts_otherwise_is_refused() {
    let (one, _) = write(&[(1, 16, 0, 0)]);
    let (none, _) = write(&[]);
    // The header and the records of one, the end of the other.
    let blocks = |bytes: &[u8]| {
        let mut starts = vec![12];
        while let Some(stored) = bytes
            .get(starts[starts.len() - 1] + 8..)
            .and_then(|it| it.first_chunk())
        {
            starts.push(starts[starts.len() - 1] + 12 + u32::from_le_bytes(*stored) as usize);
        }
        starts
    };
    let mixed = [&one[..blocks(&one)[2]], &none[blocks(&none)[2]..]].concat();
    let mut reader = Reader::new(&mixed[..]).expect("a whole header");
    assert!(reader.next_event().expect("whole").is_some());
    let error = reader.next_event().expect_err("the end counts no event");
    assert_eq!(
        error.reason,
        "the end counts 0 events, and 1 were read, or of other kinds"
    );
    let long = [&one[..], b"more"].concat();
    let mut reader = Reader::new(&long[..]).expect("a whole header");
    assert!(reader.next_event().expect("whole").is_some());
    let error = reader.next_event().expect_err("bytes after the end");
    assert_eq!(
        (error.offset, error.reason.as_str()),
        (one.len() as u64, "bytes after the end")
    );
}

#[test]
fn what_cannot_be_is_not_written() {
    let mut writer = Writer::new(Vec::new(), &header()).expect("a vector takes all bytes");
    let mut refused = |site, kind| {
        let error = writer.event(0, 0, site, kind).expect_err("cannot be");
        error.to_string()
    };
    let alloc = |address, size, align| Kind::Alloc {
        address,
        size,
        align,
        zeroed: false,
    };
    let none = StackId::NONE;
    assert_eq!(
        refused(StackId(1), alloc(8, 8, 8)),
        "an event with a site that is not defined"
    );
    assert_eq!(
        refused(none, alloc(8, 8, 3)),
        "an alignment that is no power of two"
    );
    assert_eq!(
        refused(none, alloc(u64::MAX, 8, 8)),
        "a block that ends beyond 64 bits"
    );
    let shrunk = Kind::Grow {
        before: 2,
        after: 1,
    };
    assert_eq!(
        refused(none, shrunk),
        "memory that has fewer pages after it grew"
    );
    let bytes = writer.finish(None).expect("a vector takes all bytes");
    let mut reader = Reader::new(&bytes[..]).expect("a whole header");
    assert_eq!(reader.next_event(), Ok(None));
}
