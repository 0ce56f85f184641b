//! Outline of a JPEG file (ITU T.81, Annex B): its frame, its scans and its end, without the pixels.
//!
//! Decoders continue a scan that ends early with zeros and report nothing: the rest of the image is grey. Hence
//! [`Outline::guarded`], which makes the decoder meet an invalid code there.

/// The most pixels of an image. ImageNet's largest has about 47 million.
const MOST_PIXELS: usize = 1 << 26;
/// The most pixels that all scans of an image pass over. A baseline image has one scan, a progressive one about ten.
const MOST_SCANNED: usize = 1 << 30;
/// Bytes of ones that no code, with the bits that may follow it, outlasts: it has 16 + 16 bits.
const GUARD: usize = 64;

/// A component's share of the frame.
struct Component {
    id: u8,
    /// Blocks of 8 x 8 samples.
    blocks: usize,
    /// For each coefficient, how many low bits are still missing; none came yet where this is [`ABSENT`].
    missing: [u8; 64],
}

const ABSENT: u8 = u8::MAX;

/// What a file says about itself before any pixel is decoded.
pub struct Outline {
    /// Pixels along and down.
    pub size: [usize; 2],
    progressive: bool,
    components: Vec<Component>,
    /// Where the data of the last scan ends.
    data_end: usize,
    /// Bytes of ones to add there.
    guard: usize,
}

impl Outline {
    /// Outline of the image that `bytes` begin with.
    ///
    /// # Errors
    /// What was found instead of a whole image: no end, no frame, too many pixels, or missing scans.
    pub fn of(bytes: &[u8]) -> Result<Self, String> {
        let ended = || format!("{} bytes without a JPEG's end", bytes.len());
        let Some(mut rest) = bytes.strip_prefix(&[0xff, 0xd8]) else {
            return Err("no JPEG's start".into());
        };
        let mut outline: Option<Outline> = None;
        let mut scanned = 0_usize;
        loop {
            let (marker, after) = next_marker(rest).ok_or_else(ended)?;
            rest = after;
            match marker {
                0xd9 => break,
                0x01 | 0xd0..=0xd7 => continue,
                0xd8 => return Err("a second image before the end of the first".into()),
                _ => {}
            }
            let (length, _) = rest.split_first_chunk().ok_or_else(ended)?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (segment, after) = rest.split_at_checked(length.max(2)).ok_or_else(ended)?;
            let segment = &segment[2..];
            rest = after;
            match (marker, &mut outline) {
                (0xc0..=0xc2, None) => outline = Some(frame(segment, marker == 0xc2)?),
                (0xc0..=0xc2, Some(_)) => return Err("a second frame".into()),
                (0xc4 | 0xc8 | 0xcc, _) => {}
                (0xc3..=0xcf, _) => return Err("a lossless, hierarchical or arithmetic JPEG, which is not read".into()),
                (0xda, None) => return Err("a scan before its frame".into()),
                (0xda, Some(outline)) => {
                    scanned += outline.size[0] * outline.size[1];
                    if scanned > MOST_SCANNED {
                        return Err(format!("scans that pass over more than {MOST_SCANNED} pixels"));
                    }
                    let data;
                    (data, rest) = rest.split_at(data_length(rest));
                    outline.data_end = bytes.len() - rest.len();
                    outline.scan(segment, data)?;
                }
                _ => {}
            }
        }
        let outline = outline.ok_or("no frame")?;
        match outline.components.iter().all(|component| component.missing == [0; 64]) {
            true => Ok(outline),
            false => Err("an image without all of its scans".into()),
        }
    }

