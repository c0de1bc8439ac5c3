//! Names for the columns of arrays, which have none of their own.

/// Names of the columns of the arrays that a model was trained on, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Arrays {
    /// Columns of the array of features, or of a single array.
    pub features: Vec<String>,
    /// Columns of the array of labels; empty if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// (name, number of columns) of each array of labels, where several have names; in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<(String, usize)>,
}

impl Arrays {
    /// Names of the columns of an array of labels; `None` if there is no array of this name.
    pub(crate) fn of_key(&self, key: &str) -> Option<&[String]> {
        let at = self.keys.iter().position(|(name, _)| name == key)?;
        let first: usize = self.keys[..at].iter().map(|(_, width)| width).sum();
        self.labels.get(first..first + self.keys[at].1)
    }
}
