//! PNG and JPEG files beside Pillow and numpy, which made tests/fixtures/images.json, and beside
//! IDX files of the same images; and the changes of images in training steps.

use std::fs;
use std::path::{Path, PathBuf};

use tandem::config::read::from_text;
use tandem::data::images::decode::{Shape, header, pixels};
use tandem::data::load::door::{load, load_with_cache};
use tandem::data::load::route::Loading;
use tandem::data::store::table_cache::TableCache;
use tandem::data::{Features, Input, Parts};
use tandem::fault::hint_of;
use tandem::run::machine::Machine;

use crate::common::cpu;
use crate::common::images::{bytes, check_changed, numbers, recorded};

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images");
    fs::read(folder.join(name)).unwrap()
}

fn near(name: &str, found: &[u8], expected: &[u8], slack: u64) {
    let far = found.iter().zip(expected).map(|(a, b)| u64::from(a.abs_diff(*b))).max();
    assert_eq!(found.len(), expected.len(), "{name}");
    assert!(far <= Some(slack), "{name}: {found:?}, expected {expected:?}");
}

#[test]
fn files_hold_the_bytes_that_pillow_reads() {
    for file in recorded()["files"].as_array().unwrap() {
        let name = file["file"].as_str().unwrap();
        let contents = fixture(name);
        let found = header(name, &contents).unwrap();
        let size = numbers(&file["size"]);
        assert_eq!([found.height as u64, found.width as u64], size[..], "{name}");
        assert_eq!(found.is_grey, file["is_grey"].as_bool().unwrap(), "{name}");
        let slack = file["slack"].as_u64().unwrap();
        let shape = Shape { height: found.height, width: found.width, channels: 3 };
        near(name, &pixels(name, &contents, shape).unwrap(), &bytes(&file["rgb"]), slack);
        // Grey values of colours are rounded down or to the nearest.
        let grey = if found.is_grey { slack } else { slack + 1 };
        let shape = Shape { channels: 1, ..shape };
        near(name, &pixels(name, &contents, shape).unwrap(), &bytes(&file["grey"]), grey);
    }
}

#[test]
fn images_are_resized_as_by_pillow() {
    for case in recorded()["resized"].as_array().unwrap() {
        let size = numbers(&case["size"]);
        let shape = Shape { height: size[0] as usize, width: size[1] as usize, channels: 3 };
        let found = pixels("large.png", &fixture("large.png"), shape).unwrap();
        near(&case["size"].to_string(), &found, &bytes(&case["bytes"]), 1);
    }
}

#[test]
fn images_change_as_in_numpy_in_f64() {
    check_changed(&|| Machine::Reference);
}

#[test]
fn images_change_as_in_numpy_on_the_processor() {
    check_changed(&|| cpu(2));
}

/// A folder with IDX files and PNG files of the same 40 images, whose labels also stand in a table
/// and are the names of folders.
fn set() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let image = |row: u32| -> Vec<u8> { (0..30).map(|i| (row * 31 + i * 7) as u8).collect() };
    let idx = |dims: &[u32], values: Vec<u8>| {
        let dims: Vec<u8> = dims.iter().flat_map(|n| n.to_be_bytes()).collect();
        [&[0, 0, 8, dims.len() as u8 / 4], &dims[..], &values[..]].concat()
    };
    fs::write(path("i"), idx(&[40, 5, 6], (0..40).flat_map(image).collect())).unwrap();
    fs::write(path("l"), idx(&[40], (0..40).map(|row| row % 4).collect())).unwrap();
    let mut table = "name,digit,parity,ink,w,note\n".to_owned();
    for row in 0..40 {
        let grey = image::GrayImage::from_raw(6, 5, image(row)).unwrap();
        let class = row % 4;
        fs::create_dir_all(path(&format!("classes/{class}"))).unwrap();
        fs::create_dir_all(path("all")).unwrap();
        grey.save(path(&format!("classes/{class}/{row:02}.png"))).unwrap();
        grey.save(path(&format!("all/{row:02}.png"))).unwrap();
        let parity = ["even", "odd", "", "odd"][class as usize];
        table += &format!("{row:02}.png,{class},{parity},{}.5,{},x\n", row * 3, row % 3);
    }
    fs::write(path("all.csv"), table).unwrap();
    dir
}

fn parts(dir: &Path, text: &str) -> anyhow::Result<Parts> {
    let config = from_text(text, "config.toml", dir, &[])?;
    load(&config.data, &config.tasks)
}

fn values(parts: &Parts) -> &[u8] {
    let Features::U8 { values, scale } = &parts.train.features else { panic!("no bytes") };
    assert_eq!(*scale, 1.0 / 255.0);
    values
}

#[test]
fn png_files_are_the_bytes_of_idx_files() {
    let dir = set();
    let tail = "split = [0.5, 0.25, 0.25]\n[task.digit]\n[task.low]\ngroups = { a = [0, 1], b = \
                [2, 3] }\n";
    let idx =
        parts(dir.path(), &format!("[data]\ntrain = {{ images = \"i\", labels = \"l\" }}\n{tail}"))
            .unwrap();
    let tail = tail.replace("groups", "target = \"digit\"\ngroups");
    let listed = "{ images = \"all\", labels = \"all.csv\", path = \"name\" }";
    let listed = parts(dir.path(), &format!("[data]\ntrain = {listed}\n{tail}")).unwrap();
    assert_eq!(values(&listed), values(&idx));
    assert_eq!(listed.train.labels, idx.train.labels);
    assert_eq!(listed.valid.unwrap().labels, idx.valid.unwrap().labels);
    assert_eq!(listed.test.unwrap().features, idx.test.unwrap().features);
    assert!(listed.notices.iter().any(|notice| notice.contains("\"ink\", \"w\", \"note\"")));
}

