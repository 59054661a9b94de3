//! Slack's mrkdwn as HTML: the common marks, mentions, links and dates.

use super::Names;

/// Makes text safe to stand in HTML.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// What Slack's three entities stand for, made safe again.
fn unescaped(text: &str) -> String {
    escape(&text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
}

/// A link, if the address is one that a browser may follow.
pub(crate) fn link(url: &str, text: &str) -> String {
    let allowed = ["http://", "https://", "mailto:"].iter().any(|scheme| url.starts_with(scheme));
    match allowed {
        true => format!("<a href=\"{}\" rel=\"noreferrer\">{}</a>", unescaped(url), unescaped(text)),
        false => unescaped(text),
    }
}

/// Text that is not mrkdwn: only its line breaks mean anything.
pub(crate) fn plain(text: &str) -> String {
    emoji(&escape(text)).replace('\n', "<br>")
}

/// Mrkdwn as HTML.
pub(crate) fn html(text: &str, names: &Names) -> String {
    let mut html = String::new();
    // Every other part stands between two fences, if both are there.
    let parts = text.split("```").collect::<Vec<_>>();
    for (index, part) in parts.iter().enumerate() {
        if index % 2 == 1 && index + 1 < parts.len() {
            html.push_str(&format!("<pre>{}</pre>", unescaped(part.trim_matches('\n'))));
        } else {
            let fence = if index % 2 == 1 { "```" } else { "" };
            html.push_str(&lines(&format!("{fence}{part}"), names));
        }
    }
    html
}

fn lines(text: &str, names: &Names) -> String {
    let (mut html, mut quoted) = (String::new(), Vec::new());
    let mut first = true;
    for line in text.trim_matches('\n').split('\n') {
        let quote = line.strip_prefix("&gt;").or_else(|| line.strip_prefix('>'));
        if let Some(quote) = quote {
            quoted.push(inline(quote.trim_start(), names));
            continue;
        }
        close(&mut html, &mut quoted);
        if !first && !html.ends_with("</blockquote>") {
            html.push_str("<br>");
        }
        first = false;
        html.push_str(&inline(line, names));
    }
    close(&mut html, &mut quoted);
    html
}

fn close(html: &mut String, quoted: &mut Vec<String>) {
    if !quoted.is_empty() {
        html.push_str(&format!("<blockquote>{}</blockquote>", quoted.join("<br>")));
        quoted.clear();
    }
}

/// One line: code first, for nothing in it means anything.
fn inline(line: &str, names: &Names) -> String {
    let mut html = String::new();
    let parts = line.split('`').collect::<Vec<_>>();
    for (index, part) in parts.iter().enumerate() {
        if index % 2 == 1 && index + 1 < parts.len() && !part.is_empty() {
            html.push_str(&format!("<code>{}</code>", unescaped(part)));
        } else {
            let tick = if index % 2 == 1 { "`" } else { "" };
            html.push_str(&marks(&format!("{tick}{}", angles(part, names))));
        }
    }
    html
}

/// What stands between angle brackets: mentions, links, dates.
fn angles(text: &str, names: &Names) -> String {
    let mut html = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        html.push_str(&emoji(&unescaped(before)));
        match after.split_once('>') {
            Some((inside, after)) => {
                html.push_str(&angle(inside, names));
                rest = after;
            }
            None => {
                html.push_str("&lt;");
                rest = after;
                break;
            }
        }
    }
    html.push_str(&emoji(&unescaped(rest)));
    html
}

fn angle(inside: &str, names: &Names) -> String {
    let (target, label) = match inside.split_once('|') {
        Some((target, label)) => (target, Some(label)),
        None => (inside, None),
    };
    let mention = |text: String| format!("<span class=\"mention\">{}</span>", escape(&text));
    if let Some(user) = target.strip_prefix('@') {
        return mention(format!("@{}", names.of(user).or(label).unwrap_or(user)));
    }
    if let Some(channel) = target.strip_prefix('#') {
        return mention(format!("#{}", names.of(channel).or(label).unwrap_or(channel)));
    }
    if let Some(special) = target.strip_prefix('!') {
        return match special.split('^').collect::<Vec<_>>().as_slice() {
            ["date", ..] => unescaped(label.unwrap_or("a date")),
            ["subteam", id, ..] => mention(label.unwrap_or(id).to_owned()),
            [word, ..] => mention(format!("@{word}")),
            [] => String::new(),
        };
    }
    link(target, label.unwrap_or(target.trim_start_matches("mailto:")))
}

