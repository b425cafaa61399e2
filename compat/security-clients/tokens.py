"""Keys and signed tokens (JWS) for one run, made by openssl, and the set of keys (JWKS) that brokers check them with."""

import base64
import http.server
import json
import os
import subprocess
import threading
import time

RSA_KEY, EC_KEY = "rsa-1", "ec-1"
_COORDINATE = 32


def _b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _openssl(folder, *args, stdin=b""):
    r = subprocess.run(["openssl", *args], cwd=folder, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if r.returncode != 0:
        raise SystemExit(f"openssl {args[0]} failed:\n{r.stderr.decode(errors='replace')}")
    return r.stdout


def _fixed_width(der):
    """The two numbers of an ECDSA signature, as JWS has them: side by side."""
    out, at = b"", 2
    for _ in range(2):
        length = der[at + 1]
        out += der[at + 2:at + 2 + length].lstrip(b"\0").rjust(_COORDINATE, b"\0")
        at += 2 + length
    return out


class Signer:
    audience, issuer = "compat", "https://issuer.example"

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        for name in ("rsa", "other"):
            _openssl(folder, "genrsa", "-out", f"{name}.key", "2048")
        _openssl(folder, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ec.key")
        modulus = _openssl(folder, "rsa", "-in", "rsa.key", "-noout", "-modulus").decode().strip().removeprefix("Modulus=")
        point = _openssl(folder, "ec", "-in", "ec.key", "-pubout", "-outform", "DER")[-2 * _COORDINATE:]
        keys = [{"kty": "RSA", "kid": RSA_KEY, "use": "sig", "alg": "RS256", "n": _b64(bytes.fromhex(modulus)), "e": "AQAB"},
                {"kty": "EC", "kid": EC_KEY, "use": "sig", "alg": "ES256", "crv": "P-256",
                 "x": _b64(point[:_COORDINATE]), "y": _b64(point[_COORDINATE:])}]
        self.path = os.path.join(folder, "jwks.json")
        with open(self.path, "w") as f:
            json.dump({"keys": keys}, f)

    def token(self, algorithm="RS256", key=None, kid=None, **claims):
        now = int(time.time())
        header = {"alg": algorithm, "typ": "JWT"}
        if algorithm != "none":
            header["kid"] = kid or (EC_KEY if algorithm == "ES256" else RSA_KEY)
        body = {"sub": "alice", "iss": self.issuer, "aud": self.audience, "iat": now - 10, "exp": now + 3600, **claims}
        text = ".".join(_b64(json.dumps(part).encode()) for part in (header, body))
        if algorithm == "none":
            return text + "."
        signature = _openssl(self.folder, "dgst", "-sha256", "-sign", key or ("ec.key" if algorithm == "ES256" else "rsa.key"),
                             stdin=text.encode())
        return f"{text}.{_b64(_fixed_width(signature) if algorithm == 'ES256' else signature)}"

    def serve(self):
        """The address where the keys can be fetched as long as this process lives."""
        document = open(self.path, "rb").read()

        class Keys(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(document)))
                self.end_headers()
                self.wfile.write(document)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keys)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/keys"
