//! Images that a training step changes, on any machine, beside those of tests/fixtures/images.py.

use std::path::Path;

use serde_json::Value;
use tandem::config::read::from_text;
use tandem::data::{Dataset, Features, Input, Parts, Schema, Target};
use tandem::kernels::params::Step;
use tandem::run::data::upload;
use tandem::run::machine::Machine;
use tandem::run::train::Plan;
use tandem::schedule::Slice;

/// The contents of tests/fixtures/images.json.
pub fn recorded() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub fn numbers(list: &Value) -> Vec<u64> {
    list.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect()
}

pub fn bytes(list: &Value) -> Vec<u8> {
    numbers(list).into_iter().map(|n| n as u8).collect()
}

/// A plan over the images of a case, with batches of ten rows in `chunks` chunks.
fn plan(case: &Value, chunks: usize) -> Plan {
    let [height, width, channels] = numbers(&case["size"])[..] else { panic!("{case}") };
    let augment = &case["augment"];
    let flip = if augment["flip"] == true { "horizontal" } else { "none" };
    let text = format!(
        "[data]\ntrain = {{ folder = \"x\" }}\n[augment]\nshift = {}\nflip = \"{flip}\"\nerase = \
         {}\n[trunk]\nlayers = [3]\n[task.a]\n[train]\nbatch_size = 10\naccumulate = {chunks}\n",
        augment["shift"], augment["erase"]
    );
    let config = from_text(&text, "config.toml", Path::new(""), &[]).unwrap();
    let values = bytes(&case["images"]);
    let rows = values.len() / (height * width * channels) as usize;
    let train = Dataset {
        rows,
        features: Features::U8 { values, scale: 1.0 / 255.0 },
        labels: vec![(0..rows as u32).map(|row| row % 2).collect()],
        weights: None,
        table: None,
        tokens: None,
    };
    let input = Input::Image {
        height: height as usize,
        width: width as usize,
        channels: channels as usize,
        scale: 1.0 / 255.0,
        overlay: None,
        files: None,
    };
    let classes = vec!["0".to_owned(), "1".to_owned()];
    let mut target = Target::multiclass("a", classes);
    target.counts = vec![vec![6, 6]];
    let parts = Parts::new(Schema::new(input, vec![target]), train, None, None).unwrap();
    Plan::new(config, parts).unwrap()
}

/// Asserts that a machine changes the images of all cases as numpy does, to the last bit, in one
/// chunk and in several; and that an evaluation changes none.
pub fn check_changed(machine: &dyn Fn() -> Machine) {
    for case in recorded()["augmented"].as_array().unwrap() {
        for chunks in [1, 2] {
            let (plan, machine) = (plan(case, chunks), machine());
            let built = plan.build(&machine.tuning()).unwrap();
            let mut engine = machine.engine(built.program.clone()).unwrap();
            upload(engine.as_mut(), &built.parts[0], &plan.parts.train, built.counting).unwrap();
            let order: Vec<u32> = numbers(&case["order"]).into_iter().map(|n| n as u32).collect();
            engine.upload(built.buffers.order, 0, &order).unwrap();
            let key = numbers(&case["key"]);
            let step = Step {
                number: 1,
                rows: 10,
                inverse_rows: 0.1,
                key_low: key[0] as u32,
                key_high: key[1] as u32,
                ..Step::default()
            };
            let train = built.train.unwrap();
            let expected = bytes(&case["expected"]);
            let width = plan.network.inputs;
            let mut seen = 0;
            for (number, dispatch) in built.program.schedules[train].dispatches.iter().enumerate() {
                if dispatch.kernel.name != "gather_images" {
                    continue;
                }
                engine.launch(train, number, &step, 1).unwrap();
                let (rows, first) = (dispatch.params[0] as usize, dispatch.params[1] as usize);
                let rows = rows.min(10 - first);
                let slice =
                    Slice { buffer: built.buffers.activations[0], first: 0, len: rows * width };
                let found = engine.download(slice).unwrap();
                let wanted: Vec<f32> = expected[first * width..][..rows * width]
                    .iter()
                    .map(|byte| f32::from(*byte) * (1.0 / 255.0))
                    .collect();
                assert_eq!(found, wanted, "{chunks} chunks, rows from {first}: {case}");
                seen += rows;
            }
            assert_eq!(seen, 10, "{chunks} chunks: {case}");
            let evaluate = &built.program.schedules[built.evaluate[0]].dispatches;
            assert!(evaluate.iter().all(|dispatch| dispatch.kernel.name != "gather_images"));
        }
    }
}
