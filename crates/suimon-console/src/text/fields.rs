//! The fields of the tables. A text that one language lacks does not compile.

macro_rules! texts {
    ($($field:ident),+ $(,)?) => {
        /// Every fixed text of the pages.
        #[derive(Debug)]
        pub(crate) struct Texts {
            $(pub $field: &'static str,)+
        }

        #[cfg(test)]
        impl Texts {
            /// All of them with their names.
            pub(crate) fn entries(&self) -> Vec<(&'static str, &'static str)> {
                vec![$((stringify!($field), self.$field),)+]
            }
        }
    };
}

texts!(
    skip, nav, exercise, exercise_short, now, attacks, attack, cases, case, measures, measure, ledger,
    signed_in_as, sign_in, sign_out, all_times, link_is_for, link_is_spent, how_to_sign_in, open_again, back,
    net_nothing, net_some, pause, resume, ledger_waits, proposed_by, approved_by, applied, end, no_effect_yet,
    release_all, release_all_means, waiting_for_approval, attacks_running, no_attacks_running, cases_open,
    no_cases_open, collection, collection_none, collection_runs, attack_arriving, attack_passing, other_passing,
    quiet_for, drops_unseen, number, target, targets, vectors, vector, peak, current, started, detected, ended,
    still_running, title, customer, phase, opened, status, what, sources, spoofed, spoof_reasons, sampling,
    sampling_words, sampling_assumed, fired, rule, value, threshold, window, top_sources, top_src_ports,
    top_dst_ports, top_flags, top_sizes, top_ingress, nothing_yet, older, newer, open_case, report, no_measures,
    no_requests, requests, withdrawn, requester, authority, authority_ask, authority_order, authority_lift,
    authority_disclose, authority_none, channel, telephone, mail, portal, taken, scope, callback, callback_none,
    record_callback, registered_number, callback_result, confirmed, not_confirmed, what_was_said,
    withdraw_request, withdraw_releases, their_words, take_request, words_verbatim, company, contact, service,
    scope_hint, asks_investigation, asks_blocking, add_note, note, notes, close_case, host_check, propose,
    end_quiet_15m, end_quiet_1h, end_1h, end_12h, end_next_business_day, end_by_hand, end_other, dialect, hand,
    usual, reason, by_written_request, written_request, claims, claims_hint, plant_impaired, protects, malice,
    malice_evidence, unknown, yes, no, alternatives_tried, harm_balance, wider_because, wider_summary,
    loss_accepted, infringement, infringement_acquire, infringement_use, infringement_disclose,
    infringement_none, expected, release_asked, released, links, effect, why_lawful, why_not, basis, policies,
    lapses, citations, obligations, missing, milder, pack, alternatives, tradeoff, does_not_separate, means,
    attack_dropped, legitimate_dropped, connections_dropped, lines, chosen, cannot, text_to_enter, undo, proof,
    proof_exact, proof_inexact, figures, questions, your_decision, second_person, which_way, as_proposed,
    approve, reject, record_applied, place, device_said, release, record_released, how_checked, ledger_head,
    events, event, time, who, none, act_police, act_acl, act_null_route, act_rtbh, act_flowspec,
    basis_consent_individual, basis_consent_terms, basis_business, basis_defence, basis_necessity, basis_law,
    lapse_attack_ends, lapse_withdrawn, lapse_impairment_ends, lapse_opt_out, lapse_review, lapse_end_stated,
    route_counsel, route_ask_customer, next_proposed, next_applying_manual, next_releasing_manual, next_denied,
    release_due, release_quiet, release_lapsed, release_by_hand, release_reconciled, not_signed_in, problem_bad,
    problem_forbidden, problem_denied, problem_not_found, problem_conflict, problem_ledger, problem_other,
    stale_form, seconds, minutes, hours,
);
