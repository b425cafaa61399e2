//! Stores as the tools make them which people use: `openssl` and `keytool`. `testdata/` has one key of no worth and its
//! certificate in every form; all passwords there are `changeit`, that of a key alone `keypass`.

#![allow(clippy::unwrap_used)]

use super::name;
use super::store::{key_store, trust_store};
use super::*;
use crate::config::security::{ClientAuth, KeyStore, Secret, Tls, TrustStore};
use crate::rt::fs::disk::disk;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConnection, ServerConnection};
use std::path::PathBuf;
use std::sync::Arc;

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "src/tls/testdata", name].iter().collect()
}

fn text(name: &str) -> String {
    String::from_utf8(disk().read(&path(name)).unwrap()).unwrap()
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(text(name).as_bytes()).unwrap()
}

fn keys(kind: &str) -> KeyStore {
    KeyStore { kind: kind.into(), location: None, password: None, key_password: None, key: None, chain: None }
}

fn trust(kind: &str) -> TrustStore {
    TrustStore { kind: kind.into(), location: None, password: None, certificates: None }
}

#[expect(clippy::unnecessary_wraps, reason = "for fields that are optional")]
fn secret(text: impl Into<String>) -> Option<Secret> {
    Some(Secret::new(text))
}

fn file(kind: &str, name: &str, password: &str, key_password: Option<&str>) -> KeyStore {
    let (location, key_password) = (Some(path(name)), key_password.map(Secret::new));
    KeyStore { location, password: secret(password), key_password, ..keys(kind) }
}

fn inline(key: &str, password: Option<&str>) -> KeyStore {
    let key_password = password.map(Secret::new);
    KeyStore { key: secret(text(key)), chain: secret(text("cert.pem")), key_password, ..keys("PEM") }
}

#[test]
fn one_key_comes_out_of_every_kind_of_store() {
    let expected = key_store(&inline("key.pem", None), &*disk()).unwrap().unwrap();
    let stores = [
        inline("v1.pem", Some("keypass")),
        inline("v2.pem", Some("keypass")),
        file("PKCS12", "key.p12", "changeit", None),
        // As Java, which looks into the file.
        file("JKS", "key.p12", "changeit", None),
        file("JKS", "key.jks", "changeit", Some("keypass")),
        file("PKCS12", "key.jks", "changeit", Some("keypass")),
    ];
    for store in stores {
        let material = key_store(&store, &*disk()).unwrap().unwrap();
        assert_eq!(material.chain, [certificate("cert.pem")], "{store:?}");
        assert!(material.key.secret_der() == expected.key.secret_der(), "{store:?}");
    }
    for (kind, name, password) in
        [("JKS", "trust.jks", Some("changeit")), ("JKS", "trust.jks", None), ("PKCS12", "trust.p12", Some("changeit"))]
    {
        let store = TrustStore { location: Some(path(name)), password: password.map(Secret::new), ..trust(kind) };
        assert_eq!(trust_store(&store, &*disk()).unwrap().unwrap(), [certificate("cert.pem")], "{name}");
    }
}

