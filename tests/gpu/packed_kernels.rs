//! Kernels for many members give the bits that each member has alone.
//!
//! The members are dispatches of the self-test with the same kernel and the same constants, from
//! programs of other sizes. Each runs alone with the text of its file, and all run together.

use std::collections::BTreeMap;

use tandem::device::Gpu;
use tandem::device::adapter::Wish;
use tandem::kernels::packed::{Access, Binding, EVEN, Member, Packed, packed};
use tandem::kernels::params::Step;
use tandem::kernels::signature::Signature;
use tandem::kernels::{MIRROR_ROW, mirror_rows};
use tandem::measure::doctor::{Case, all_cases, contents};
use tandem::schedule::Buffer;

/// What lies between the regions of members.
const SENTINEL: u32 = 0x7a5a_5a5a;
/// Lanes of a launch, one that does nothing aside.
const MEMBERS: usize = 4;

/// A dispatch with the contents of its buffers.
#[derive(Clone)]
struct Job {
    case: &'static str,
    params: Vec<u32>,
    grid: [u32; 3],
    step: Step,
    /// By the names of bindings, padded as on a device.
    buffers: BTreeMap<String, Vec<u32>>,
}

struct Device {
    device: wgpu::Device,
    queue: wgpu::Queue,
}

fn open() -> Device {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN;
    let instance = wgpu::Instance::new(descriptor);
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::VULKAN));
    let adapter = adapters.into_iter().next().unwrap();
    let descriptor = wgpu::DeviceDescriptor {
        required_features: wgpu::Features::SUBGROUP,
        required_limits: adapter.limits(),
        ..Default::default()
    };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
    Device { device, queue }
}

impl Device {
    fn pipeline(
        &self,
        name: &str,
        source: &str,
        constants: &[(&str, f64)],
    ) -> wgpu::ComputePipeline {
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(name),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(name),
            layout: None,
            module: &module,
            entry_point: Some(name),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants,
                ..Default::default()
            },
            cache: None,
        })
    }

    fn buffer(&self, words: &[u32], usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 4 * words.len() as u64,
            usage: usage | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        self.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(words));
        buffer
    }

    fn texture(&self, words: &[u32], format: wgpu::TextureFormat) -> wgpu::Texture {
        let size = wgpu::Extent3d {
            width: 1024,
            height: mirror_rows(words.len()) as u32,
            depth_or_array_layers: 1,
        };
        let texture = self.device.create_texture(&wgpu::TextureDescriptor {
            label: None,
            size,
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage: wgpu::TextureUsages::STORAGE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let layout = wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(4 * MIRROR_ROW as u32),
            rows_per_image: None,
        };
        let size = wgpu::Extent3d { height: (words.len() / MIRROR_ROW) as u32, ..size };
        let bytes = bytemuck::cast_slice(words);
        self.queue.write_texture(texture.as_image_copy(), bytes, layout, size);
        texture
    }

    /// Runs a dispatch on buffers; gives what they hold then.
    #[allow(clippy::too_many_arguments)]
    fn run(
        &self,
        pipeline: &wgpu::ComputePipeline,
        bindings: &[Binding],
        params: (u32, &[u32]),
        step: Option<(u32, Vec<u32>)>,
        buffers: &BTreeMap<String, Vec<u32>>,
        grid: [u32; 3],
    ) -> BTreeMap<String, Vec<u32>> {
        use wgpu::BufferUsages as Usage;
        let params_buffer = self.buffer(params.1, Usage::UNIFORM);
        let step = step.map(|(slot, words)| (slot, self.buffer(&words, Usage::UNIFORM)));
        let made: BTreeMap<&String, wgpu::Buffer> =
            buffers.iter().map(|(n, words)| (n, self.buffer(words, Usage::STORAGE))).collect();
        let mut views = Vec::new();
        for b in bindings {
            let format = match b.access {
                Access::MirrorF32 => wgpu::TextureFormat::Rgba32Float,
                Access::MirrorU32 => wgpu::TextureFormat::Rgba32Uint,
                _ => continue,
            };
            let texture = self.texture(&buffers[base(&b.name)], format);
            views.push((b.slot, texture.create_view(&Default::default())));
        }
        let mut entries = vec![wgpu::BindGroupEntry {
            binding: params.0,
            resource: params_buffer.as_entire_binding(),
        }];
        if let Some((slot, buffer)) = &step {
            let resource = buffer.as_entire_binding();
            entries.push(wgpu::BindGroupEntry { binding: *slot, resource });
        }
        for b in bindings.iter().filter(|b| matches!(b.access, Access::Read | Access::Write)) {
            let resource = made[&b.name].as_entire_binding();
            entries.push(wgpu::BindGroupEntry { binding: b.slot, resource });
        }
        for (slot, view) in &views {
            let resource = wgpu::BindingResource::TextureView(view);
            entries.push(wgpu::BindGroupEntry { binding: *slot, resource });
        }
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        self.queue.submit(None);
        self.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        let mut encoder = self.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, &group, &[]);
            pass.dispatch_workgroups(grid[0], grid[1], grid[2]);
        }
        self.queue.submit([encoder.finish()]);
        self.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        let read = |buffer: &wgpu::Buffer| {
            let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: buffer.size(),
                usage: Usage::MAP_READ | Usage::COPY_DST,
                mapped_at_creation: false,
            });
            let mut encoder = self.device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
            self.queue.submit([encoder.finish()]);
            staging.slice(..).map_async(wgpu::MapMode::Read, |r| r.unwrap());
            self.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
            let words: Vec<u32> =
                bytemuck::cast_slice(&staging.get_mapped_range(..).unwrap()).to_vec();
            words
        };
        made.iter().map(|(name, buffer)| (name.to_string(), read(buffer))).collect()
    }
}

