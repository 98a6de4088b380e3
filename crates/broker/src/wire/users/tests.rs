//! What is kept of passwords, and what becomes of it when it is damaged.

use super::*;
use crate::topics::Topics;
use crate::wire::security::User;
use millstream_log::{Log, LogConfig, SimDisk};
use millstream_model::{Clock, Timestamp};
use std::path::Path;

#[derive(Debug)]
struct StillClock;

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp(7)
    }
}

fn cluster(disk: &SimDisk) -> ClusterRecords {
    let config = LogConfig { reserve_bytes: 0, ..LogConfig::default() };
    let log = Log::open(Arc::new(disk.clone()), Path::new("/data"), config, Arc::new(StillClock)).unwrap().0;
    ClusterRecords::open(&Topics::new(log), Arc::new(StillClock)).unwrap()
}

fn config() -> SecurityConfig {
    let alice = User { name: "alice".to_owned(), password: Password::new("wonderland") };
    SecurityConfig { users: vec![alice], ..SecurityConfig::default() }
}

#[tokio::test]
async fn salts_are_the_same_at_every_start_and_tell_nothing() {
    let disk = SimDisk::new(1);
    let credentials = async |disk: &SimDisk| {
        let users = Users::open(&cluster(disk), &config()).await.unwrap();
        (users.credential("alice", Hash::Sha512).await, users.credential("nobody", Hash::Sha512).await)
    };
    let (alice, nobody) = credentials(&disk).await;
    assert_eq!(credentials(&disk.crash()).await, (alice.clone(), nobody.clone()));
    assert_eq!(alice.salt.len(), nobody.salt.len());
    assert_ne!(alice.salt, nobody.salt);
    assert_eq!((alice.iterations, nobody.iterations), (4_096, 4_096));
    let elsewhere = credentials(&SimDisk::new(2)).await;
    assert_ne!(elsewhere.0.salt, alice.salt);
}

#[tokio::test]
async fn only_the_right_password_of_a_known_user_is_right() {
    let users = Users::open(&cluster(&SimDisk::new(1)), &config()).await.unwrap();
    assert!(users.check_password("alice", b"wonderland"));
    for (user, password) in [
        ("alice", &b"wonderlan"[..]),
        ("alice", b"wonderland2"),
        ("alice", b""),
        ("Alice", b"wonderland"),
        ("", b""),
        ("nobody", b""),
        ("nobody", &users.secret),
    ] {
        assert!(!users.check_password(user, password), "{user}");
    }
    assert_eq!(format!("{users:?}"), "Users(1 configured, 0 stored credentials)");
}

#[tokio::test]
async fn damaged_credentials_let_nobody_in() {
    let disk = SimDisk::new(1);
    let records = cluster(&disk);
    let good = Credential::of_password(Hash::Sha256, b"p", b"salt".to_vec(), 4_096);
    let whole = to_json(&good);
    let without = |field: &str| {
        let mut value = whole.clone();
        value.as_object_mut().unwrap().remove(field);
        value
    };
    let with = |field: &str, new: Value| {
        let mut value = whole.clone();
        value[field] = new;
        value
    };
    records.put("scram/SCRAM-SHA-256/good", Some(whole.clone())).await.unwrap();
    let damaged = [
        without("salt"),
        without("stored_key"),
        without("server_key"),
        without("iterations"),
        with("stored_key", json!("")),
        with("stored_key", json!("AA==")),
        with("iterations", json!(1)),
        with("iterations", json!(1_000_000_000)),
        json!(null),
    ];
    for (number, value) in damaged.iter().enumerate() {
        records.put(&format!("scram/SCRAM-SHA-256/bad{number}"), Some(value.clone())).await.unwrap();
    }
    records.put("scram/SCRAM-SHA-256/", Some(whole.clone())).await.unwrap();
    records.put("scram/SCRAM-SHA-1/other", Some(whole)).await.unwrap();
    let users = Users::open(&records, &SecurityConfig::default()).await.unwrap();
    assert_eq!(users.list().await, [("good".to_owned(), Hash::Sha256, 4_096)]);
    assert_eq!(users.credential("good", Hash::Sha256).await, good);
    assert_ne!(users.credential("bad0", Hash::Sha256).await.stored_key, good.stored_key);
}

/// A denial that is passed over would be an open door.
#[tokio::test]
async fn a_damaged_acl_keeps_the_broker_from_starting() {
    use crate::wire::access::Security;
    let disk = SimDisk::new(1);
    let records = cluster(&disk);
    records.put("acl/1", Some(json!({"resource_type": 2, "name": "t"}))).await.unwrap();
    let guarded = SecurityConfig { super_users: vec!["User:a".to_owned()], ..SecurityConfig::default() };
    let refused = Security::open(&records, &guarded).await.unwrap_err().to_string();
    assert!(refused.contains("acl/1"), "{refused}");
    Security::open(&records, &SecurityConfig::default()).await.unwrap();
}
