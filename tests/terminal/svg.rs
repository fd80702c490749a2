//! A terminal's screen as an SVG: a window with text, in the colours that were recorded. It has a ground of its own, so it
//! reads the same on a light and on a dark page. No script, no font from elsewhere.

use vt100::{Cell, Color, Screen};

/// The look of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    colour: Color,
    is_bold: bool,
    is_dim: bool,
}

/// A line of the screen, a character each.
pub(crate) type Line = Vec<(char, Style)>;

/// The lines of a screen: what the edge has parted is one line again.
pub(crate) fn lines(screen: &Screen) -> Vec<Line> {
    let (rows, cols) = screen.size();
    let mut lines: Vec<Line> = Vec::new();
    let mut goes_on = false;
    for row in 0..rows.get() {
        let cells = (0..cols.get()).filter_map(|col| screen.cell(row, col)).filter(|cell| !cell.is_wide_continuation());
        let line: Line = cells.flat_map(characters).collect();
        match lines.last_mut().filter(|_| goes_on) {
            Some(last) => last.extend(line),
            None => lines.push(line),
        }
        goes_on = screen.row_wrapped(row);
    }
    for line in &mut lines {
        while line.last().is_some_and(|(character, _)| *character == ' ') {
            line.pop();
        }
    }
    while lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    lines
}

fn characters(cell: &Cell) -> Vec<(char, Style)> {
    let style = Style { colour: cell.fgcolor(), is_bold: cell.bold(), is_dim: cell.dim() };
    let text = if cell.has_contents() { cell.contents() } else { " " };
    text.chars().map(|character| (character, style)).collect()
}

/// Puts `new` where `old` stands, in the look of its beginning.
pub(crate) fn replace(line: &mut Line, old: &str, new: &str) {
    let old: Vec<char> = old.chars().collect();
    let mut start = 0;
    while start + old.len() <= line.len() {
        if line[start..start + old.len()].iter().map(|(character, _)| character).eq(&old) {
            let style = line[start].1;
            line.splice(start..start + old.len(), new.chars().map(|character| (character, style)));
            start += new.chars().count();
        } else {
            start += 1;
        }
    }
}

/// The text of a line.
pub(crate) fn text(line: &Line) -> String {
    line.iter().map(|(character, _)| character).collect()
}

const ADVANCE: f32 = 8.4;
const LEADING: usize = 20;
const MARGIN: usize = 20;
const BAR: usize = 36;

/// Draws the lines in a window of so many columns. A longer one goes on below, as in a terminal.
pub(crate) fn draw(lines: &[Line], columns: usize, title: &str) -> String {
    let rows: Vec<&[(char, Style)]> = lines.iter().flat_map(|line| rows(line, columns)).collect();
    let width = (columns as f32 * ADVANCE).ceil() as usize + 2 * MARGIN;
    let height = BAR + rows.len() * LEADING + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\">\n<title>{}</title>\n<style>text {{ font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, \
         \"Liberation Mono\", monospace; fill: #d6deeb }} .b {{ font-weight: 700; fill: #ffffff }} \
         .d {{ fill: #8b98ab }}</style>\n<rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#16202c\"/>\n",
        escaped(title)
    );
    for (nth, colour) in ["#ff5f57", "#febc2e", "#28c840"].into_iter().enumerate() {
        svg.push_str(&format!("<circle cx=\"{}\" cy=\"18\" r=\"6\" fill=\"{colour}\"/>\n", MARGIN + 20 * nth));
    }
    for (nth, row) in rows.into_iter().enumerate() {
        svg.push_str(&texts(row, BAR + LEADING * nth + 14));
    }
    svg + "</svg>\n"
}

fn rows(line: &Line, columns: usize) -> Vec<&[(char, Style)]> {
    if line.is_empty() { vec![&[]] } else { line.chunks(columns).collect() }
}

/// Each piece of a row that looks the same is placed by its column and told its length, so that the columns stand whatever
/// the font; that of a browser may be another than ours.
fn texts(row: &[(char, Style)], y: usize) -> String {
    let (mut texts, mut start) = (String::new(), 0);
    for part in row.chunk_by(|(_, its), (_, others)| its == others) {
        for (column, text) in words(part) {
            texts.push_str(&format!(
                "<text x=\"{:.1}\" y=\"{y}\" textLength=\"{:.1}\" lengthAdjust=\"spacingAndGlyphs\"{}>{}</text>\n",
                MARGIN as f32 + (start + column) as f32 * ADVANCE,
                text.chars().count() as f32 * ADVANCE,
                attributes(part[0].1),
                escaped(&text)
            ));
        }
        start += part.len();
    }
    texts
}

