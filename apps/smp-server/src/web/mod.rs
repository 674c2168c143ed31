//! The web site of the server: who runs it, and pages for the links that its users hand out.
//!
//! Everything is made when the server starts and held in memory, so no request reads a file.

mod files;
mod html;
mod information;
mod site;

use std::io::ErrorKind;
use std::path::Path;

use smp_runtime::http::{Handler, WebTls};

use crate::failure::{Failure, because};
use crate::folders::Folders;
use crate::settings::Settings;

/// The web site, ready to be served.
pub(crate) struct Web {
    /// What answers requests.
    pub(crate) handler: Handler,
    /// TLS with the certificate of the site, if there is one.
    pub(crate) tls: Option<WebTls>,
}

impl Web {
    /// The site that the settings ask for, if they ask for one.
    pub(crate) fn prepare(settings: &Settings, folders: &Folders) -> Result<Option<Self>, Failure> {
        let web = &settings.web;
        if web.http.is_none() && web.https.is_none() {
            return Ok(None);
        }
        let tls = if web.https.is_some() { certificate(settings, folders)? } else { None };
        Ok(Some(Self { handler: site::handler(settings), tls }))
    }
}

/// The certificate of the site. Without its files SMP is served all the same: they mostly come later, and go away when they
/// are renewed.
fn certificate(settings: &Settings, folders: &Folders) -> Result<Option<WebTls>, Failure> {
    let certificate_file = settings.web.certificate.clone().unwrap_or_else(|| folders.web_certificate());
    let key_file = settings.web.key.clone().unwrap_or_else(|| folders.web_key());
    let (Some(certificate), Some(key)) = (read(&certificate_file, "cert")?, read(&key_file, "key")?) else {
        return Ok(None);
    };
    let tls = WebTls::from_pem(&certificate, &key).map_err(|error| {
        let files = format!("{} and {}", certificate_file.display(), key_file.display());
        Failure::new(format!(
            "{files}: cannot be used for HTTPS: {error}. Look at [WEB] cert and key, or remove [WEB] https to serve \
             without it"
        ))
    })?;
    Ok(Some(tls))
}

fn read(file: &Path, setting: &str) -> Result<Option<Vec<u8>>, Failure> {
    match std::fs::read(file) {
        Ok(contents) => Ok(Some(contents)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            log::warn!(
                "{}: is not there, so the web site is not served over HTTPS. [WEB] {setting} names the file; without \
                 [WEB] https nothing is said",
                file.display()
            );
            Ok(None)
        }
        Err(error) => {
            Err(because(file, "cannot be read", &format!("{error}. [WEB] {setting} names the file")))
        }
    }
}
