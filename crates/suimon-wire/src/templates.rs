//! Template sets and options template sets (RFC 3954 §5.2 and §6.1, RFC 7011 §3.4).

use crate::DecodeError;
use crate::cursor::Cursor;
use crate::elements::Field;
use crate::exporter::{Stored, TemplateKey};
use crate::plan::Plan;
use crate::session::Session;
use crate::summary::Version;

/// The set id of IPFIX templates, which also withdraws them all (RFC 7011 §8.1).
const IPFIX_TEMPLATES: u16 = 2;
/// The set id of IPFIX options templates.
const IPFIX_OPTIONS: u16 = 3;

/// Reads all templates of a set. Those before an error are kept.
pub(crate) fn read_set(session: &mut Session<'_>, mut cursor: Cursor<'_>, options: bool) -> Result<(), DecodeError> {
    let version = session.context.version;
    while cursor.remaining() >= 4 {
        let start = cursor.offset();
        let whole = cursor.rest();
        let id = cursor.u16()?;
        let count = cursor.u16()?;
        if id == 0 {
            return Ok(()); // padding
        }
        if version == Version::Ipfix && count == 0 {
            withdraw(session, id, options);
            continue;
        }
        if id < 256 {
            return Err(DecodeError::ReservedId { offset: start, id });
        }
        let mut fields = std::mem::take(&mut session.scratch.fields);
        fields.clear();
        let read = read_fields(session, &mut cursor, id, count, options, &mut fields);
        let spec = &whole[..cursor.offset() - start];
        let kept = read.and_then(|()| keep(session, start, id, options, spec, &fields));
        session.scratch.fields = fields;
        kept?;
    }
    Ok(())
}

fn read_fields(
    session: &Session<'_>,
    cursor: &mut Cursor<'_>,
    id: u16,
    count: u16,
    options: bool,
    fields: &mut Vec<Field>,
) -> Result<(), DecodeError> {
    let offset = cursor.offset();
    let version = session.context.version;
    let (scopes, total) = match (version, options) {
        (_, false) => (0, usize::from(count)),
        // v9 gives octets of scope and of option specifiers, each of four octets.
        (Version::V9, true) => {
            let option_len = cursor.u16()?;
            if !count.is_multiple_of(4) || !option_len.is_multiple_of(4) {
                let length = usize::from(if count.is_multiple_of(4) { option_len } else { count });
                return Err(DecodeError::BadLength { offset, what: "options template", length });
            }
            (usize::from(count / 4), usize::from(count / 4) + usize::from(option_len / 4))
        }
        (_, true) => {
            let scopes = usize::from(cursor.u16()?);
            if scopes > usize::from(count) {
                return Err(DecodeError::BadCount { offset, what: "scope field", count: scopes });
            }
            (scopes, usize::from(count))
        }
    };
    let limit = session.limits.fields_per_template;
    if total > limit {
        return Err(DecodeError::TooManyFields { offset, id, fields: total, limit });
    }
    if total * 4 > cursor.remaining() {
        return Err(DecodeError::Truncated { offset, needed: total * 4, available: cursor.remaining() });
    }
    for i in 0..total {
        let raw = cursor.u16()?;
        let len = cursor.u16()?;
        // RFC 7011 §3.2: the top bit announces an enterprise number. v9 has no such thing and uses ids ≥ 32768 freely.
        let enterprise = version == Version::Ipfix && raw & 0x8000 != 0;
        if enterprise {
            cursor.u32()?;
        }
        let id = if enterprise { raw & 0x7fff } else { raw };
        fields.push(Field { id, len, enterprise, scope: i < scopes });
    }
    Ok(())
}

fn keep(
    session: &mut Session<'_>,
    offset: usize,
    id: u16,
    options: bool,
    spec: &[u8],
    fields: &[Field],
) -> Result<(), DecodeError> {
    let version = session.context.version;
    let key = TemplateKey::new(version, id);
    if session.exporter.knows(key, options, spec) {
        return Ok(());
    }
    let plan = Plan::compile(version, options, spec, fields);
    match session.exporter.store(key, plan, session.limits, session.totals) {
        Stored::New => {}
        Stored::Changed => session.exporter.counters.template_changes += 1,
        Stored::Refused => {
            session.exporter.counters.templates_refused += 1;
            return Err(DecodeError::TooManyTemplates { offset, id });
        }
    }
    session.summary.learned = true;
    Ok(())
}

fn withdraw(session: &mut Session<'_>, id: u16, options: bool) {
    let gone = match id {
        IPFIX_TEMPLATES if !options => session.exporter.withdraw_all(false, session.totals),
        IPFIX_OPTIONS if options => session.exporter.withdraw_all(true, session.totals),
        _ => {
            let key = TemplateKey::new(Version::Ipfix, id);
            session.exporter.withdraw(|k, _| k == key, session.totals)
        }
    };
    session.exporter.counters.templates_withdrawn += gone;
    session.summary.learned |= gone > 0;
}
