//! The house: which crate may lean on which.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// Every arrow there is. A new one is a change of the design: see docs/architecture.md.
const ARROWS: &[(&str, &str)] = &[
    ("tautline", "tautline-server"),
    ("tautline", "tautline-store"),
    ("tautline", "tautline-sim"),
    ("tautline-server", "tautline-core"),
    ("tautline-server", "tautline-slack"),
    ("tautline-store", "tautline-core"),
    ("tautline-store", "tautline-slack"),
    ("tautline-core", "tautline-slack"),
    ("tautline-sim", "tautline-slack"),
    // A user of the library, as there will be others.
    ("rust-bot", "tautline"),
    // What tests, soak and bench stand on; the product does not.
    ("tautline-bench", "tautline-slack"),
    ("tautline-bench", "tautline-testing"),
    ("tautline", "tautline-testing"),
    ("tautline-store", "tautline-testing"),
    ("xtask", "tautline-testing"),
];

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap();
    let arguments = ["metadata", "--format-version=1", "--no-deps", "--offline"];
    let output =
        Command::new(cargo).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[test]
fn the_arrows_point_one_way() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeSet<String> = packages.iter().map(|package| text(&package["name"])).collect();
    // Arrows of every sort: what the tests of a crate lean on counts as well.
    let drawn: BTreeSet<(String, String)> = packages
        .iter()
        .flat_map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap();
            dependencies.iter().map(|to| (text(&package["name"]), text(&to["name"])))
        })
        .filter(|(_, to)| names.contains(to))
        .collect();
    let allowed = ARROWS.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
    assert_eq!(drawn, allowed);
}

#[test]
fn the_rooms_are_clean() {
    let metadata = metadata();
    let leans_on = |package: &str, crates: &[&str]| {
        let packages = metadata["packages"].as_array().unwrap();
        let package = packages.iter().find(|found| found["name"] == package).unwrap();
        let normal = package["dependencies"].as_array().unwrap().iter().filter(|to| to["kind"].is_null());
        normal.map(|to| text(&to["name"])).filter(|name| crates.contains(&name.as_str())).collect::<Vec<_>>()
    };
    let io = ["tokio", "reqwest", "axum", "rusqlite", "sqlx", "hyper", "async-trait"];
    assert_eq!(leans_on("tautline-slack", &io), [""; 0], "no sockets, no database, no async");
    assert_eq!(
        leans_on("tautline-core", &["tokio", "reqwest", "axum", "rusqlite", "sqlx"]),
        [""; 0],
        "no I/O"
    );
    assert_eq!(leans_on("tautline-store", &["reqwest", "axum", "hyper"]), [""; 0], "no HTTP");
    assert_eq!(leans_on("tautline-server", &["rusqlite", "sqlx"]), [""; 0], "no SQL");
}
