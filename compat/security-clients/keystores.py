"""A keystore that is replaced on disk while the brokers run: who connects from then on meets the new certificate.

Apache Kafka looks at the file when the setting is set again, Klamm also by itself. A file that cannot be read changes nothing.
"""

import os
import shutil
import socket
import ssl
import time

from compat.common import certificates

PATIENCE_S = 15


def serial(port, folder):
    """The number of the certificate that a listener shows."""
    context = ssl.create_default_context(cafile=f"{folder}/ca.pem")
    with socket.create_connection(("localhost", port), timeout=10) as plain, context.wrap_socket(plain, server_hostname="localhost") as secure:
        return secure.getpeercert()["serialNumber"]


def renewed(port, folder, old):
    """The next one, which comes within a while."""
    deadline = time.monotonic() + PATIENCE_S
    while (now := serial(port, folder)) == old and time.monotonic() < deadline:
        time.sleep(0.1)
    return now


def put(folder, source):
    """In one step: nobody reads half a file."""
    shutil.copy(source, f"{folder}/next.p12")
    os.replace(f"{folder}/next.p12", f"{folder}/server.p12")


def run(check, pair, folder, set_again):
    """`set_again(which, name, value)` sets a broker's setting and returns the error, if any."""
    ports = [broker.ports["SASLTLS"] for broker in pair]
    setting = ("listener.name.sasltls.ssl.keystore.location", f"{folder}/server.p12")
    old = serial(ports[0], folder)
    certificates.leaf(folder, "renewed", "/C=US/O=Test/CN=localhost", "DNS:localhost,IP:127.0.0.1")
    put(folder, f"{folder}/renewed.p12")
    told = [set_again(which, *setting) for which in range(len(pair))]
    check.equal("keystore: a new file is taken", [None, None], told)
    new = [renewed(port, folder, old) for port in ports]
    check.check("keystore: both show the new certificate", old not in new and new[0] == new[1], f"{new}, not {old}")
    if pair[1].name == "klamm":
        check.check("keystore: so does a listener where nothing was set again", renewed(pair[1].ports["SIGNEDTLS"], folder, old) != old)
    with open(f"{folder}/garbage.p12", "wb") as f:
        f.write(b"no keystore")
    put(folder, f"{folder}/garbage.p12")
    refused = [set_again(which, *setting) for which in range(len(pair))]
    check.equal("keystore: a file that cannot be read is met alike", refused[0] is None, refused[1] is None)
    # Klamm looks at files every two seconds.
    time.sleep(3)
    check.equal("keystore: both go on with what they had", new, [serial(port, folder) for port in ports])
