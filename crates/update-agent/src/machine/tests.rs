//! Every pair of phase and event.

use super::*;

fn version() -> Version {
    "2.0.0".parse().unwrap()
}

fn phases() -> Vec<Phase> {
    let v = version;
    vec![
        Phase::Idle,
        Phase::Checking(Aim::Look),
        Phase::Checking(Aim::TakeWhenDue),
        Phase::Checking(Aim::TakeNow),
        Phase::Available(v()),
        Phase::Spooling(v()),
        Phase::Filling(v()),
        Phase::Verifying(v()),
        Phase::Finalizing(v()),
        Phase::NeedReboot(v()),
        Phase::Reporting,
    ]
}

fn events() -> Vec<Event> {
    vec![
        Event::Wanted(Aim::Look),
        Event::Wanted(Aim::TakeWhenDue),
        Event::Wanted(Aim::TakeNow),
        Event::NothingNew,
        Event::Offered(version(), Due::Now),
        Event::Offered(version(), Due::Later),
        Event::Spooled,
        Event::Filled,
        Event::Verified,
        Event::Finalized,
        Event::Failed("x".to_owned()),
        Event::Reported,
        Event::Reset,
    ]
}

fn short(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}")
        .replace("(Version(2.0.0))", "")
        .replace("Version(2.0.0), ", "")
        .replace("(\"x\")", "")
}

#[test]
fn every_pair_of_phase_and_event() {
    let mut table = String::new();
    for phase in phases() {
        for event in events() {
            let (after, effects) = step(phase.clone(), event.clone());
            if after == phase && effects.is_empty() {
                continue;
            }
            let effects: Vec<_> = effects.iter().map(short).collect();
            table += &format!("{} + {} = {} {effects:?}\n", short(&phase), short(&event), short(&after));
        }
    }
    // Pairs that are not listed change nothing.
    expect_test::expect![[r#"
        Idle + Wanted(Look) = Checking(Look) ["Check"]
        Idle + Wanted(TakeWhenDue) = Checking(TakeWhenDue) ["Check"]
        Idle + Wanted(TakeNow) = Checking(TakeNow) ["Check"]
        Checking(Look) + NothingNew = Idle []
        Checking(Look) + Offered(Now) = Available []
        Checking(Look) + Offered(Later) = Available []
        Checking(Look) + Failed = Reporting ["Report"]
        Checking(TakeWhenDue) + NothingNew = Idle []
        Checking(TakeWhenDue) + Offered(Now) = Spooling ["Spool"]
        Checking(TakeWhenDue) + Offered(Later) = Available []
        Checking(TakeWhenDue) + Failed = Reporting ["Report"]
        Checking(TakeNow) + NothingNew = Idle []
        Checking(TakeNow) + Offered(Now) = Spooling ["Spool"]
        Checking(TakeNow) + Offered(Later) = Spooling ["Spool"]
        Checking(TakeNow) + Failed = Reporting ["Report"]
        Available + Wanted(Look) = Checking(Look) ["Check"]
        Available + Wanted(TakeWhenDue) = Checking(TakeWhenDue) ["Check"]
        Available + Wanted(TakeNow) = Checking(TakeNow) ["Check"]
        Spooling + Spooled = Filling ["Fill"]
        Spooling + Failed = Reporting ["Report"]
        Filling + Filled = Verifying ["Verify"]
        Filling + Failed = Reporting ["Report"]
        Verifying + Verified = Finalizing ["Finalize"]
        Verifying + Failed = Reporting ["Report"]
        Finalizing + Finalized = NeedReboot ["WantReboot"]
        Finalizing + Failed = Reporting ["Report"]
        NeedReboot + Wanted(Look) = NeedReboot ["WantReboot"]
        NeedReboot + Wanted(TakeWhenDue) = NeedReboot ["WantReboot"]
        NeedReboot + Wanted(TakeNow) = NeedReboot ["WantReboot"]
        NeedReboot + Reset = Idle ["ForgetReboot"]
        Reporting + Reported = Idle []
    "#]]
    .assert_eq(&table);
}

#[test]
fn each_phase_is_shown_by_a_name_of_the_original() {
    let names: Vec<_> = phases().iter().map(|phase| phase.op().name()).collect();
    assert!(names.iter().all(|name| name.starts_with("UPDATE_STATUS_")));
    assert_eq!(Phase::NeedReboot(version()).version(), Some(&version()));
    assert_eq!(Phase::Reporting.version(), None);
}
