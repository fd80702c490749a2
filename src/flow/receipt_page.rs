//! A receipt as a page to print and to file: one HTML file that needs nothing else and runs nothing.

use super::receipt::{Receipt, ReceiptSection};

/// Nothing is loaded and nothing runs, whatever a text may turn out to hold.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

const STYLE: &str = "\
@page { size: A4; margin: 16mm; }
body { font: 10pt/1.4 sans-serif; color: #000; background: #fff; max-width: 180mm; margin: 8mm auto; }
h1 { font-size: 14pt; margin: 0 0 4mm; overflow-wrap: anywhere; }
h2 { font-size: 11pt; margin: 5mm 0 1mm; border-bottom: 1px solid #000; break-after: avoid; }
table { border-collapse: collapse; width: 100%; }
tr { break-inside: avoid; }
th, td { text-align: left; vertical-align: top; padding: 0.5mm 0; }
th { width: 45mm; font-weight: normal; color: #444; }
td { overflow-wrap: anywhere; }
@media print { body { margin: 0; max-width: none; } }
";

impl Receipt {
    /// As a page of HTML.
    pub(crate) fn page(&self) -> String {
        let title = escaped(&self.title());
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        );
        for ReceiptSection { title, rows } in self.sections() {
            page.push_str(&format!("<h2>{}</h2>\n<table>\n", escaped(&title)));
            for (name, said) in rows {
                page.push_str(&format!("<tr><th>{}</th><td>{}</td></tr>\n", escaped(&name), escaped(&said)));
            }
            page.push_str("</table>\n");
        }
        page.push_str("</body>\n</html>\n");
        page
    }
}

/// Text as HTML shows it, in an element and in an attribute.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        assert_eq!(
            escaped("<script>a('b') && \"c\"</script>"),
            "&lt;script&gt;a(&#39;b&#39;) &amp;&amp; &quot;c&quot;&lt;/script&gt;"
        );
        assert_eq!(escaped("Jürgen “x”"), "Jürgen “x”");
    }
}
