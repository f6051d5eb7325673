//! The manual page.

use std::io;

use clap::{Arg, Command};
use clap_mangen::Man;

/// The one manual page: what the command takes, then what only subcommands of it take.
pub(crate) fn page(command: &Command) -> io::Result<String> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    let mut page = String::from_utf8_lossy(&page).into_owned();
    for subcommand in command.get_subcommands() {
        let name = subcommand.get_name();
        page = page.replace(&format!("number8\\-{name}(1)"), &format!("number8 {name}"));
    }
    let mut options = String::new();
    own_options(command, command, "number8", &mut options)?;
    Ok(page.replace(".SH EXTRA", &format!("{options}.SH EXAMPLES")))
}

/// A section for each subcommand of `parent`, typed after `typed`, that has arguments which `all` has not.
fn own_options(all: &Command, parent: &Command, typed: &str, page: &mut String) -> io::Result<()> {
    let is_known = |arg: &Arg| all.get_arguments().any(|known| known.get_id() == arg.get_id());
    for subcommand in parent.get_subcommands() {
        let typed = format!("{typed} {}", subcommand.get_name());
        if subcommand.get_arguments().any(|arg| !arg.is_hide_set() && !is_known(arg)) {
            let own = subcommand.clone().disable_help_flag(true).mut_args(|arg| {
                let hidden = arg.is_hide_set() || is_known(&arg);
                arg.hide(hidden)
            });
            let mut section = Vec::new();
            Man::new(own).render_options_section(&mut section)?;
            let section = String::from_utf8_lossy(&section);
            if let Some((_, options)) = section.split_once(".SH OPTIONS") {
                page.push_str(&format!(".SH \"OPTIONS OF {}\"{options}", typed.to_uppercase()));
            }
        }
        own_options(all, subcommand, &typed, page)?;
    }
    Ok(())
}