/// The name of the buffer of a binding.
fn base(name: &str) -> &str {
    name.strip_suffix("_mirror").unwrap_or(name)
}

fn lcm(a: usize, b: usize) -> usize {
    let gcd = |mut a: usize, mut b: usize| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    a / gcd(a, b) * b
}

/// The bytes of which regions of a buffer begin at a multiple.
fn unit(packed: &Packed, name: &str) -> usize {
    packed.bindings.iter().filter(|b| base(&b.name) == name).map(|b| b.unit).fold(16, lcm)
}

/// Jobs as one launch, with gaps before and between the regions.
fn together(
    device: &Device,
    pipeline: &wgpu::ComputePipeline,
    packed: &Packed,
    jobs: &[Option<&Job>],
    gaps: bool,
) -> Vec<BTreeMap<String, Vec<u32>>> {
    let first = jobs.iter().flatten().next().unwrap();
    let mut buffers: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    let mut begins: Vec<BTreeMap<String, usize>> = Vec::new();
    for job in jobs {
        let mut own = BTreeMap::new();
        for (name, default) in &first.buffers {
            let all = buffers.entry(name.clone()).or_default();
            let unit = unit(packed, name) / 4;
            let words = job.map_or(default, |j| &j.buffers[name]);
            let gap = if gaps { all.len() + unit } else { all.len() };
            all.resize(gap.next_multiple_of(unit), SENTINEL);
            own.insert(name.clone(), all.len());
            match job {
                Some(_) => all.extend(words),
                None => all.resize(all.len() + words.len(), SENTINEL),
            }
        }
        begins.push(own);
    }
    let has_mirror = |name: &str| {
        packed.bindings.iter().any(|b| base(&b.name) == name && b.unit == 4 * MIRROR_ROW)
    };
    for (name, all) in &mut buffers {
        let end = if gaps { all.len() + 64 } else { all.len() };
        let unit = if has_mirror(name) { MIRROR_ROW } else { 4 };
        all.resize(end.next_multiple_of(unit), SENTINEL);
    }
    let members: Vec<Member> = jobs
        .iter()
        .zip(&begins)
        .map(|(job, begins)| Member {
            grid: job.map_or([0, 1, 1], |j| j.grid),
            params: job.map_or(vec![SENTINEL; first.params.len()], |j| j.params.clone()),
            begins: packed.bindings.iter().map(|b| 4 * begins[base(&b.name)] as u64).collect(),
            bytes: packed
                .bindings
                .iter()
                .map(|b| 4 * job.unwrap_or(first).buffers[base(&b.name)].len() as u64)
                .collect(),
        })
        .collect();
    let (table, grid) = packed.table(&members).unwrap();
    let step = packed.step.as_ref().map(|step| {
        let mut words = vec![0u32; packed.step_bytes() / 4];
        for (record, job) in words.chunks_exact_mut(step.record_bytes / 4).zip(jobs) {
            let own = job.map_or(Step::default(), |j| j.step);
            record[..step.step_bytes / 4].copy_from_slice(bytemuck::cast_slice(&[own]));
        }
        (step.slot, words)
    });
    let params = (packed.params_slot, &table[..]);
    let after = device.run(pipeline, &packed.bindings, params, step, &buffers, grid);
    // What lies between the regions is as it was.
    let mut found = Vec::new();
    for (name, all) in &after {
        let mut inside = vec![false; all.len()];
        for (begins, job) in begins.iter().zip(jobs) {
            if let Some(job) = job {
                inside[begins[name]..][..job.buffers[name].len()].fill(true);
            }
        }
        let outside = (0..all.len()).find(|i| !inside[*i] && all[*i] != SENTINEL);
        assert_eq!(outside, None, "{}: {name}: outside of all regions", packed.entry);
    }
    for (begins, job) in begins.iter().zip(jobs) {
        let Some(job) = job else { continue };
        let own = after.iter().map(|(name, all)| {
            (name.clone(), all[begins[name]..][..job.buffers[name].len()].to_vec())
        });
        found.push(own.collect());
    }
    found
}

