use number8::access::{Access, FileAcl, Grant, Rights, Rule};
use proptest::prelude::*;

/// Rules as they are typed, one to a line.
fn access(grants: &[&str]) -> Access {
    Access::new(grants.iter().flat_map(|grant| grant.parse::<Grant>().unwrap().rules))
}

fn rights(text: &str) -> Rights {
    text.parse().unwrap()
}

#[test]
fn a3_the_longest_path_decides_and_none_refuses_there() {
    let rules = access(&[
        "@/:ro",
        "@/secret:none",
        "joe@/secret/joe:rw",
        "joe@/in:up",
        "@/in:delete",
        "ann@/in:none",
        "ann@/:all",
        "@/in/box:wo",
    ]);
    let cases = [
        (None, "/", "ro"),
        (None, "/a/b", "ro"),
        (None, "/secret", "none"),
        (None, "/secret/", "none"),
        (None, "/secret/joe/x", "none"),
        (None, "/secrets", "ro"),
        (Some("joe"), "/secret/joe", "rw"),
        (Some("joe"), "/secret/joel", "none"),
        // Rules for one path add up, those for everyone included.
        (Some("joe"), "/in/x", "up,delete"),
        // A refusal at that path beats what is given there.
        (Some("ann"), "/in/x", "none"),
        (Some("ann"), "/x", "all"),
        // A longer path for everyone beats a shorter one for the user.
        (Some("ann"), "/in/box/x", "wo"),
        (Some("joe"), "/in/box/x", "wo"),
        // Spellings of one path.
        (Some("joe"), "//secret///joe//x", "rw"),
        // What leads elsewhere is nowhere.
        (Some("ann"), "/x/../in", "none"),
        (Some("ann"), "/./x", "none"),
        (None, "/a/..", "none"),
    ];
    for (user, path, want) in cases {
        assert_eq!(rules.rights(user, path.as_bytes()), rights(want), "{user:?} {path}");
    }
}

#[test]
fn without_rules_nothing_is_allowed_and_by_default_everyone_reads() {
    assert_eq!(Access::new([]).rights(Some("joe"), b"/"), Rights::NONE);
    assert_eq!(Access::default().rights(None, b"/any/where"), Rights::RO);
}

#[test]
fn wish1_an_account_may_add_without_replacing_or_deleting() {
    let rules = access(&["joe@/:up"]);
    for (verb, allowed) in [
        (Rights::LIST, true),
        (Rights::READ, true),
        (Rights::CREATE, true),
        (Rights::OVERWRITE, false),
        (Rights::DELETE, false),
        (Rights::MOVE, false),
    ] {
        assert_eq!(rules.decide(Some("joe"), verb, b"/x").is_ok(), allowed, "{verb}");
    }
}

#[test]
fn wish2_reading_is_public_and_only_writing_needs_a_login() {
    let rules = access(&["@/:ro", "joe@/:rw"]);
    assert!(rules.decide(None, Rights::READ, b"/x").is_ok());
    let refusal = rules.decide(None, Rights::CREATE, b"/x").unwrap_err();
    assert_eq!((refusal.status(), refusal.missing()), (401, Rights::CREATE));
    assert_eq!(refusal.to_string(), "log in to get the right to create for /x");
    assert!(rules.decide(Some("joe"), Rights::CREATE, b"/x").is_ok());
    // Where nobody may, logging in does not help.
    let refusal = rules.decide(None, Rights::RUN, b"/x").unwrap_err();
    assert_eq!(refusal.status(), 403);
    let refusal = rules.decide(Some("ann"), Rights::READ | Rights::CREATE, b"/a\nb").unwrap_err();
    assert_eq!(refusal.to_string(), "the right to create is missing for /a\\nb");
}

