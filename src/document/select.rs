//! Many values of a document in one reading.
//!
//! All paths wanted are one tree; the scanner walks through the document once and remembers where
//! the values stand that a path leads to. A document is read to its end, so that what is no JSON
//! is found even behind the last value wanted. An object that has a name on the way to a value
//! twice does not say which of them counts: such values are told apart, never chosen among.

use super::pointer::{Pointer, index};
use super::scan::{Broken, HalfPair, Piece, Quoted, Scan};

/// All paths that are wanted, as one tree.
#[derive(Debug, Clone)]
pub struct Tree {
    nodes: Vec<Node>,
    /// Where each path ends, in the order they were given.
    ends: Vec<usize>,
}

/// The whole document, or a member or element that a path goes through.
#[derive(Debug, Clone)]
struct Node {
    /// The one above it; the whole document's is itself.
    parent: usize,
    /// Name within an object.
    name: String,
    /// Number within an array, where the name is one.
    index: Option<usize>,
    below: Vec<usize>,
}

impl Tree {
    /// The tree of these paths; each is known by its number from then on.
    pub fn of<'a>(paths: impl IntoIterator<Item = Pointer<'a>>) -> Self {
        let mut tree = Self {
            nodes: vec![Node {
                parent: 0,
                name: String::new(),
                index: None,
                below: Vec::new(),
            }],
            ends: Vec::new(),
        };
        for path in paths {
            let end = path.steps().iter().fold(0, |node, step| tree.step(node, step));
            tree.ends.push(end);
        }
        tree
    }

    fn step(&mut self, parent: usize, name: &str) -> usize {
        let below = &self.nodes[parent].below;
        if let Some(known) = below.iter().find(|node| self.nodes[**node].name == name) {
            return *known;
        }
        let node = self.nodes.len();
        self.nodes.push(Node {
            parent,
            name: name.to_owned(),
            index: index(name),
            below: Vec::new(),
        });
        self.nodes[parent].below.push(node);
        node
    }
}

/// What kind of value it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text {
        /// It is spelt with a backslash.
        escaped: bool,
    },
    /// A number.
    Number,
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
    /// An object.
    Object,
    /// An array.
    Array,
}

impl Kind {
    /// As a noun.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Number => "a number",
            Self::Bool(_) => "a boolean",
            Self::Null => "null",
            Self::Object => "an object",
            Self::Array => "an array",
        }
    }

    /// Of the first piece of a value.
    pub(crate) const fn of(piece: Piece<'_>) -> Option<Self> {
        Some(match piece {
            Piece::Open { object: true } => Self::Object,
            Piece::Open { object: false } => Self::Array,
            Piece::Text(quoted) => Self::Text { escaped: quoted.escaped },
            Piece::Number(_) => Self::Number,
            Piece::Bool(value) => Self::Bool(value),
            Piece::Null => Self::Null,
            Piece::Name(_) | Piece::Close { .. } => return None,
        })
    }
}

/// A value that a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'a> {
    /// As it is written, a string with its quotes.
    pub text: &'a str,
    /// What it is.
    pub kind: Kind,
}

/// Half a surrogate pair, or another kind of value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoText;

impl<'a> Found<'a> {
    /// The text that a string means: where it stands, if it is written without a backslash, else
    /// put into `scratch`.
    ///
    /// # Errors
    /// [`NoText`].
    pub fn meant<'b>(&self, scratch: &'b mut String) -> Result<&'b str, NoText>
    where
        'a: 'b,
    {
        let Kind::Text { escaped } = self.kind else {
            return Err(NoText);
        };
        let raw = &self.text[1..self.text.len() - 1];
        if !escaped {
            return Ok(raw);
        }
        scratch.clear();
        Quoted { raw, escaped }.unescape(scratch).map_err(|HalfPair| NoText)?;
        Ok(scratch)
    }
}

/// Why a text is no document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoDocument {
    /// Not one JSON value.
    Invalid,
    /// Nested too deeply.
    Deep,
}

impl From<Broken> for NoDocument {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Syntax => Self::Invalid,
            Broken::Deep => Self::Deep,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Reached {
    begin: usize,
    end: usize,
    kind: Kind,
}

/// Reads documents; what it remembers is used again for the next one.
#[derive(Debug)]
pub struct Selector<'t> {
    tree: &'t Tree,
    reached: Vec<Option<Reached>>,
    /// Nodes that were met a second time in their object.
    twice: Vec<usize>,
    /// The containers that are open and lead to a value, with the elements so far.
    live: Vec<(usize, usize)>,
    scratch: String,
}

