//! Reasons in words, for people: one sentence each, in nb, nn and en.

use super::{Language, Reason, RuleReference};

/// The reason in this language.
pub(super) fn of(reason: &Reason, language: Language) -> String {
    let say = |nb: String, nn: String, en: String| language.choose(nb, nn, en);
    let fixed = |nb: &str, nn: &str, en: &str| say(nb.to_owned(), nn.to_owned(), en.to_owned());
    match reason {
        Reason::GrantedByPackage { package, rule } => {
            let place = place(rule.as_ref(), language);
            say(
                format!("Tilgangspakken «{package}» gir rettigheten{place}."),
                format!("Tilgangspakken «{package}» gjev rettigheita{place}."),
                format!("The access package `{package}` gives the right{place}."),
            )
        }
        Reason::GrantedByDelegation { rule } => {
            let place = place(rule.as_ref(), language);
            say(
                format!("Rettigheten er delegert direkte til systembrukeren{place}."),
                format!("Rettigheita er delegert direkte til systembrukaren{place}."),
                format!("The right was delegated to the system user directly{place}."),
            )
        }
        Reason::GrantedByPolicy { policy } => {
            let place = place(policy.as_ref(), language);
            say(
                format!("Ressursens regler gir rettigheten som helhet{place}."),
                format!("Reglane til ressursen gjev rettigheita som heilskap{place}."),
                format!("The resource's policy as a whole gives the right{place}."),
            )
        }
        Reason::PolicyUnusable { trouble } => say(
            format!("Ingen regler kan brukes: {trouble}."),
            format!("Ingen reglar kan brukast: {trouble}."),
            format!("No policy can be used: {trouble}."),
        ),
        Reason::SystemUserUnknown => fixed(
            "Systembrukeren finnes ikke, eller har ikke noe hos denne tjenesten.",
            "Systembrukaren finst ikkje, eller har ikkje noko hjå denne tenesta.",
            "The system user does not exist, or holds nothing at this service.",
        ),
        Reason::SystemUserWithdrawn => fixed(
            "Systembrukeren er trukket tilbake.",
            "Systembrukaren er trekt tilbake.",
            "The system user was withdrawn.",
        ),
        Reason::PartyNotRepresented => fixed(
            "Systembrukeren handler ikke på vegne av denne organisasjonen.",
            "Systembrukaren handlar ikkje på vegner av denne organisasjonen.",
            "The system user does not act for this organization.",
        ),
        Reason::ResourceUnknown => fixed(
            "Ressursen finnes ikke hos denne tjenesten.",
            "Ressursen finst ikkje hjå denne tenesta.",
            "The resource is not one of this service.",
        ),
        Reason::ActionUnknown { actions } => {
            let actions = list(actions);
            say(
                format!("Ingen regel gjelder handlingen; ressursen har {actions}."),
                format!("Ingen regel gjeld handlinga; ressursen har {actions}."),
                format!("No rule is about the action; the resource has {actions}."),
            )
        }
        Reason::HoldsOtherActions { package: Some(package), actions } => {
            let actions = list(actions);
            say(
                format!(
                    "Systembrukeren har tilgangspakken «{package}» for organisasjonen. Den gir {actions}, ikke dette."
                ),
                format!(
                    "Systembrukaren har tilgangspakken «{package}» for organisasjonen. Han gjev {actions}, ikkje dette."
                ),
                format!(
                    "The system user holds the access package `{package}` for the organization. It gives {actions}, not this."
                ),
            )
        }
        Reason::HoldsOtherActions { package: None, actions } => {
            let actions = list(actions);
            say(
                format!("Systembrukeren er delegert {actions} for organisasjonen, ikke dette."),
                format!("Systembrukaren er delegert {actions} for organisasjonen, ikkje dette."),
                format!("The system user was delegated {actions} for the organization, not this."),
            )
        }
        Reason::HoldsForOtherParties { parties, count } => {
            let parties = list(parties);
            say(
                format!("Systembrukeren har rettigheten for {count} andre organisasjoner, blant dem {parties}."),
                format!("Systembrukaren har rettigheita for {count} andre organisasjonar, mellom dei {parties}."),
                format!("The system user holds the right for {count} other organizations, among them {parties}."),
            )
        }
        Reason::WouldBeGrantedBy { packages } if packages.is_empty() => fixed(
            "Rettigheten kan bare gis ved å delegere den direkte.",
            "Rettigheita kan berre gjevast ved å delegere ho direkte.",
            "The right can only be given by delegating it directly.",
        ),
        Reason::WouldBeGrantedBy { packages } => {
            let packages = list(packages);
            say(
                format!("Rettigheten følger med tilgangspakkene {packages}, eller kan delegeres direkte."),
                format!("Rettigheita følgjer med tilgangspakkane {packages}, eller kan delegerast direkte."),
                format!("The right comes with the access packages {packages}, or can be delegated directly."),
            )
        }
        Reason::AuthenticationLevelTooLow { required, present } => say(
            format!("Sikkerhetsnivå {required} kreves, tokenet har {present}."),
            format!("Tryggingsnivå {required} krevst, tokenet har {present}."),
            format!("Authentication level {required} is required, the token has {present}."),
        ),
        Reason::ObligationUnknown => fixed(
            "Reglene krever noe som ikke kan oppfylles her.",
            "Reglane krev noko som ikkje kan oppfyllast her.",
            "The policy demands something that cannot be done here.",
        ),
        Reason::PartyNotListed => fixed(
            "Organisasjonen står ikke på ressursens tilgangsliste.",
            "Organisasjonen står ikkje på tilgangslista til ressursen.",
            "The organization is not on the resource's access list.",
        ),
        Reason::PolicyDenies { policy } => {
            let place = place(policy.as_ref(), language);
            say(
                format!("Ressursens regler avslår{place}."),
                format!("Reglane til ressursen avslår{place}."),
                format!("The resource's policy denies{place}."),
            )
        }
        Reason::PolicyIndeterminate { policy } => {
            let place = place(policy.as_ref(), language);
            say(
                format!("Ressursens regler gir ikke noe svar{place}."),
                format!("Reglane til ressursen gjev ikkje noko svar{place}."),
                format!("The resource's policy has no answer{place}."),
            )
        }
    }
}

/// ` (policy, version, rule, line)`.
fn place(rule: Option<&RuleReference>, language: Language) -> String {
    let Some(RuleReference { policy, policy_version, rule, line }) = rule else { return String::new() };
    let (version_word, rule_word, line_word) = match language {
        Language::Nb | Language::Nn => ("versjon", "regel", "linje"),
        Language::En => ("version", "rule", "line"),
    };
    let mut place = format!(" ({policy}, {version_word} {policy_version}");
    if let Some(rule) = rule {
        place.push_str(&format!(", {rule_word} {rule}"));
    }
    if let Some(line) = line {
        place.push_str(&format!(", {line_word} {line}"));
    }
    place.push(')');
    place
}

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