/// The words of a piece, with the column at which each begins; words with one blank between them together. Viewers don't
/// agree on what to do with more.
fn words(part: &[(char, Style)]) -> Vec<(usize, String)> {
    let text: String = part.iter().map(|(character, _)| character).collect();
    let (mut words, mut column) = (Vec::new(), 0);
    for piece in text.split("  ") {
        let trimmed = piece.trim_start();
        if !trimmed.is_empty() {
            let indent = piece.chars().count() - trimmed.chars().count();
            words.push((column + indent, trimmed.trim_end().to_owned()));
        }
        column += piece.chars().count() + 2;
    }
    words
}

fn attributes(style: Style) -> String {
    let class = [(style.is_bold, "b"), (style.is_dim, "d")].into_iter().find(|(is, _)| *is);
    let mut attributes = class.map_or_else(String::new, |(_, class)| format!(" class=\"{class}\""));
    if let Some(colour) = hex(style.colour) {
        // More than the class says, which has a colour too.
        attributes.push_str(&format!(" style=\"fill: {colour}\""));
    }
    attributes
}

fn hex(colour: Color) -> Option<String> {
    const NAMED: [&str; 16] = [
        "#5c6b7f", "#ff6b6b", "#7fd88f", "#ffd166", "#6cb6ff", "#d2a8ff", "#56d4dd", "#d6deeb", "#8b98ab", "#ff8e8e",
        "#a5e8b1", "#ffe08f", "#96ccff", "#e2c5ff", "#8ae9f0", "#ffffff",
    ];
    match colour {
        Color::Default => None,
        Color::Idx(nth) => Some((*NAMED.get(usize::from(nth)).expect("only the sixteen colours are drawn")).to_owned()),
        Color::Rgb(red, green, blue) => Some(format!("#{red:02x}{green:02x}{blue:02x}")),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

mod tests {
    use super::*;

    fn screen(text: &str) -> Screen {
        let size = |number| std::num::NonZeroU16::new(number).unwrap();
        let mut parser = vt100::Parser::new(size(5), size(10), 0);
        parser.process(text.as_bytes());
        parser.screen().clone()
    }

    #[test]
    fn what_the_edge_parts_is_one_line_and_is_parted_anew() {
        let mut lines = lines(&screen("0123456789ab\r\n\r\nend"));
        assert_eq!(lines.iter().map(text).collect::<Vec<_>>(), ["0123456789ab", "", "end"]);
        replace(&mut lines[0], "9a", "-");
        assert_eq!(text(&lines[0]), "012345678-b");
        let drawn = draw(&lines, 6, "T");
        assert!(drawn.contains(">012345</text>") && drawn.contains(">678-b</text>"), "{drawn}");
    }

    #[test]
    fn colours_are_kept_and_signs_escaped() {
        let drawn = draw(&lines(&screen("\u{1b}[1mA\u{1b}[0m<\u{1b}[31m&\u{1b}[2mz")), 10, "T");
        let red = "style=\"fill: #ff6b6b\"";
        for expected in [
            "<text x=\"20.0\" y=\"50\" textLength=\"8.4\" lengthAdjust=\"spacingAndGlyphs\" class=\"b\">A</text>"
                .to_owned(),
            "<text x=\"28.4\" y=\"50\" textLength=\"8.4\" lengthAdjust=\"spacingAndGlyphs\">&lt;</text>".to_owned(),
            format!("{red}>&amp;</text>"),
            format!("class=\"d\" {red}>z</text>"),
        ] {
            assert!(drawn.contains(&expected), "{expected}\n{drawn}");
        }
    }

    #[test]
    fn what_stands_in_a_column_of_its_own_is_placed_there() {
        let part = &lines(&screen(" a b   c"))[0];
        assert_eq!(words(part), [(1, "a b".to_owned()), (7, "c".to_owned())]);
    }
}
