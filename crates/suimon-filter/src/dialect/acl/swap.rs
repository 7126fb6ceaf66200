//! The undo, and the steps around entering a list: what to read back first, how to bind, how to unbind.

use super::facts::Facts;
use super::names_of::Names;
use crate::compile::Options;
use crate::range::Family;

/// What binds a list or policy to an interface, in order: lists, then the policy.
fn bindings(facts: &Facts, names: &Names, options: &Options) -> Vec<String> {
    let b = &facts.binding;
    let way = usize::from(options.outbound);
    let mut out: Vec<String> = Family::BOTH
        .iter()
        .filter_map(|&f| {
            names.lists[f as usize].as_ref().map(|l| format!("{} {l} {}", b.group[f as usize], b.directions[way]))
        })
        .collect();
    if let Some(policy) = &names.policy {
        out.push(format!("{} {} {policy}", b.service, if options.outbound { "output" } else { "input" }));
    }
    out
}

/// Text that removes exactly what was entered, `groups` being the heads of its object groups; where the interface is known it unbinds first.
pub fn undo(facts: &Facts, names: &Names, groups: &[String], options: &Options) -> String {
    let mut out: Vec<String> = Vec::new();
    let bound = bindings(facts, names, options);
    let commit = |out: &mut Vec<String>| {
        if facts.commit {
            out.push("commit".into());
        }
    };
    if let Some(interface) = &options.interface {
        out.push(format!("interface {interface}"));
        out.extend(bound.iter().map(|b| format!(" no {b}")));
        out.push("exit".into());
        // A list that is bound cannot be removed in the same commit on every release.
        commit(&mut out);
    } else if facts.dialect != super::super::Dialect::CiscoIos || names.policy.is_some() {
        out.extend(bound.iter().map(|b| format!("! first, on every interface where it is bound: no {b}")));
    }
    out.extend(names.policy.iter().map(|p| format!("no {} {p}", facts.police.policy)));
    out.extend(names.classes.iter().map(|c| format!("no {} {}", facts.police.class, c.0)));
    out.extend(names.all_lists().iter().map(|(f, l)| format!("no {} {l}", facts.head[*f as usize])));
    out.extend(groups.iter().map(|g| format!("no {g}")));
    commit(&mut out);
    out.join("\n") + "\n"
}

/// What a person does around the text, in order.
pub fn steps(facts: &Facts, names: &Names, options: &Options) -> Vec<String> {
    let interface = options.interface.as_deref().unwrap_or("INTERFACE");
    let show: Vec<String> = facts.binding.show.iter().map(|s| format!("`{}`", s.replace("{if}", interface))).collect();
    let shown = if names.policy.is_some() { show.join(" and ") } else { show.first().cloned().unwrap_or_default() };
    let bind: Vec<String> = bindings(facts, names, options).into_iter().map(|b| format!("`{b}`")).collect();
    let commit = if facts.commit { ", then `commit`" } else { "" };
    vec![
        format!(
            "before binding, read back what is bound with {shown} and keep it: binding replaces it without a question, and \
             what it filtered is then open"
        ),
        format!("bind on `interface {interface}` with {}{commit}", bind.join(", ")),
        format!(
            "before the undo, unbind with {} there and bind again what was read back",
            bind.iter().map(|b| b.replacen('`', "`no ", 1)).collect::<Vec<_>>().join(", ")
        ),
    ]
}
