//! What `elbo devices` lists, and that nothing but the program speaks.

use crate::program::{elbo, events, output, place, succeed, text};

#[test]
fn devices_are_listed() {
    let dir = place();
    let lines = succeed(elbo(&dir, "devices"));
    assert!(lines.starts_with("cpu "), "`{lines}`");
    let devices = events(&succeed(elbo(&dir, "devices --json")));
    assert_eq!(devices.len(), lines.lines().count(), "both list as many: `{lines}`");
    let names: Vec<_> = devices.iter().filter_map(|(_, d)| d["device"].as_str()).collect();
    let numbers = (0..devices.len() - 1).map(|number| number.to_string());
    let expected: Vec<_> = std::iter::once("cpu".to_owned()).chain(numbers).collect();
    assert_eq!(names, expected, "what `--device` takes");
    for (name, device) in &devices {
        assert_eq!(name, "device", "{device}");
        let software = device["device"] == "cpu" || device["software"].is_boolean();
        assert!(software, "an adapter is software or not: {device}");
    }
}

/// As in a container, where nothing says where Wayland's socket would be, and Mesa would complain of that.
#[test]
fn nothing_of_the_system_speaks_in_between() {
    let dir = place();
    let mut command = elbo(&dir, "devices");
    for variable in ["XDG_RUNTIME_DIR", "WAYLAND_DISPLAY", "DISPLAY"] {
        command.env_remove(variable);
    }
    let said = output(command);
    assert!(text(&said.stdout).contains("\n0 "), "there is an adapter: {said:?}");
    assert_eq!(text(&said.stderr), "", "stderr is ours alone");
}
