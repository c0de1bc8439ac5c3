//! One multi-task training step in Burn, a peer of `tandem bench step`.
//!
//!     cargo run --release -- wgpu|ndarray BATCH WIDTH INPUTS HEADS [ROWS [SECONDS]]
//!
//! Trunk INPUTS-WIDTH-WIDTH with ReLU, HEADS heads of 10 classes, soft sharing between all pairs,
//! Adam, f32. ROWS rows (default 10000) stay on the device; a step gathers its rows by an order.
//! Prints one JSON object with the time of a step in five repeats of about SECONDS each (default
//! 0.5).

use std::time::Instant;

use burn::backend::ndarray::NdArrayDevice;
use burn::backend::wgpu::graphics::AutoGraphicsApi;
use burn::backend::wgpu::{WgpuDevice, init_setup};
use burn::backend::{Autodiff, NdArray, Wgpu};
use burn::module::Module;
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams, Optimizer};
use burn::tensor::activation::relu;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Distribution, Int, Tensor, TensorData};

const USAGE: &str = "peer wgpu|ndarray BATCH WIDTH INPUTS HEADS [ROWS [SECONDS]]";
const CLASSES: usize = 10;
const STRENGTH: f32 = 0.01;
const RATE: f64 = 1e-3;
const WARM_UP: usize = 20;
const REPEATS: usize = 5;

struct Shape {
    batch: usize,
    width: usize,
    inputs: usize,
    heads: usize,
    rows: usize,
    seconds: f64,
}

#[derive(Module, Debug)]
struct Network<B: Backend> {
    trunk: Vec<Linear<B>>,
    heads: Vec<Linear<B>>,
}

impl<B: Backend> Network<B> {
    fn new(shape: &Shape, device: &B::Device) -> Self {
        let layer = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
        Self {
            trunk: vec![layer(shape.inputs, shape.width), layer(shape.width, shape.width)],
            heads: (0..shape.heads).map(|_| layer(shape.width, CLASSES)).collect(),
        }
    }

    fn loss(
        &self,
        x: Tensor<B, 2>,
        y: Tensor<B, 2, Int>,
        cross_entropy: &CrossEntropyLoss<B>,
    ) -> Tensor<B, 1> {
        let rows = y.dims()[0];
        let h = self.trunk.iter().fold(x, |h, layer| relu(layer.forward(h)));
        let label = |i| y.clone().slice([0..rows, i..i + 1]).flatten::<1>(0, 1);
        let losses = self
            .heads
            .iter()
            .enumerate()
            .map(|(i, head)| cross_entropy.forward(head.forward(h.clone()), label(i)));
        let total = losses.reduce(|a, b| a + b).expect("a head at least");
        self.pairs().fold(total, |sum, (a, b)| sum + distance(a, b) * (0.5 * STRENGTH))
    }

    fn pairs(&self) -> impl Iterator<Item = (&Linear<B>, &Linear<B>)> {
        self.heads
            .iter()
            .enumerate()
            .flat_map(|(i, a)| self.heads[i + 1..].iter().map(move |b| (a, b)))
    }
}

/// Squared distance of the weights and biases of two heads.
fn distance<B: Backend>(a: &Linear<B>, b: &Linear<B>) -> Tensor<B, 1> {
    let bias = |layer: &Linear<B>| layer.bias.as_ref().expect("a bias").val();
    (a.weight.val() - b.weight.val()).powi_scalar(2).sum()
        + (bias(a) - bias(b)).powi_scalar(2).sum()
}

/// A data set on the device, and the order in which its rows are gathered.
struct Data<B: Backend> {
    x: Tensor<B, 2>,
    y: Tensor<B, 2, Int>,
    order: Tensor<B, 1, Int>,
}