#[test]
fn a_recursive_verb_is_refused_whole_where_a_rule_below_refuses() {
    let rules = access(&["@/:rw", "@/a/keep:ro", "ann@/b/x:none", "@/c/d:rw"]);
    for (user, path, allowed) in [
        (None, "/a", false),
        (None, "/", false),
        (None, "/a/other", true),
        (None, "/a/keep", false),
        (None, "/a/keepsake", true),
        (None, "/b", true),
        (Some("ann"), "/b", false),
        (None, "/c", true),
    ] {
        let decided = rules.decide_tree(user, Rights::DELETE, path.as_bytes());
        assert_eq!(decided.is_ok(), allowed, "{user:?} {path}");
    }
    let refusal = rules.decide_tree(None, Rights::DELETE, b"/a").unwrap_err();
    assert!(refusal.to_string().ends_with("/a/keep"), "{refusal}");
}

#[test]
fn moving_takes_delete_there_and_create_or_overwrite_here() {
    let rules = access(&[
        "@/from:move,delete",
        "@/copy:read,delete",
        "@/new:create",
        "@/old:overwrite",
        "@/new/shut:none",
    ]);
    for (from, to, replaces, allowed) in [
        ("/from/x", "/new/x", false, true),
        ("/from/x", "/new/x", true, false),
        ("/from/x", "/old/x", true, true),
        ("/from/x", "/old/x", false, false),
        ("/copy/x", "/new/x", false, false),
        ("/from/x", "/from/y", false, false),
        // A folder that would come to lie over a rule.
        ("/from/x", "/new", false, false),
    ] {
        let decided = rules.decide_move(None, from.as_bytes(), to.as_bytes(), replaces);
        assert_eq!(decided.is_ok(), allowed, "{from} {to} {replaces}");
    }
}

#[test]
fn a4_u31_a_function_says_what_may_be_done_with_a_file() {
    let by_path = |path: &[u8]| match path {
        b"/ro" => FileAcl::of_code(FileAcl::CODE_RO),
        b"/wo" => FileAcl::of_code(FileAcl::CODE_WO),
        b"/rw" => FileAcl::of_code(FileAcl::CODE_RW),
        b"/teapot" => FileAcl::of_code(418),
        b"/zero" => FileAcl::of_code(0),
        b"/minus" => FileAcl::of_code(-1),
        b"/big" => FileAcl::of_code(70_000),
        b"/ok" => FileAcl::Refuse(200),
        _ => FileAcl::Refuse(404),
    };
    // It overrules the rules both ways, but only for files.
    let rules = access(&["@/:ro,events", "joe@/:all"]).file_acl(by_path);
    let cases = [
        ("/ro", Rights::READ, None),
        ("/ro", Rights::CREATE, Some(403)),
        ("/wo", Rights::OVERWRITE, None),
        ("/wo", Rights::DELETE, None),
        ("/wo", Rights::READ, Some(403)),
        ("/rw", Rights::RW, None),
        ("/rw", Rights::EVENTS, None),
        ("/rw", Rights::RUN, Some(401)),
        ("/teapot", Rights::READ, Some(418)),
        ("/zero", Rights::READ, Some(403)),
        ("/minus", Rights::READ, Some(403)),
        ("/big", Rights::READ, Some(403)),
        ("/ok", Rights::READ, Some(403)),
        ("/else", Rights::READ, Some(404)),
    ];
    for (path, wanted, want) in cases {
        let refused = rules.decide(None, wanted, path.as_bytes()).err();
        assert_eq!(refused.map(|refusal| refusal.status()), want, "{path} {wanted}");
    }
}

#[test]
fn the_rules_that_decide_are_told() {
    let rules = access(&["@/:ro", "joe@/in:up", "@/in:delete"]);
    let told = |user, path: &str| -> Vec<String> {
        rules.deciding(user, path.as_bytes()).map(Rule::to_string).collect()
    };
    assert_eq!(told(None, "/in/x"), ["everyone may delete under /in"]);
    let both = ["joe may list,read,create under /in", "everyone may delete under /in"];
    assert_eq!(told(Some("joe"), "/in/x"), both);
    assert_eq!(told(Some("joe"), "/x"), ["everyone may list,read under /"]);
    assert!(Access::new([]).deciding(None, b"/").next().is_none());
}

