//! Users, passwords and what they may do.

use etcd_lab::{Member, Programs};
use etcd_rpc::{Client, Config, Error};

use super::told::Told;
use super::{TIMEOUT, one_member, put_somehow, refused, start_again};

/// A client of a user.
fn client_of(member: &Member, name: &str, password: &str) -> Client {
    let mut config = Config::new([member.client_url()], TIMEOUT);
    config.user = Some((name.to_owned(), password.to_owned()));
    Client::new(config).unwrap()
}

/// Makes the user `fleet`, who may do all with `/fleet/`.
fn make_users(programs: &Programs, member: &Member) {
    let steps: [&[&str]; 5] = [
        &["user", "add", "root:secret"],
        &["user", "grant-role", "root", "root"],
        &["role", "add", "fleet"],
        &["role", "grant-permission", "fleet", "--prefix=true", "readwrite", "/fleet/"],
        &["user", "add", "fleet:word"],
    ];
    steps.into_iter().for_each(|args| {
        programs.ctl(member, args);
    });
    programs.ctl(member, &["user", "grant-role", "fleet", "fleet"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_may_do_what_the_role_says_and_nothing_else() {
    let Some(programs) = Programs::shipped() else { return };
    let Some(member) = one_member() else { return };
    make_users(&programs, &member);
    programs.ctl(&member, &["auth", "enable"]);
    let client = client_of(&member, "fleet", "word");
    client.put("/fleet/a", "x").await.unwrap();
    assert_eq!(client.list("/fleet/").await.unwrap().kvs.len(), 1);
    assert!(Told::follow(&client, "/fleet/").await.known.contains_key("/fleet/a"));
    for error in [refused(client.put("/other", "x").await), refused(client.list("/").await)] {
        assert!(
            matches!(&error, Error::Denied { reason } if reason.contains("permission denied")),
            "{error:?}"
        );
    }
    let nobody = super::client(&member);
    assert!(matches!(refused(nobody.put("/fleet/a", "y").await), Error::Denied { .. }));
    let wrong = client_of(&member, "fleet", "wrong");
    assert_eq!(refused(wrong.get("/fleet/a").await), Error::Login { user: "fleet".into() });
    assert_eq!(client.get("/fleet/a").await.unwrap().kv.unwrap().value, b"x");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_is_configured_before_it_is_needed_works_before_and_after() {
    let Some(programs) = Programs::shipped() else { return };
    let Some(member) = one_member() else { return };
    let client = client_of(&member, "fleet", "word");
    client.put("/other", "x").await.unwrap();
    make_users(&programs, &member);
    programs.ctl(&member, &["auth", "enable"]);
    client.put("/fleet/a", "x").await.unwrap();
    assert!(matches!(refused(client.put("/other", "y").await), Error::Denied { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_a_restarted_member_forgot_is_renewed() {
    let Some(programs) = Programs::shipped() else { return };
    let Some(mut member) = one_member() else { return };
    make_users(&programs, &member);
    programs.ctl(&member, &["auth", "enable"]);
    let client = client_of(&member, "fleet", "word");
    let mut told = Told::follow(&client, "/fleet/").await;
    client.put("/fleet/a", "before").await.unwrap();
    told.until_holds("/fleet/a", "before").await;
    member.kill();
    start_again(&mut member);
    put_somehow(&client, "/fleet/a", "after").await;
    told.until_holds("/fleet/a", "after").await;
    assert!(told.reasons.iter().all(Error::is_away), "{:?}", told.reasons);
    assert_eq!(told.n_listings, 1);
}
