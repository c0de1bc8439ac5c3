//! The text cells of a column, kept as one string and the ends of the cells in it.

/// Text cells, kept as one string and the ends of the cells in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Texts {
    text: String,
    ends: Ends,
}

/// Where cells end, in four bytes each as long as these suffice.
#[derive(Clone, Debug, PartialEq)]
pub enum Ends {
    /// All ends are in the first 4 GiB.
    Short(Vec<u32>),
    /// Ends may be anywhere.
    Long(Vec<u64>),
}

impl Texts {
    /// About how many bytes the texts and their ends take.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len() + 4 * self.len()
    }

    /// Cells from their bytes and ends; `None` if the bytes are not UTF-8.
    pub(crate) fn from_parts(bytes: Vec<u8>, ends: Ends) -> Option<Texts> {
        Some(Texts { text: String::from_utf8(bytes).ok()?, ends })
    }

    /// The cell of a row; "" if there is no such row.
    pub fn get(&self, row: usize) -> &str {
        let start = row.checked_sub(1).map_or(Some(0), |before| self.ends.get(before));
        let range = start.zip(self.ends.get(row)).map(|(start, end)| start..end);
        range.and_then(|range| self.text.get(range)).unwrap_or_default()
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no cells.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a cell without the blanks around it.
    pub fn push(&mut self, cell: &str) {
        self.text.push_str(cell.trim());
        self.ends.push(self.text.len());
    }

    /// All cells in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|row| self.get(row))
    }

    pub(crate) fn append(&mut self, below: &Texts) {
        let start = self.text.len();
        self.text.push_str(&below.text);
        for row in 0..below.len() {
            self.ends.push(start + below.ends.get(row).unwrap_or_default());
        }
    }
}

impl Default for Ends {
    fn default() -> Ends {
        Ends::Short(Vec::new())
    }
}

impl Ends {
    /// Adds an end.
    #[inline]
    pub(crate) fn push(&mut self, end: usize) {
        match (&mut *self, u32::try_from(end)) {
            (Ends::Short(ends), Ok(end)) => ends.push(end),
            (Ends::Short(ends), Err(_)) => {
                let mut long: Vec<u64> = ends.iter().map(|&end| u64::from(end)).collect();
                long.push(end as u64);
                *self = Ends::Long(long);
            }
            (Ends::Long(ends), _) => ends.push(end as u64),
        }
    }

    fn get(&self, at: usize) -> Option<usize> {
        match self {
            Ends::Short(ends) => ends.get(at).map(|&end| end as usize),
            Ends::Long(ends) => ends.get(at).map(|&end| end as usize),
        }
    }

    fn len(&self) -> usize {
        match self {
            Ends::Short(ends) => ends.len(),
            Ends::Long(ends) => ends.len(),
        }
    }
}
