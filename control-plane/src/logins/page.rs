//! The page on which a person chooses a provider, where there are several. No scripts.

use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use policies::explain::Language;
use url::form_urlencoded::byte_serialize;

use super::PATH;
use super::provider::Provider;

const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn of<'a>(providers: impl Iterator<Item = &'a Provider>, return_to: &str, language: Language) -> Response {
    let query = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let links: String = providers
        .map(|provider| {
            let (name, goto) = (query(&provider.config.name), query(return_to));
            format!(
                "<li><a href=\"{PATH}?provider={name}&amp;goto={goto}\">{}</a></li>",
                escaped(&provider.config.title)
            )
        })
        .collect();
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, html(&links, language)).into_response()
}

fn html(links: &str, language: Language) -> String {
    let (title, choice) = match language {
        Language::Nb => ("Logg inn", "Velg hvordan du vil logge inn"),
        Language::Nn => ("Logg inn", "Vel korleis du vil logge inn"),
        Language::En => ("Log in", "Choose how to log in"),
    };
    format!(
        "<!DOCTYPE html><html lang=\"{}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title></head>\
         <body><main><h1>{title}</h1><p>{choice}:</p><ul>{links}</ul></main></body></html>",
        language.tag()
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_in_the_persons_language() {
        for (accepted, tag, words) in [
            ("nb-NO,nb;q=0.9", "nb", "Velg hvordan"),
            ("nn", "nn", "Vel korleis"),
            ("en-GB", "en", "Choose how"),
            ("", "en", "Choose how"),
        ] {
            let page = html("<li>x</li>", Language::of_header(accepted));
            assert!(page.contains(&format!("<html lang=\"{tag}\">")) && page.contains(words), "{accepted}: {page}");
            assert!(page.contains("<ul><li>x</li></ul>"), "{page}");
        }
    }

    #[test]
    fn titles_are_text() {
        assert_eq!(escaped("<b title='x'>&\"</b>"), "&lt;b title=&#39;x&#39;&gt;&amp;&quot;&lt;/b&gt;");
    }
}
