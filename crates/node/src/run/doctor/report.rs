//! What was found, line by line.

use std::fmt::{self, Display};

use super::print;

/// Lines that wait to be printed.
#[derive(Debug, Default)]
pub(super) struct Report {
    lines: Vec<Line>,
}

#[derive(Debug, PartialEq, Eq)]
struct Line {
    grade: Grade,
    text: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grade {
    Ok,
    Warning,
    Problem,
}

impl Report {
    /// As it should be.
    pub(super) fn ok(&mut self, text: impl Display) {
        self.push(Grade::Ok, text);
    }

    /// A node serves, but not as well, or not as safely, as it could.
    pub(super) fn warning(&mut self, text: impl Display) {
        self.push(Grade::Warning, text);
    }

    /// A node cannot serve, or loses what it acknowledged.
    pub(super) fn problem(&mut self, text: impl Display) {
        self.push(Grade::Problem, text);
    }

    fn push(&mut self, grade: Grade, text: impl Display) {
        self.lines.push(Line { grade, text: text.to_string() });
    }

    /// Whether a line is a problem.
    pub(super) fn has_problem(&self) -> bool {
        self.lines.iter().any(|line| line.grade == Grade::Problem)
    }

    /// Prints the lines and forgets them. Gives how many were problems.
    ///
    /// # Errors
    /// If standard output is closed.
    pub(super) fn print(&mut self) -> anyhow::Result<usize> {
        let mut n_problems = 0;
        for line in self.lines.drain(..) {
            n_problems += usize::from(line.grade == Grade::Problem);
            print(line)?;
        }
        Ok(n_problems)
    }

    /// The lines as they would be printed.
    #[cfg(test)]
    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.iter().map(Line::to_string).collect()
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grade = match self.grade {
            Grade::Ok => "ok",
            Grade::Warning => "warning",
            Grade::Problem => "problem",
        };
        write!(f, "{grade:<8} {}", self.text)
    }
}
