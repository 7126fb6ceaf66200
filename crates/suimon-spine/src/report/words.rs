//! The words of the report, one table a language.

use super::Lang;
use suimon_base::Authority;
use suimon_base::case::Phase;
use suimon_base::measure::Status;

macro_rules! words {
    ($($field:ident),+ $(,)?) => {
        /// Every fixed text of the report.
        pub(super) struct Words {
            pub lang: Lang,
            $(pub $field: &'static str,)+
        }
    };
}

words!(
    report,
    exercise,
    customer,
    none,
    opened,
    phase,
    attack,
    target,
    vector,
    started,
    detected,
    ended,
    still,
    peak,
    sources,
    spoofed,
    evidence,
    request,
    words,
    who,
    authority,
    taken,
    callback,
    confirmed,
    not_confirmed,
    scope,
    withdrawn,
    measure,
    act,
    infringement,
    basis,
    proposed,
    approved,
    applied,
    end,
    expected,
    reason,
    proof,
    exact,
    inexact,
    chosen,
    alternative,
    effect_first,
    effect_last,
    release,
    released,
    in_force,
    seconds,
    error,
    necessity,
    necessary,
    necessity_by_request,
    adequacy,
    adequacy_unmeasured,
    notes,
    now,
    left,
    nothing_left,
    unknown,
    attack_dropped,
    legitimate_dropped,
    connections_dropped,
    release_due,
    release_quiet,
    release_lapsed,
    release_by_hand,
    release_reconciled,
    release_task,
    release_probed,
    notice_due,
    told_before,
    told_after,
    probe,
    probe_present,
    probe_absent,
    probe_unclear,
    packets_passed,
    renewed,
    renewal_waits,
    access_asked,
    access_ok,
    access_not_ok,
    flows_after,
    followed_by,
    proposed_release,
    drops_unseen,
);

static JA: Words = Words {
    lang: Lang::Ja,
    report: "事後報告（必要性・妥当性）",
    exercise: "※ これは訓練の記録です。",
    customer: "お客様",
    none: "なし",
    opened: "受付",
    phase: "段階",
    attack: "攻撃",
    target: "宛先",
    vector: "種類（最大）",
    started: "開始",
    detected: "検知",
    ended: "終了",
    still: "継続中",
    peak: "最大",
    sources: "送信元数（推定）",
    spoofed: "詐称の可能性",
    evidence: "根拠となる観測",
    request: "依頼",
    words: "依頼の文面（原文のまま）",
    who: "依頼者",
    authority: "権限",
    taken: "受付日時・受付者",
    callback: "折り返し確認",
    confirmed: "確認済み",
    not_confirmed: "確認できず",
    scope: "範囲",
    withdrawn: "取り下げ",
    measure: "措置",
    act: "行為",
    infringement: "通信の秘密との関係",
    basis: "根拠（違法性阻却事由）",
    proposed: "提案",
    approved: "承認",
    applied: "適用",
    end: "終了条件",
    expected: "事前に見込んだ効果",
    reason: "提案の理由",
    proof: "設定の検証",
    exact: "依頼と完全に一致（過不足なし）",
    inexact: "依頼と一致しません",
    chosen: "選んだ手段",
    alternative: "検討した手段",
    effect_first: "適用直後の効果",
    effect_last: "終了前の効果",
    release: "解除の理由",
    released: "解除の完了と確認",
    in_force: "適用していた時間",
    seconds: "秒",
    error: "記録された問題",
    necessity: "必要性",
    necessary: "適用の時点で攻撃が続いており、措置が必要でした。",
    necessity_by_request: "お客様の依頼に基づく措置です。適用の時点で攻撃の継続は観測されていません。",
    adequacy: "妥当性",
    adequacy_unmeasured: "効果は測定されていません。",
    notes: "記録",
    now: "現在",
    left: "適用中の措置",
    nothing_left: "ありません。通信はすべて通しています。",
    unknown: "不明",
    attack_dropped: "攻撃の遮断",
    legitimate_dropped: "正当な通信の遮断",
    connections_dropped: "新しい接続の遮断",
    release_due: "期限に達したため",
    release_quiet: "攻撃が見られなくなったため。静穏の測定値",
    release_lapsed: "根拠がなくなったため",
    release_by_hand: "担当者の判断",
    release_reconciled: "記録と機器の状態を照合した結果",
    release_task: "お客様側の対策が済んだため",
    release_probed: "一時的に{n}秒間開け、攻撃が来ていないことを確かめたため",
    notice_due: "解除の予告",
    told_before: "事前連絡",
    told_after: "事後連絡",
    probe: "試しの開放",
    probe_present: "攻撃は続いていました",
    probe_absent: "攻撃は見られませんでした",
    probe_unclear: "判断できませんでした",
    packets_passed: "通過した攻撃パケット",
    renewed: "延長",
    renewal_waits: "延長の承認待ち",
    access_asked: "接続確認のお願い",
    access_ok: "お客様側の確認: 問題なし",
    access_not_ok: "お客様側の確認: 問題あり",
    flows_after: "解除後に届いている通信",
    followed_by: "次の措置",
    proposed_release: "解除の提案",
    drops_unseen: "破棄した通信が機器から通知されないため、測定できません",
};

static EN: Words = Words {
    lang: Lang::En,
    report: "After-the-fact report (necessity and adequacy)",
    exercise: "This is the record of an exercise.",
    customer: "customer",
    none: "none",
    opened: "opened",
    phase: "phase",
    attack: "Attack",
    target: "target",
    vector: "vector (peak)",
    started: "started",
    detected: "detected",
    ended: "ended",
    still: "still running",
    peak: "peak",
    sources: "sources (estimate)",
    spoofed: "likely spoofed:",
    evidence: "evidence",
    request: "Request",
    words: "words, verbatim",
    who: "who asked",
    authority: "authority",
    taken: "taken down",
    callback: "call-back",
    confirmed: "confirmed",
    not_confirmed: "not confirmed",
    scope: "scope",
    withdrawn: "withdrawn",
    measure: "Measure",
    act: "act",
    infringement: "secrecy of communications",
    basis: "lawful basis",
    proposed: "proposed",
    approved: "approved",
    applied: "applied",
    end: "ends",
    expected: "effect expected beforehand",
    reason: "proposer's reason",
    proof: "proof",
    exact: "the text matches exactly what was asked, nothing missing, nothing extra",
    inexact: "the text does NOT match what was asked",
    chosen: "chosen",
    alternative: "considered",
    effect_first: "effect soon after application",
    effect_last: "effect at the end",
    release: "why it ended",
    released: "gone, and how that was checked",
    in_force: "time in force",
    seconds: "s",
    error: "trouble on record",
    necessity: "necessity",
    necessary: "The attack was under way when the measure was applied.",
    necessity_by_request: "Applied at the customer's request; no attack was seen under way at that moment.",
    adequacy: "adequacy",
    adequacy_unmeasured: "The effect was not measured.",
    notes: "Notes",
    now: "Now",
    left: "measures in the network",
    nothing_left: "none; everything is carried",
    unknown: "unknown",
    attack_dropped: "attack dropped",
    legitimate_dropped: "legitimate dropped",
    connections_dropped: "new connections dropped",
    release_due: "its time was over",
    release_quiet: "the attack went quiet; measured quiet",
    release_lapsed: "its basis lapsed",
    release_by_hand: "a person decided",
    release_reconciled: "record and network were compared",
    release_task: "the counter-measure was done",
    release_probed: "a trial opening of {n} s did not find the attack",
    notice_due: "release announced to",
    told_before: "told before",
    told_after: "told after",
    probe: "trial opening",
    probe_present: "the attack was still there",
    probe_absent: "the attack was not seen",
    probe_unclear: "it told nothing",
    packets_passed: "attack packets that passed",
    renewed: "renewed",
    renewal_waits: "renewal waits for approval",
    access_asked: "asked to check access",
    access_ok: "checked by the customer: fine",
    access_not_ok: "checked by the customer: not fine",
    flows_after: "arriving after the release",
    followed_by: "followed by",
    proposed_release: "release proposed",
    drops_unseen: "not measured: no router exports what it drops",
};

impl Words {
    pub(super) fn of(lang: Lang) -> &'static Words {
        match lang {
            Lang::Ja => &JA,
            Lang::En => &EN,
        }
    }

    pub(super) fn phase_name(&self, phase: Phase) -> String {
        match self.lang {
            Lang::Ja => phase.ja().to_owned(),
            Lang::En => phase.to_string(),
        }
    }

    pub(super) fn status_name(&self, status: Status) -> String {
        match self.lang {
            Lang::Ja => status.ja().to_owned(),
            Lang::En => status.to_string(),
        }
    }

    pub(super) fn authority_name(&self, authority: Authority) -> &'static str {
        match (self.lang, authority) {
            (Lang::Ja, Authority::Ask) => "依頼できる",
            (Lang::Ja, Authority::Order) => "指示できる",
            (Lang::Ja, Authority::Lift) => "解除を求められる",
            (Lang::Ja, Authority::Disclose) => "開示を受けられる",
            (Lang::En, Authority::Ask) => "may ask",
            (Lang::En, Authority::Order) => "may order",
            (Lang::En, Authority::Lift) => "may have lifted",
            (Lang::En, Authority::Disclose) => "may receive disclosure",
        }
    }

    pub(super) fn infringement_name<'a>(&self, name: &'a str) -> &'a str {
        match (self.lang, name) {
            (Lang::Ja, "acquire") => "知得",
            (Lang::Ja, "use") => "窃用",
            (Lang::Ja, "disclose") => "漏えい",
            (Lang::Ja, "none") => "なし",
            _ => name,
        }
    }

    pub(super) fn adequacy_figures(&self, alike_passed: f64, other_passed: f64, lines: u64) -> String {
        let (a, o) = (alike_passed * 100.0, other_passed * 100.0);
        match self.lang {
            Lang::Ja => {
                format!(
                    "適用後に通ったのは、攻撃と同じ特徴の通信の{a:.2}%、それ以外の通信の{o:.2}%でした。設定は{lines}行です。"
                )
            }
            Lang::En => format!(
                "Afterwards {a:.2} % of the packets that look like the attack passed, and {o:.2} % of all others; lines in the filter: {lines}."
            ),
        }
    }

    pub(super) fn adequacy_trade_off(&self, lost: f64) -> String {
        let lost = lost * 100.0;
        match self.lang {
            Lang::Ja => {
                format!("正当な通信にも同じ特徴のものがあり、新しい接続の約{lost:.1}%が失われると見込んで選びました。")
            }
            Lang::En => format!(
                " Legitimate packets look like it too: about {lost:.1} % of new connections were expected to be lost, and the way was chosen knowing that."
            ),
        }
    }

    pub(super) fn effect_figures(&self, arriving_pps: f64, attack_passed: f64, other_passed: f64) -> String {
        let (a, o) = (attack_passed * 100.0, other_passed * 100.0);
        match self.lang {
            Lang::Ja => {
                format!("攻撃と同じ特徴の通信 {arriving_pps:.0} pps が到着し、{a:.2}% が通過。その他は {o:.2}% が通過")
            }
            Lang::En => format!(
                "{arriving_pps:.0} pps that look like the attack arrive, {a:.2} % pass; of all others {o:.2} % pass"
            ),
        }
    }
}
