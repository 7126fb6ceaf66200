//! The only module that knows Cedar: reads schema and policies, and asks them.

use crate::act::Act;
use crate::error::PackError;
use cedar_policy::{
    Authorizer, Context, Effect, Entities, EntityId, EntityTypeName, EntityUid, Policy, PolicyId, PolicySet, Request,
    RestrictedExpression, Schema, SchemaFragment, ValidationMode, Validator,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr as _;

/// The schema's file name.
pub(crate) const SCHEMA_FILE: &str = "schema.cedarschema";
/// The policies' file name.
pub(crate) const POLICIES_FILE: &str = "policies.cedar";
/// The namespace of every schema.
const NAMESPACE: &str = "Suimon";
/// The common type that holds the findings.
const FINDINGS_TYPE: &str = "Findings";

/// Schema and policies, checked against each other.
pub(crate) struct Rules {
    schema: Schema,
    policies: PolicySet,
    actions: Entities,
    person: EntityTypeName,
    measure: EntityTypeName,
    action: EntityTypeName,
    /// The findings that the schema declares.
    pub(crate) declared: BTreeSet<String>,
    /// Every policy.
    pub(crate) index: Vec<PolicyInfo>,
}

/// One policy's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PolicyInfo {
    /// `@id`.
    pub(crate) id: String,
    /// `@case`: a case for a permit, a prohibition for a forbid.
    pub(crate) case: String,
    /// Permit, or forbid.
    pub(crate) permits: bool,
}

impl fmt::Debug for Rules {
    /// The names alone: Cedar's own form of a pack runs to pages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").field("index", &self.index).finish_non_exhaustive()
    }
}

/// What the policies answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Some permit holds and no forbid does.
    pub(crate) allowed: bool,
    /// The policies that decided: the permits that hold, or the forbids that fired.
    pub(crate) policies: BTreeSet<String>,
}

/// Line and column of a Cedar error: that of its first label.
fn cedar_error(file: &str, text: &str, error: &(impl miette::Diagnostic + ?Sized)) -> PackError {
    let mut message = error.to_string();
    if let Some(help) = error.help() {
        message = format!("{message} ({help})");
    }
    let offset = error.labels().and_then(|mut labels| labels.next()).map(|label| label.offset());
    match offset {
        Some(offset) => PackError::at(file, text, offset, message),
        None => PackError::whole(file, message),
    }
}

impl Rules {
    /// Reads and checks both files, strictly.
    pub(crate) fn load(schema_text: &str, policy_text: &str) -> Result<Rules, PackError> {
        let (fragment, _) =
            SchemaFragment::from_cedarschema_str(schema_text).map_err(|e| cedar_error(SCHEMA_FILE, schema_text, &e))?;
        let (schema, warnings) =
            Schema::from_cedarschema_str(schema_text).map_err(|e| cedar_error(SCHEMA_FILE, schema_text, &e))?;
        if let Some(warning) = warnings.into_iter().next() {
            return Err(cedar_error(SCHEMA_FILE, schema_text, &warning));
        }
        let declared = declared_findings(fragment, schema_text)?;
        let parsed = PolicySet::from_str(policy_text).map_err(|e| cedar_error(POLICIES_FILE, policy_text, &e))?;
        if parsed.templates().next().is_some() {
            return Err(PackError::whole(POLICIES_FILE, "policy templates are not used in packs"));
        }
        let (policies, index) = name_policies(&parsed, policy_text)?;
        let validation = Validator::new(schema.clone()).validate(&policies, ValidationMode::Strict);
        if let Some(error) = validation.validation_errors().next() {
            return Err(cedar_error(POLICIES_FILE, policy_text, error));
        }
        if let Some(warning) = validation.validation_warnings().next() {
            return Err(cedar_error(POLICIES_FILE, policy_text, warning));
        }
        let actions = schema.action_entities().map_err(|e| cedar_error(SCHEMA_FILE, schema_text, &e))?;
        let name = |last: &str| {
            EntityTypeName::from_str(&format!("{NAMESPACE}::{last}"))
                .map_err(|e| PackError::whole(SCHEMA_FILE, e.to_string()))
        };
        let (person, measure, action) = (name("Person")?, name("Measure")?, name("Action")?);
        Ok(Rules { schema, policies, actions, person, measure, action, declared, index })
    }

