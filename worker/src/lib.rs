#![doc = include_str!("../README.md")]

pub mod apply;
pub mod back_off;
pub mod database;
pub mod decide;
pub mod event;
pub mod finish;
pub mod metrics;
pub mod operate;
pub mod outage;
pub mod processor;
pub mod reconcile;
pub mod settings;
pub mod source;
pub mod suggest;
pub mod tables;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// A room may use those that stand before it here, and itself. The flow is source, event, decide, apply, finish; the
    /// processor alone knows the order.
    const ROOMS: [&str; 17] = [
        "back_off",
        "metrics",
        "source",
        "tables",
        "event",
        "decide",
        "database",
        "suggest",
        "outage",
        "apply",
        "finish",
        "processor",
        "settings",
        "operate",
        "reconcile",
        "main",
        "lib",
    ];

    fn files(folder: &Path, each: &mut impl FnMut(&Path)) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, each);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                each(&path);
            }
        }
    }

    #[test]
    fn no_room_uses_one_that_comes_after_it() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut uses = 0;
        files(&source, &mut |file| {
            let room = file.strip_prefix(&source).unwrap().iter().next().unwrap();
            let room = room.to_str().unwrap().trim_end_matches(".rs");
            let place = ROOMS.iter().position(|name| *name == room);
            for line in fs::read_to_string(file).unwrap().split("crate::").skip(1) {
                let used = line
                    .split(|c: char| !(c.is_alphanumeric() || c == '_'))
                    .next();
                let used_place = ROOMS.iter().position(|name| Some(*name) == used);
                assert!(used_place <= place, "{} uses {used:?}", file.display());
                uses += 1;
            }
        });
        assert!(uses > 100);
    }
}
