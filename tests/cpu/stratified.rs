//! Folds and parts in which every class has its share, compared with scikit-learn and
//! iterative-stratification (`fixtures/folds.py`).

use std::collections::BTreeSet;

use serde_json::Value;
use tandem::config::read::from_text;
use tandem::data::load::door::load;
use tandem::data::load::every_fold::look;
use tandem::data::split::strata::{
    Strata, dealt, dealt_by_class, dealt_by_classes, dealt_by_marks, dealt_groups,
    dealt_groups_by_class,
};
use tandem::data::{Dataset, UNLABELLED};
use tandem::fault::hint_of;
use tandem::rng::{Purpose, below};

fn fixtures(kind: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../fixtures/folds.json")).unwrap();
    all[kind].as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as u32).collect()
}

fn rows_of(value: &Value) -> Vec<Vec<u32>> {
    value.as_array().unwrap().iter().map(numbers).collect()
}

/// The numbers of rows, [fold][class].
fn counts(of: &[u32], labels: &[u32], folds: usize) -> Vec<Vec<u32>> {
    let classes = *labels.iter().max().unwrap() as usize + 1;
    let mut counts = vec![vec![0; classes]; folds];
    of.iter().zip(labels).for_each(|(&fold, &label)| counts[fold as usize][label as usize] += 1);
    counts
}

fn sizes(of: &[u32], folds: usize) -> Vec<u32> {
    counts(of, &vec![0; of.len()], folds).into_iter().map(|counts| counts[0]).collect()
}

fn is_level(counts: impl IntoIterator<Item = u32>) -> bool {
    let counts: Vec<u32> = counts.into_iter().collect();
    counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1
}

// --- beside others ---

#[test]
fn classes_are_distributed_as_scikit_learn_does_it() {
    for case in fixtures("classes") {
        let (labels, folds) = (numbers(&case["labels"]), case["folds"].as_u64().unwrap() as usize);
        for seed in 0..5 {
            let found = counts(&dealt_by_class(&labels, folds, seed), &labels, folds);
            assert_eq!(
                found,
                rows_of(&case["counts"]),
                "{} rows, {folds} folds, seed {seed}",
                labels.len()
            );
        }
    }
}

/// Within each class of the first task, the numbers of rows of a second task's classes differ by
/// one at most.
#[test]
fn classes_of_other_tasks_are_spread_within_those_of_the_first() {
    let first: Vec<u32> =
        (0..200).map(|row| below(3, 1, Purpose::Synthetic, 1, row) as u32).collect();
    let second: Vec<u32> =
        (0..200).map(|row| below(5, 1, Purpose::Synthetic, 2, row) as u32).collect();
    let of = dealt_by_classes(&[&first, &second], 4, 0);
    let by_first = |of: &[u32]| counts(of, &first, 4);
    assert_eq!(by_first(&of), by_first(&dealt_by_class(&first, 4, 0)));
    let both: Vec<u32> = first.iter().zip(&second).map(|(a, b)| 5 * a + b).collect();
    let counts = counts(&of, &both, 4);
    (0..15).for_each(|class| assert!(is_level(counts.iter().map(|fold| fold[class])), "{class}"));
}

#[test]
fn plain_folds_are_equal_to_a_row() {
    for (rows, folds) in [(150, 7), (10, 3), (1000, 10), (5, 5)] {
        let of = dealt(rows, folds, 3);
        assert!(is_level(sizes(&of, folds)), "{rows} {folds}");
        assert_eq!(of, dealt(rows, folds, 3));
        assert!(rows < 10 || of != dealt(rows, folds, 4));
    }
}

/// The mean distance, over folds and marks, of the rows of a mark in a fold from its share.
fn distance(counts: &[Vec<f64>], totals: &[f64]) -> f64 {
    let folds = counts.len() as f64;
    let of_fold = |fold: &Vec<f64>| {
        fold.iter().zip(totals).map(|(count, total)| (count - total / folds).abs()).sum::<f64>()
    };
    counts.iter().map(of_fold).sum::<f64>() / folds / totals.len() as f64
}

