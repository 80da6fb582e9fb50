//! The page on which a person chooses a provider, where there are several. No scripts.

use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use url::form_urlencoded::byte_serialize;

use super::PATH;
use super::provider::Provider;

const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn of<'a>(providers: impl Iterator<Item = &'a Provider>, return_to: &str) -> Response {
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
    let page = format!(
        "<!DOCTYPE html><html lang=\"nb\"><head><meta charset=\"utf-8\"><title>Logg inn</title></head>\
         <body><h1>Logg inn</h1><ul>{links}</ul></body></html>"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, page).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_text() {
        assert_eq!(escaped("<b title='x'>&\"</b>"), "&lt;b title=&#39;x&#39;&gt;&amp;&quot;&lt;/b&gt;");
    }
}