#[test]
fn what_everyone_may_do_anywhere_is_known() {
    let write = rights("create,overwrite,delete,move,run,repl,events,admin");
    for (grants, open) in [
        (&["@/:ro"][..], false),
        (&["@/:ro", "joe@/:all"], false),
        (&["@/:ro", "@/in:wo"], true),
        (&["@/:ro,run"], true),
        (&[], false),
    ] {
        assert_eq!(access(grants).everyone_may_any(write), open, "{grants:?}");
    }
    assert!(Access::default().file_acl(|_| FileAcl::ReadOnly).everyone_may_any(write));
}

#[test]
fn a2_grants_are_read_as_they_are_typed() {
    type Read<'a> = (Option<&'a str>, Option<&'a str>, &'a [&'a str]);
    let cases: &[(&str, Read<'_>)] = &[
        (
            "joe:pw@/:rw",
            (Some("joe"), Some("pw"), &["joe may list,read,create,overwrite,delete,move under /"]),
        ),
        ("@/:ro", (None, None, &["everyone may list,read under /"])),
        ("joe@/in:up", (Some("joe"), None, &["joe may list,read,create under /in"])),
        // dufs issue 449: a colon in a password.
        ("joe:a:b@/:read", (Some("joe"), Some("a:b"), &["joe may read under /"])),
        ("joe:a@b@/:read", (Some("joe"), Some("a@b"), &["joe may read under /"])),
        ("joe:a@/b@/c:read", (Some("joe"), Some("a@/b"), &["joe may read under /c"])),
        ("joe: @/:read", (Some("joe"), Some(" "), &["joe may read under /"])),
        ("joe:$6$s$h/.@/:none", (Some("joe"), Some("$6$s$h/."), &["joe may do nothing under /"])),
        (
            "joe:p@/:read,list,/in/:wo,delete",
            (
                Some("joe"),
                Some("p"),
                &["joe may list,read under /", "joe may create,delete under /in"],
            ),
        ),
        (
            "@//a//b/:all",
            (
                None,
                None,
                &[
                    "everyone may list,read,create,overwrite,delete,move,run,repl,events,admin under /a/b",
                ],
            ),
        ),
        ("@/a:b/c:ro", (None, None, &["everyone may list,read under /a:b/c"])),
        ("Ä Ö:p@/ü:ro", (Some("Ä Ö"), Some("p"), &["Ä Ö may list,read under /ü"])),
    ];
    for (text, (name, secret, rules)) in cases {
        let grant: Grant = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((grant.name.as_deref(), grant.secret.as_deref()), (*name, *secret), "{text}");
        assert_eq!(grant.rules.iter().map(Rule::to_string).collect::<Vec<_>>(), *rules, "{text}");
    }
}

#[test]
fn a_wrong_grant_says_what_to_write_and_shows_no_secret() {
    for (text, want) in [
        ("", "write name:password@/path:rights"),
        ("joe:secret", "write name:password@/path:rights"),
        ("joe:secret@in:ro", "write name:password@/path:rights"),
        ("joe:@/:ro", "the password is empty"),
        (":secret@/:ro", "the name of a user is not empty"),
        ("j\no:secret@/:ro", "no control characters"),
        ("joe:secret@/", "say what may be done under /, such as /:ro"),
        ("joe:secret@/:ro,/in", "say what may be done under /in, such as /in:ro"),
        ("joe:secret@/:", "there is no right ''"),
        ("joe:secret@/:rx", "there is no right 'rx'; there are list read create"),
        ("joe:secret@/:ro,write", "there is no right 'write'"),
        ("joe:secret@/:none,read", "none refuses everything"),
        ("joe:secret@/../x:ro", "a path has no . or .."),
        ("joe:secret@/a\\b:ro", "no backslash"),
    ] {
        let error = text.parse::<Grant>().unwrap_err().to_string();
        assert!(error.contains(want), "{text}: {error}");
        assert!(!error.contains("secret"), "{text}: {error}");
        assert!(!error.contains('\n'), "{text}: {error}");
    }
    let grant: Grant = "joe:hunter2@/:ro".parse().unwrap();
    assert!(!format!("{grant:?}").contains("hunter2"));
}

#[test]
fn rights_have_names_and_shorthands() {
    for (text, want) in [
        ("ro", "list,read"),
        ("up", "list,read,create"),
        ("rw", "list,read,create,overwrite,delete,move"),
        ("wo", "create"),
        ("all", "list,read,create,overwrite,delete,move,run,repl,events,admin"),
        ("none", "none"),
        ("read, list", "list,read"),
        ("delete,ro", "list,read,delete"),
    ] {
        assert_eq!(rights(text).to_string(), want, "{text}");
    }
    for text in ["", "RO", "ro,", "none,ro", "write", "r"] {
        assert!(text.parse::<Rights>().is_err(), "{text}");
    }
    assert_eq!(Rights::default(), Rights::NONE);
}

/// A rule with its path cut in names.
#[derive(Clone, Debug)]
struct Naive {
    user: Option<&'static str>,
    path: Vec<&'static str>,
    rights: Rights,
}

fn names() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "ab"]), 0..4)
}

