//! Reasons to refuse in words, for the callers who are refused: a sentence each, in bokmål, nynorsk and English. Where there is
//! nothing to add to the reason, the English ones are the errors' own.

use std::fmt::Write as _;

use super::{Denial, DenialReason, PolicyTrouble};
use crate::call::CallError;
use crate::explain::Language;
use crate::token::TokenError;

/// Puts why, with what is missing, at the end of a text. Every refusal does: nothing is formatted that can be put together.
pub(super) fn push(denial: &Denial, language: Language, text: &mut String) {
    match (denial.reason, &denial.right, denial.party, denial.level_required) {
        (DenialReason::RightMissing, Some(right), Some(party), _) => {
            let [start, on, held_for, end] = language.choose(
                ["Systembrukeren har ikke rettigheten «", "» på «", "» for ", "."],
                ["Systembrukaren har ikkje rettigheita «", "» på «", "» for ", "."],
                ["the system user does not hold `", " on ", "` for ", ""],
            );
            let (action, resource) = (right.action.as_str(), right.resource.as_str());
            text.extend([start, action, on, resource, held_for, party.encode(&mut [0; 9]), end]);
        }
        (DenialReason::PartyNotRepresented, _, Some(party), _) => {
            let [start, end] = language.choose(
                ["Systembrukeren handler ikke på vegne av ", "."],
                ["Systembrukaren handlar ikkje på vegner av ", "."],
                ["the system user does not act for ", ""],
            );
            text.extend([start, party.encode(&mut [0; 9]), end]);
        }
        (DenialReason::ScopeMissing, ..) if !denial.scopes.is_empty() => {
            let start =
                language.choose("Tokenet mangler scope: ", "Tokenet manglar scope: ", "the token lacks a scope: ");
            text.extend([start, &denial.scopes.join(" ")]);
        }
        (DenialReason::AuthenticationLevelTooLow, .., Some(level)) => {
            let [start, end] = language.choose(
                ["Sikkerhetsnivået er for lavt; det kreves nivå ", "."],
                ["Tryggleiksnivået er for lågt; det krevst nivå ", "."],
                ["the authentication level is too low: level ", " is required"],
            );
            text.extend([start, &level.to_string(), end]);
        }
        (reason, ..) => push_reason(reason, language, text),
    }
}

/// The reason alone.
fn push_reason(reason: DenialReason, language: Language, text: &mut String) {
    let (nb, nn) = fixed(reason);
    match language {
        Language::Nb => text.push_str(nb),
        Language::Nn => text.push_str(nn),
        // A text takes whatever is written to it.
        Language::En => write!(text, "{reason}").unwrap_or_default(),
    }
}

/// Bokmål and nynorsk.
fn fixed(reason: DenialReason) -> (&'static str, &'static str) {
    match reason {
        DenialReason::Call(error) => of_call(error),
        DenialReason::Policy(trouble) => of_policy(trouble),
        DenialReason::Token(error) => of_token(error),
        DenialReason::CredentialsRepeated => {
            ("Kallet har mer enn én legitimasjon.", "Kallet har meir enn éin legitimasjon.")
        }
        DenialReason::NoRoute => ("Ingen rute tar imot dette kallet.", "Inga rute tek imot dette kallet."),
        DenialReason::TokenMissing => ("Kallet har ikke noe bearer-token.", "Kallet har ikkje noko bearer-token."),
        DenialReason::AudienceMismatch => {
            ("Tokenet er for en annen mottaker (aud).", "Tokenet er for ein annan mottakar (aud).")
        }
        DenialReason::ScopeMissing => ("Tokenet mangler et scope.", "Tokenet manglar eit scope."),
        DenialReason::CallerNotAllowed => {
            ("Denne typen brukere slipper ikke inn her.", "Denne typen brukarar slepp ikkje inn her.")
        }
        DenialReason::OriginNotAllowed => (
            "Kallet har en informasjonskapsel, men kommer fra en side på et annet nettsted.",
            "Kallet har ein informasjonskapsel, men kjem frå ei side på ein annan nettstad.",
        ),
        DenialReason::PlatformTokenMissing => {
            ("Kallet har ikke noe plattformtoken.", "Kallet har ikkje noko plattformtoken.")
        }
        DenialReason::PlatformTokenInvalid => ("Plattformtokenet er ikke gyldig.", "Plattformtokenet er ikkje gyldig."),
        DenialReason::SystemUserUnknown => ("Systembrukeren er ikke kjent.", "Systembrukaren er ikkje kjend."),
        DenialReason::SystemUserWithdrawn => ("Systembrukeren er trukket tilbake.", "Systembrukaren er trekt tilbake."),
        DenialReason::OwnerMismatch => (
            "Systembrukeren tilhører ikke organisasjonen i tokenet.",
            "Systembrukaren høyrer ikkje til organisasjonen i tokenet.",
        ),
        DenialReason::SystemMismatch => {
            ("Systembrukeren tilhører ikke systemet i tokenet.", "Systembrukaren høyrer ikkje til systemet i tokenet.")
        }
        DenialReason::VendorMismatch => (
            "Systemet tilhører ikke organisasjonen som fikk tokenet.",
            "Systemet høyrer ikkje til organisasjonen som fekk tokenet.",
        ),
        DenialReason::ClientMismatch => {
            ("Maskinporten-klienten tilhører ikke systemet.", "Maskinporten-klienten høyrer ikkje til systemet.")
        }
        DenialReason::PartyMissing => {
            ("Kallet sier ikke hvilken organisasjon det gjelder.", "Kallet seier ikkje kva organisasjon det gjeld.")
        }
        DenialReason::PartyInvalid => (
            "Kallet nevner ikke organisasjonen det gjelder med ett organisasjonsnummer.",
            "Kallet nemner ikkje organisasjonen det gjeld med eitt organisasjonsnummer.",
        ),
        DenialReason::PartyNotRepresented => (
            "Systembrukeren handler ikke på vegne av denne organisasjonen.",
            "Systembrukaren handlar ikkje på vegner av denne organisasjonen.",
        ),
        DenialReason::RightMissing => ("Systembrukeren har ikke rettigheten.", "Systembrukaren har ikkje rettigheita."),
        DenialReason::PartyNotListed => (
            "Organisasjonen det handles for, står ikke på ressursens tilgangsliste.",
            "Organisasjonen det blir handla for, står ikkje på tilgangslista til ressursen.",
        ),
        DenialReason::PolicyDenies => ("Ressursens regler avviser kallet.", "Reglane til ressursen avviser kallet."),
        DenialReason::PolicyIndeterminate => {
            ("Ressursens regler har ikke noe svar på kallet.", "Reglane til ressursen har ikkje noko svar på kallet.")
        }
        DenialReason::AuthenticationLevelTooLow => ("Sikkerhetsnivået er for lavt.", "Tryggleiksnivået er for lågt."),
        DenialReason::ObligationUnknown => {
            ("Reglene krever noe denne gatewayen ikke kan.", "Reglane krev noko denne gatewayen ikkje kan.")
        }
        DenialReason::RemoteDenies => {
            ("Beslutningstjenesten tillater ikke kallet.", "Avgjerdstenesta tillèt ikkje kallet.")
        }
        DenialReason::RemoteUnavailable => {
            ("Beslutningstjenesten svarer ikke. Prøv igjen.", "Avgjerdstenesta svarar ikkje. Prøv igjen.")
        }
    }
}