impl<'t> Selector<'t> {
    /// For documents of a stream.
    #[must_use]
    pub fn new(tree: &'t Tree) -> Self {
        Self {
            tree,
            reached: vec![None; tree.nodes.len()],
            twice: Vec::new(),
            live: Vec::new(),
            scratch: String::new(),
        }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// Where it is none.
    pub fn read<'a>(&mut self, text: &'a str) -> Result<Selected<'_, 'a>, NoDocument> {
        self.clear();
        let mut scan = Scan::new(text);
        // The node that the next value is; `None` where it lies aside.
        let mut next = Some(0);
        while let Some(piece) = scan.next()? {
            let Some(kind) = Kind::of(piece) else {
                match piece {
                    Piece::Name(name) => next = self.member(scan.depth(), name),
                    _ => self.close(&scan),
                }
                continue;
            };
            let open = usize::from(matches!(kind, Kind::Object | Kind::Array));
            let Some(node) = next.take().or_else(|| self.element(scan.depth() - open)) else {
                continue;
            };
            if self.reached[node].is_some() {
                self.twice.push(node);
            }
            self.reached[node] = Some(Reached {
                begin: scan.begin(),
                end: scan.end(),
                kind,
            });
            if open == 1 {
                self.live.push((node, 0));
            }
        }
        Ok(Selected { selector: self, text })
    }

    /// As for a text that is not there: no path leads anywhere.
    pub fn nothing(&mut self) -> Selected<'_, 'static> {
        self.clear();
        Selected {
            selector: self,
            text: "",
        }
    }

    fn clear(&mut self) {
        self.reached.fill(None);
        self.twice.clear();
        self.live.clear();
    }

    /// A container ended; where it is one of ours, so does its value.
    fn close(&mut self, scan: &Scan<'_>) {
        if self.live.len() > scan.depth()
            && let Some((node, _)) = self.live.pop()
            && let Some(reached) = &mut self.reached[node]
        {
            reached.end = scan.end();
        }
    }

    /// The innermost open container, if it is one of ours.
    fn innermost(&mut self, depth: usize) -> Option<&mut (usize, usize)> {
        if depth == self.live.len() {
            self.live.last_mut()
        } else {
            None
        }
    }

    /// The node of the member whose name was read.
    fn member(&mut self, depth: usize, name: Quoted<'_>) -> Option<usize> {
        let (node, _) = *self.innermost(depth)?;
        let below = &self.tree.nodes[node].below;
        let name = if name.escaped {
            self.scratch.clear();
            // Half a surrogate pair is in no path.
            name.unescape(&mut self.scratch).ok()?;
            self.scratch.as_str()
        } else {
            name.raw
        };
        below.iter().copied().find(|node| self.tree.nodes[*node].name == name)
    }

    /// The node of the element that comes next.
    fn element(&mut self, depth: usize) -> Option<usize> {
        let tree = self.tree;
        let (node, kind) = self
            .innermost(depth)
            .map(|(node, _)| *node)
            .map(|node| (node, self.reached[node]))?;
        if kind.is_none_or(|reached| reached.kind != Kind::Array) {
            return None;
        }
        let (_, elements) = self.innermost(depth)?;
        let at = *elements;
        *elements += 1;
        tree.nodes[node]
            .below
            .iter()
            .copied()
            .find(|node| tree.nodes[*node].index == Some(at))
    }
}

/// The values of a document.
#[derive(Debug)]
pub struct Selected<'s, 'a> {
    selector: &'s Selector<'s>,
    text: &'a str,
}

