"""Certificates for one run, made by openssl and keytool: an authority, a server's, clients', and wrong ones."""

import os
import subprocess

PASSWORD = "changeit"


def _run(argv, folder, stdin=None):
    r = subprocess.run(argv, cwd=folder, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if r.returncode != 0:
        raise SystemExit(f"{argv[0]} {argv[1]} failed:\n{r.stdout.decode(errors='replace')}")


def authority(folder, name):
    _run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem",
          "-days", "30", "-subj", f"/CN={name}"], folder)


def leaf(folder, name, subject, alternatives, authority="ca", dates=("-days", "30")):
    _run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
          "-subj", subject], folder)
    with open(os.path.join(folder, f"{name}.ext"), "w") as f:
        f.write(f"subjectAltName={alternatives}\n")
    _run(["openssl", "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
          "-CAcreateserial", "-out", f"{name}.pem", "-extfile", f"{name}.ext", *dates], folder)
    _run(["openssl", "pkcs12", "-export", "-in", f"{name}.pem", "-inkey", f"{name}.key", "-certfile", f"{authority}.pem",
          "-name", name, "-passout", f"pass:{PASSWORD}", "-out", f"{name}.p12"], folder)
    # The one encryption of PEM keys that Java 17 opens.
    _run(["openssl", "pkcs8", "-topk8", "-in", f"{name}.key", "-out", f"{name}.enc.key", "-passout", f"pass:{PASSWORD}",
          "-v1", "PBE-SHA1-3DES"], folder)
    with open(os.path.join(folder, f"{name}.all.pem"), "w") as out:
        for part in (f"{name}.enc.key", f"{name}.pem", f"{authority}.pem"):
            with open(os.path.join(folder, part)) as f:
                out.write(f.read())


def make(folder):
    os.makedirs(folder, exist_ok=True)
    authority(folder, "ca")
    authority(folder, "stranger")
    leaf(folder, "server", "/C=US/O=Test/CN=localhost", "DNS:localhost,IP:127.0.0.1")
    leaf(folder, "elsewhere", "/C=US/O=Test/CN=elsewhere", "DNS:elsewhere.example")
    leaf(folder, "expired", "/C=US/O=Test/CN=localhost", "DNS:localhost,IP:127.0.0.1", dates=("-days", "-1"))
    leaf(folder, "alice", "/C=DE/O=Test, Inc./OU=People/CN=alice", "DNS:alice")
    leaf(folder, "mallory", "/CN=alice", "DNS:alice", authority="stranger")
    _run(["keytool", "-importkeystore", "-srckeystore", "server.p12", "-srcstorepass", PASSWORD, "-srcstoretype", "PKCS12",
          "-destkeystore", "server.jks", "-deststoretype", "JKS", "-deststorepass", PASSWORD, "-destkeypass", PASSWORD,
          "-noprompt"], folder)
    for kind, name in (("JKS", "trust.jks"), ("PKCS12", "trust.p12")):
        _run(["keytool", "-importcert", "-alias", "ca", "-file", "ca.pem", "-keystore", name, "-storetype", kind,
              "-storepass", PASSWORD, "-noprompt"], folder)
