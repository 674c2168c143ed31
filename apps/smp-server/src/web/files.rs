//! The files that the operator adds to the site.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use smp_runtime::http::{Response, Status};

/// The files in a folder and the folders in it, by the paths that they have on the site.
///
/// They are read once, when the server starts, so no request can reach anything else. Symbolic links are not followed, hidden
/// files are left out but for `.well-known`, and what is too large or too much is left out with a warning.
pub(super) fn load(folder: &Path) -> Vec<(String, Response)> {
    let mut loading = Loading { pages: Vec::new(), files: 0, bytes: 0 };
    if folder.is_dir() {
        loading.folder(folder, "/", 0);
        let first = loading.pages.iter().any(|(path, _)| path == "/");
        let replaced = if first { "; index.html replaces the page about the server" } else { "" };
        log::info!("{}: files of yours on the web site: {}{replaced}", folder.display(), loading.files);
    } else {
        log::info!(
            "{}: is no folder, so the web site has its own pages only. [WEB] static_path names it",
            folder.display()
        );
    }
    loading.pages
}

struct Loading {
    pages: Vec<(String, Response)>,
    files: usize,
    bytes: u64,
}

impl Loading {
    fn folder(&mut self, folder: &Path, path: &str, depth: usize) {
        let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => return left_out(folder, &format!("cannot be read: {error}")),
        };
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let file = entry.path();
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                left_out(&file, "has a name that is not UTF-8");
                continue;
            };
            if name.starts_with('.') && name != ".well-known" {
                continue;
            }
            // This is the type of the entry itself, not of what it links to.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < DEPTH_MAX => {
                    self.folder(&file, &format!("{path}{name}/"), depth + 1)
                }
                Ok(kind) if kind.is_dir() => left_out(&file, "is in too many folders"),
                Ok(kind) if kind.is_file() => self.file(&file, path, &name),
                Ok(_) => left_out(&file, "is neither a file nor a folder; links are not followed"),
                Err(error) => left_out(&file, &format!("cannot be looked at: {error}")),
            }
        }
    }

    fn file(&mut self, file: &Path, path: &str, name: &str) {
        if self.files >= FILES_MAX {
            return left_out(file, "is one file too many");
        }
        let contents = match read(file) {
            Ok(contents) => contents,
            Err(error) => return left_out(file, &format!("cannot be read: {error}")),
        };
        let length = contents.len() as u64;
        if length > FILE_BYTES_MAX || self.bytes + length > BYTES_MAX {
            return left_out(file, "is too large: a file may have 4 MiB, all of them 64 MiB");
        }
        self.files += 1;
        self.bytes += length;
        let response = Response::new(Status::OK, content_type(path, name), contents)
            .with_header("Content-Security-Policy", POLICY)
            .with_header("Cache-Control", "no-cache");
        if name == "index.html" {
            self.pages.push((path.to_owned(), response.clone()));
        }
        self.pages.push((format!("{path}{name}"), response));
    }
}

/// At most one byte more than a file may have, so that one that grows is noticed.
fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut contents = Vec::new();
    File::open(file)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut contents)?;
    Ok(contents)
}

fn left_out(file: &Path, why: &str) {
    log::warn!("{}: {why}, so it is not on the web site ([WEB] static_path)", file.display());
}

fn content_type(path: &str, name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("html" | "htm") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("json") => "application/json; charset=utf-8",
        Some("txt" | "asc") => "text/plain; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("webp") => "image/webp",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("pdf") => "application/pdf",
        None if path == "/.well-known/" && name == "apple-app-site-association" => {
            "application/json; charset=utf-8"
        }
        _ => "application/octet-stream",
    }
}

/// Pages of the operator may have styles and scripts of their own, from this site only.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; \
                      frame-ancestors 'none'";
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
const BYTES_MAX: u64 = 64 * 1024 * 1024;
const FILES_MAX: usize = 1000;
const DEPTH_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn files_are_found_by_their_paths_and_nothing_else_is() {
        let root = tempfile::tempdir().unwrap();
        let site = root.path().join("www");
        std::fs::create_dir_all(site.join("media/deep")).unwrap();
        std::fs::create_dir_all(site.join(".well-known")).unwrap();
        std::fs::create_dir(site.join(".git")).unwrap();
        std::fs::write(root.path().join("secret"), "secret").unwrap();
        for (name, contents) in [
            ("index.html", "mine"),
            ("media/a b.PNG", "png"),
            ("media/deep/index.html", "deep"),
            (".well-known/apple-app-site-association", "{}"),
            (".git/config", "hidden"),
            (".hidden", "hidden"),
        ] {
            std::fs::write(site.join(name), contents).unwrap();
        }
        #[cfg(unix)]
        for (name, target) in [("link", "../secret"), ("folder", ".."), ("media/self", ".")] {
            std::os::unix::fs::symlink(target, site.join(name)).unwrap();
        }
        let pages: BTreeMap<String, Response> = load(&site).into_iter().collect();
        let paths: Vec<&str> = pages.keys().map(String::as_str).collect();
        assert_eq!(
            paths,
            [
                "/",
                "/.well-known/apple-app-site-association",
                "/index.html",
                "/media/a b.PNG",
                "/media/deep/",
                "/media/deep/index.html"
            ]
        );
        assert_eq!(pages["/"].body(), "mine");
        assert_eq!(content_type("/media/", "a b.PNG"), "image/png");
        assert_eq!(content_type("/", "a.exe"), "application/octet-stream");
    }

    #[test]
    fn what_is_too_large_is_left_out() {
        let site = tempfile::tempdir().unwrap();
        std::fs::write(site.path().join("large"), vec![0; FILE_BYTES_MAX as usize + 1]).unwrap();
        std::fs::write(site.path().join("largest"), vec![0; FILE_BYTES_MAX as usize]).unwrap();
        let deep: std::path::PathBuf = std::iter::repeat_n("d", DEPTH_MAX + 1).collect();
        std::fs::create_dir_all(site.path().join(&deep)).unwrap();
        std::fs::write(site.path().join(&deep).join("f"), "").unwrap();
        let paths: Vec<String> = load(site.path()).into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["/largest"]);
        assert!(load(&site.path().join("missing")).is_empty());
    }

    #[test]
    fn there_is_a_limit_to_all_files_together() {
        let mut loading = Loading { pages: Vec::new(), files: FILES_MAX, bytes: 0 };
        let site = tempfile::tempdir().unwrap();
        let file = site.path().join("f");
        std::fs::write(&file, "1234").unwrap();
        loading.file(&file, "/", "f");
        loading.files = 0;
        loading.bytes = BYTES_MAX - 3;
        loading.file(&file, "/", "f");
        assert!(loading.pages.is_empty());
        loading.bytes -= 1;
        loading.file(&file, "/", "f");
        assert_eq!(loading.pages.len(), 1);
    }
}
