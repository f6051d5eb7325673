//! Pages as they stand in a file, with places to fill in.

/// A page with places such as `{{name}}`, each filled in once for all. What is left over is empty.
pub(super) struct Template {
    text: String,
}

impl Template {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned() }
    }

    /// Fills in text, which stays text: between tags, and in attributes with double quotes.
    pub(super) fn text(self, name: &str, value: &str) -> Self {
        let escaped = escaped(value);
        self.html(name, &escaped)
    }

    /// Fills in HTML that is known to be that.
    pub(super) fn html(mut self, name: &str, value: &str) -> Self {
        // SECURITY: a place in what was filled in is none.
        let value = value.replace("{{", OPEN);
        self.text = self.text.replace(&format!("{{{{{name}}}}}"), &value);
        self
    }

    /// Puts a part of the page in, whose own places are filled in afterwards.
    pub(super) fn part(mut self, name: &str, part: &str) -> Self {
        self.text = self.text.replace(&format!("{{{{{name}}}}}"), part);
        self
    }

    /// The page.
    pub(super) fn page(self) -> String {
        let mut page = String::with_capacity(self.text.len());
        let mut rest = self.text.as_str();
        while let Some((before, after)) = rest.split_once("{{") {
            page.push_str(before);
            rest = after.split_once("}}").map_or("", |(_, after)| after);
        }
        page.push_str(rest);
        page.replace(OPEN, "{{")
    }
}

/// Stands for braces in what was filled in: two characters that are none.
const OPEN: &str = "\u{fdd0}\u{fdd1}";

pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{fdd0}' | '\u{fdd1}' | '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_filled_in_stays_text() {
        let filled = |value: &str| {
            let page = Template::new("<p title=\"{{a}}\">{{a}}{{b}}</p>{{c}}").text("a", value);
            page.text("b", "B").page()
        };
        for (value, want) in [
            ("x", "<p title=\"x\">xB</p>"),
            (
                "\"><b>'&",
                "<p title=\"&quot;&gt;&lt;b&gt;&#39;&amp;\">&quot;&gt;&lt;b&gt;&#39;&amp;B</p>",
            ),
            ("{{b}}", "<p title=\"{{b}}\">{{b}}B</p>"),
            ("{{", "<p title=\"{{\">{{B</p>"),
        ] {
            assert_eq!(filled(value), want, "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_text_ends_an_element_or_an_attribute(value: String) {
            let page = Template::new("<p title=\"{{a}}\">{{a}}</p>").text("a", &value).page();
            let inside = page.strip_prefix("<p title=\"").and_then(|page| page.strip_suffix("</p>"));
            let (attribute, text) = inside.unwrap().split_once("\">").unwrap();
            prop_assert!(!attribute.contains(['"', '<', '>']) && !text.contains(['<', '>']));
            prop_assert_eq!(attribute, text);
        }
    }
}