#[test]
fn a_folder_of_classes_is_in_the_order_of_names() {
    let dir = set();
    let text = "[data]\ntrain = { folder = \"classes\" }\nsplit = [1, 0, 0]\n[task.digit]\n";
    let found = parts(dir.path(), text).unwrap();
    let rows: Vec<u32> = (0..4).flat_map(|class| (0..10).map(move |i| 4 * i + class)).collect();
    let image = |row: u32| (0..30).map(move |i| (row * 31 + i * 7) as u8);
    assert_eq!(values(&found), rows.iter().flat_map(|row| image(*row)).collect::<Vec<u8>>());
    assert_eq!(found.train.labels, [rows.iter().map(|row| row % 4).collect::<Vec<u32>>()]);
    assert_eq!(found.schema.targets[0].classes, ["0", "1", "2", "3"]);
}

#[test]
fn a_table_gives_labels_of_all_types_blanks_and_weights() {
    let dir = set();
    let text = "[data]\ntrain = { images = \"all\", labels = \"all.csv\", path = \"name\" }\n\
                row_weight = \"w\"\nsplit = [1, 0, 0]\n[task.digit]\n[task.parity]\ntype = \
                \"binary\"\npositive = \"odd\"\n[task.ink]\ntype = \"regression\"\nscale = \
                \"none\"\n";
    let found = parts(dir.path(), text).unwrap();
    let [_, parity, ink] = &found.train.labels[..] else { panic!("three columns") };
    assert_eq!(parity[..5], [0, 1, u32::MAX, 1, 0]);
    assert_eq!(f32::from_bits(ink[2]), 6.5);
    assert_eq!(found.train.weights.as_ref().unwrap()[..4], [0.0, 1.0, 2.0, 0.0]);
    let Input::Image { files, channels, .. } = &found.schema.input else { panic!("no images") };
    assert_eq!((files.as_ref().unwrap().path.as_deref(), *channels), (Some("name"), 1));
}

#[test]
fn stratify_and_group_choose_rows_as_in_a_table() {
    let dir = set();
    let tail = "split = [0.5, 0.5, 0]\n[task.digit]\n";
    for key in ["stratify = \"digit\"", "group = \"note2\"", "split_seed = 4"] {
        let csv = fs::read_to_string(dir.path().join("all.csv")).unwrap();
        let line = |(row, line): (usize, &str)| match row {
            0 => format!("{line},note2\n"),
            row => format!("{line},g{}\n", row % 7),
        };
        fs::write(
            dir.path().join("more.csv"),
            csv.lines().enumerate().map(line).collect::<String>(),
        )
        .unwrap();
        let images = format!(
            "[data]\ntrain = {{ images = \"all\", labels = \"more.csv\", path = \"name\" \
             }}\n{key}\n{tail}"
        );
        let table = format!("[data]\ntrain = \"more.csv\"\nignore = [\"note\"]\n{key}\n{tail}");
        let labels = |text: &str| parts(dir.path(), text).unwrap().train.labels.clone();
        assert_eq!(labels(&images), labels(&table), "{key}");
    }
}

#[test]
fn another_size_is_refused_or_resized() {
    let dir = set();
    let large = image::RgbImage::from_pixel(20, 9, image::Rgb([9, 8, 7]));
    large.save(dir.path().join("classes/2/zz.png")).unwrap();
    let text = "[data]\ntrain = { folder = \"classes\" }\n[task.digit]\n";
    let error = parts(dir.path(), text).unwrap_err();
    assert!(error.to_string().contains("zz.png: has 9 × 20 pixels, expected 5 × 6"), "{error}");
    assert!(hint_of(&error).unwrap().contains("size = [5, 6]"), "{:?}", hint_of(&error));
    let with = text.replace("[task", "size = [4, 3]\n[task");
    let found = parts(dir.path(), &with).unwrap();
    assert_eq!(found.schema.input.width(), 4 * 3 * 3);
    let says = |text: &str| found.notices.iter().any(|notice| notice.contains(text));
    assert!(says("41 of 41 images are resized to 4 × 3"), "{:?}", found.notices);
    assert!(says("3 channels, since 1 of 41 files have colours"), "{:?}", found.notices);
}

#[test]
fn the_cache_gives_the_same_bytes_and_notices_changes() {
    let dir = set();
    let text = "[data]\ntrain = { folder = \"classes\" }\nsplit = [1, 0, 0]\n[task.digit]\n";
    let config = from_text(text, "config.toml", dir.path(), &[]).unwrap();
    let directory = dir.path().join("cache");
    let read = |wanted: &[&str]| {
        let stages = std::cell::RefCell::new(Vec::new());
        let stage = |name: &str, _: u64| stages.borrow_mut().push(name.to_owned());
        let cache = TableCache { directory: directory.clone(), least: 1, most: 1 << 30 };
        let way = Loading { cache: Some(cache), stage: &stage };
        let parts = load_with_cache(&config.data, &config.tasks, &way).unwrap();
        assert_eq!(stages.into_inner(), wanted);
        values(&parts).to_vec()
    };
    let (look, decode) = ("looking at", "decoding");
    let first = read(&[look, decode]);
    assert_eq!(read(&[look]), first);
    let entry: Vec<PathBuf> =
        fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    let mut damaged = fs::read(entry[0].join("pixels")).unwrap();
    damaged[7] ^= 1;
    fs::write(entry[0].join("pixels"), damaged).unwrap();
    assert_eq!(read(&[look, decode]), first, "a damaged entry is made again");
    let other = image::GrayImage::from_pixel(6, 5, image::Luma([77]));
    other.save(dir.path().join("classes/0/00.png")).unwrap();
    assert_eq!(read(&[look, decode])[..30], [77; 30], "another file is another entry");
}
