//! Reads files as streams, which are hashed as they are read, unpacked if they are gzip, and
//! refused if they unpack to far more than their size. A window on a stream shows text that was
//! checked to be UTF-8.

use std::io::{self, Chain, Cursor, Read};
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

use crate::data::read::bytes::{GZIP_FLOOR, GZIP_RATIO};
use crate::fault::Fault;

/// The number of bytes that a window reads at a time, unless the file is smaller.
const CHUNK: usize = 256 << 10;
/// The smallest number of bytes that a window reads at a time.
const SMALL_CHUNK: usize = 64;

/// Number of bytes of files that this process has read.
static READ: AtomicU64 = AtomicU64::new(0);

/// Number of bytes of data files that this process has read so far, for a display of progress.
pub fn bytes_read() -> u64 {
    READ.load(Ordering::Relaxed)
}

/// Notes that `bytes` bytes were read.
pub(crate) fn count(bytes: usize) {
    READ.fetch_add(bytes as u64, Ordering::Relaxed);
}

/// A reader that hashes and counts the bytes that pass through it.
struct Tee<R> {
    reader: R,
    hasher: blake3::Hasher,
    count: u64,
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        self.count += n as u64;
        count(n);
        Ok(n)
    }
}

/// The first bytes, which were read ahead, and the rest.
type Inner<R> = Chain<Cursor<Vec<u8>>, Tee<R>>;

enum Body<R: Read> {
    Plain(Inner<R>),
    Gzip(MultiGzDecoder<Inner<R>>),
}

/// The unpacked bytes of a file.
pub struct Stream<R: Read> {
    /// The path, for messages.
    pub place: String,
    /// Number of unpacked bytes that were read.
    pub count: u64,
    body: Body<R>,
    size: u64,
}

impl<R: Read> Stream<R> {
    /// A stream that is unpacked if it begins as gzip does. `size` is the size of the file, or 0 if
    /// it is not known.
    ///
    /// # Errors
    /// 66 if it cannot be read.
    pub fn new(reader: R, place: &str, size: u64) -> anyhow::Result<Stream<R>> {
        let mut stream = Stream::plain(reader, place, size);
        let mut start = [0; 2];
        let n = fill(&mut |buffer| stream.read(buffer), &mut start)?;
        stream.count = 0;
        if let Body::Plain(inner) = stream.body {
            let inner = Cursor::new(start[..n].to_vec()).chain(inner.into_inner().1);
            stream.body = if start == [0x1f, 0x8b] {
                Body::Gzip(MultiGzDecoder::new(inner))
            } else {
                Body::Plain(inner)
            };
        }
        Ok(stream)
    }

    /// A stream that is never unpacked.
    pub fn plain(reader: R, place: &str, size: u64) -> Stream<R> {
        let tee = Tee { reader, hasher: blake3::Hasher::new(), count: 0 };
        Stream {
            place: place.to_owned(),
            count: 0,
            body: Body::Plain(Cursor::new(Vec::new()).chain(tee)),
            size,
        }
    }

    /// Reads some bytes, or none at the end.
    ///
    /// # Errors
    /// 66 if it cannot be read; 65 if the gzip stream is damaged or unpacks to far more than its
    /// size.
    pub fn read(&mut self, buffer: &mut [u8]) -> anyhow::Result<usize> {
        loop {
            let result = match &mut self.body {
                Body::Plain(inner) => inner.read(buffer),
                Body::Gzip(decoder) => decoder.read(buffer),
            };
            match result {
                Ok(n) => {
                    self.count += n as u64;
                    self.check_ratio()?;
                    return Ok(n);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.broken(&e).into()),
            }
        }
    }

    /// Reads until the buffer is full or the stream ends; returns the number of bytes.
    ///
    /// # Errors
    /// The errors of [`Stream::read`].
    pub fn fill(&mut self, buffer: &mut [u8]) -> anyhow::Result<usize> {
        fill(&mut |rest| self.read(rest), buffer)
    }

    /// Reads to the end; returns the place and the hash of the file.
    ///
    /// # Errors
    /// The errors of [`Stream::read`].
    pub fn finish(mut self) -> anyhow::Result<(String, String)> {
        let mut rest = vec![0; CHUNK];
        while self.read(&mut rest)? > 0 {}
        let hash = self.tee().hasher.finalize().to_hex().to_string();
        Ok((self.place, hash))
    }