#[test]
fn marks_are_distributed_as_iterative_stratification_does_it() {
    for case in fixtures("marks") {
        let (marks, folds) = (rows_of(&case["marks"]), case["folds"].as_u64().unwrap() as usize);
        let count = marks[0].len();
        let rows: Vec<u32> = (0..count as u32).collect();
        let of: Vec<Vec<u32>> = marks
            .iter()
            .map(|mark| rows.iter().copied().filter(|&row| mark[row as usize] == 1).collect())
            .collect();
        let totals: Vec<f64> = of.iter().map(|rows| rows.len() as f64).collect();
        let theirs = case["runs"].as_array().unwrap().iter().map(|run| {
            let run = rows_of(run);
            distance(
                &run.iter()
                    .map(|fold| fold[1..].iter().map(|&x| f64::from(x)).collect())
                    .collect::<Vec<_>>(),
                &totals,
            )
        });
        let theirs: Vec<f64> = theirs.collect();
        let ours = (0..10).map(|seed| {
            let parts = dealt_by_marks(&of, &rows, &vec![1.0 / folds as f64; folds], seed);
            assert!(is_level(sizes(&parts, folds)), "{:?}", sizes(&parts, folds));
            let of_fold = |fold: usize| {
                of.iter()
                    .map(|rows| {
                        rows.iter().filter(|&&row| parts[row as usize] as usize == fold).count()
                            as f64
                    })
                    .collect()
            };
            distance(&(0..folds).map(of_fold).collect::<Vec<Vec<f64>>>(), &totals)
        });
        let ours: Vec<f64> = ours.collect();
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        println!("{count} rows, {folds} folds: {:.3} beside {:.3}", mean(&ours), mean(&theirs));
        assert!(
            mean(&ours) <= mean(&theirs) + 0.05,
            "{count} rows, {folds} folds: {ours:?} {theirs:?}"
        );
    }
}

/// The mean over classes of the deviation of their shares between folds.
fn unevenness(counts: &[Vec<u32>]) -> f64 {
    let classes = counts[0].len();
    let of_class = |class: usize| {
        let total: u32 = counts.iter().map(|fold| fold[class]).sum();
        let shares: Vec<f64> =
            counts.iter().map(|fold| f64::from(fold[class]) / f64::from(total)).collect();
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        (shares.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / shares.len() as f64).sqrt()
    };
    (0..classes).map(of_class).sum::<f64>() / classes as f64
}

#[test]
fn groups_are_distributed_as_scikit_learn_does_it() {
    for case in fixtures("groups") {
        let (labels, groups, folds) = (
            numbers(&case["labels"]),
            numbers(&case["groups"]),
            case["folds"].as_u64().unwrap() as usize,
        );
        let keys: Vec<u64> = (0..=u64::from(*groups.iter().max().unwrap()))
            .map(|group| below(1 << 40, 1, Purpose::Synthetic, 9, group))
            .collect();
        let plain = dealt_groups(&groups, &keys, folds);
        let stratified =
            dealt_groups_by_class(&groups, &keys, &Strata::Classes(labels.clone()), folds);
        for of in [&plain, &stratified] {
            let pairs: BTreeSet<(u32, u32)> =
                groups.iter().copied().zip(of.iter().copied()).collect();
            assert_eq!(
                pairs.len(),
                groups.iter().collect::<BTreeSet<_>>().len(),
                "a group is torn"
            );
        }
        let (mut found, mut expected) = (sizes(&plain, folds), numbers(&case["sizes"]));
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
        let (ours, theirs) = (
            unevenness(&counts(&stratified, &labels, folds)),
            unevenness(&rows_of(&case["counts"])),
        );
        println!("{} rows, {folds} folds: {ours:.4} beside {theirs:.4}", labels.len());
        assert!(ours <= 1.1 * theirs + 0.002, "{ours} {theirs}");
    }
}

/// Parts of unequal sizes keep their sizes, and so do their marks.
#[test]
fn marks_keep_their_share_in_parts() {
    let rows: Vec<u32> = (0..1000).collect();
    let mark =
        |every: u32| rows.iter().copied().filter(|row| row % every == 0).collect::<Vec<u32>>();
    let marks = [mark(2), mark(50), mark(3)];
    let parts = dealt_by_marks(&marks, &rows, &[0.8, 0.1, 0.1], 7);
    assert_eq!(sizes(&parts, 3), [800, 100, 100]);
    for mark in &marks {
        let of_part =
            |part: u32| mark.iter().filter(|&&row| parts[row as usize] == part).count() as f64;
        for (part, share) in [(0, 0.8), (1, 0.1), (2, 0.1)] {
            assert!(
                (of_part(part) - share * mark.len() as f64).abs() <= 1.0,
                "{part}: {} of {}",
                of_part(part),
                mark.len()
            );
        }
    }
}