#[test]
fn what_cannot_be_used_is_a_sentence_that_shows_no_secret() {
    let wrong = "hunter2";
    let cases: Vec<(KeyStore, &str)> = vec![
        (KeyStore { key: secret(wrong), ..keys("JKS") }, "only for PEM"),
        (KeyStore { key: secret(wrong), ..keys("PEM") }, "certificate.chain is not"),
        (KeyStore { chain: secret(wrong), ..keys("PEM") }, "ssl.keystore.key is not"),
        (KeyStore { location: Some(path("x")), ..inline("key.pem", None) }, "remove one of them"),
        (KeyStore { password: secret(wrong), ..inline("key.pem", None) }, "cannot be set with PEM"),
        (file("PEM", "key.pem", wrong, None), "cannot be set with PEM"),
        (KeyStore { password: secret(wrong), ..keys("JKS") }, "ssl.keystore.location is not"),
        (KeyStore { location: Some(path("key.jks")), ..keys("JKS") }, "ssl.keystore.password is not"),
        (file("BCFKS", "key.jks", wrong, None), "which is not supported"),
        (file("JKS", "missing", wrong, None), "cannot be read"),
        (file("JKS", "key.jks", wrong, None), "password is wrong"),
        (file("PKCS12", "key.p12", wrong, None), "password is wrong"),
        (file("JKS", "key.jks", "changeit", Some(wrong)), "ssl.key.password is wrong"),
        (file("JKS", "trust.jks", "changeit", None), "contains no key"),
        (file("JKS", "cert.pem", wrong, None), "is not a JKS or PKCS #12 store"),
        (inline("v1.pem", None), "set ssl.key.password"),
        (inline("v1.pem", Some(wrong)), "ssl.key.password is wrong"),
        (inline("v2.pem", Some(wrong)), "ssl.key.password is wrong"),
        (inline("cert.pem", None), "contains no private key"),
        (KeyStore { chain: secret(text("key.pem")), ..inline("key.pem", None) }, "contains no certificate"),
    ];
    for (store, expected) in cases {
        let fault = key_store(&store, &*disk()).unwrap_err().to_string();
        assert!(fault.contains(expected) && !fault.contains(wrong), "{fault:?}, not {expected:?}");
    }
    assert!(key_store(&keys("JKS"), &*disk()).unwrap().is_none());
}

#[test]
fn a_damaged_java_store_is_refused_wherever_it_is_damaged() {
    for (name, password) in [("key.jks", None), ("key.jks", Some("changeit")), ("trust.jks", None)] {
        let bytes = disk().read(&path(name)).unwrap();
        for length in 0..bytes.len() {
            // A store without its end is none; without a password the end is not looked at, but it must be there.
            let cut = jks::read(&bytes[..length], password);
            assert!(cut.is_err() || password.is_none(), "{name} cut at {length}");
        }
        for at in 4..bytes.len().min(60) {
            let mut changed = bytes.clone();
            changed[at] = 0xff;
            // Whatever comes out, it comes out.
            let _ = jks::read(&changed, None);
        }
    }
}

#[test]
fn a_name_is_written_as_java_writes_it() {
    let java = r#"CN=\ two  blanks\ ,2.5.4.5=#130137,1.2.840.113549.1.9.1=#16056140622e63,UID=u1,DC=example,CN=B+OU=A,O=Test\, Inc. \= \"x\" \+ \<y\>\;\#z\\\\,STREET=Way 1,L=München,ST=Bavaria,C=DE"#;
    assert_eq!(name::subject(&certificate("name.pem")).unwrap(), java);
    assert_eq!(name::subject(&certificate("cert.pem")).unwrap(), "O=Klamm,CN=Test");
    assert_eq!(name::alternatives(&certificate("name.pem")).len(), 3);
    assert!(name::alternatives(&certificate("cert.pem")).is_empty());
}

fn tls(auth: ClientAuth, protocols: &[&str], suites: &[&str]) -> Tls {
    Tls {
        key_store: inline("key.pem", None),
        trust_store: TrustStore { certificates: secret(text("cert.pem")), ..trust("PEM") },
        client_auth: auth,
        protocols: protocols.iter().map(|name| (*name).to_owned()).collect(),
        cipher_suites: suites.iter().map(|name| (*name).to_owned()).collect(),
        checks_host: false,
        principal_rules: "DEFAULT".into(),
        allow_dn_changes: false,
        allow_san_changes: false,
    }
}

