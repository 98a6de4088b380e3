//! The RFCs' examples, and what must not be let through.

use super::*;
use proptest::prelude::*;

const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const LAST: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

fn pencil(hash: Hash) -> Credential {
    let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    Credential::of_password(hash, b"pencil", salt, 4_096)
}

fn challenge(hash: Hash) -> Challenge {
    Challenge::new(hash, ClientFirst::parse(FIRST.as_bytes()).unwrap(), pencil(hash), SERVER_NONCE)
}

/// What a client that knows the password answers: the other half of RFC 5802.
fn proof(hash: Hash, challenge: &Challenge, without_proof: &str) -> String {
    let credential = &challenge.credential;
    let salted = hash.salted_password(b"pencil", &credential.salt, credential.iterations);
    let client_key = hash.hmac(&salted, b"Client Key");
    let signed = format!("{},{},{without_proof}", challenge.first.bare, challenge.server_first);
    let signature = hash.hmac(&hash.digest(&client_key), signed.as_bytes());
    BASE64.encode(client_key.iter().zip(signature).map(|(left, right)| left ^ right).collect::<Vec<u8>>())
}

#[test]
fn the_exchange_of_rfc_7677_gives_its_messages() {
    let challenge = challenge(Hash::Sha256);
    let expected = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    assert_eq!(challenge.message(), expected);
    let last = format!("{LAST},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    let (user, answer) = challenge.finish(last.as_bytes()).unwrap();
    assert_eq!((user.as_str(), answer.as_str()), ("user", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
}

#[test]
fn both_hashes_take_the_right_proof_and_only_that() {
    for hash in Hash::ALL {
        let right = proof(hash, &challenge(hash), LAST);
        challenge(hash).finish(format!("{LAST},p={right}").as_bytes()).unwrap();
        let mut wrong = BASE64.decode(&right).unwrap();
        wrong[0] ^= 1;
        let wrong = BASE64.encode(wrong);
        let refused = challenge(hash).finish(format!("{LAST},p={wrong}").as_bytes());
        assert_eq!(refused, Err(ScramError::Proof));
        let short = challenge(hash).finish(format!("{LAST},p=").as_bytes());
        assert_eq!(short, Err(ScramError::Proof), "an empty proof proves nothing");
    }
}

#[test]
fn another_nonce_is_refused_even_with_a_right_proof() {
    // CVE-2024-56128: the proof covers the nonce that the client sends, so that nothing but this comparison ties it to ours.
    let hash = Hash::Sha256;
    for nonce in ["rOprNGfwEbeRWgbNEkqO", SERVER_NONCE, "", "rOprNGfwEbeRWgbNEkqOother"] {
        let without_proof = format!("c=biws,r={nonce}");
        let proof = proof(hash, &challenge(hash), &without_proof);
        let refused = challenge(hash).finish(format!("{without_proof},p={proof}").as_bytes());
        assert_eq!(refused, Err(ScramError::Nonce), "{nonce:?}");
    }
}

#[test]
fn a_header_that_changed_on_the_way_is_refused() {
    let hash = Hash::Sha256;
    let without_proof = LAST.replace("biws", "eSws");
    let proof = proof(hash, &challenge(hash), &without_proof);
    let refused = challenge(hash).finish(format!("{without_proof},p={proof}").as_bytes());
    assert!(matches!(refused, Err(ScramError::Message(_))), "{refused:?}");
}

#[test]
fn first_messages_are_read_by_the_grammar() {
    let parse = |message: &str| ClientFirst::parse(message.as_bytes());
    assert_eq!(parse("n,,n=a=2Cb=3Dc,r=x").unwrap().user, "a,b=c");
    assert_eq!(parse("y,a=a,n=a,r=x,e=1").unwrap().header, "y,a=a,");
    assert_eq!(parse("n,a=admin,n=eve,r=x"), Err(ScramError::AnotherUser));
    let wrong = [
        "",
        "n",
        "n,,",
        "p=tls-unique,,n=a,r=x",
        "n,,n=,r=x",
        "n,,n=a=2c,r=x",
        "n,,n=a=,r=x",
        "n,,n=a,r=",
        "n,,n=a,r=x y",
        "n,,r=x,n=a",
        "n,,m=1,n=a,r=x",
        "n,,n=a,r=x,tokenauth=true",
        "n,b,n=a,r=x",
        "n,,n=a\0,r=x",
    ];
    for message in wrong {
        assert!(matches!(parse(message), Err(ScramError::Message(_))), "{message:?}");
    }
    assert!(parse(&format!("n,,n=a,r={}", "x".repeat(257))).is_err());
    assert!(parse(&format!("n,,n={},r=x", "x".repeat(5_000))).is_err());
}

#[test]
fn nothing_secret_is_printed() {
    let printed = format!("{:?} {:?}", pencil(Hash::Sha256), challenge(Hash::Sha256));
    assert_eq!(printed, "Credential(4096 iterations, [hidden]) Challenge(Sha256, \"user\")");
}

proptest! {
    #[test]
    fn whatever_comes_is_refused_without_a_panic(first in prop::collection::vec(any::<u8>(), 0..80), last in ".{0,80}") {
        let _ = ClientFirst::parse(&first);
        let garbled = challenge(Hash::Sha256).finish(last.as_bytes());
        prop_assert!(garbled.is_err());
        let behind = challenge(Hash::Sha256).finish(format!("{LAST},{last}").as_bytes());
        prop_assert!(behind.is_err());
    }

    #[test]
    fn names_are_read_back_as_they_were_written(name in "[^\0]{1,40}") {
        let written = name.replace('=', "=3D").replace(',', "=2C");
        let message = format!("n,,n={written},r=x");
        prop_assert_eq!(ClientFirst::parse(message.as_bytes()).unwrap().user, name);
    }
}