    fn tee(&self) -> &Tee<R> {
        match &self.body {
            Body::Plain(inner) => inner.get_ref().1,
            Body::Gzip(decoder) => decoder.get_ref().get_ref().1,
        }
    }

    fn broken(&self, e: &io::Error) -> Fault {
        match &self.body {
            Body::Plain(_) => Fault::missing(&self.place, format!("cannot be read: {e}"))
                .hint("give a readable file, not a directory"),
            Body::Gzip(_) => {
                Fault::data(&self.place, format!("the gzip stream is truncated or damaged: {e}"))
                    .hint("copy or download the file again")
            }
        }
    }

    /// Checks that a gzip stream does not unpack to far more than its size.
    fn check_ratio(&self) -> anyhow::Result<()> {
        let Body::Gzip(_) = &self.body else { return Ok(()) };
        let packed = self.size.max(self.tee().count);
        if self.count <= packed.saturating_mul(GZIP_RATIO).saturating_add(GZIP_FLOOR) {
            return Ok(());
        }
        let found =
            format!("the gzip stream unpacks to more than {GZIP_RATIO} times its {packed} bytes");
        let hint = "if the file is what you expect, unpack it first and give the plain file";
        Err(Fault::data(&self.place, found).hint(hint).into())
    }
}

/// Calls `read` until the buffer is full or nothing is left; returns the number of bytes.
fn fill(
    read: &mut impl FnMut(&mut [u8]) -> anyhow::Result<usize>,
    buffer: &mut [u8],
) -> anyhow::Result<usize> {
    let mut n = 0;
    while n < buffer.len() {
        match read(&mut buffer[n..])? {
            0 => break,
            more => n += more,
        }
    }
    Ok(n)
}

/// A window that moves along a text, and the number of the line where it begins.
pub struct Window<R: Read> {
    stream: Stream<R>,
    chunk: usize,
    bytes: Vec<u8>,
    /// The position in `bytes` up to which the text was passed.
    at: usize,
    /// The position in `bytes` up to which it was checked to be text.
    checked: usize,
    started: bool,
    ended: bool,
    line: u64,
    /// Whether the last byte that was passed is a CR, so that an LF behind it is no further line
    /// end.
    after_cr: bool,
}

impl<R: Read> Window<R> {
    /// A window on the beginning of a stream. `size` is a hint, as in [`Stream::new`].
    ///
    /// # Errors
    /// The errors of [`Window::more`].
    pub fn new(reader: R, place: &str, size: u64) -> anyhow::Result<Window<R>> {
        let stream = Stream::new(reader, place, size)?;
        let is_small = size > 0 && size < CHUNK as u64 && matches!(stream.body, Body::Plain(_));
        let chunk = if is_small { (size as usize + 1).max(SMALL_CHUNK) } else { CHUNK };
        let (bytes, line) = (Vec::new(), 1);
        let mut window = Window {
            stream,
            chunk,
            bytes,
            at: 0,
            checked: 0,
            started: false,
            ended: false,
            line,
            after_cr: false,
        };
        window.more()?;
        Ok(window)
    }

    /// The text that was read and not passed yet.
    pub fn text(&self) -> &[u8] {
        &self.bytes[self.at..self.checked]
    }

    /// Whether the stream has ended, so that nothing follows the text.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The number of the line on which the text begins.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The place of the text: `file:line`.
    pub fn place(&self) -> String {
        format!("{}:{}", self.stream.place, self.line)
    }

    /// Passes `n` bytes that hold `lines` line ends.
    pub fn pass(&mut self, n: usize, lines: u64) {
        if n > 0 {
            self.after_cr = self.bytes[self.at + n - 1] == b'\r';
        }
        (self.at, self.line) = (self.at + n, self.line + lines);
    }

    /// Passes all line ends that the text begins with.
    pub fn pass_line_ends(&mut self) {
        let n = self.text().iter().take_while(|b| matches!(b, b'\n' | b'\r')).count();
        if n > 0 {
            let lines = line_ends(&self.text()[..n], self.after_cr);
            self.pass(n, lines);
        }
    }

