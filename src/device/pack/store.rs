//! One buffer for all members of a kind.
//!
//! It is cut into *places* of equal size. A buffer that kernels write has a place per member. Of
//! one that they only read, members with equal contents share a place: the data of trials, tables
//! of networks of one size.

use anyhow::{Result, anyhow};

use crate::device::buffer::storage;
use crate::device::gpu::Gpu;
use crate::device::mirror::Mirror;
use crate::kernels::signature::Access;
use crate::kernels::{MIRROR_ROW, mirror_rows};

/// A part of a store.
#[derive(Clone, Debug, Default)]
struct Place {
    /// The members whose contents it holds.
    users: usize,
    /// The hash of the contents, where others may share them.
    hash: Option<blake3::Hash>,
}

impl Place {
    /// Whether it holds what is or may be used.
    fn is_filled(&self) -> bool {
        self.users > 0 || self.hash.is_some()
    }
}

/// A buffer with the contents of all members.
#[derive(Debug)]
pub(super) struct Store {
    name: String,
    /// The access of kernels that read it through a mirror, if there are any.
    mirrored: Option<Access>,
    /// Whether kernels only read it.
    pub(super) is_read_only: bool,
    /// The elements of which places begin at multiples.
    unit: usize,
    /// Elements of a place.
    len: usize,
    places: Vec<Place>,
    /// The place of each member, by its seat.
    of_seat: Vec<Option<usize>>,
    buffer: Option<wgpu::Buffer>,
    mirror: Option<Mirror>,
    /// The number of times that another buffer took the place of its buffer.
    pub(super) moves: usize,
}

/// The answer of a store that finds no room on a device.
#[derive(Debug)]
pub(super) struct NoRoom;

/// The answer to a wish for room.
pub(super) type Room<T> = Result<Result<T, NoRoom>>;

impl Store {
    pub(super) fn new(
        name: &str,
        mirrored: Option<Access>,
        is_read_only: bool,
        unit: usize,
        seats: usize,
    ) -> Store {
        Store {
            name: name.into(),
            mirrored,
            is_read_only,
            unit,
            len: 0,
            places: Vec::new(),
            of_seat: vec![None; seats],
            buffer: None,
            mirror: None,
            moves: 0,
        }
    }

    /// Elements that a member with `len` of them has alone.
    pub(super) fn padded(&self, len: usize) -> usize {
        len.next_multiple_of(if self.mirrored.is_some() { MIRROR_ROW } else { 4 })
    }

    /// The buffer; there is one as soon as there is a place.
    pub(super) fn buffer(&self) -> Option<&wgpu::Buffer> {
        self.buffer.as_ref()
    }

    /// The mirror, where kernels read one.
    pub(super) fn view(&self) -> Option<&wgpu::TextureView> {
        self.mirror.as_ref().map(|mirror| &mirror.view)
    }

    /// The byte where the contents of a member begin.
    ///
    /// # Errors
    /// A member without a place: another one's is none of its own.
    pub(super) fn begin(&self, seat: usize) -> Result<u64> {
        let place = self.of_seat[seat];
        let place = place.ok_or_else(|| anyhow!("{}: seat {seat} has no place", self.name))?;
        Ok(4 * (place * self.len) as u64)
    }

    /// Whether a member has a place.
    pub(super) fn has_place(&self, seat: usize) -> bool {
        self.of_seat[seat].is_some()
    }

    /// Makes room for so many places of members with `len` elements each; whether anything moved.
    ///
    /// # Errors
    /// A device that is lost.
    pub(super) fn reserve(&mut self, gpu: &Gpu, places: usize, len: usize) -> Room<bool> {
        let len = self.padded(len).next_multiple_of(self.unit).max(self.len);
        let places = places.max(self.places.len());
        if len == self.len && places == self.places.len() {
            return Ok(Ok(false));
        }
        let most = places.max(2 * self.places.len()).min(self.of_seat.len());
        let mut made = None;
        for places in [most, places] {
            if !self.fits(gpu, places * len) {
                continue;
            }
            match self.allocated(gpu, places * len) {
                Ok(parts) => {
                    made = Some((places, parts));
                    break;
                }
                // Out of memory; a lost device is found by all that follows.
                Err(_) if gpu.check().is_ok() => gpu.forget_refusal(),
                Err(error) => return Err(error),
            }
        }
        let Some((places, (buffer, mirror))) = made else { return Ok(Err(NoRoom)) };
        if let Some(old) = &self.buffer {
            let descriptor = wgpu::CommandEncoderDescriptor { label: Some("move") };
            let mut encoder = gpu.device.create_command_encoder(&descriptor);
            for i in (0..self.places.len()).filter(|i| self.places[*i].is_filled()) {
                let (from, to, bytes) = (4 * i * self.len, 4 * i * len, 4 * self.len);
                encoder.copy_buffer_to_buffer(old, from as u64, &buffer, to as u64, bytes as u64);
            }
            let submission = gpu.submit(Some(encoder.finish()));
            gpu.wait(&submission)?;
        }
        (self.buffer, self.mirror, self.len) = (Some(buffer), mirror, len);
        self.moves += 1;
        self.places.resize(places, Place::default());
        Ok(Ok(true))
    }

