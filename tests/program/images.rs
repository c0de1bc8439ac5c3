//! PNG and JPEG files given to the program: what it trains, predicts, drafts and refuses. Each
//! hostile file is refused with one line and a hint, within a second of processor time and within
//! 96 MiB of memory more than three times its size; the operating system ends a process that needs
//! more.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::common::program::{Ran, Room};

/// Bytes of memory that are allowed in addition to three times the size of the files.
const MEMORY: u64 = 96 << 20;

const FOLDER: &str = "[data]\ntrain = { folder = \"set\" }\nsplit = [1, 0, 0]\n[trunk]\nlayers = \
                      [3]\n[task.kind]\n[train]\nepochs = 1\n";
const LISTED: &str = "[data]\ntrain = { images = \"set\", labels = \"set.csv\", path = \"file\" \
                      }\nsplit = [1, 0, 0]\n[trunk]\nlayers = [3]\n[task.kind]\n[train]\nepochs = \
                      1\n";

/// A PNG file of 6 × 5 grey values.
fn png(seed: u32) -> Vec<u8> {
    let bytes = (0..30).map(|i| (seed * 37 + i * i) as u8).collect();
    encoded(image::GrayImage::from_raw(5, 6, bytes).unwrap().into(), image::ImageFormat::Png)
}

fn jpeg() -> Vec<u8> {
    let image = image::GrayImage::from_fn(40, 30, |x, y| image::Luma([(x * y) as u8]));
    encoded(image.into(), image::ImageFormat::Jpeg)
}

fn encoded(image: image::DynamicImage, format: image::ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A chunk of a PNG file.
fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(kind);
    crc.update(data);
    [&(data.len() as u32).to_be_bytes(), &kind[..], data, &crc.sum().to_be_bytes()].concat()
}

/// A PNG file whose header says this size, with a few bytes of data.
fn says(width: u32, height: u32) -> Vec<u8> {
    let header = [&width.to_be_bytes(), &height.to_be_bytes(), &[8, 0, 0, 0, 0][..]].concat();
    let data = packed(&[0; 64]);
    let chunks = [chunk(b"IHDR", &header), chunk(b"IDAT", &data), chunk(b"IEND", &[])].concat();
    [b"\x89PNG\r\n\x1a\n", &chunks[..]].concat()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A room with twelve images of two classes in `set/`, and a table of them in `set.csv`.
fn room(net: &str) -> Room {
    let room = Room::new(net);
    let mut table = "file,kind,size\n".to_owned();
    for row in 0..12 {
        let class = ["a", "b"][row % 2];
        fs::create_dir_all(room.path(&format!("set/{class}"))).unwrap();
        room.write(&format!("set/{class}/{row}.png"), png(row as u32));
        table += &format!("{class}/{row}.png,{class},{}\n", row * 3);
    }
    room.write("set.csv", table);
    room
}

/// Runs the program with little time and memory.
fn limited(room: &Room, args: &[&str], memory: u64) -> Ran {
    let limits =
        format!("ulimit -d {} && ulimit -t 1 && exec timeout 60 \"$0\" \"$@\"", memory >> 10);
    let mut command = room.program("sh");
    command.args(["-c", &limits, env!("CARGO_BIN_EXE_tandem")]);
    Ran::of(command.args(args).args(["--device", "reference"]).output().unwrap())
}

/// What is wrong, what is done to the room, the configuration, exit code, pieces of the sentence.
type Case = (&'static str, fn(&Room), &'static str, i32, &'static [&'static str]);

const X: &str = "set/a/x.png";

