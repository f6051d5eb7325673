//! What is counted, as Prometheus reads it: a [`Sheet`] of metrics, and counters for those who count.
//!
//! Whoever counts is asked when somebody looks ([`Handler::measure`](crate::Handler::measure)), not before.

// Rooms count with it.
#[cfg(any(feature = "files", feature = "uploads"))]
mod count;
mod merge;

use std::fmt::Write;

use crate::app::App;
use crate::response::Response;

#[cfg(any(feature = "files", feature = "uploads"))]
pub(crate) use count::Count;
pub use merge::{counted, sum};

/// The media type of [`Sheet::text`]: the text format of Prometheus.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Metrics and their values at one moment. Values that are put in twice under one name and labels are added up: two
/// folders have two caches.
///
/// ```
/// use number8::metrics::Sheet;
///
/// let mut sheet = Sheet::new();
/// sheet.counter("bakery_loaves_total", "Loaves baked.", &[("kind", "rye")], 2.0);
/// sheet.counter("bakery_loaves_total", "Loaves baked.", &[("kind", "rye")], 1.0);
/// assert_eq!(
///     sheet.text(),
///     "# HELP bakery_loaves_total Loaves baked.\n# TYPE bakery_loaves_total counter\n\
///      bakery_loaves_total{kind=\"rye\"} 3\n"
/// );
/// ```
#[derive(Debug, Default)]
pub struct Sheet {
    families: Vec<Family>,
}

/// All values of one metric.
#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    kind: &'static str,
    /// What stands behind the name, and the value.
    samples: Vec<(String, f64)>,
}

/// An app that answers `/metrics` with such a text. `text` may wait for it: it is called on the lane.
pub fn app(text: impl Fn() -> String + Send + Sync + 'static) -> App {
    App::new().get("/metrics", move || page(text()))
}

/// The answer with such a text.
pub(crate) fn page(text: String) -> Response {
    Response::new(200, text)
        .with_known("Content-Type", CONTENT_TYPE)
        .with_known("Cache-Control", "no-store")
}

impl Sheet {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Something that only grows until the process ends, or until its configuration is loaded again. Its name ends in
    /// `_total`, with the unit before it.
    pub fn counter(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        self.add(name, help, "counter", suffix("", labels), value);
    }

    /// How much there is of something now.
    pub fn gauge(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        self.add(name, help, "gauge", suffix("", labels), value);
    }

    /// How often something was at most so large: counts of their own for each bound, one more for what is larger than all,
    /// and the sum of all values.
    pub fn histogram(
        &mut self,
        name: &'static str,
        help: &'static str,
        bounds: &[f64],
        counts: &[f64],
        sum: f64,
    ) {
        let mut all = 0.0;
        let bounds = bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(counts) {
            all += count;
            self.add(name, help, "histogram", suffix("_bucket", &[("le", &bound)]), all);
        }
        self.add(name, help, "histogram", suffix("_sum", &[]), sum);
        self.add(name, help, "histogram", suffix("_count", &[]), all);
    }

    fn add(
        &mut self,
        name: &'static str,
        help: &'static str,
        kind: &'static str,
        suffix: String,
        value: f64,
    ) {
        let at = self.families.iter().position(|family| family.name == name);
        let at = at.unwrap_or_else(|| {
            self.families.push(Family { name, help, kind, samples: Vec::new() });
            self.families.len() - 1
        });
        let samples = &mut self.families[at].samples;
        match samples.iter_mut().find(|(other, _)| *other == suffix) {
            Some((_, sum)) => *sum += value,
            None => samples.push((suffix, value)),
        }
    }

    /// The metrics in the text format of Prometheus.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for Family { name, help, kind, samples } in &self.families {
            let help = help.replace('\\', "\\\\").replace('\n', "\\n");
            // Writing to a String cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (suffix, value) in samples {
                let _ = writeln!(text, "{name}{suffix} {value}");
            }
        }
        text
    }
}

/// What stands behind the name of a metric.
fn suffix(of: &str, labels: &[(&str, &str)]) -> String {
    let mut text = of.to_owned();
    for (place, (name, value)) in labels.iter().enumerate() {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let open = if place == 0 { '{' } else { ',' };
        let _ = write!(text, "{open}{name}=\"{value}\"");
    }
    if !labels.is_empty() {
        text.push('}');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o4_a_sheet_is_text_as_prometheus_reads_it() {
        let mut sheet = Sheet::new();
        sheet.gauge("a_bytes", "One\nand \\ two.", &[], 2.5);
        sheet.counter("b_total", "B.", &[("x", "1"), ("y", "\"\\\n")], 1e15);
        sheet.gauge("a_bytes", "", &[("of", "b")], 0.0);
        sheet.histogram("c_seconds", "C.", &[0.5, 1.0], &[1.0, 0.0, 2.0], 7.25);
        let want = "# HELP a_bytes One\\nand \\\\ two.\n# TYPE a_bytes gauge\na_bytes 2.5\na_bytes{of=\"b\"} 0\n\
            # HELP b_total B.\n# TYPE b_total counter\nb_total{x=\"1\",y=\"\\\"\\\\\\n\"} 1000000000000000\n\
            # HELP c_seconds C.\n# TYPE c_seconds histogram\nc_seconds_bucket{le=\"0.5\"} 1\nc_seconds_bucket{le=\"1\"} 1\n\
            c_seconds_bucket{le=\"+Inf\"} 3\nc_seconds_sum 7.25\nc_seconds_count 3\n";
        assert_eq!(sheet.text(), want);
    }
}
