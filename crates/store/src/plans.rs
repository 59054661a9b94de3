//! What the engines make of the statements that run all the time, kept beside the tests.

use std::path::Path;

/// Compares a plan with the one that is kept, or keeps it (`TAUTLINE_WRITE_REFERENCES`). Of a version of PostgreSQL of which none
/// is kept, what the test itself asks of the plan has to do.
pub(crate) fn current(file: &str, plan: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans").join(file);
    if std::env::var_os("TAUTLINE_WRITE_REFERENCES").is_some() {
        std::fs::create_dir_all(path.parent().expect("it has one")).unwrap();
        return std::fs::write(path, plan).unwrap();
    }
    if let Ok(kept) = std::fs::read_to_string(&path) {
        assert!(kept == plan, "tests/plans/{file} is out of date: run cargo xtask references\n{plan}");
    }
}
