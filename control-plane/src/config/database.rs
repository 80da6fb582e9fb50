//! Where the data is. A URL may hold a password, so nothing here shows one.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

/// A SQLite file, or a PostgreSQL database that several control planes may share.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Database {
    /// The SQLite file.
    File(PathBuf),
    /// `postgres://user:password@host:port/database`.
    Postgres(Url),
}

impl TryFrom<String> for Database {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.split_once("://") {
            None if text.is_empty() => Err("`database` is empty".to_owned()),
            None => Ok(Self::File(text.into())),
            Some(("postgres" | "postgresql", _)) => match Url::parse(&text) {
                Ok(url) => Ok(Self::Postgres(url)),
                Err(error) => Err(format!("`database` is not a PostgreSQL URL: {error}")),
            },
            Some(_) => Err("`database` is the path of a file or a postgres:// URL".to_owned()),
        }
    }
}

impl From<PathBuf> for Database {
    fn from(file: PathBuf) -> Self {
        Self::File(file)
    }
}

/// For messages and logs: without the password, and without parameters, which may hold one too.
impl fmt::Display for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(formatter, "{}", file.display()),
            Self::Postgres(url) => {
                let host = url.host_str().unwrap_or_default();
                let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                write!(formatter, "postgres://{host}{port}{}", url.path())
            }
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Database, String> {
        Database::try_from(text.to_owned())
    }

    #[test]
    fn a_path_is_a_file_and_a_url_is_postgresql() {
        assert_eq!(parse("data/portvakt.db"), Ok(Database::File("data/portvakt.db".into())));
        for url in ["postgres://u:p@h:5433/portvakt", "postgresql:///portvakt?host=/run/postgresql"] {
            assert!(matches!(parse(url), Ok(Database::Postgres(_))), "{url}");
        }
        for wrong in ["", "mysql://u:secret@h/d", "postgres://u:secret@[h/d"] {
            assert!(!parse(wrong).unwrap_err().contains("secret"), "{wrong}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let database = parse("postgres://u:secret@db.example:5433/portvakt?password=secret").unwrap();
        assert_eq!(database.to_string(), "postgres://db.example:5433/portvakt");
        assert_eq!(format!("{database:?}"), database.to_string());
    }
}
