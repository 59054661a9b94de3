//! Numbers of several passes.

/// What several passes came to.
#[derive(Clone, Debug)]
pub(crate) struct Passes(Vec<f64>);

impl Passes {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn add(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn median(&self) -> f64 {
        let (half, odd) = (self.0.len() / 2, self.0.len() % 2 == 1);
        if odd { self.0[half] } else { (self.0[half - 1] + self.0[half]) / 2.0 }
    }

    /// The least and the most, as a part of the median.
    pub(crate) fn spread(&self) -> (f64, f64) {
        let median = self.median();
        (self.0[0] / median - 1.0, self.0[self.0.len() - 1] / median - 1.0)
    }
}