    /// The next line without its end, which it passes; `None` at the end of the text.
    ///
    /// # Errors
    /// The errors of [`Window::more`]; 65 if a line is longer than `most` bytes.
    pub fn next_line(&mut self, most: usize) -> anyhow::Result<Option<String>> {
        loop {
            let text = self.text();
            let end = text.iter().position(|&b| b == b'\n' || b == b'\r');
            let length = end.unwrap_or(text.len());
            if length > most {
                let found = format!("the line is longer than {most} bytes");
                let hint = "give a token, or a sentence, a line";
                return Err(Fault::data(self.place(), found).hint(hint).into());
            }
            // A CR may be the first half of a CRLF.
            let is_half = text.get(length) == Some(&b'\r') && text.len() == length + 1;
            if !self.ended && (end.is_none() || is_half) {
                self.more()?;
                continue;
            }
            let line = String::from_utf8_lossy(&text[..length]).into_owned();
            let ends = match text.get(length..) {
                Some([b'\r', b'\n', ..]) => 2,
                Some([_, ..]) => 1,
                _ if length == 0 => return Ok(None),
                _ => 0,
            };
            self.pass(length + ends, u64::from(ends > 0));
            return Ok(Some(line));
        }
    }

    /// Reads on, at least as many bytes as are there already, if the stream has them.
    ///
    /// # Errors
    /// The errors of [`Stream::read`]; 65 with the line if it is not UTF-8 text.
    pub fn more(&mut self) -> anyhow::Result<()> {
        self.bytes.drain(..self.at);
        (self.checked, self.at) = (self.checked - self.at, 0);
        let there = self.bytes.len();
        self.bytes.resize(there + there.max(self.chunk), 0);
        let n = self.stream.fill(&mut self.bytes[there..])?;
        self.ended = there + n < self.bytes.len();
        self.bytes.truncate(there + n);
        if !self.started {
            self.started = true;
            self.begin()?;
        }
        self.check()
    }

    /// Reads to the end; returns place and hash of the file.
    ///
    /// # Errors
    /// The errors of [`Stream::read`].
    pub fn finish(self) -> anyhow::Result<(String, String)> {
        self.stream.finish()
    }

    /// Removes a byte order mark; refuses UTF-16.
    fn begin(&mut self) -> anyhow::Result<()> {
        let utf16 = self.bytes.starts_with(&[0xff, 0xfe]) || self.bytes.starts_with(&[0xfe, 0xff]);
        if utf16
            || matches!(
                self.bytes[..],
                [a, b, c, d, ..]
                    if (a == 0) != (b == 0) && a.min(1) == c.min(1) && b.min(1) == d.min(1)
            )
        {
            let hint = "save it as UTF-8, or: iconv -f UTF-16 -t UTF-8 IN > OUT";
            return Err(Fault::data(&self.stream.place, "the text is UTF-16, expected UTF-8")
                .hint(hint)
                .into());
        }
        if self.bytes.starts_with(&[0xef, 0xbb, 0xbf]) {
            self.bytes.drain(..3);
        }
        Ok(())
    }

    /// Checks the new bytes and moves `checked` on, up to a character that is not complete yet.
    fn check(&mut self) -> anyhow::Result<()> {
        let fresh = &self.bytes[self.checked..];
        if fresh.contains(&0) {
            let at = fresh.iter().position(|&b| b == 0).unwrap_or_default();
            return Err(self
                .refused(at, "a NUL byte, expected text", "the file is damaged or not a text file")
                .into());
        }
        match std::str::from_utf8(fresh) {
            Ok(_) => self.checked = self.bytes.len(),
            Err(e) if e.error_len().is_none() && !self.ended => self.checked += e.valid_up_to(),
            Err(e) => {
                let found = format!("the byte 0x{:02X} is not UTF-8 text", fresh[e.valid_up_to()]);
                let hint =
                    "save the file as UTF-8; for Latin-1 text: iconv -f LATIN1 -t UTF-8 IN > OUT";
                return Err(self.refused(e.valid_up_to(), &found, hint).into());
            }
        }
        Ok(())
    }

    fn refused(&self, at: usize, found: &str, hint: &str) -> Fault {
        let line = self.line + line_ends(&self.bytes[self.at..self.checked + at], self.after_cr);
        Fault::data(format!("{}:{line}", self.stream.place), found).hint(hint)
    }
}

/// Number of line ends in a text: LF, CRLF, or CR alone.
pub fn line_ends(text: &[u8], after_cr: bool) -> u64 {
    let mut before = if after_cr { b'\r' } else { 0 };
    let mut count = 0;
    for &byte in text {
        count += u64::from(byte == b'\r' || (byte == b'\n' && before != b'\r'));
        before = byte;
    }
    count
}
