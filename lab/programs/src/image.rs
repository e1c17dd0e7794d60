//! Pictures drawn, written as PNG, read again, filtered and halved.

use core::fmt::Write as _;

use png::{BitDepth, ColorType, Decoder, Encoder};

use crate::corpus::Dice;

/// Pixels of three bytes, row by row.
struct Picture {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

pub(crate) fn run() -> String {
    let mut dice = Dice::new(5);
    let mut output = String::new();
    for number in 0..6 {
        let picture = drawn(&mut dice, 64 + 24 * number, 96 + 8 * number);
        let file = encoded(&picture);
        let read = decoded(&file);
        let small = halved(&read);
        let thumbnail = encoded(&small);
        let sum: u64 = small.rgb.iter().map(|&byte| u64::from(byte)).sum();
        writeln!(output, "{} {} {sum}", file.len(), thumbnail.len()).expect("a String takes all");
    }
    output
}

/// A gradient with rectangles.
fn drawn(dice: &mut Dice, width: u32, height: u32) -> Picture {
    let mut rgb: Vec<u8> = Vec::new();
    for y in 0..height {
        for x in 0..width {
            rgb.extend([x, y, x ^ y].map(|value| value.to_le_bytes()[0]));
        }
    }
    for _ in 0..20 {
        let (left, top) = (dice.below(width), dice.below(height));
        let colour = [dice.below(256), dice.below(256), dice.below(256)];
        for y in top..(top + 20).min(height) {
            for x in left..(left + 30).min(width) {
                let at = ((y * width + x) * 3) as usize;
                rgb[at..at + 3].copy_from_slice(&colour.map(|value| value.to_le_bytes()[0]));
            }
        }
    }
    Picture { width, height, rgb }
}

fn encoded(picture: &Picture) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, picture.width, picture.height);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header().expect("a valid header");
    writer.write_image_data(&picture.rgb).expect("all pixels");
    writer.finish().expect("a Vec takes all");
    file
}

fn decoded(file: &[u8]) -> Picture {
    let decoder = Decoder::new(std::io::Cursor::new(file));
    let mut reader = decoder.read_info().expect("we wrote it");
    let mut rgb = vec![0; reader.output_buffer_size().expect("a small picture")];
    let info = reader.next_frame(&mut rgb).expect("we wrote it");
    Picture {
        width: info.width,
        height: info.height,
        rgb,
    }
}

/// Half as wide and high, each pixel the mean of four.
fn halved(picture: &Picture) -> Picture {
    let (width, height) = (picture.width / 2, picture.height / 2);
    let rows: Vec<Vec<u8>> = (0..height)
        .map(|y| {
            (0..width * 3)
                .map(|column| {
                    let (x, channel) = (column / 3, column % 3);
                    let value = |dx: u32, dy: u32| {
                        let at = ((y * 2 + dy) * picture.width + x * 2 + dx) * 3 + channel;
                        u32::from(picture.rgb[at as usize])
                    };
                    let sum = value(0, 0) + value(1, 0) + value(0, 1) + value(1, 1);
                    (sum / 4).to_le_bytes()[0]
                })
                .collect()
        })
        .collect();
    Picture {
        width,
        height,
        rgb: rows.concat(),
    }
}