// --- from a table ---

/// A directory with a table.
struct Table(tempfile::TempDir);

impl Table {
    fn new(text: &str) -> Table {
        let room = tempfile::tempdir().unwrap();
        std::fs::write(room.path().join("d.csv"), text).unwrap();
        Table(room)
    }

    fn config(&self, text: &str, keys: &[&str]) -> tandem::config::Config {
        let keys: Vec<String> = keys.iter().map(|key| key.to_string()).collect();
        let text = format!(
            "[data]\ntrain = \"d.csv\"\n[feature.id]\ntype = \"numeric\"\nscale = \"none\"\nclip \
             = 0\n{text}"
        );
        from_text(&text, "c.toml", self.0.path(), &keys).unwrap()
    }

    /// The row numbers that each fold trains, validates and tests on.
    fn folds(&self, text: &str, folds: usize, keys: &[&str]) -> Vec<[Vec<u32>; 3]> {
        let parts = |fold: usize| {
            let (number, fold) = (format!("data.folds={folds}"), format!("data.fold={fold}"));
            let config = self.config(text, &[&[number.as_str(), &fold], keys].concat());
            let parts = load(&config.data, &config.tasks).unwrap();
            let rows = |data: &Dataset| {
                (0..data.rows).map(|row| data.row(row)[0] as u32).collect::<Vec<u32>>()
            };
            [
                rows(&parts.train),
                parts.valid.map(|data| rows(&data)).unwrap_or_default(),
                parts.test.map(|data| rows(&data)).unwrap(),
            ]
        };
        (1..=folds).map(parts).collect()
    }

    /// The notices about the folds, before training.
    fn looked(
        &self,
        text: &str,
        folds: usize,
        keys: &[&str],
    ) -> Result<Vec<String>, (String, String)> {
        let number = format!("data.folds={folds}");
        let config = self.config(text, &[&[number.as_str(), "data.fold=1"], keys].concat());
        let found = look(&config.data, &config.tasks, folds);
        found
            .map(|(_, notes)| notes)
            .map_err(|error| (error.to_string(), hint_of(&error).unwrap_or_default().to_owned()))
    }
}

/// Rows of three tasks: the classes of `a` are equally frequent, 6 rows of `b` are "rare", 8 rows
/// of the marks `m` say yes; every ninth row has no `b`.
fn three_tasks(rows: u32) -> String {
    let line = |row: u32| {
        let b = if row % 9 == 4 {
            ""
        } else if row % (rows / 6) == 1 {
            "rare"
        } else {
            "usual"
        };
        format!(
            "{row},{},{b},{},{},{}\n",
            row % 3,
            u32::from(row % (rows / 8) == 2),
            row % 2,
            row % 20
        )
    };
    "id,a,b,m,n,g\n".to_owned() + &(0..rows).map(line).collect::<String>()
}

const A_AND_B: &str = "[task.a]\n[task.b]\ntype = \"binary\"\n";

fn b_of(row: u32, rows: u32) -> u32 {
    if row % 9 == 4 { UNLABELLED } else { u32::from(row % (rows / 6) == 1) }
}

