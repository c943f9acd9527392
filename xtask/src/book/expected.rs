//! Comparing what was printed with what a page shows.
//!
//! In what is shown, `…` stands for anything in a line, and in a line of its own for any lines. A
//! time or a size, which is a number with a unit behind it, stands for any other; on a line that
//! has a time in milliseconds every number with a fraction does. Everything else is compared as it is.

/// Whether `printed` is what is shown as `expected`; else, what is wrong.
pub(super) fn compare(expected: &str, printed: &str) -> Result<(), String> {
    let shown: Vec<&str> = expected.trim_end().lines().collect();
    let lines: Vec<&str> = printed.trim_end().lines().collect();
    let normal: Vec<String> = lines.iter().map(|line| normalized(line)).collect();
    // reached[i]: the first lines that were shown may be the first `i` that were printed.
    let mut reached = vec![false; normal.len() + 1];
    reached[0] = true;
    for shown in &shown {
        let mut next = vec![false; normal.len() + 1];
        if shown.trim() == "…" {
            let first = reached.iter().position(|reached| *reached);
            next[first.unwrap_or(normal.len())..].fill(true);
        } else {
            let pattern = normalized(shown);
            for (place, line) in normal.iter().enumerate() {
                next[place + 1] = reached[place] && is_like(&pattern, line);
            }
        }
        if !next.contains(&true) {
            return Err(format!(
                "this line was not printed where it is shown:\n    {shown}\nprinted was\n{}",
                indented(&lines)
            ));
        }
        reached = next;
    }
    match reached[normal.len()] {
        true => Ok(()),
        false => Err(format!(
            "more was printed than is shown:\n{}",
            indented(&lines)
        )),
    }
}

fn indented(lines: &[&str]) -> String {
    match lines {
        [] => "    (nothing)".into(),
        lines => lines.iter().map(|line| format!("    {line}\n")).collect(),
    }
}

/// Whether `line` is `pattern`, in which `…` stands for anything.
fn is_like(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(place) => rest = &rest[place + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// `line` with one time and one size for all.
fn normalized(line: &str) -> String {
    let line = line.trim_end();
    let has_time = tokens(line).any(|token| token.is_number && token.unit == Some("ms"));
    let mut out = String::new();
    let mut changed = false;
    for token in tokens(line) {
        let stands_for_any = match token.unit {
            Some(_) => true,
            None => has_time && token.text.contains('.'),
        };
        match token.is_number && stands_for_any {
            true => {
                out.push('#');
                out += match token.unit {
                    Some("ms" | "s") => " time",
                    Some(_) => " size",
                    None => "",
                };
                changed = true;
            }
            false => out += token.text,
        }
    }
    // Such numbers are of other lengths, and tables have other widths with them.
    match changed {
        true => out.split_whitespace().collect::<Vec<_>>().join(" "),
        false => out,
    }
}

/// A number with its unit, or what is between two.
struct Token<'l> {
    /// Of a number with a unit both.
    text: &'l str,
    is_number: bool,
    unit: Option<&'l str>,
}

/// The numbers of `line`, as `12`, `1,234` or `0.5`, and what is between them.
fn tokens(line: &str) -> impl Iterator<Item = Token<'_>> {
    const UNITS: [&str; 6] = ["ms", "s", "kB", "MB", "GB", "B"];
    let mut rest = line;
    let mut within_word = false;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let is_number = first.is_ascii_digit() && !within_word;
        let length = if is_number {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',');
            let number = &rest[..end.unwrap_or(rest.len())];
            number.trim_end_matches(['.', ',']).len()
        } else {
            let mut before = within_word;
            let end = rest.char_indices().find(|(_, c)| {
                let starts = c.is_ascii_digit() && !before;
                before = c.is_alphanumeric() || *c == '.' || *c == '_';
                starts
            });
            end.map_or(rest.len(), |(place, _)| place)
        };
        let (number, behind) = rest.split_at(length);
        let unit = UNITS.into_iter().filter(|_| is_number).find(|unit| {
            let behind = behind.strip_prefix(' ').and_then(|b| b.strip_prefix(unit));
            behind.is_some_and(|b| !b.starts_with(|c: char| c.is_alphanumeric()))
        });
        let length = length + unit.map_or(0, |unit| unit.len() + 1);
        let (text, behind) = rest.split_at(length);
        within_word = text.ends_with(|c: char| c.is_alphanumeric() || c == '.' || c == '_');
        rest = behind;
        debug_assert!(!number.is_empty());
        Some(Token {
            text,
            is_number,
            unit,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn same(expected: &str, printed: &str) {
        compare(expected, printed).expect("it is what is shown");
    }

    #[track_caller]
    fn differs(expected: &str, printed: &str) {
        compare(expected, printed).expect_err("it is not what is shown");
    }

    #[test]
    fn what_is_shown_is_what_was_printed() {
        same("a\nb\n", "a\nb");
        differs("a\nb", "a");
        differs("a", "a\nb");
        differs("a", "b");
        differs("", "a");
        same("", "");
    }

    #[test]
    fn anything_may_stand_for_anything() {
        same("a…c", "abbc");
        same("…", "");
        same("…", "a\nb");
        same("a\n…", "a");
        same("a\n…\nd", "a\nb\nc\nd");
        same("…\nb\n…", "a\nb\nb\nc");
        same("  \"x\": …,", "  \"x\": 12,");
        differs("a…c", "abb");
        differs("a…b…a", "aba a c");
        differs("a\n…\nd", "a\nb\nc");
        differs("ab…b", "ab");
    }

    #[test]
    fn times_and_sizes_are_not_compared_and_counts_are() {
        same("1 of 76 compiled, 11 ms", "1 of 76 compiled, 1.5 ms");
        differs("1 of 76 compiled, 11 ms", "2 of 76 compiled, 11 ms");
        same("code   167 B of 18.1 kB", "code   1 kB of 9 MB");
        same("found  75   8.0 kB   99.6 %", "found  75     30 B   99.6 %");
        differs("found  75   8.0 kB   99.6 %", "found  74   8.0 kB   99.6 %");
        same("time parse 0.4, link 0.1 ms", "time parse 12.0, link 3 ms");
        differs("ibid 0.1.0", "ibid 0.2.0");
        differs("11 ms", "11 kB");
        differs("1.5 messages", "2.5 messages");
        same("1,234 B", "7 B");
    }
}