fn naive() -> impl Strategy<Value = Naive> {
    let user = prop::sample::select(vec![None, Some("joe"), Some("ann")]);
    let granted =
        prop::sample::select(vec!["none", "ro", "up", "rw", "wo", "delete", "run", "all"]);
    (user, names(), granted).prop_map(|(user, path, text)| Naive {
        user,
        path,
        rights: rights(text),
    })
}

/// Design, word for word: of the rules whose path contains the target and that name the user or everyone, the longest
/// path decides; at that path none refuses, else the rights add up.
fn naive_rights(rules: &[Naive], user: Option<&str>, target: &[&str]) -> Rights {
    for length in (0..=target.len()).rev() {
        let here: Vec<&Naive> = rules
            .iter()
            .filter(|rule| rule.path == target[..length])
            .filter(|rule| rule.user.is_none() || rule.user == user)
            .collect();
        if here.iter().any(|rule| rule.rights == Rights::NONE) {
            return Rights::NONE;
        }
        if !here.is_empty() {
            return here.iter().fold(Rights::NONE, |all, rule| all | rule.rights);
        }
    }
    Rights::NONE
}

proptest! {
    #[test]
    fn decisions_are_those_of_the_rule_in_words(
        rules in prop::collection::vec(naive(), 0..9),
        user in prop::sample::select(vec![None, Some("joe"), Some("ann"), Some("eve")]),
        target in names(),
        slash in prop::sample::select(vec!["", "/", "//"]),
    ) {
        let spelled = |names: &[&str]| format!("/{}", names.join("/"));
        let access = Access::new(rules.iter().map(|rule| match rule.user {
            Some(user) => Rule::user(user, &spelled(&rule.path), rule.rights).unwrap(),
            None => Rule::everyone(&spelled(&rule.path), rule.rights).unwrap(),
        }));
        let path = format!("{}{slash}", spelled(&target));
        let want = naive_rights(&rules, user, &target);
        prop_assert_eq!(access.rights(user, path.as_bytes()), want);
        for wanted in [Rights::READ, Rights::UP, Rights::DELETE] {
            prop_assert_eq!(access.decide(user, wanted, path.as_bytes()).is_ok(), want.contains(wanted));
            // Every place that a rule could make different, one name longer than any rule.
            let below = rules.iter().filter(|rule| rule.path.starts_with(&target));
            let whole = want.contains(wanted)
                && below.clone().all(|rule| rule.user.is_some_and(|other| Some(other) != user)
                    || naive_rights(&rules, user, &rule.path).contains(wanted));
            prop_assert_eq!(access.decide_tree(user, wanted, path.as_bytes()).is_ok(), whole);
        }
    }

    #[test]
    fn any_text_is_a_grant_or_refused_in_one_line(text in "[a:@/,ro ne.\\\\\u{0}]{0,20}") {
        match text.parse::<Grant>() {
            Ok(grant) => prop_assert!(!grant.rules.is_empty()),
            Err(error) => prop_assert!(!error.to_string().contains(char::is_control)),
        }
    }

    #[test]
    fn rights_are_read_as_they_are_written(bits in prop::collection::vec(0..10usize, 0..5)) {
        let verbs = ["list", "read", "create", "overwrite", "delete", "move", "run", "repl", "events", "admin"];
        let all = bits.iter().fold(Rights::NONE, |all, &bit| all | rights(verbs[bit]));
        prop_assert_eq!(rights(&all.to_string()), all);
    }
}