#[test]
fn the_task_with_the_rarest_class_is_stratified_and_named() {
    let table = Table::new(&three_tasks(120));
    let keys = ["data.ignore=[\"m\", \"n\", \"g\"]"];
    for (chosen, keys) in [("b", vec![keys[0]]), ("a", vec![keys[0], "data.stratify=a"])] {
        let parts = table.folds(A_AND_B, 3, &keys);
        let of = |word: u32| {
            parts
                .iter()
                .map(|[_, _, test]| {
                    test.iter().filter(|&&row| b_of(row, 120) == word).count() as u32
                })
                .collect::<Vec<u32>>()
        };
        if chosen == "b" {
            [0, 1, UNLABELLED]
                .into_iter()
                .for_each(|word| assert!(is_level(of(word)), "{word}: {:?}", of(word)));
        } else {
            let of = |class: u32| {
                parts
                    .iter()
                    .map(|[_, _, test]| test.iter().filter(|&&row| row % 3 == class).count() as u32)
                    .collect::<Vec<u32>>()
            };
            (0..3).for_each(|class| assert!(is_level(of(class)), "{class}: {:?}", of(class)));
        }
        assert!(is_level(parts.iter().map(|[_, _, test]| test.len() as u32)));
        let said = table.looked(A_AND_B, 3, &keys).unwrap();
        assert!(said[0].contains(&format!("the classes of task \"{chosen}\"")), "{said:?}");
    }
}

/// Within a fold the validation part has its share of each class too, so no class is missing in
/// training.
#[test]
fn validation_takes_its_share_of_each_class() {
    let table = Table::new(&three_tasks(120));
    let keys = ["data.ignore=[\"m\", \"n\", \"g\"]", "data.split=[0.8, 0.2, 0.0]"];
    for [train, valid, test] in table.folds(A_AND_B, 3, &keys) {
        assert_eq!((train.len() + valid.len(), test.len()), (80, 40));
        assert!((15..=17).contains(&valid.len()), "{}", valid.len());
        assert_eq!(
            train.iter().filter(|&&row| b_of(row, 120) == 1).count()
                + valid.iter().filter(|&&row| b_of(row, 120) == 1).count(),
            4
        );
        assert!(train.iter().filter(|&&row| b_of(row, 120) == 1).count() >= 3);
    }
}

#[test]
fn marks_of_a_multilabel_task_are_distributed() {
    let table = Table::new(&three_tasks(120));
    let task = "[task.t]\ntype = \"multilabel\"\ntarget = [\"m\", \"n\"]\n";
    let keys = ["data.ignore=[\"a\", \"b\", \"g\"]"];
    let parts = table.folds(task, 4, &keys);
    assert!(is_level(parts.iter().map(|[_, _, test]| test.len() as u32)));
    let marked = |mark: fn(u32) -> bool| {
        parts
            .iter()
            .map(|[_, _, test]| test.iter().filter(|&&row| mark(row)).count())
            .collect::<Vec<_>>()
    };
    assert_eq!(marked(|row| row % 15 == 2), [2; 4]);
    assert!(marked(|row| row % 2 == 1).iter().all(|&n| (14..=16).contains(&n)));
    // The same for a single split.
    let config = table.config(task, &[keys[0], "data.stratify=t", "data.split=[0.5, 0.25, 0.25]"]);
    let found = load(&config.data, &config.tasks).unwrap();
    let yes = |data: &Dataset| data.labels[0].iter().filter(|&&word| word == 1).count();
    assert_eq!(
        [yes(&found.train), yes(&found.valid.unwrap()), yes(&found.test.unwrap())],
        [4, 2, 2]
    );
}

#[test]
fn groups_stay_whole_and_their_sizes_are_reported() {
    let table = Table::new(&three_tasks(120));
    let keys = ["data.ignore=[\"m\", \"n\", \"b\"]", "data.group=g", "data.split=[0.5, 0.5, 0.0]"];
    for keys in [keys.to_vec(), [&keys[..], &["data.stratify=a"]].concat()] {
        let parts = table.folds("[task.a]\n", 4, &keys);
        for [train, valid, test] in &parts {
            let groups = [train, valid, test]
                .map(|rows| rows.iter().map(|row| row % 20).collect::<BTreeSet<u32>>());
            assert_eq!(groups.iter().map(BTreeSet::len).sum::<usize>(), 20);
            assert_eq!(test.len(), 30);
        }
        let said = table.looked("[task.a]\n", 4, &keys).unwrap();
        let stratified = keys.len() == 4;
        assert!(
            said[0].contains("groups stay whole, so folds have 30, 30, 30, 30 rows"),
            "{said:?}"
        );
        assert_eq!(said[0].contains("classes are not shared out alike"), !stratified, "{said:?}");
        assert_eq!(said[0].contains("the classes of task \"a\""), stratified, "{said:?}");
    }
    // A class that is in one group only is missing in training when that group is held out.
    let keys = ["data.ignore=[\"m\", \"n\"]", "data.group=g"];
    let (found, _) = table
        .looked(A_AND_B, 4, &[&keys[..], &["data.split=[1.0, 0.0, 0.0]"]].concat())
        .unwrap_err();
    assert!(
        found.contains(
            "task \"b\": class \"rare\" has 6 rows, and none is left to train on in fold"
        ),
        "{found}"
    );
}

