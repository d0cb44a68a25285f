//! The configuration file: stud's grammar and hitch's in one. `key = value`, of which several may stand in a line; a
//! value is a word, or a string in quotes with blanks in it, or a block `{ … }` of further settings; `#` begins a
//! comment anywhere but in a string. What keys and values mean is settled elsewhere.
#![forbid(unsafe_code)]

pub mod apply;
pub mod write;

/// A frontend's block has blocks for its certificates in it, and those have none.
const MOST_DEPTH: usize = 3;

#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Counted from 1.
    pub line: usize,
    pub key: String,
    pub value: Value,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Value {
    /// Several only where the key takes a list.
    Words(Vec<String>),
    Block(Vec<Entry>),
}

/// A line that cannot be read, and why.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub line: usize,
    pub problem: String,
}

/// Reads a whole file.
pub fn parse(bytes: &[u8]) -> Result<Vec<Entry>, Unreadable> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = &bytes[..error.valid_up_to()];
        Unreadable {
            line: 1 + good.iter().filter(|&&byte| byte == b'\n').count(),
            problem: "bytes that are not UTF-8".into(),
        }
    })?;
    let mut parser = Parser {
        tokens: tokens(text.trim_start_matches('\u{feff}'))?,
        at: 0,
    };
    let entries = parser.entries(0)?;
    match parser.tokens.get(parser.at) {
        None => Ok(entries),
        Some(stray) => Err(stray.bad("a } without a {")),
    }
}

struct Token {
    line: usize,
    kind: Kind,
}

#[derive(PartialEq)]
enum Kind {
    Word(String),
    Equals,
    Open,
    Close,
}

impl Token {
    fn bad(&self, problem: &str) -> Unreadable {
        Unreadable {
            line: self.line,
            problem: problem.into(),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, Unreadable> {
    let mut found: Vec<Token> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let (kind, behind) = match first {
                '#' => break,
                '=' => (Some(Kind::Equals), &rest[1..]),
                '{' => (Some(Kind::Open), &rest[1..]),
                '}' => (Some(Kind::Close), &rest[1..]),
                '"' | '\'' => {
                    let (text, behind) = string(rest).ok_or_else(|| Unreadable {
                        line: number + 1,
                        problem: format!("a string without its closing {first}"),
                    })?;
                    (Some(Kind::Word(text)), behind)
                }
                _ => {
                    // A value may have the sign in it, as ciphers do; a key has not.
                    let is_value = matches!(found.last(), Some(last) if last.kind == Kind::Equals);
                    bare(rest, is_value)
                }
            };
            found.extend(kind.map(|kind| Token {
                line: number + 1,
                kind,
            }));
            rest = behind.trim_start();
        }
    }
    Ok(found)
}

/// A word without quotes, and what stands behind it. A comma or semicolon at its end only separates.
fn bare(text: &str, is_value: bool) -> (Option<Kind>, &str) {
    let ends = |c: char| c.is_whitespace() || "#{}".contains(c) || (c == '=' && !is_value);
    let (word, behind) = text.split_at(text.find(ends).unwrap_or(text.len()));
    let word = word.trim_end_matches([',', ';']);
    let kind = (!word.is_empty()).then(|| Kind::Word(word.to_owned()));
    (kind, behind)
}

/// A string at the beginning of a text, and what stands behind it. In double quotes, a backslash makes a quote or a
/// backslash plain.
fn string(text: &str) -> Option<(String, &str)> {
    let mut chars = text.char_indices();
    let (_, quote) = chars.next()?;
    let mut inside = String::new();
    while let Some((at, c)) = chars.next() {
        let next = text[at + c.len_utf8()..].chars().next();
        match c {
            '\\' if quote == '"' && matches!(next, Some('"' | '\\')) => {
                inside.extend(next);
                chars.next();
            }
            _ if c == quote => return Some((inside, &text[at + 1..])),
            _ => inside.push(c),
        }
    }
    None
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    /// All up to the end of the block or file.
    fn entries(&mut self, depth: usize) -> Result<Vec<Entry>, Unreadable> {
        let mut entries = Vec::new();
        while let Some(token) = self.tokens.get(self.at) {
            let line = token.line;
            let key = match &token.kind {
                Kind::Close => break,
                Kind::Word(key) if self.is(1, &Kind::Equals) => key.clone(),
                Kind::Word(word) => return Err(token.bad(&format!("no = behind \"{word}\""))),
                Kind::Equals => return Err(token.bad("no key in front of =")),
                Kind::Open => return Err(token.bad("a { that belongs to no key")),
            };
            self.at += 2;
            let value = match self.is(0, &Kind::Open) {
                true => self.block(line, depth + 1)?,
                false => self.words(line, &key)?,
            };
            entries.push(Entry { line, key, value });
        }
        Ok(entries)
    }

    fn block(&mut self, line: usize, depth: usize) -> Result<Value, Unreadable> {
        let bad = |problem: &str| Unreadable {
            line,
            problem: problem.into(),
        };
        if depth >= MOST_DEPTH {
            return Err(bad("a block in a block in a block"));
        }
        self.at += 1;
        let entries = self.entries(depth)?;
        if !self.is(0, &Kind::Close) {
            return Err(bad("a { without its closing }"));
        }
        self.at += 1;
        Ok(Value::Block(entries))
    }

    /// The words of a value: to the end of the line or up to the next key, with versions of TLS over more lines.
    fn words(&mut self, line: usize, key: &str) -> Result<Value, Unreadable> {
        let mut words = Vec::new();
        let sign = self.tokens.get(self.at - 1).map(|token| token.line);
        while let Some(token) = self.tokens.get(self.at) {
            let Kind::Word(word) = &token.kind else {
                break;
            };
            let continues = Some(token.line) == sign || key == "tls-protos";
            if !continues || self.is(1, &Kind::Equals) {
                break;
            }
            words.push(word.clone());
            self.at += 1;
        }
        match words.is_empty() {
            true => Err(Unreadable {
                line,
                problem: format!("no value for {key}"),
            }),
            false => Ok(Value::Words(words)),
        }
    }

    fn is(&self, ahead: usize, kind: &Kind) -> bool {
        let token = self.tokens.get(self.at + ahead);
        token.is_some_and(|token| token.kind == *kind)
    }
}

#[cfg(test)]
mod tests;