    /// Asks the policies. `findings` may hold more than the schema declares.
    pub(crate) fn ask(&self, act: Act, who: &str, findings: &BTreeMap<&str, bool>) -> Result<Answer, PackError> {
        let uid = |kind: &EntityTypeName, id: &str| EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id));
        let declared = findings.iter().filter(|(name, _)| self.declared.contains(**name));
        let pairs = declared.map(|(name, value)| ((*name).to_owned(), RestrictedExpression::new_bool(*value)));
        let context = Context::from_pairs(pairs).map_err(|e| PackError::whole(SCHEMA_FILE, e.to_string()))?;
        let request = Request::new(
            uid(&self.person, who),
            uid(&self.action, act.name()),
            uid(&self.measure, "measure"),
            context,
            Some(&self.schema),
        )
        .map_err(|e| PackError::whole(SCHEMA_FILE, e.to_string()))?;
        let response = Authorizer::new().is_authorized(&request, &self.policies, &self.actions);
        if let Some(error) = response.diagnostics().errors().next() {
            return Err(PackError::whole(POLICIES_FILE, error.to_string()));
        }
        Ok(Answer {
            allowed: response.decision() == cedar_policy::Decision::Allow,
            policies: response.diagnostics().reason().map(ToString::to_string).collect(),
        })
    }
}

/// The attributes of `Suimon::Findings`; all of them must be `Bool`.
fn declared_findings(fragment: SchemaFragment, text: &str) -> Result<BTreeSet<String>, PackError> {
    let json = fragment.to_json_value().map_err(|e| cedar_error(SCHEMA_FILE, text, &e))?;
    let attributes = json
        .get(NAMESPACE)
        .and_then(|n| n.get("commonTypes"))
        .and_then(|t| t.get(FINDINGS_TYPE))
        .and_then(|f| f.get("attributes"))
        .and_then(serde_json::Value::as_object)
        .ok_or_else(|| {
            PackError::whole(SCHEMA_FILE, format!("`namespace {NAMESPACE}` must declare `type {FINDINGS_TYPE}`"))
        })?;
    for (name, kind) in attributes {
        let bool_named = ["name", "type"].iter().any(|k| {
            kind.get(*k)
                .and_then(serde_json::Value::as_str)
                .is_some_and(|t| t.eq_ignore_ascii_case("bool") || t == "Boolean")
        });
        if !bool_named || kind.get("required") == Some(&serde_json::Value::Bool(false)) {
            return Err(at_word(SCHEMA_FILE, text, name, format!("finding `{name}` must be a required Bool")));
        }
    }
    Ok(attributes.keys().cloned().collect())
}

/// An error at the first occurrence of `word`.
pub(crate) fn at_word(file: &str, text: &str, word: &str, message: String) -> PackError {
    match text.find(word) {
        Some(offset) => PackError::at(file, text, offset, message),
        None => PackError::whole(file, message),
    }
}

/// Names each policy by its `@id`; both annotations are needed, and ids are unique.
fn name_policies(parsed: &PolicySet, text: &str) -> Result<(PolicySet, Vec<PolicyInfo>), PackError> {
    let mut policies = PolicySet::new();
    let mut index = Vec::new();
    for policy in parsed.policies() {
        let annotation = |key: &str| policy.annotation(key).map(str::trim).filter(|v| !v.is_empty());
        let (Some(id), Some(case)) = (annotation("id"), annotation("case")) else {
            return Err(unnamed(policy, text));
        };
        let (id, case) = (id.to_owned(), case.to_owned());
        policies
            .add(policy.new_id(PolicyId::new(&id)))
            .map_err(|_| PackError::about(POLICIES_FILE, text, &id, format!("policy id `{id}` is used twice")))?;
        index.push(PolicyInfo { id, case, permits: policy.effect() == Effect::Permit });
    }
    Ok((policies, index))
}

fn unnamed(policy: &Policy, text: &str) -> PackError {
    let source = policy.to_string();
    let first = source.lines().next().unwrap_or_default();
    at_word(POLICIES_FILE, text, first, "every policy needs @id(\"…\") and @case(\"…\")".to_owned())
}
