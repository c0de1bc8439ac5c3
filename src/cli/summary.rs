//! What several runs have in common: mean and spread of each metric of each task.

use serde_json::{Map, Value, json};

/// Values of each metric of each task, member by member; one where a metric is not defined has
/// none.
pub(super) struct Summary(Vec<(String, Metrics)>);

/// Metrics by name, each with its value in every member.
type Metrics = Vec<(String, Vec<Option<f64>>)>;

impl Summary {
    pub(super) fn of(tested: &[Option<Value>]) -> Summary {
        let all = || tested.iter().flatten().filter_map(Value::as_object);
        let tasks = names(all());
        let metrics = |task: &String| {
            let of_task = || all().filter_map(|tasks| tasks.get(task)?.as_object());
            let value = |name: &String| {
                let of_member =
                    |tested: &Option<Value>| tested.as_ref()?.get(task)?.get(name)?.as_f64();
                tested.iter().map(of_member).collect::<Vec<Option<f64>>>()
            };
            let named = names(of_task())
                .into_iter()
                .filter(|name| name != "rows")
                .map(|name| (name.clone(), value(&name)));
            named.filter(|(_, values)| values.iter().any(Option::is_some)).collect()
        };
        Summary(tasks.iter().map(|task| (task.clone(), metrics(task))).collect())
    }

    /// The table; `members` is the name of several members, `member` of one.
    pub(super) fn table(&self, members: &str, member: &str) -> String {
        let width = self.0.iter().map(|(task, _)| task.len()).max().unwrap_or(4).max(8);
        let number = |value: Option<f64>, width: usize| match value {
            Some(value) => format!("{value:>width$.4}"),
            None => " ".repeat(width),
        };
        let columns = members.len().max(6);
        let mut text = format!(
            "{:width$} {:18} {:>10} {:>10} {members:>columns$}  each {member}",
            "task", "metric", "mean", "spread"
        );
        for (task, metrics) in &self.0 {
            for (name, values) in metrics {
                let Moments { mean, spread, count } = Moments::of(values);
                let each: Vec<String> = values.iter().map(|value| number(*value, 8)).collect();
                let [mean, spread] = [mean, spread].map(|value| number(value, 10));
                text += &format!(
                    "\n{task:width$} {name:18} {mean} {spread} {count:>columns$}  {}",
                    each.join(" ").trim_end()
                );
            }
        }
        text
    }

    /// The summary as JSON; `members` is the key of the values of each.
    pub(super) fn json(&self, members: &str) -> Value {
        let metric = |(name, values): &(String, Vec<Option<f64>>)| {
            let Moments { mean, spread, count } = Moments::of(values);
            let mut entry = json!({"mean": mean, "spread": spread, "over": count});
            entry[members] = json!(values);
            (name.clone(), entry)
        };
        let tasks = self.0.iter().map(|(task, metrics)| {
            (task.clone(), Value::Object(metrics.iter().map(metric).collect()))
        });
        Value::Object(tasks.collect::<Map<_, _>>())
    }
}

/// Keys of several objects, each once, in the order in which they first stand.
fn names<'v>(objects: impl Iterator<Item = &'v Map<String, Value>>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in objects.flat_map(Map::keys) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Mean and sample standard deviation of the values that are defined, and how many these are.
pub(super) struct Moments {
    pub(super) mean: Option<f64>,
    /// Absent where there is one value or none.
    pub(super) spread: Option<f64>,
    pub(super) count: usize,
}

impl Moments {
    pub(super) fn of(values: &[Option<f64>]) -> Moments {
        let known: Vec<f64> = values.iter().flatten().copied().collect();
        let (count, n) = (known.len(), known.len() as f64);
        let mean = (count > 0).then(|| known.iter().sum::<f64>() / n);
        let squares = mean.map(|mean| known.iter().map(|v| (v - mean).powi(2)).sum::<f64>());
        let spread = squares.filter(|_| count > 1).map(|squares| (squares / (n - 1.0)).sqrt());
        Moments { mean, spread, count }
    }
}
