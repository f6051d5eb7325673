//! What a runner is told once, at the start.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::interpreter::Interpreter;
use super::library::Library;
use crate::children::{Confine, Limits, User};

#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) folder: PathBuf,
    /// Python imports from it.
    pub(super) imports: bool,
    pub(super) user: User,
    pub(super) interpreters: Vec<Interpreter>,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) confine: Confine,
    pub(super) temporary: PathBuf,
    pub(super) limits: Limits,
    pub(super) time_max: Option<Duration>,
    pub(super) output_max: u64,
    pub(super) kept_output_max: usize,
    pub(super) code_max: usize,
    pub(super) input_max: usize,
    pub(super) history_max: usize,
    pub(super) programs_max: usize,
    pub(super) listeners_max: usize,
    pub(super) index: String,
    pub(super) library: Option<Arc<Library>>,
}

impl Settings {
    pub(super) fn new(folder: PathBuf, user: User) -> Self {
        let interpreters = ["py=python3 -u", "sh=sh", "js=node"];
        Self {
            folder,
            imports: false,
            user,
            interpreters: interpreters.iter().filter_map(|text| text.parse().ok()).collect(),
            environment: Vec::new(),
            confine: Confine::default(),
            temporary: PathBuf::from("/tmp"),
            limits: Limits {
                memory_bytes: Some(memory_max()),
                processes: Some(64),
                cpu: None,
                file_bytes: Some(256 << 20),
                open_files: Some(1024),
                grace: Duration::from_secs(2),
            },
            time_max: None,
            output_max: 64 << 20,
            kept_output_max: 1 << 20,
            code_max: 1 << 20,
            input_max: 64 * 1024,
            history_max: 50,
            programs_max: 1000,
            listeners_max: 64,
            index: "/".into(),
            library: None,
        }
    }

    /// The interpreter of a language; of none, the first.
    pub(super) fn interpreter(&self, language: Option<&str>) -> Option<&Interpreter> {
        let is_it = |other: &&Interpreter| language.is_none_or(|name| other.language() == name);
        self.interpreters.iter().find(is_it)
    }
}

/// Half of what the machine has, and not more than 1 GiB.
fn memory_max() -> u64 {
    let total = rustix::system::sysinfo();
    (total.totalram as u64).saturating_mul(u64::from(total.mem_unit.max(1))).min(2 << 30) / 2
}