/// Validation rows are taken from the rows that are left when the fold is held out, in whole
/// groups.
#[test]
fn groups_are_validated_on_in_every_fold() {
    let text = |groups: u32, rows: u32| {
        "id,y,g\n".to_owned()
            + &(0..rows)
                .map(|row| format!("{row},{}.5,g{}\n", row % 13, row % groups))
                .collect::<String>()
    };
    let task = "[task.y]\ntype = \"regression\"\n";
    for (groups, rows, folds) in [(20, 200, 5), (20, 200, 10), (4, 40, 2), (3, 30, 3)] {
        for seed in 0..5 {
            let seed = format!("data.split_seed={seed}");
            for [train, valid, test] in
                Table::new(&text(groups, rows)).folds(task, folds, &["data.group=g", &seed])
            {
                let of = [&train, &valid, &test]
                    .map(|rows| rows.iter().map(|row| row % groups).collect::<BTreeSet<u32>>());
                assert!(of.iter().all(|groups| !groups.is_empty()), "{groups} {folds} {of:?}");
                assert_eq!(of.iter().map(BTreeSet::len).sum::<usize>() as u32, groups);
                assert_eq!((train.len() + valid.len() + test.len()) as u32, rows);
                // A tenth of what is left, up to half a group.
                let share = (train.len() + valid.len()) as f64 / 10.0;
                assert!(
                    of[1].len() == 1 || (valid.len() as f64 - share).abs() <= 5.0,
                    "{} {share}",
                    valid.len()
                );
            }
        }
    }
}

#[test]
fn rows_without_classes_are_validated_on_in_every_fold() {
    let text = |rows: u32| {
        "id,y\n".to_owned()
            + &(0..rows).map(|row| format!("{row},{}.5\n", row % 7)).collect::<String>()
    };
    let task = "[task.y]\ntype = \"regression\"\n";
    for (rows, folds, expected) in [(12, 4, 1..2), (6, 3, 1..2), (300, 3, 20..21)] {
        for seed in 0..20 {
            let seed = format!("data.split_seed={seed}");
            for [train, valid, test] in Table::new(&text(rows)).folds(task, folds, &[&seed]) {
                assert!(
                    expected.contains(&valid.len()),
                    "{rows} rows, {folds} folds: {}",
                    valid.len()
                );
                assert_eq!((train.len() + valid.len() + test.len()) as u32, rows);
            }
        }
    }
}

/// Within each class of the first task, the columns of a multilabel task differ by few rows.
#[test]
fn a_multilabel_task_is_spread_within_the_classes() {
    // Two of five rows of a class say yes in `m`, one of four in `n`.
    let m = |row: u64| below(5, 1, Purpose::Synthetic, 3, row) < 2;
    let n = |row: u64| below(4, 1, Purpose::Synthetic, 4, row) < 1;
    let class = |row: u64| below(9, 1, Purpose::Synthetic, 5, row).min(1);
    let line =
        |row: u64| format!("{row},c{},{},{}\n", class(row), u32::from(m(row)), u32::from(n(row)));
    let table = Table::new(&("id,y,m,n\n".to_owned() + &(0..240).map(line).collect::<String>()));
    let tasks = "[task.y]\n[task.t]\ntype = \"multilabel\"\ntarget = [\"m\", \"n\"]\n";
    let parts = table.folds(tasks, 4, &["data.stratify=y"]);
    for of in 0..2 {
        let counted = |is: &dyn Fn(u64) -> bool| {
            let rows = |test: &Vec<u32>| {
                test.iter().filter(|&&row| class(row.into()) == of && is(row.into())).count() as u32
            };
            parts.iter().map(|[_, _, test]| rows(test)).collect::<Vec<u32>>()
        };
        let (all, m, n) = (counted(&|_| true), counted(&m), counted(&n));
        assert!(is_level(all.iter().copied()) && is_level(n.iter().copied()), "{all:?} {n:?}");
        assert!(m.iter().max().unwrap() - m.iter().min().unwrap() <= 2, "{m:?}");
    }
}

