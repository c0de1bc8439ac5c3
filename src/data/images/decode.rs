//! PNG and JPEG files to bytes: what a header says is checked before anything is decoded.

use std::io::Cursor;
use std::path::Path;
use std::sync::Mutex;

use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::imageops::{FilterType, resize};
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, Limits, Luma, Rgb, RgbImage};

use crate::data::read::stream;
use crate::fault::{self, Fault};

/// The largest height and width of an image file in pixels.
const MOST_SIDE: u32 = 16_384;
/// The largest number of pixels of an image file.
const MOST_PIXELS: u64 = 64 << 20;
/// The largest number of bytes that a decoded image takes, before it is resized.
const MOST_DECODED: u64 = 256 << 20;
/// The largest number of bytes of an image file.
const MOST_BYTES: u64 = 128 << 20;
/// Images of more pixels are decoded one at a time, so that memory stays bounded on many cores.
const LARGE: u64 = 16 << 20;
/// Held while a large image is decoded.
static ONE_LARGE: Mutex<()> = Mutex::new(());

/// How PNG files begin.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// How JPEG files begin.
const JPEG: &[u8] = b"\xff\xd8\xff";

/// What the header of an image file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Height in pixels, as the image is to be seen.
    pub height: usize,
    /// Width in pixels, as the image is to be seen.
    pub width: usize,
    /// Whether the file holds grey values, and no colours.
    pub is_grey: bool,
}

/// The size of the images of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// Numbers of a pixel: 1 = grey, 3 = red, green, blue.
    pub channels: usize,
}

impl Shape {
    /// Bytes of an image, [height, width, channels].
    pub fn bytes(self) -> usize {
        self.height * self.width * self.channels
    }
}

/// Reads the bytes of an image file. `from` says where the file is named.
///
/// # Errors
/// 66 if it is missing or no file; 65 if it has too many bytes.
pub fn read(path: &Path, from: &str) -> anyhow::Result<Vec<u8>> {
    let hint = "check the path; only PNG and JPEG files are read";
    let missing = |what: String| Fault::missing(path.display(), format!("{what}{from}")).hint(hint);
    // A pipe or a device has no end.
    let meta = std::fs::metadata(path).map_err(|e| missing(format!("cannot be read: {e}")))?;
    if !meta.is_file() {
        let what = if meta.is_dir() { "is a folder, not a file" } else { "is not a file" };
        return Err(missing(what.to_owned()).into());
    }
    if meta.len() > MOST_BYTES {
        let found = format!("has {} bytes, at most {MOST_BYTES} are read{from}", meta.len());
        return Err(Fault::data(path.display(), found).hint("make the image smaller").into());
    }
    let mut bytes = Vec::new();
    let file = fault::open(path)?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, MOST_BYTES), &mut bytes)
        .map_err(|e| missing(format!("cannot be read: {e}")))?;
    stream::count(bytes.len());
    Ok(bytes)
}

/// Reads the header of an image; `place` is its file.
///
/// # Errors
/// 65 if the bytes are neither PNG nor JPEG, the header is damaged, or the image is too large.
pub fn header(place: &str, bytes: &[u8]) -> anyhow::Result<Header> {
    let mut decoder = decoder(place, bytes)?;
    let (width, height) = decoder.dimensions();
    let [height, width] = [height as usize, width as usize];
    let is_grey = !decoder.color_type().has_color();
    let (height, width) =
        if is_on_its_side(orientation(&mut decoder)) { (width, height) } else { (height, width) };
    Ok(Header { height, width, is_grey })
}

/// Decodes an image to bytes, [height, width, channels]; an image of another size is resized.
///
/// # Errors
/// 65 as in [`header`], or if the image is damaged.
pub fn pixels(place: &str, bytes: &[u8], shape: Shape) -> anyhow::Result<Vec<u8>> {
    let mut decoder = decoder(place, bytes)?;
    let (width, height) = decoder.dimensions();
    let is_large = u64::from(width) * u64::from(height) > LARGE;
    let _one = is_large.then(|| ONE_LARGE.lock());
    let orientation = orientation(&mut decoder);
    let image = DynamicImage::from_decoder(decoder);
    let mut image = image.map_err(|e| broken(place, &e.to_string()))?;
    if bytes.starts_with(JPEG) && !is_whole(bytes) {
        return Err(broken(place, "the file ends within the image").into());
    }
    image.apply_orientation(orientation);
    let (width, height) = (shape.width as u32, shape.height as u32);
    let is_other = (image.width(), image.height()) != (width, height);
    Ok(match shape.channels {
        1 => {
            let grey = grey(image);
            let fits = if is_other { resize(&grey, width, height, FILTER) } else { grey };
            fits.into_raw()
        }
        _ => {
            let colours = colours(image);
            let fits = if is_other { resize(&colours, width, height, FILTER) } else { colours };
            fits.into_raw()
        }
    })
}

/// How images are resized: a triangle that is as wide as a pixel of the smaller image.
const FILTER: FilterType = FilterType::Triangle;