/// A handshake in memory: what the server saw of the client.
fn handshake(ours: &Tls, theirs: &Tls) -> Result<ServerConnection, rustls::Error> {
    let mut server = ServerConnection::new(Arc::new(server(ours, &*disk()).unwrap().0)).unwrap();
    let config = Arc::new(client(theirs, &*disk()).unwrap());
    let mut client = ClientConnection::new(config, ServerName::try_from("some.example").unwrap()).unwrap();
    for _ in 0..10 {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut bytes = &bytes[..];
        while !bytes.is_empty() {
            server.read_tls(&mut bytes).unwrap();
            server.process_new_packets()?;
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut bytes = &bytes[..];
        while !bytes.is_empty() {
            client.read_tls(&mut bytes).unwrap();
            client.process_new_packets()?;
        }
    }
    assert!(!server.is_handshaking() && !client.is_handshaking());
    Ok(server)
}

#[test]
fn what_server_and_client_make_of_the_settings_speaks_with_each_other() {
    let both = ["TLSv1.2", "TLSv1.3"];
    let open = tls(ClientAuth::None, &both, &[]);
    for (auth, shown) in [(ClientAuth::None, false), (ClientAuth::Requested, true), (ClientAuth::Required, true)] {
        let server = handshake(&tls(auth, &both, &[]), &open).unwrap();
        assert_eq!(server.peer_certificates().is_some(), shown, "{auth:?}");
    }
    let silent = Tls { key_store: keys("PEM"), ..open.clone() };
    assert!(handshake(&tls(ClientAuth::Requested, &both, &[]), &silent).unwrap().peer_certificates().is_none());
    assert!(handshake(&tls(ClientAuth::Required, &both, &[]), &silent).is_err());
    // By the name that the certificate does not have.
    assert!(handshake(&open, &Tls { checks_host: true, ..open.clone() }).is_err());
    let old = handshake(&tls(ClientAuth::None, &["TLSv1.2"], &[]), &open).unwrap();
    assert_eq!(old.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_2));
    let suite = "TLS_AES_256_GCM_SHA384";
    let chosen = handshake(&tls(ClientAuth::None, &["TLSv1.3"], &[suite]), &open).unwrap();
    assert_eq!(format!("{:?}", chosen.negotiated_cipher_suite().unwrap().suite()), "TLS13_AES_256_GCM_SHA384");
}

#[test]
fn a_certificate_that_is_trusted_itself_counts_for_the_names_in_it() {
    // Self-signed, as `keytool -genkeypair` makes them.
    let named = |name: &str| {
        let open = tls(ClientAuth::None, &[], &[]);
        let own = KeyStore { chain: secret(text(name)), ..open.key_store.clone() };
        let certificates = secret(text(name));
        let trust_store = TrustStore { certificates, ..open.trust_store.clone() };
        Tls { key_store: own, trust_store, checks_host: true, ..open }
    };
    handshake(&named("self.pem"), &named("self.pem")).unwrap();
    assert!(handshake(&named("cert.pem"), &named("cert.pem")).is_err(), "it has no name");
    assert!(handshake(&named("self.pem"), &named("cert.pem")).is_err(), "it is not the one that is trusted");
}

#[test]
fn settings_that_no_connection_could_satisfy_are_refused() {
    let refused = |tls: &Tls, expected: &str| {
        let fault = server(tls, &*disk()).err().map(|fault| fault.to_string()).unwrap_or_default();
        assert!(fault.contains(expected), "{fault:?}, not {expected:?}");
    };
    refused(&tls(ClientAuth::None, &["SSLv3"], &[]), "use TLSv1.3 and TLSv1.2");
    refused(&tls(ClientAuth::None, &[], &["TLS_NULL"]), "use some of TLS_AES_256_GCM_SHA384");
    refused(&tls(ClientAuth::None, &["TLSv1.2"], &["TLS_AES_256_GCM_SHA384"]), "nothing in common");
    let base = tls(ClientAuth::Required, &[], &[]);
    refused(&Tls { trust_store: trust("PEM"), ..base.clone() }, "there is no trust store");
    refused(&Tls { key_store: keys("JKS"), ..base }, "needs a key store");
}