fn of_call(error: CallError) -> (&'static str, &'static str) {
    match error {
        CallError::Malformed => (
            "Metode, vert eller sti mangler, gjentas, er for lang eller er ikke tekst.",
            "Metode, vert eller sti manglar, blir gjenteken, er for lang eller er ikkje tekst.",
        ),
        CallError::PathAmbiguous => ("Stien kan leses på mer enn én måte.", "Stien kan lesast på meir enn éin måte."),
        CallError::Overridden => (
            "En header ber om en annen metode eller sti enn kallet har.",
            "Ein header ber om ein annan metode eller sti enn kallet har.",
        ),
    }
}

fn of_policy(trouble: PolicyTrouble) -> (&'static str, &'static str) {
    match trouble {
        PolicyTrouble::Missing => ("Gatewayen har ingen regler ennå.", "Gatewayen har ingen reglar enno."),
        PolicyTrouble::Stale => ("Gatewayens regler er for gamle.", "Reglane til gatewayen er for gamle."),
        PolicyTrouble::Expired => ("Gatewayens regler er utløpt.", "Reglane til gatewayen har gått ut."),
    }
}

fn of_token(error: TokenError) -> (&'static str, &'static str) {
    match error {
        TokenError::TooLarge => {
            ("Tokenet er lengre enn 8192 byte.", "Tokenet er lengre enn 8192 byte, og blir ikkje lese.")
        }
        TokenError::Malformed => ("Tokenet er ikke et velformet JWT.", "Tokenet er ikkje eit velforma JWT."),
        TokenError::AlgorithmNotAccepted => {
            ("Tokenets algoritme godtas ikke.", "Algoritmen til tokenet blir ikkje godteken.")
        }
        TokenError::HeaderNotSupported => {
            ("Tokenets header ber om noe som ikke støttes.", "Headeren til tokenet ber om noko som ikkje er støtta.")
        }
        TokenError::KeyMissing => ("Tokenet navngir ingen nøkkel.", "Tokenet namngjev ingen nøkkel."),
        TokenError::IssuerUnknown => ("Tokenets utsteder er ikke klarert.", "Utferdaren av tokenet er ikkje klarert."),
        TokenError::KeyUnknown => {
            ("Tokenets nøkkel er ikke kjent for utstederen.", "Nøkkelen til tokenet er ikkje kjend for utferdaren.")
        }
        TokenError::SignatureInvalid => ("Tokenets signatur er feil.", "Signaturen til tokenet er feil."),
        TokenError::SignatureUnchecked => {
            ("Tokenets signatur kunne ikke kontrolleres.", "Signaturen til tokenet kunne ikkje kontrollerast.")
        }
        TokenError::ClaimInvalid => {
            ("Et claim i tokenet mangler eller har feil type.", "Eit claim i tokenet manglar eller har feil type.")
        }
        TokenError::Expired => ("Tokenet er utløpt.", "Tokenet har gått ut."),
        TokenError::NotYetValid => ("Tokenet er ikke gyldig ennå.", "Tokenet er ikkje gyldig enno."),
        TokenError::LifetimeTooLong => {
            ("Tokenet er gyldig for lenge.", "Tokenet er gyldig for lenge, og blir ikkje godteke.")
        }
        TokenError::Bound => (
            "Tokenet er bundet til en nøkkel og kan ikke brukes som bearer-token.",
            "Tokenet er bunde til ein nøkkel og kan ikkje brukast som bearer-token.",
        ),
        TokenError::AuthorizationDetailsInvalid => (
            "Tokenets authorization_details er ikke nøyaktig én systembruker.",
            "authorization_details i tokenet er ikkje nøyaktig éin systembrukar.",
        ),
        TokenError::CallerAmbiguous => {
            ("Tokenet nevner mer enn én type bruker.", "Tokenet nemner meir enn éin type brukar.")
        }
        TokenError::Revoked => ("Tokenet er trukket tilbake.", "Tokenet er trekt tilbake."),
    }
}