/// A decoder whose header was read and is within all bounds.
fn decoder<'b>(place: &str, bytes: &'b [u8]) -> Result<Box<dyn ImageDecoder + 'b>, Fault> {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MOST_DECODED);
    let failed = |e: image::ImageError| broken(place, &e.to_string());
    // The decoder makes room for a row as soon as it knows its width.
    if let Some([width, height]) = png_size(bytes) {
        check_size(place, [width, height])?;
    }
    let mut decoder: Box<dyn ImageDecoder + 'b> = if bytes.starts_with(PNG) {
        Box::new(PngDecoder::with_limits(Cursor::new(bytes), limits.clone()).map_err(failed)?)
    } else if bytes.starts_with(JPEG) {
        Box::new(JpegDecoder::new(Cursor::new(bytes)).map_err(failed)?)
    } else {
        return Err(neither(place, bytes));
    };
    check_size(place, decoder.dimensions().into())?;
    if decoder.total_bytes() > MOST_DECODED {
        let found = format!(
            "the image takes {} bytes when it is decoded, at most {MOST_DECODED} are allowed",
            decoder.total_bytes()
        );
        return Err(Fault::data(place, found).hint("make the image smaller"));
    }
    decoder.set_limits(limits).map_err(failed)?;
    Ok(decoder)
}

/// Width and height as the header of a PNG file says, which is its first chunk.
fn png_size(bytes: &[u8]) -> Option<[u32; 2]> {
    let header = bytes.strip_prefix(PNG)?.get(8..16)?;
    let number = |at: usize| header[at..].first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
    Some([number(0)?, number(4)?])
}

/// Checks width and height.
fn check_size(place: &str, [width, height]: [u32; 2]) -> Result<(), Fault> {
    let is_side = |side: u32| (1..=MOST_SIDE).contains(&side);
    let pixels = u64::from(width) * u64::from(height);
    if is_side(width) && is_side(height) && pixels <= MOST_PIXELS {
        return Ok(());
    }
    let found = format!(
        "the header says {height} × {width} pixels, expected 1 to {MOST_SIDE} each way and at most \
         {MOST_PIXELS} in all"
    );
    Err(Fault::data(place, found).hint("make the image smaller"))
}

/// How an image has to be turned to be seen, as its file says; a word on it that makes no sense is
/// none.
fn orientation(decoder: &mut dyn ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

fn is_on_its_side(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// A number over black: what is transparent is black.
fn over_black(value: u8, alpha: u8) -> u8 {
    ((u32::from(value) * u32::from(alpha) + 127) / 255) as u8
}

/// Grey values; of colours 0.2126 red + 0.7152 green + 0.0722 blue.
fn grey(image: DynamicImage) -> GrayImage {
    if !image.color().has_alpha() {
        return image.into_luma8();
    }
    let image = image.into_luma_alpha8();
    GrayImage::from_fn(image.width(), image.height(), |x, y| {
        let [value, alpha] = image.get_pixel(x, y).0;
        Luma([over_black(value, alpha)])
    })
}

/// Red, green and blue; of a grey image three equal numbers.
fn colours(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let image = image.into_rgba8();
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [red, green, blue, alpha] = image.get_pixel(x, y).0;
        Rgb([red, green, blue].map(|value| over_black(value, alpha)))
    })
}

/// Whether a JPEG file has the mark of its end. The decoder fills what is missing of an image with
/// grey.
fn is_whole(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some([0xff, mark]) = bytes.get(at..at + 2) {
        match mark {
            0xd9 => return true,
            // A byte that fills, a mark without a length.
            0xff => at += 1,
            0x01 | 0xd0..=0xd7 => at += 2,
            _ => {
                let Some(&[high, low]) = bytes.get(at + 2..at + 4) else { return false };
                at += 2 + usize::from(u16::from_be_bytes([high, low]));
                if *mark == 0xda {
                    at = end_of_scan(bytes, at);
                }
            }
        }
    }
    false
}

/// Where the mark stands that ends the data of a scan.
fn end_of_scan(bytes: &[u8], from: usize) -> usize {
    let ends = |at: &usize| {
        bytes[*at] == 0xff && !matches!(bytes.get(at + 1), Some(0 | 0xd0..=0xd7 | 0xff) | None)
    };
    (from..bytes.len()).find(ends).unwrap_or(bytes.len())
}

/// The fault of a file that is neither PNG nor JPEG.
fn neither(place: &str, bytes: &[u8]) -> Fault {
    let found = match bytes {
        [] => "the file is empty, expected a PNG or JPEG image".to_owned(),
        _ => format!(
            "neither PNG nor JPEG: {} bytes that begin {:02X?}",
            bytes.len(),
            &bytes[..bytes.len().min(4)]
        ),
    };
    Fault::data(place, found).hint("convert the image, or remove the file")
}

/// The fault of a damaged image.
fn broken(place: &str, why: &str) -> Fault {
    let why: String = why.chars().take(200).filter(|c| !c.is_control()).collect();
    Fault::data(place, format!("the image is truncated or damaged: {why}"))
        .hint("copy or make the file again, or remove it")
}