/// Equal numbers are one group, however they are written.
#[test]
fn groups_with_equal_names_in_different_spellings_are_one() {
    let of = |row: u32| row / 2 % 10;
    let line = |row: u32| {
        format!("{row},{}.5,{}{}\n", row % 13, of(row), if row % 4 == 1 { ".0" } else { "" })
    };
    let table = Table::new(&("id,y,g\n".to_owned() + &(0..200).map(line).collect::<String>()));
    let (task, keys) = ("[task.y]\ntype = \"regression\"\n", ["data.group=g"]);
    let is_whole = |parts: [&Vec<u32>; 3]| {
        let of = parts.map(|rows| rows.iter().map(|&row| of(row)).collect::<BTreeSet<u32>>());
        of.iter().map(BTreeSet::len).sum::<usize>() == 10
    };
    table.folds(task, 5, &keys).iter().for_each(|parts| assert!(is_whole(parts.each_ref())));
    for seed in 0..20 {
        let (seed, old) = (format!("data.split_seed={seed}"), "version=\"0.1\"");
        let found = |more: &[&str]| {
            let config = table.config(
                task,
                &[&["data.group=g", "data.split=[0.5, 0.5, 0.0]", &seed][..], more].concat(),
            );
            let parts = load(&config.data, &config.tasks).unwrap();
            let rows = |data: &Dataset| {
                (0..data.rows).map(|row| data.row(row)[0] as u32).collect::<Vec<u32>>()
            };
            (
                is_whole([&rows(&parts.train), &rows(&parts.valid.unwrap()), &Vec::new()]),
                parts.notices,
            )
        };
        let (whole, notices) = found(&[]);
        assert!(
            whole
                && notices
                    .iter()
                    .any(|line| line.contains("groups of column \"g\"")
                        && line.contains("one value")),
            "{notices:?}"
        );
        let (_, notices) = found(&[old]);
        assert!(!notices.iter().any(|line| line.contains("groups of column")), "{notices:?}");
    }
}

/// A table with some rows of class `rare`.
fn with_rare(rare: usize) -> String {
    let line = |row: usize| {
        format!("{row},{},{}\n", row % 7, if row.is_multiple_of(2) { "a" } else { "b" })
    };
    let rares = (60..60 + rare).map(|row| format!("{row},{},rare\n", row % 7));
    "id,x,y\n".to_owned() + &(0..60).map(line).chain(rares).collect::<String>()
}

#[test]
fn a_class_of_one_row_is_refused_before_training() {
    let (found, hint) = Table::new(&with_rare(1)).looked("[task.y]\n", 5, &[]).unwrap_err();
    assert!(
        found.contains("task \"y\": class \"rare\" has 1 row, and the fold that tests on it"),
        "{found}"
    );
    assert!(hint.contains("groups in task.y") && hint.contains("missing of task.y"), "{hint}");
    // The classes are given by `groups`, so every fold knows the class, and still no fold that
    // tests on it could train it.
    let groups = "[task.y]\ngroups = { a = [\"a\"], b = [\"b\"], r = [\"rare\"] }\n";
    assert!(
        Table::new(&with_rare(1))
            .looked(groups, 5, &[])
            .unwrap_err()
            .0
            .contains("class \"r\" has 1 row")
    );
    // If it is listed as missing it is not a class.
    let missing = "[task.y]\nmissing = [\"rare\", \"\"]\n";
    Table::new(&with_rare(1)).looked(missing, 5, &[]).unwrap();
}

#[test]
fn a_class_of_fewer_rows_than_folds_is_trained_in_every_fold() {
    for rare in 2..5 {
        let table = Table::new(&with_rare(rare));
        for seed in 0..10 {
            let seed = format!("data.split_seed={seed}");
            let said = table.looked("[task.y]\n", 5, &[&seed]).unwrap();
            assert!(
                said[1].contains(&format!("class \"rare\" has {rare} rows, fewer than folds")),
                "{said:?}"
            );
            for [train, _, test] in table.folds("[task.y]\n", 5, &[&seed]) {
                assert!(
                    train.iter().any(|&row| row >= 60)
                        && test.iter().filter(|&&row| row >= 60).count() <= 1
                );
            }
        }
    }
}