/// Bold, italic, struck: a mark opens at the beginning of a word and closes at the end of one. Works on HTML, so
/// what stands in a tag is passed over.
fn marks(html: &str) -> String {
    [('*', "strong"), ('_', "em"), ('~', "s")].into_iter().fold(html.to_owned(), |html, (mark, tag)| {
        let chars = html.chars().collect::<Vec<_>>();
        let (mut out, mut at, mut in_tag) = (String::new(), 0, false);
        // Once one mark has no end, no later one has: looking each time would take for ever.
        let mut may_close = true;
        while at < chars.len() {
            let c = chars[at];
            in_tag = if in_tag { c != '>' } else { c == '<' };
            if may_close && c == mark && !in_tag && opens(&chars, at) {
                if let Some(end) = closing(&chars, at, mark) {
                    let inside = chars[at + 1..end].iter().collect::<String>();
                    out.push_str(&format!("<{tag}>{inside}</{tag}>"));
                    at = end + 1;
                    continue;
                }
                may_close = false;
            }
            out.push(c);
            at += 1;
        }
        out
    })
}

fn opens(chars: &[char], at: usize) -> bool {
    let before = at.checked_sub(1).map(|before| chars[before]);
    let after = chars.get(at + 1);
    !before.is_some_and(char::is_alphanumeric) && after.is_some_and(|c| !c.is_whitespace())
}

fn closing(chars: &[char], from: usize, mark: char) -> Option<usize> {
    let mut in_tag = false;
    for at in from + 1..chars.len() {
        let c = chars[at];
        in_tag = if in_tag { c != '>' } else { c == '<' };
        let ends = !chars[at - 1].is_whitespace() && !chars.get(at + 1).is_some_and(|c| c.is_alphanumeric());
        if c == mark && !in_tag && at > from + 1 && ends {
            return Some(at);
        }
    }
    None
}

/// The emoji that apps use most; the others stay as they are written.
pub(crate) fn emoji(text: &str) -> String {
    const KNOWN: [(&str, &str); 24] = [
        ("wave", "👋"),
        ("tada", "🎉"),
        ("rocket", "🚀"),
        ("warning", "⚠️"),
        ("white_check_mark", "✅"),
        ("heavy_check_mark", "✔️"),
        ("x", "❌"),
        ("fire", "🔥"),
        ("eyes", "👀"),
        ("thumbsup", "👍"),
        ("+1", "👍"),
        ("thumbsdown", "👎"),
        ("-1", "👎"),
        ("smile", "😄"),
        ("heart", "❤️"),
        ("star", "⭐"),
        ("bell", "🔔"),
        ("bulb", "💡"),
        ("memo", "📝"),
        ("calendar", "📅"),
        ("lock", "🔒"),
        ("bug", "🐛"),
        ("hourglass_flowing_sand", "⏳"),
        ("rotating_light", "🚨"),
    ];
    let mut text = text.to_owned();
    if text.contains(':') {
        for (name, picture) in KNOWN {
            text = text.replace(&format!(":{name}:"), picture);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        html(text, &Names::of_pairs(&[("U1", "Ada"), ("C1", "general")]))
    }

    #[test]
    fn marks_become_tags() {
        assert_eq!(
            shown("*bold* _it_ ~no~ `a*b*`"),
            "<strong>bold</strong> <em>it</em> <s>no</s> <code>a*b*</code>"
        );
        assert_eq!(shown("2 * 3 * 4 and snake_case_name"), "2 * 3 * 4 and snake_case_name");
        assert_eq!(shown("a\nb"), "a<br>b");
        assert_eq!(shown("&gt; said\nand"), "<blockquote>said</blockquote>and");
        assert_eq!(shown("see ```let x = 1;\n``` there"), "see <pre>let x = 1;</pre> there");
        assert_eq!(shown("one ` two"), "one ` two");
    }

    #[test]
    fn mentions_and_links_are_named() {
        assert_eq!(
            shown("<@U1> in <#C1>"),
            "<span class=\"mention\">@Ada</span> in <span class=\"mention\">#general</span>"
        );
        assert_eq!(shown("<!here>"), "<span class=\"mention\">@here</span>");
        assert_eq!(
            shown("<https://x.example/?a=1&amp;b=2|the_one>"),
            "<a href=\"https://x.example/?a=1&amp;b=2\" rel=\"noreferrer\">the_one</a>"
        );
        assert_eq!(shown("<!date^1^{date}|yesterday>"), "yesterday");
    }

    #[test]
    fn nothing_that_an_app_says_is_markup() {
        for hostile in [
            "<script>alert(1)</script>",
            "<javascript:alert(1)|x>",
            "<https://x|<img src=x onerror=1>>",
            "\"'><b>",
            "```<b>```",
            "`<b>`",
            "*<b>*",
            "<@<b>>",
            "<!<b>>",
        ] {
            let html = shown(hostile);
            for tag in ["<script", "<img", "<b>", "javascript:alert(1)\""] {
                assert!(!html.contains(tag), "{hostile} became {html}");
            }
        }
    }
}