    fn fits(&self, gpu: &Gpu, elements: usize) -> bool {
        let limits = &gpu.limits;
        let most = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        let rows = if self.mirrored.is_some() { mirror_rows(elements) } else { 0 };
        4 * elements as u64 <= most && rows <= limits.max_texture_dimension_2d as usize
    }

    fn allocated(&self, gpu: &Gpu, elements: usize) -> Result<(wgpu::Buffer, Option<Mirror>)> {
        let mirror = self.mirrored.map(|access| Mirror::new(gpu, &self.name, elements, access));
        let mirror = mirror.transpose()?;
        let buffer = match &mirror {
            // Nobody copies the mirrors of a pack.
            Some(mirror) => mirror.shared.clone().ok_or_else(|| {
                anyhow!("{}: a mirror of so many members shares no memory", self.name)
            })?,
            None => storage(gpu, &self.name, 4 * elements as u64)?,
        };
        Ok((buffer, mirror))
    }

    /// Gives a member a place of its own whose number is that of its seat. Its contents are zeros.
    pub(super) fn seat(&mut self, gpu: &Gpu, seat: usize) {
        self.places[seat] = Place { users: 1, hash: None };
        self.of_seat[seat] = Some(seat);
        self.clear(gpu, seat);
    }

    fn clear(&self, gpu: &Gpu, place: usize) {
        let Some(buffer) = &self.buffer else { return };
        let descriptor = wgpu::CommandEncoderDescriptor { label: Some("clear") };
        let mut encoder = gpu.device.create_command_encoder(&descriptor);
        let (begin, bytes) = (4 * (place * self.len) as u64, 4 * self.len as u64);
        encoder.clear_buffer(buffer, begin, Some(bytes));
        gpu.submit(Some(encoder.finish()));
    }

    /// Takes the place of a member away.
    pub(super) fn leave(&mut self, seat: usize) {
        if let Some(place) = self.of_seat[seat].take() {
            self.places[place].users -= 1;
        }
    }

    /// Writes elements of a member, which has `whole` of them. Whether places have changed.
    ///
    /// # Errors
    /// A device that is lost.
    pub(super) fn write(
        &mut self,
        gpu: &Gpu,
        seat: usize,
        whole: usize,
        first: usize,
        words: &[u32],
    ) -> Room<bool> {
        let is_whole = first == 0 && words.len() == whole;
        let hash = (self.is_read_only && is_whole)
            .then(|| blake3::hash(bytemuck::cast_slice::<u32, u8>(words)));
        let mut changed = false;
        if self.is_read_only {
            let own = self.of_seat[seat];
            if hash.is_some() && own.is_some_and(|own| self.places[own].hash == hash) {
                return Ok(Ok(false));
            }
            let equal = |p: &Place| hash.is_some() && p.hash == hash;
            if let Some(place) = self.places.iter().position(equal) {
                self.leave(seat);
                self.places[place].users += 1;
                self.of_seat[seat] = Some(place);
                return Ok(Ok(true));
            }
            match own.filter(|own| self.places[*own].users == 1) {
                Some(own) => self.places[own].hash = hash,
                None => {
                    match self.take_free(gpu, seat, whole, !is_whole)? {
                        Ok(place) => self.places[place].hash = hash,
                        Err(NoRoom) => return Ok(Err(NoRoom)),
                    }
                    changed = true;
                }
            }
        }
        if let Some(buffer) = &self.buffer {
            let at = self.begin(seat)? + 4 * first as u64;
            gpu.queue.write_buffer(buffer, at, bytemuck::cast_slice(words));
        }
        Ok(Ok(changed))
    }

    /// Gives a member a place that nobody uses; with `keep` its contents are what the member had.
    fn take_free(&mut self, gpu: &Gpu, seat: usize, whole: usize, keep: bool) -> Room<usize> {
        // Contents that nobody uses may be those of the next member.
        let free = self.places.iter().position(|p| !p.is_filled());
        let place = match free.or(self.places.iter().position(|p| p.users == 0)) {
            Some(place) => place,
            None => {
                let place = self.places.len();
                match self.reserve(gpu, place + 1, whole)? {
                    Ok(_) => place,
                    Err(NoRoom) => return Ok(Err(NoRoom)),
                }
            }
        };
        self.clear(gpu, place);
        let before = self.of_seat[seat];
        if let (Some(before), Some(buffer), true) = (before, &self.buffer, keep) {
            let descriptor = wgpu::CommandEncoderDescriptor { label: Some("own contents") };
            let mut encoder = gpu.device.create_command_encoder(&descriptor);
            let at = |place: usize| 4 * (place * self.len) as u64;
            let bytes = 4 * self.len as u64;
            // A copy within a buffer goes by another one.
            let between = storage(gpu, &self.name, bytes)?;
            encoder.copy_buffer_to_buffer(buffer, at(before), &between, 0, bytes);
            encoder.copy_buffer_to_buffer(&between, 0, buffer, at(place), bytes);
            gpu.submit(Some(encoder.finish()));
        }
        self.leave(seat);
        self.places[place] = Place { users: 1, hash: None };
        self.of_seat[seat] = Some(place);
        Ok(Ok(place))
    }
}
