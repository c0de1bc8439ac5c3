//! The readers of raw tables without the rest of the crate, and what must hold whatever bytes they are given.

#[path = "../../src/fault.rs"]
pub mod fault;

/// The part of the data room that needs nothing above it.
#[path = "."]
pub mod data {
    #[path = "../../src/data/bytes.rs"]
    pub mod bytes;
    #[path = "../../src/data/glob.rs"]
    pub mod glob;
    #[path = "../../src/data/npy.rs"]
    pub mod npy;
    #[path = "../../src/data/parquet/mod.rs"]
    pub mod parquet;
    #[path = "../../src/data/raw.rs"]
    pub mod raw;
    #[path = "../../src/data/stream.rs"]
    pub mod stream;
    #[path = "../../src/data/svmlight.rs"]
    pub mod svmlight;
    #[path = "../../src/data/text.rs"]
    pub mod text;
}

/// A table is rectangular; a refusal is a fault of one line with an exit code for data and a hint of one line.
pub fn harmless(result: anyhow::Result<data::raw::Raw>) {
    match result {
        Ok(table) => {
            assert_eq!(table.columns.len(), table.names.len());
            assert!(table.columns.iter().all(|column| column.len() == table.rows));
            for row in [0, table.rows - 1] {
                assert!((0..table.names.len()).all(|column| table.cell(row, column).trim() == table.cell(row, column)));
                assert!(!table.locate(row).is_empty());
            }
        }
        Err(error) => {
            assert!(matches!(fault::exit_of(&error), fault::Exit::Data | fault::Exit::NoInput), "{error}");
            let hint = fault::hint_of(&error).expect("no hint").to_owned();
            assert!(!(error.to_string() + &hint).chars().any(char::is_control), "{error:?}");
        }
    }
}