fn alone(
    device: &Device,
    pipeline: &wgpu::ComputePipeline,
    packed: &Packed,
    job: &Job,
) -> BTreeMap<String, Vec<u32>> {
    let mut words: Vec<u32> = job.params.clone();
    words.resize(64, 0);
    let step = packed.step.as_ref().map(|step| {
        let mut words: Vec<u32> = bytemuck::cast_slice(&[job.step]).to_vec();
        words.resize(64, 0);
        (step.slot, words)
    });
    let params = (packed.params_slot, &words[..]);
    device.run(pipeline, &packed.bindings, params, step, &job.buffers, job.grid)
}

/// Dispatches of one kernel with the same constants: case, schedule, dispatch.
type Places = Vec<(usize, usize, usize)>;

/// The constants of a group, and its dispatches.
type Group = (Vec<(&'static str, f64)>, Places);

/// The dispatches of the self-test by kernel, with the constants that the kernel knows.
fn groups(cases: &[Case]) -> BTreeMap<(&'static str, String), Group> {
    let mut groups: BTreeMap<_, Group> = BTreeMap::new();
    let mut known: BTreeMap<&str, Signature> = BTreeMap::new();
    for (c, case) in cases.iter().enumerate() {
        for (s, schedule) in case.built.program.schedules.iter().enumerate() {
            for (d, dispatch) in schedule.dispatches.iter().enumerate() {
                if dispatch.kernel.unit.is_some() {
                    continue;
                }
                let name = dispatch.kernel.name;
                let signature =
                    known.entry(name).or_insert_with(|| Signature::of(dispatch.kernel).unwrap());
                let is_known = |(n, _): &&(&str, f64)| signature.overrides.iter().any(|o| o == n);
                let constants: Vec<_> =
                    dispatch.constants.iter().filter(is_known).copied().collect();
                let key = (name, format!("{constants:?}"));
                groups.entry(key).or_insert_with(|| (constants, Vec::new())).1.push((c, s, d));
            }
        }
    }
    groups
}

/// Up to [`MEMBERS`] dispatches of a group with the contents of their buffers.
fn jobs(cases: &[Case], places: &Places, signature: &Signature) -> Vec<Job> {
    let by = places.len().div_ceil(MEMBERS).max(1);
    let job = |(c, s, d): &(usize, usize, usize)| {
        let case = &cases[*c];
        let dispatch = &case.built.program.schedules[*s].dispatches[*d];
        let bound = dispatch.bindings.iter();
        let bound = bound.filter(|(binding, _)| signature.buffers().any(|b| b.name == *binding));
        let buffers = bound.map(|(binding, buffer)| {
            let mut words = contents(case, dispatch, Buffer(buffer.0), (*s, *d));
            let is_mirror = signature.mirrors().any(|b| b.name == *binding);
            let unit = if is_mirror { MIRROR_ROW } else { 4 };
            words.resize(words.len().next_multiple_of(unit), 0);
            (binding.to_string(), words)
        });
        Job {
            case: case.name,
            params: dispatch.params.clone(),
            grid: dispatch.grid,
            step: case.step,
            buffers: buffers.collect(),
        }
    };
    let jobs: Vec<Job> = places.iter().step_by(by).map(job).collect();
    // One dispatch alone is tried as two members of one size.
    if jobs.len() == 1 { [jobs.clone(), jobs].concat() } else { jobs }
}

#[test]
fn members_give_the_bits_that_they_have_alone() {
    let gpu = Gpu::open(&Wish::default()).unwrap();
    let cases = all_cases(&gpu).unwrap();
    let device = open();
    let mut largest: BTreeMap<&str, Group> = BTreeMap::new();
    for ((name, _), group) in groups(&cases) {
        let known = largest.entry(name).or_insert_with(|| group.clone());
        if group.1.len() > known.1.len() {
            *known = group;
        }
    }
    assert!(largest.len() > 50, "{} kernels", largest.len());
    for (name, (constants, places)) in &largest {
        let kernel = tandem::kernels::by_name(name).unwrap();
        let packed = packed(&kernel.module(), MEMBERS + 1).unwrap();
        let jobs = jobs(&cases, places, &Signature::of(kernel).unwrap());
        let old = device.pipeline(name, &kernel.module(), constants);
        let new = device.pipeline(name, &packed.source, constants);
        let even = [&constants[..], &[(EVEN, 1.0)]].concat();
        let even = device.pipeline(name, &packed.source, &even);
        let expected: Vec<_> = jobs.iter().map(|job| alone(&device, &old, &packed, job)).collect();
        // One member at the beginning of its buffers.
        let one = together(&device, &even, &packed, &[Some(&jobs[0])], false);
        assert!(one == expected[..1], "{name} {constants:?}: one member");
        // All members, with gaps, and with one that does nothing.
        let mut members: Vec<Option<&Job>> = jobs.iter().map(Some).collect();
        members.insert(1, None);
        let all = together(&device, &new, &packed, &members, true);
        for ((job, expected), found) in jobs.iter().zip(&expected).zip(&all) {
            assert!(found == expected, "{name} {constants:?}: {}", job.case);
        }
        // Lanes of one grid, none of which asks whether it is beyond it.
        for found in together(&device, &even, &packed, &[Some(&jobs[0]); 3], true) {
            assert!(found == expected[0], "{name} {constants:?}: members of one grid");
        }
    }
}