const HOSTILE: &[Case] = &[
    (
        "a header of 2^31 pixels a side",
        |r| r.write(X, says(0x7fff_ffff, 0x7fff_ffff)),
        FOLDER,
        65,
        &["x.png: ", "2147483647"],
    ),
    (
        "a header of 60,000 pixels a side",
        |r| r.write(X, says(60_000, 60_000)),
        FOLDER,
        65,
        &["60000 × 60000 pixels"],
    ),
    (
        "a header of 16,000 pixels a side",
        |r| r.write(X, says(16_000, 16_000)),
        FOLDER,
        65,
        &["16000 × 16000 pixels"],
    ),
    (
        "a long, thin image",
        |r| r.write(X, says(1 << 30, 1)),
        FOLDER,
        65,
        &["1 × 1073741824 pixels"],
    ),
    ("no pixels", |r| r.write(X, says(0, 6)), FOLDER, 65, &["x.png: "]),
    ("less data than the header says", |r| r.write(X, says(600, 500)), FOLDER, 65, &["x.png: "]),
    (
        "the first half of a PNG file",
        |r| {
            let b = png(1);
            r.write(X, &b[..b.len() / 2])
        },
        FOLDER,
        65,
        &["truncated or damaged"],
    ),
    (
        "a damaged byte",
        |r| {
            let mut b = png(1);
            b[45] ^= 64;
            r.write(X, b)
        },
        FOLDER,
        65,
        &["truncated or damaged"],
    ),
    ("a header alone", |r| r.write(X, &png(1)[..33]), FOLDER, 65, &["x.png: "]),
    ("eight bytes of a PNG file", |r| r.write(X, &png(1)[..8]), FOLDER, 65, &["x.png: "]),
    ("an empty file", |r| r.write(X, ""), FOLDER, 65, &["x.png: the file is empty"]),
    (
        "zeros",
        |r| r.write(X, [0; 999]),
        FOLDER,
        65,
        &["neither PNG nor JPEG: 999 bytes that begin [00"],
    ),
    ("a text", |r| r.write(X, "not an image"), FOLDER, 65, &["neither PNG nor JPEG: 12 bytes"]),
    (
        "a GIF file",
        |r| r.write(X, b"GIF89a\x01\x00\x01\x00"),
        FOLDER,
        65,
        &["neither PNG nor JPEG"],
    ),
    (
        "the first half of a JPEG file",
        |r| {
            let b = jpeg();
            r.write(X, &b[..b.len() / 2])
        },
        "size = [6, 5]",
        65,
        &["truncated or damaged"],
    ),
    (
        "a JPEG file without its end",
        |r| {
            let b = jpeg();
            r.write(X, &b[..b.len() - 2])
        },
        "size = [6, 5]",
        65,
        &["the file ends within the image"],
    ),
    (
        "a JPEG header of 65,500 pixels a side",
        |r| r.write(X, vast_jpeg()),
        FOLDER,
        65,
        &["65500 × 65500 pixels"],
    ),
    ("three bytes of a JPEG file", |r| r.write(X, b"\xff\xd8\xff"), FOLDER, 65, &["x.png: "]),
    (
        "a file of 2^40 bytes",
        |r| fs::File::create(r.path(X)).unwrap().set_len(1 << 40).unwrap(),
        FOLDER,
        65,
        &["has 1099511627776 bytes"],
    ),
    ("another size", |r| r.write(X, jpeg()), FOLDER, 65, &["has 30 × 40 pixels", "size = [6, 5]"]),
    ("a pipe", |r| pipe(&r.path(X)), FOLDER, 66, &["is not a file"]),
    ("a device", |r| symlink("/dev/zero", r.path(X)).unwrap(), FOLDER, 66, &["is not a file"]),
    ("a link to itself", |r| symlink("x.png", r.path(X)).unwrap(), FOLDER, 66, &["cannot be read"]),
    (
        "a link to the folder above",
        |r| symlink("..", r.path("set/a/up")).unwrap(),
        FOLDER,
        65,
        &["in which it lies itself"],
    ),
    (
        "a folder with the name of an image",
        |r| fs::create_dir(r.path(X)).unwrap(),
        FOLDER,
        65,
        &["is a folder"],
    ),
    (
        "twenty folders in each other",
        |r| fs::create_dir_all(r.path(&format!("set/a{}", "/d".repeat(20)))).unwrap(),
        FOLDER,
        65,
        &["lie within each other"],
    ),
    (
        "no images",
        |r| {
            fs::remove_dir_all(r.path("set")).unwrap();
            fs::create_dir_all(r.path("set/a")).unwrap()
        },
        FOLDER,
        65,
        &["no .png, .jpg or .jpeg"],
    ),
    (
        "one class",
        |r| fs::remove_dir_all(r.path("set/b")).unwrap(),
        FOLDER,
        65,
        &["one class, \"a\""],
    ),
    (
        "no folder",
        |r| fs::remove_dir_all(r.path("set")).unwrap(),
        FOLDER,
        66,
        &["set: cannot be read"],
    ),
    (
        "a file for a folder",
        |r| {
            fs::remove_dir_all(r.path("set")).unwrap();
            r.write("set", "")
        },
        FOLDER,
        66,
        &["set: cannot be read"],
    ),
    (
        "images without classes",
        |r| {
            fs::remove_dir_all(r.path("set")).unwrap();
            fs::create_dir(r.path("set")).unwrap();
            r.write("set/x.png", png(1))
        },
        FOLDER,
        65,
        &["1 images and no subfolder"],
    ),
    (
        "a path out of the folder",
        |r| list(r, "../secret.png,a,1"),
        LISTED,
        65,
        &["set.csv:14: column \"file\": \"../secret.png\" leads out of"],
    ),
    (
        "a path out of the folder, later",
        |r| list(r, "a/../../x.png,a,1"),
        LISTED,
        65,
        &["leads out of"],
    ),
    ("an absolute path", |r| list(r, "/etc/passwd,a,1"), LISTED, 65, &["leads out of"]),
    ("a file that is missing", |r| list(r, "a/99.png,a,1"), LISTED, 66, &["99.png", "set.csv:14"]),
    (
        "a blank path",
        |r| list(r, ",a,1"),
        LISTED,
        65,
        &["set.csv:14: column \"file\": the cell is blank"],
    ),
    ("a folder for a file", |r| list(r, "a,a,1"), LISTED, 66, &["is a folder, not a file"]),
    (
        "no column of paths",
        |r| r.write("set.csv", "name,kind\na/0.png,a\n"),
        LISTED,
        78,
        &["data.train.path", "\"file\""],
    ),
    ("a table without rows", |r| r.write("set.csv", "file,kind\n"), LISTED, 65, &["set.csv"]),
    (
        "too little memory",
        |_| (),
        "size = [900, 900]\nchannels = 3\nmemory = \"20MB\"",
        78,
        &["data.memory: 12 images of 900 × 900 × 3"],
    ),
];