impl<'a> Selected<'_, 'a> {
    /// The value that a path leads to, where the document has it.
    #[must_use]
    pub fn get(&self, path: usize) -> Option<Found<'a>> {
        let node = *self.selector.tree.ends.get(path)?;
        self.selector.reached[node].map(|reached| Found {
            text: &self.text[reached.begin..reached.end],
            kind: reached.kind,
        })
    }

    /// Whether a path goes through a name that its object has twice: what it leads to is not
    /// known.
    #[must_use]
    pub fn is_ambiguous(&self, path: usize) -> bool {
        if self.selector.twice.is_empty() {
            return false;
        }
        let Some(mut node) = self.selector.tree.ends.get(path).copied() else {
            return false;
        };
        loop {
            if self.selector.twice.contains(&node) {
                return true;
            }
            if node == 0 {
                return false;
            }
            node = self.selector.tree.nodes[node].parent;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&'static str]) -> Tree {
        Tree::of(paths.iter().map(|path| Pointer::parse(path).expect("a path")))
    }

    /// What each path leads to: the value as it is written, `-` for none, `?` where it is not
    /// known.
    fn found(paths: &[&'static str], document: &str) -> Vec<String> {
        let tree = tree(paths);
        let mut selector = Selector::new(&tree);
        // Whatever was read before must not be seen again.
        selector.read(r#"{"a":{"b":[1,{"c":2}]},"d":"e"}"#).expect("a document");
        let selected = selector.read(document).expect("a document");
        (0..paths.len())
            .map(|path| match selected.get(path) {
                _ if selected.is_ambiguous(path) => "?".to_owned(),
                Some(found) => found.text.to_owned(),
                None => "-".to_owned(),
            })
            .collect()
    }

    #[test]
    fn one_reading_finds_them_all_as_they_are_written() {
        let paths = ["", "/a", "/a/b", "/a/b/0", "/a/b/1/c", "/d", "/x", "/a/x", "/d/0", "/a/b/2"];
        let document = r#" {"a" : {"z":[[{"c":0}]], "b":[ 1.70e12 ,{"c":[]}]}, "e":{"d":1}, "d":"\u0041"} "#;
        assert_eq!(
            found(&paths, document),
            [
                document.trim(),
                r#"{"z":[[{"c":0}]], "b":[ 1.70e12 ,{"c":[]}]}"#,
                r#"[ 1.70e12 ,{"c":[]}]"#,
                "1.70e12",
                "[]",
                r#""\u0041""#,
                "-",
                "-",
                "-",
                "-",
            ]
        );
        assert_eq!(found(&paths[..2], "5"), ["5", "-"]);
        assert_eq!(found(&["/a/b", "/a"], r#"{"b":1,"a":[{"b":2}]}"#), ["-", r#"[{"b":2}]"#]);
    }

    #[test]
    fn names_are_compared_as_they_are_meant() {
        let paths = ["/a~1b", "/m~0n", "/", "/0", "/ä", "/01"];
        let document = r#"{"a\/b":1,"m~n":2,"":3,"0":4,"\u00e4":5,"01":6}"#;
        assert_eq!(found(&paths, document), ["1", "2", "3", "4", "5", "6"]);
        assert_eq!(found(&["/0", "/01", "/-"], "[7,8]"), ["7", "-", "-"]);
    }

    #[test]
    fn of_two_equal_names_none_counts() {
        let paths = ["/a", "/a/b", "/c/d", "/c", ""];
        assert_eq!(
            found(&paths, r#"{"a":1,"\u0061":{"b":2},"c":{"d":3}}"#)[..4],
            ["?", "?", "3", r#"{"d":3}"#]
        );
        assert_eq!(found(&paths, r#"{"x":1,"x":2,"a":{"y":1,"y":1}}"#)[0], r#"{"y":1,"y":1}"#);
        assert_eq!(found(&["/0/a", "/1/a"], r#"[{"a":1},{"a":2}]"#), ["1", "2"]);
    }

    #[test]
    fn a_text_that_is_no_document_is_refused_wherever_it_breaks() {
        let tree = tree(&["/a"]);
        let mut selector = Selector::new(&tree);
        for text in ["", "{", r#"{"a":1}}"#, r#"{"a":1,"b":nul}"#, "{'a':1}", r#"{"a":01}"#] {
            assert_eq!(selector.read(text).err(), Some(NoDocument::Invalid), "{text}");
        }
        assert_eq!(selector.read(&"[".repeat(5_000)).err(), Some(NoDocument::Deep));
        assert_eq!(selector.nothing().get(0), None);
    }

    #[test]
    fn a_string_means_what_it_means() {
        let meant = |text: &'static str| {
            let tree = tree(&["/a"]);
            let found = Selector::new(&tree).read(text).expect("a document").get(0).expect("a value");
            found.meant(&mut String::new()).map(str::to_owned)
        };
        assert_eq!(meant(r#"{"a":"b\n\ud83d\ude00"}"#), Ok("b\n😀".to_owned()));
        assert_eq!(meant(r#"{"a":""}"#), Ok(String::new()));
        assert_eq!(meant(r#"{"a":"\ud83d"}"#), Err(NoText));
        assert_eq!(meant(r#"{"a":1}"#), Err(NoText));
    }
}
