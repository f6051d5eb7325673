//! The texts of several sheets as one: of processes that serve together, each of which knows only what it did itself.

use std::fmt::Write;

/// All that several texts say of one metric.
struct Family<'a> {
    name: &'a str,
    help: &'a str,
    kind: &'a str,
    samples: Vec<(&'a str, f64)>,
}

impl Family<'_> {
    fn has_no_sum(&self) -> bool {
        self.name.ends_with("_info") || (self.kind == "gauge" && self.name.ends_with("_seconds"))
    }
}

/// Adds up what the texts of several sheets ([`Sheet::text`](super::Sheet::text)) say, such as those of processes that serve
/// together. Of times that are gauges, and of what only informs (`…_info`), the largest counts. What is no line of such a text is
/// left out.
///
/// ```
/// use number8::metrics::{Sheet, sum};
///
/// let mut sheet = Sheet::new();
/// sheet.counter("bakery_loaves_total", "Loaves baked.", &[], 2.0);
/// let text = sheet.text();
/// assert!(sum([&*text, &*text]).ends_with("\nbakery_loaves_total 4\n"));
/// ```
#[must_use]
pub fn sum<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut families = Vec::new();
    for text in texts {
        add(&mut families, text);
    }
    written(&families)
}

/// What of a text stays true when its process has ended: what was counted, and nothing that there is now (gauges).
#[must_use]
pub fn counted(text: &str) -> String {
    let mut families = Vec::new();
    add(&mut families, text);
    families.retain(|family| family.kind != "gauge");
    written(&families)
}

fn add<'a>(families: &mut Vec<Family<'a>>, text: &'a str) {
    let mut at = None;
    for line in text.split('\n') {
        if let Some((name, help)) =
            line.strip_prefix("# HELP ").and_then(|line| line.split_once(' '))
        {
            let found = families.iter().position(|family| family.name == name);
            at = Some(found.unwrap_or_else(|| {
                families.push(Family { name, help, kind: "untyped", samples: Vec::new() });
                families.len() - 1
            }));
            continue;
        }
        let Some(family) = at.and_then(|at| families.get_mut(at)) else { continue };
        if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' '))
        {
            if name == family.name {
                family.kind = kind;
            }
            continue;
        }
        let Some((key, value)) = line.rsplit_once(' ') else { continue };
        let Some(value) = value.parse().ok().filter(|_| key.starts_with(family.name)) else {
            continue;
        };
        let has_no_sum = family.has_no_sum();
        match family.samples.iter_mut().find(|(other, _)| *other == key) {
            Some((_, largest)) if has_no_sum => *largest = largest.max(value),
            Some((_, sum)) => *sum += value,
            None => family.samples.push((key, value)),
        }
    }
}

fn written(families: &[Family<'_>]) -> String {
    let mut text = String::new();
    for Family { name, help, kind, samples } in families {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (key, value) in samples {
            let _ = writeln!(text, "{key} {value}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Sheet;
    use proptest::prelude::*;

    fn sheet(count: f64, now: f64) -> String {
        let mut sheet = Sheet::new();
        sheet.counter("a_total", "A, with \\ and words.", &[("x", "1 2"), ("y", "\"")], count);
        sheet.gauge("b", "B.", &[], now);
        sheet.histogram("c_seconds", "C.", &[0.5], &[count, 1.0], 1.5);
        sheet.gauge("d_age_seconds", "D.", &[], now);
        sheet.gauge("e_info", "E.", &[("version", "1")], 1.0);
        sheet.text()
    }

    #[test]
    fn o4_texts_of_several_processes_are_added_up() {
        let (one, two) = (sheet(1.0, 5.0), sheet(2.0, 7.0));
        let mut want = Sheet::new();
        want.counter("a_total", "A, with \\ and words.", &[("x", "1 2"), ("y", "\"")], 3.0);
        want.gauge("b", "B.", &[], 12.0);
        want.histogram("c_seconds", "C.", &[0.5], &[3.0, 2.0], 3.0);
        want.gauge("d_age_seconds", "D.", &[], 7.0);
        want.gauge("e_info", "E.", &[("version", "1")], 1.0);
        assert_eq!(sum([&*one, &*two]), want.text());
        assert_eq!(sum([&*one]), one);
        assert_eq!(sum([]), "");
    }

    #[test]
    fn o4_of_a_process_that_has_ended_its_counters_stay() {
        let text = sheet(1.0, 5.0);
        assert!(counted(&text).contains("\na_total{x=\"1 2\",y=\"\\\"\"} 1\n"));
        assert!(counted(&text).contains("\nc_seconds_count 2\n"));
        assert!(!counted(&text).contains("\nb "));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(# (HELP|TYPE) [ab] |[ab] [0-9.]{0,3}|\n|.){0,40}") {
            let once = sum([&*text]);
            prop_assert_eq!(sum([&*once]), once);
        }
    }
}