impl<B: Backend> Data<B> {
    fn new(shape: &Shape, device: &B::Device) -> Self {
        let scattered = |len: usize, below: usize| {
            (0..len).map(|i| (i * 7919 % below) as i32).collect::<Vec<_>>()
        };
        let labels = scattered(shape.rows * shape.heads, CLASSES);
        Self {
            x: Tensor::random([shape.rows, shape.inputs], Distribution::Uniform(0.0, 1.0), device),
            y: Tensor::from_data(TensorData::new(labels, [shape.rows, shape.heads]), device),
            order: Tensor::from_data(
                TensorData::new(scattered(shape.rows, shape.rows), [shape.rows]),
                device,
            ),
        }
    }

    fn batch(&self, step: usize, size: usize) -> (Tensor<B, 2>, Tensor<B, 2, Int>) {
        let first = step * size % (self.order.dims()[0] - size + 1);
        let rows = self.order.clone().slice([first..first + size]);
        (self.x.clone().select(0, rows.clone()), self.y.clone().select(0, rows))
    }
}

/// Measures the milliseconds per step of every repeat; the second value is the steps of a repeat.
fn measure<B: AutodiffBackend>(shape: &Shape, device: &B::Device) -> (Vec<f64>, usize) {
    let data = Data::<B>::new(shape, device);
    let cross_entropy = CrossEntropyLossConfig::new().init(device);
    let mut network = Some(Network::<B>::new(shape, device));
    let mut adam = AdamConfig::new().with_epsilon(1e-8).init::<B, Network<B>>();
    let mut step = |number| {
        let (x, y) = data.batch(number, shape.batch);
        let old = network.take().expect("the network of the step before");
        let gradients =
            GradientsParams::from_grads(old.loss(x, y, &cross_entropy).backward(), &old);
        network = Some(adam.step(RATE, old, gradients));
    };
    let mut run = |steps: usize| {
        let start = Instant::now();
        (0..steps).for_each(&mut step);
        B::sync(device).expect("the device finishes");
        1e3 * start.elapsed().as_secs_f64() / steps as f64
    };
    run(WARM_UP);
    let quickest = (0..3).map(|_| run(3)).fold(f64::INFINITY, f64::min);
    let steps = (1e3 * shape.seconds / quickest).max(1.0) as usize;
    ((0..REPEATS).map(|_| run(steps)).collect(), steps)
}

fn report(backend: &str, adapter: &str, driver: &str, (mut times, steps): (Vec<f64>, usize)) {
    times.sort_by(f64::total_cmp);
    let (min, median, max) = (times[0], times[REPEATS / 2], times[REPEATS - 1]);
    let ms = format!("{{\"min\": {min}, \"median\": {median}, \"max\": {max}}}");
    println!(
        "{{\"backend\": {backend:?}, \"adapter\": {adapter:?}, \"driver\": {driver:?}, \
         \"steps\": {steps}, \"ms_per_step\": {ms}}}"
    );
}

fn on_wgpu(shape: &Shape) {
    let device = WgpuDevice::default();
    let info = init_setup::<AutoGraphicsApi>(&device, Default::default()).adapter.get_info();
    let driver = format!("{} {}", info.driver, info.driver_info);
    report("wgpu", &info.name, driver.trim(), measure::<Autodiff<Wgpu>>(shape, &device));
}

fn on_ndarray(shape: &Shape) {
    report("ndarray", "CPU", "", measure::<Autodiff<NdArray>>(shape, &NdArrayDevice::Cpu));
}

fn shape(arguments: &[String]) -> Option<Shape> {
    let size = |i: usize| arguments.get(i)?.parse().ok().filter(|n| *n > 0);
    let (batch, rows) = (size(1)?, arguments.get(5).map_or(Some(10_000), |_| size(5))?);
    let seconds = arguments.get(6).map_or(Some(0.5), |s| s.parse().ok())?;
    Some(Shape {
        batch,
        width: size(2)?,
        inputs: size(3)?,
        heads: size(4)?,
        rows: rows.max(batch),
        seconds,
    })
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match (arguments.first().map(String::as_str), shape(&arguments)) {
        (Some("wgpu"), Some(shape)) => on_wgpu(&shape),
        (Some("ndarray"), Some(shape)) => on_ndarray(&shape),
        _ => {
            eprintln!("error: {USAGE}");
            std::process::exit(2);
        }
    }
}