/// A JPEG file whose header says 65,500 pixels a side.
fn vast_jpeg() -> Vec<u8> {
    let mut bytes = jpeg();
    let frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    bytes[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
    bytes
}

/// Adds a line to the table.
fn list(room: &Room, line: &str) {
    room.write("set.csv", room.text("set.csv") + line + "\n");
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn hostile_images_are_refused_in_a_sentence() {
    for (name, spoil, net, code, pieces) in HOSTILE {
        // A line of settings stands for the folder with it.
        let net = match net.starts_with("[data]") {
            true => (*net).to_owned(),
            false => FOLDER.replace("split", &format!("{net}\nsplit")),
        };
        let room = room(&net);
        spoil(&room);
        println!("{name}");
        let args = ["train", "net.toml", "--out", "new"];
        limited(&room, &args, MEMORY).refused(*code, pieces);
        assert!(!room.path("new/model").exists(), "{name}");
    }
}

/// A text of 60 MB in a chunk that no image needs is not unpacked.
#[test]
fn a_chunk_of_text_is_no_bomb() {
    let room = room(FOLDER);
    let mut bytes = png(1);
    let text = [&b"a\0\0"[..], &packed(&vec![b' '; 60 << 20])].concat();
    bytes.splice(33..33, chunk(b"zTXt", &text));
    room.write(X, bytes);
    limited(&room, &["train", "net.toml", "--out", "new"], MEMORY).expect(0);
}

#[test]
fn what_is_odd_and_no_error_is_told() {
    let room = room(FOLDER);
    room.write("set/a/notes.txt", "x");
    room.write("set/loose.png", png(1));
    room.write("set/b/copy.png", png(0));
    fs::create_dir(room.path("set/empty")).unwrap();
    room.train("new", &[]).expect(0).says(&[
        "1 file is passed over, since only .png, .jpg and .jpeg are images: \"",
        "notes.txt\"",
        "class \"empty\" has no images: it is left out",
        "loose.png",
        "1 of 13 images are copies of others",
        "images have 1 channel, since all files are grey",
        "images of the folders: \"a\" 6, \"b\" 7",
    ]);
    let parts = Room::new(FOLDER);
    ["train", "test"].iter().enumerate().for_each(|(seed, part)| {
        fs::create_dir_all(parts.path(&format!("set/{part}/a"))).unwrap();
        parts.write(&format!("set/{part}/a/0.png"), png(seed as u32));
    });
    parts.train("no", &[]).refused(65, &["its subfolders \"test\", \"train\" are parts"]);
    let room = self::room(LISTED);
    list(&room, "a/0.png,b,1");
    room.train("new", &[]).expect(0).says(&[
        "1 of 13 rows name a file that an earlier row names, such as \"a/0.png\"",
        "set.csv:2",
        "columns that nothing reads: \"size\"",
    ]);
}

#[test]
fn a_model_of_a_folder_is_applied_to_files() {
    let room = room(FOLDER);
    room.train("run", &[]).expect(0);
    let at = |args: &[&str]| room.on_reference(args).expect(0);
    let found = at(&["evaluate", "run", "--data", "set", "--json"]).json();
    assert_eq!((&found["rows"], &found["tasks"]["kind"]["rows"]), (&12.into(), &12.into()));
    let predicted = at(&["predict", "run", "--data", "set"]).out;
    let lines: Vec<&str> = predicted.lines().collect();
    assert_eq!(lines[0], "file,kind,kind:a,kind:b");
    assert!(lines[1].starts_with("a/0.png,") && lines[12].starts_with("b/9.png,"), "{predicted}");
    // The same image alone, in a table, and in a folder of images.
    let one = |text: &str| text.lines().nth(1).unwrap().split_once(',').unwrap().1.to_owned();
    assert_eq!(one(&at(&["predict", "run", "--data", "set/a/0.png"]).out), one(&predicted));
    room.write("list.csv", "file\na/0.png\n");
    let listed = at(&["predict", "run", "--data", "set,list.csv"]).out;
    assert_eq!(one(&listed), one(&predicted));
    room.write("set/list.csv", "file,more\na/0.png,7\n");
    let listed = at(&["predict", "run", "--data", "set/list.csv"]).out;
    assert!(listed.lines().nth(1).unwrap().starts_with("a/0.png,7,"), "{listed}");
    room.on_reference(&["evaluate", "run", "--data", "set/a/0.png"])
        .refused(65, &["a single image has no label"]);
    room.write("set/a/large.png", jpeg());
    room.on_reference(&["predict", "run", "--data", "set"])
        .refused(65, &["has 30 × 40 pixels", "without data.size"]);
}

#[test]
fn a_model_of_a_table_is_applied_with_a_table() {
    let net = LISTED.replace("[train]", "[task.size]\ntype = \"regression\"\n[train]");
    let room = room(&net.replace("split", "size = [4, 4]\nchannels = 3\nsplit"));
    room.train("run", &[]).expect(0);
    let found = room.on_reference(&["evaluate", "run", "--data", "set,set.csv", "--json"]);
    assert_eq!(found.expect(0).json()["tasks"]["size"]["rows"], 12);
    room.on_reference(&["evaluate", "run", "--data", "set"])
        .refused(65, &["came from a table with the column \"file\"", "FOLDER,TABLE"]);
    let shown = room.run(&["inspect", "run"]).expect(0).out;
    assert!(shown.contains("images of 4 × 4 pixels of red, green and blue: 48 inputs"), "{shown}");
    let resumed = room.resume("run", &["--epochs", "2"]);
    resumed.expect(0);
    room.write("set/a/0.png", png(77));
    room.resume("run", &["--epochs", "3"]).refused(65, &["set: files of"]);
}

#[test]
fn a_run_that_changes_its_images_goes_on_to_the_bit() {
    let net = FOLDER.replace("epochs = 1", "epochs = 4\nbatch_size = 4\ncheckpoint_every = \"2s\"")
        + "keep = 20\n[augment]\nshift = 2\nflip = \"horizontal\"\nerase = 3\n";
    let room = room(&net);
    room.train("whole", &[]).expect(0);
    for step in [2, 6, 8] {
        room.same_from(step);
    }
    room.train("plain", &["--set", "augment.erase=0"]).expect(0);
    assert_ne!(room.result("plain"), room.result("whole"));
}

#[test]
fn changes_larger_than_the_images_are_refused() {
    let room = room(FOLDER);
    let try_ = |key: &str| room.train("new", &["--set", key]);
    try_("augment.shift=5").refused(78, &["augment.shift: 5 pixels", "6 × 5", "give 0 to 4"]);
    try_("augment.erase=6").refused(78, &["augment.erase: 6 pixels", "give 0 to 5"]);
    room.write("net.toml", "[data]\ntrain = \"train.csv\"\n[task.a]\n[augment]\nshift = 1\n");
    room.train("new", &[]).refused(78, &["augment.shift", "data.train is no set of images"]);
}

#[test]
fn keys_without_an_effect_on_images_are_refused() {
    let room = room(FOLDER);
    for key in
        ["data.group=kind", "data.row_weight=w", "data.ignore=[\"size\"]", "data.header=false"]
    {
        room.train("new", &["--set", key]).refused(78, &["has no effect"]);
    }
    room.write("net.toml", LISTED);
    for key in ["data.ignore=[\"size\"]", "feature.size.type=numeric", "data.folds=3"] {
        room.train("new", &["--set", key]).refused(78, &["has no effect"]);
    }
    room.train("new", &["--k-fold", "3"]).refused(2, &["--k-fold: "]);
    room.write("net.toml", LISTED.replace(", path = \"file\"", ""));
    room.train("new", &[]).refused(78, &["images is a folder", "path = \"COLUMN\""]);
}

#[test]
fn init_drafts_for_images_and_inspect_shows_them() {
    let room = room(FOLDER);
    let shown = room.run(&["inspect", "set"]).expect(0).out;
    assert!(shown.contains("12 images of 6 × 5 pixels, all grey"), "{shown}");
    assert!(shown.contains("label  multiclass") || shown.contains("label  binary"), "{shown}");
    room.run(&["init", "--data", "set", "--out", "a.toml"]).expect(0);
    let text = room.text("a.toml");
    for line in ["train = { folder = \"set\" }", "# size = [6, 5]", "channels = 1", "[augment]"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    room.on_reference(&["train", "a.toml", "--max-steps", "2"]).expect(0);
    let targets = ["--target", "kind", "--target", "size:regression"];
    room.run(&[&["init", "--data", "set,set.csv", "--out", "b.toml"], &targets[..]].concat())
        .expect(0);
    let text = room.text("b.toml");
    let train = "train = { images = \"set\", labels = \"set.csv\", path = \"file\" }";
    assert!(text.contains(train), "{text}");
    room.on_reference(&["train", "b.toml", "--max-steps", "2"]).expect(0);
    room.write("set/b/large.png", png(200));
    room.write("set/b/wide.jpg", jpeg());
    let shown = room.run(&["inspect", "set"]).expect(0).out;
    assert!(shown.contains("14 images of 6 to 30 × 5 to 40 pixels, all grey"), "{shown}");
    let drafted = room.run(&["init", "--data", "set"]).expect(0).out;
    assert!(drafted.contains("\nsize = [32, 32]"), "{drafted}");
    room.write("none.csv", "name,kind\nx,a\n");
    room.run(&["init", "--data", "set,none.csv", "--target", "kind"])
        .refused(65, &["no column holds paths"]);
}
