//! A [`Config`] back to TOML: fully resolved, so that training from the text reproduces the run.

use std::fmt::Write as _;

use super::keys::entries;
pub(crate) use super::keys::toml::{key, quote, texts};
use super::{
    Config, architecture, augment, balance, coupling, data, feature, several, task, train,
};

/// The text of a configuration, every key with an effect written out and paths absolute;
/// `read::from_text` makes an equal [`Config`] of it again.
pub fn to_toml(config: &Config) -> String {
    let version = config.data.version;
    let mut text = format!("version = {}\n", quote(version));
    table(&mut text, "[data]", data::entries(&config.data));
    for source in config.data.train.several() {
        table(&mut text, "[[source]]", several::entries(source));
    }
    for column in &config.data.features {
        let header = format!("[feature.{}]", key(&column.column));
        table(&mut text, &header, feature::entries(column, version));
    }
    let augment = augment::entries(&config.augment, &config.data.train);
    if !augment.is_empty() {
        table(&mut text, "[augment]", augment);
    }
    table(&mut text, "[architecture]", architecture::entries(&config.architecture));
    table(&mut text, "[trunk]", entries(&mut config.trunk.clone()));
    for one in &config.tasks {
        table(&mut text, &format!("[task.{}]", key(&one.name)), task::entries(one, version));
    }
    for one in &config.couplings {
        table(&mut text, "[[coupling]]", coupling::entries(one));
    }
    table(&mut text, "[balance]", balance::entries(&config.balance));
    table(&mut text, "[optimizer]", entries(&mut config.optimizer.clone()));
    table(&mut text, "[train]", train::entries(&config.train, &config.data));
    table(&mut text, "[tracking]", entries(&mut config.tracking.clone()));
    text
}

/// One table with its keys, whose values are TOML already.
fn table(text: &mut String, header: &str, entries: Vec<(&'static str, String)>) {
    let _ = writeln!(text, "\n{header}");
    for (key, value) in entries {
        let _ = writeln!(text, "{key} = {value}");
    }
}
