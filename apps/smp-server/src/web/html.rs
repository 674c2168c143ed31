//! Pages from templates. What settings say is escaped, always.

use std::fmt::Write;

/// A page with this title and this body, which is HTML already.
pub(super) fn page(title: &str, body: &str) -> String {
    fill(include_str!("assets/page.html"), &[("title", &escape(title)), ("body", body)])
}

/// Replaces `{{name}}` by its value, in one pass, so that a value is never taken for a template.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        out.push_str(values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Text as HTML, also inside an attribute in double quotes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

/// A link. The target was checked when the settings were read; only schemes that run no script are followed.
pub(super) fn link(target: &str, text: &str) -> String {
    let safe =
        ["https://", "http://", "mailto:", "simplex:/"].iter().any(|scheme| target.starts_with(scheme));
    if !safe {
        return escape(text);
    }
    format!("<a href=\"{}\" rel=\"noopener noreferrer\">{}</a>", escape(target), escape(text))
}

/// A heading and a list of names and values, which are HTML already; nothing without rows.
pub(super) fn section(heading: &str, rows: &[(&str, String)]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut out = format!("<section>\n<h2>{}</h2>\n<dl>\n", escape(heading));
    for (name, value) in rows {
        _ = writeln!(out, "<div><dt>{}</dt><dd>{value}</dd></div>", escape(name));
    }
    out.push_str("</dl>\n</section>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_settings_say_becomes_markup() {
        let hostile = "<script>\"&'{{body}}";
        let escaped = "&lt;script&gt;&quot;&amp;&#39;{{body}}";
        assert_eq!(escape(hostile), escaped);
        assert_eq!(section("h", &[("n", escape(hostile))]).matches(escaped).count(), 1);
        let page = page(hostile, "<p>b</p>");
        assert!(page.contains(&format!("<title>{escaped}</title>")) && page.contains("<p>b</p>"));
        for target in ["javascript:alert(1)", " https://a", "data:text/html,x"] {
            assert_eq!(link(target, "t"), "t", "{target}");
        }
        assert!(link("https://a/\"onclick=x", "t").contains("href=\"https://a/&quot;onclick=x\""));
        assert_eq!(section("h", &[]), "");
    }

    #[test]
    fn templates_are_filled_once() {
        assert_eq!(fill("a{{x}}b{{y}}{{z}}c", &[("x", "{{y}}"), ("y", "1")]), "a{{y}}b1c");
    }
}
