//! Names for the columns of arrays, which have none of their own.

/// Names of the columns of the arrays that a model was trained on, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Arrays {
    /// Columns of the array of features, or of a single array.
    pub features: Vec<String>,
    /// Columns of the array of labels; empty if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
}