/// A class of a task that folds are not stratified by may be in one fold only.
#[test]
fn a_class_that_a_fold_does_not_train_is_named() {
    let line = |row: usize| {
        format!(
            "{row},{},{}\n",
            if row < 4 { "few" } else { "many" },
            ["p", "q", "r"][usize::from(row % 50 < 2) + usize::from(row.is_multiple_of(100))]
        )
    };
    let text = "id,y,z\n".to_owned() + &(0..200).map(line).collect::<String>();
    let table = Table::new(&text);
    let tasks = "[task.y]\n[task.z]\n";
    let mut refused = Vec::new();
    for seed in 0..60 {
        let seed = format!("data.split_seed={seed}");
        refused.extend(table.looked(tasks, 2, &[&seed, "data.stratify=y"]).err());
    }
    let both = refused.iter().find(|(found, _)| found.contains("class \"r\""));
    let (found, hint) = both.expect("no seed puts both rows of r into one fold");
    assert!(
        found.contains("task \"z\": class \"r\" has 2 rows, and none is left to train on in fold"),
        "{found}"
    );
    assert!(hint.contains("data.stratify = \"z\" shares its classes out alike"), "{hint}");
    // Without a setting, the task with the rarest class is stratified.
    for seed in 0..60 {
        let refused = table.looked(tasks, 2, &[&format!("data.split_seed={seed}")]).err();
        assert!(refused.is_none_or(|(found, _)| !found.contains("task \"z\"")));
    }
}

/// Rows of weight zero train nothing.
#[test]
fn a_fold_without_a_weight_to_train_on_is_refused() {
    let text = |weighty: usize| {
        let line = |row: usize| format!("{row},{},{}\n", row % 2, u32::from(row < weighty));
        "id,y,w\n".to_owned() + &(0..40).map(line).collect::<String>()
    };
    let look =
        |weighty: usize| Table::new(&text(weighty)).looked("[task.y]\n", 4, &["data.row_weight=w"]);
    let (found, hint) = look(1).unwrap_err();
    assert!(found.contains("holds no weight above 0 (fold "), "{found}");
    assert!(hint.contains("give the rows that are to be trained on a weight"), "{hint}");
    look(40).unwrap();
}

#[test]
fn a_fold_without_a_label_to_train_on_is_refused() {
    let text = |labelled: usize| {
        "id,y,v\n".to_owned()
            + &(0..40)
                .map(|row| {
                    format!("{row},{},{}\n", row % 2, if row < labelled { "1.5" } else { "" })
                })
                .collect::<String>()
    };
    let tasks = "[task.y]\n[task.v]\ntype = \"regression\"\n";
    let (found, hint) = Table::new(&text(1)).looked(tasks, 4, &[]).unwrap_err();
    assert!(
        found.contains("task \"v\": none of its 1 labels is left to train on in fold"),
        "{found}"
    );
    assert!(hint.contains("give more labels"), "{hint}");
    let said = Table::new(&text(2))
        .looked(tasks, 4, &["data.split=[1.0, 0.0, 0.0]"])
        .unwrap_or_else(|(found, _)| vec![found]);
    assert!(
        said.iter().any(|line| line.contains("task \"v\": 2 of 4 folds have no label to test on")
            || line.contains("none of its 2 labels")),
        "{said:?}"
    );
}

/// A configuration of 0.1.0 keeps its folds: by a hash of the row, so their sizes differ.
#[test]
fn an_old_configuration_keeps_its_folds() {
    let table = Table::new(&with_rare(0));
    let parts = table.folds("[task.y]\n", 3, &["version=\"0.1\""]);
    for (fold, [_, _, test]) in parts.iter().enumerate() {
        let expected: Vec<u32> = (0..60)
            .filter(|&row| tandem::data::split::shares::fold_of(0, u64::from(row), 3) == fold)
            .collect();
        assert_eq!(*test, expected);
    }
}