    /// Notes what a scan brings, and that it has as many bits as it needs at least.
    fn scan(&mut self, header: &[u8], data: &[u8]) -> Result<(), String> {
        let damaged = || "a damaged header of a scan".to_string();
        let (&count, header) = header.split_first().ok_or_else(damaged)?;
        let (selected, parameters) = header.split_at_checked(2 * usize::from(count)).ok_or_else(damaged)?;
        let &[first, last, approximation] = parameters else { return Err(damaged()) };
        let (high, low) = (approximation >> 4, approximation & 15);
        let coefficients = if self.progressive { usize::from(first)..usize::from(last) + 1 } else { 0..64 };
        let low = if self.progressive { low } else { 0 };
        if coefficients.is_empty() || coefficients.end > 64 {
            return Err(damaged());
        }
        if !self.progressive && usize::from(count) != self.components.len() {
            // The decoder leaves out some of their rows.
            return Err("a baseline image in several scans, which is not read".into());
        }
        let mut blocks = 0;
        for selected in selected.chunks_exact(2) {
            let component = self.components.iter_mut().find(|component| component.id == selected[0]);
            let component = component.ok_or_else(damaged)?;
            component.missing[coefficients.clone()].fill(low);
            blocks += component.blocks;
        }
        // A first scan of coefficients is codes; bits that refine others are as they are, one for each coefficient at most.
        let refines = self.progressive && high > 0;
        self.guard = GUARD + if refines { 8 * blocks } else { 0 };
        // Each block's first coefficient takes a bit at least, so a small file has no memory asked for a large image.
        let bytes = data.len() - data.windows(2).filter(|pair| *pair == [0xff, 0]).count();
        match coefficients.start == 0 && bytes < blocks.div_ceil(8) {
            true => Err(format!("a scan of {bytes} bytes for {blocks} blocks")),
            false => Ok(()),
        }
    }

    /// The image up to the end of its last scan, then ones, then its end. Ones alone are no code (T.81, Annex C), so a
    /// decoder that needs more than the scan has meets an error, and others pass the ones over.
    pub fn guarded(&self, bytes: &[u8]) -> Vec<u8> {
        let guard = [0xff, 0].repeat(self.guard);
        [&bytes[..self.data_end], &guard, &[0xff, 0xd9]].concat()
    }
}

/// The next marker, and what follows it. Bytes before it are passed over, as decoders do.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let at = bytes.windows(2).position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff))?;
    Some((bytes[at + 1], &bytes[at + 2..]))
}

/// Bytes of a scan's data: up to a marker other than those within it, or to the end.
fn data_length(bytes: &[u8]) -> usize {
    let ends = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff | 0xd0..=0xd7);
    bytes.windows(2).position(ends).unwrap_or(bytes.len())
}

/// The frame whose header this is, with nothing scanned yet.
fn frame(header: &[u8], progressive: bool) -> Result<Outline, String> {
    let damaged = || "a damaged header of the frame".to_string();
    let (&[_, h1, h0, w1, w0, count], components) = header.split_first_chunk().ok_or_else(damaged)?;
    let size = [[w1, w0], [h1, h0]].map(|bytes| usize::from(u16::from_be_bytes(bytes)));
    let pixels = size[0] * size[1];
    if pixels == 0 || pixels > MOST_PIXELS {
        return Err(format!("{} x {} pixels, where 1 to {MOST_PIXELS} are read", size[0], size[1]));
    }
    let (components, _) = components.as_chunks();
    let sampling = |&[_, both, _]: &[u8; 3]| [usize::from(both >> 4), usize::from(both & 15)];
    let largest = components.iter().map(sampling).fold([1, 1], |a, b| [a[0].max(b[0]), a[1].max(b[1])]);
    let component = |c: &[u8; 3]| {
        let along = |axis: usize| (size[axis] * sampling(c)[axis]).div_ceil(8 * largest[axis]);
        Component { id: c[0], blocks: along(0) * along(1), missing: [ABSENT; 64] }
    };
    let components: Vec<Component> = components.iter().map(component).collect();
    if components.is_empty() || components.len() != usize::from(count) {
        return Err(damaged());
    }
    Ok(Outline { size, progressive, components, data_end: 0, guard: GUARD })
}
