//! Names of everything that a text creates.

use super::super::Dialect;
use super::plan::Limit;
use crate::compile::CompileError;
use crate::range::Family;

/// What stands in a list besides its entries.
pub struct Names {
    /// Lists that drop, by family, where there is one.
    pub lists: [Option<String>; 2],
    /// For each rate its class and the class's lists.
    pub classes: Vec<(String, [Option<String>; 2])>,
    /// The policy, where there are rates.
    pub policy: Option<String>,
}

/// The names of everything that is written.
pub fn names(name: &str, drops: [bool; 2], limits: &[Limit]) -> Names {
    let of = |base: &str, family: Family| if family == Family::V4 { base.to_owned() } else { format!("{base}-V6") };
    let classes = limits.iter().enumerate().map(|(i, l)| {
        let class = format!("{name}-L{}", i + 1);
        let lists = Family::BOTH.map(|f| (!l.lines[f as usize].is_empty()).then(|| of(&class, f)));
        (class, lists)
    });
    Names {
        lists: Family::BOTH.map(|f| drops[f as usize].then(|| of(name, f))),
        classes: classes.collect(),
        policy: (!limits.is_empty()).then(|| name.to_owned()),
    }
}

impl Names {
    /// Every list with its family, in the order of the text.
    pub fn all_lists(&self) -> Vec<(Family, &str)> {
        let groups = std::iter::once(&self.lists).chain(self.classes.iter().map(|c| &c.1));
        groups.flat_map(|g| Family::BOTH.map(|f| g[f as usize].as_deref().map(|n| (f, n)))).flatten().collect()
    }
    /// Refuses names that the platform would cut or reject.
    pub fn check(&self, dialect: Dialect, list: usize, class: usize) -> Result<(), CompileError> {
        let lists = self.all_lists().into_iter().map(|l| (l.1.to_owned(), list));
        let classes = self.classes.iter().map(|c| (c.0.clone(), class));
        let policy = self.policy.iter().map(|p| (p.clone(), class));
        match lists.chain(classes).chain(policy).find(|(n, max)| n.len() > *max) {
            Some((name, max)) => Err(CompileError::LongName { dialect, name, max }),
            None => Ok(()),
        }
    }
}
