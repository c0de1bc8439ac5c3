//! `export`: a model as a file for other tools.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, ValueEnum, ValueHint};
use serde_json::{Value, json};

use super::console::Console;
use super::flags::Weights;
use super::signals::Signals;
use crate::export::{onnx, torch};
use crate::fault::{Exit, Fault, of_creation, quoted};
use crate::model::file::{self, FILES, Model};
use crate::run::apply::output::Output;

/// Arguments of `export`.
#[derive(Args)]
pub(super) struct ExportArgs {
    /// A run directory, a model directory, or a .safetensors file beside its config.json
    model: PathBuf,
    /// The kind of file to write
    #[arg(long, value_name = "FORMAT")]
    format: Format,
    /// The file [default: model.onnx or model.py beside the model's own files]
    #[arg(long, value_hint = ValueHint::FilePath)]
    out: Option<PathBuf>,
    #[command(flatten)]
    weights: Weights,
}

/// What a model becomes.
#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// An ONNX file that takes the columns of a table
    Onnx,
    /// A Python file that rebuilds the model with PyTorch, beside its own files
    Torch,
}

impl Format {
    /// The name of the file beside the model.
    fn file(self) -> &'static str {
        match self {
            Format::Onnx => file::ONNX,
            Format::Torch => "model.py",
        }
    }
}

/// What is written, and what is said of it.
struct Exported {
    bytes: Vec<u8>,
    notes: Vec<String>,
    /// What the result says beside file and size.
    facts: Value,
}

/// Writes a model as a file for other tools.
///
/// # Errors
/// The errors of reading a model; 65 if the format cannot hold it; 73 or 74 if the file cannot be
/// written.
pub(super) fn export(args: &ExportArgs, console: &Console) -> Result<()> {
    let model = args.weights.load(&args.model, console)?;
    check_rows(&model)?;
    let out = args.out.clone().unwrap_or_else(|| model.directory.join(args.format.file()));
    check_out(&out, &model)?;
    let Exported { bytes, notes, facts } = match args.format {
        Format::Onnx => to_onnx(&model)?,
        Format::Torch => to_torch(&model, &out)?,
    };
    let is_replaced = out.is_file();
    write(&out, &bytes)?;
    notes.iter().for_each(|note| console.note(note));
    if console.json {
        let mut result = json!({"out": out, "bytes": bytes.len(), "replaced": is_replaced});
        if let (Value::Object(result), Value::Object(facts)) = (&mut result, facts) {
            result.extend(facts);
        }
        return console.result_json(&result);
    }
    let done = if is_replaced { "replaced" } else { "written" };
    console.note(&format!("{}: {done}, {} bytes", out.display(), bytes.len()));
    Ok(())
}

/// Refuses a model whose rows are tokens: neither format has their neighbours.
fn check_rows(model: &Model) -> Result<()> {
    if model.schema.reading.sentences.is_none() {
        return Ok(());
    }
    let found = "the rows of the model are tokens of sentences, which have neighbours";
    Err(Fault::data(model.directory.display(), format!("cannot be exported: {found}"))
        .hint("use tandem predict, which writes the file with its tags")
        .into())
}

fn to_onnx(model: &Model) -> Result<Exported> {
    let onnx = onnx::export(model)?;
    let entered = |(column, what): &(String, String)| {
        format!("ONNX cannot encode column {}: its input takes {what}", quoted(column))
    };
    let notes = onnx.encoded.iter().map(entered).chain(onnx.notes).collect();
    let columns: Vec<&String> = onnx.encoded.iter().map(|(column, _)| column).collect();
    let facts = json!({"inputs": onnx.inputs, "outputs": onnx.outputs, "encoded": columns});
    Ok(Exported { bytes: onnx.bytes, notes, facts })
}

fn to_torch(model: &Model, out: &Path) -> Result<Exported> {
    let folder = |path: &Path| path.canonicalize().ok();
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
    let is_beside = folder(parent.unwrap_or(Path::new("."))) == folder(&model.directory);
    let apart =
        format!("name the directory of the model when it runs: {}", model.directory.display());
    let notes = if is_beside { Vec::new() } else { vec![apart] };
    Ok(Exported { bytes: torch::export(model)?.into_bytes(), notes, facts: json!({}) })
}

/// Refuses a path that is one of the files of the model.
fn check_out(out: &Path, model: &Model) -> Result<()> {
    let is_own = |name: &&&str| {
        let own = model.directory.join(name).canonicalize();
        own.is_ok_and(|own| out.canonicalize().is_ok_and(|out| out == own))
    };
    let Some(name) = FILES.iter().find(is_own) else { return Ok(()) };
    let found = format!("{}: is the model's own {name}", out.display());
    Err(Fault::new(Exit::CantCreate, found).hint("choose another --out").into())
}

/// Writes a file, which has its name when it is whole.
fn write(out: &Path, bytes: &[u8]) -> Result<()> {
    let create = |e: std::io::Error| {
        Fault::new(of_creation(&e), format!("{}: cannot be created: {e}", out.display()))
            .hint("choose another --out")
    };
    let failed =
        |e| Fault::new(Exit::Io, format!("{}: {e}", out.display())).hint("is the disk full?");
    let signals = Signals::install()?;
    let mut output = Output::create(out, false).map_err(create)?;
    output.temporary().into_iter().for_each(|file| signals.clone().remove_at_end(file.to_owned()));
    output.write_all(bytes).map_err(failed)?;
    output.finish().map_err(failed)?;
    Ok(())
}
