#!/usr/bin/env bash
# Expected: of a set of public keys a client ignores those of a kind that it does not know (RFC 7517, section 5), and uses the others.
# Happens:  Authlib 1.9.10 fails at a key of kind AKP (RFC 9964), joserfc 1.8.0 at an elliptic curve that it lacks: both for the whole set.
# Matters:  on the day on which an identity provider adds a post-quantum or a Brainpool key, every login fails, with tokens as ever.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check Authlib==1.9.10 joserfc==1.8.0 PyJWT==2.15.1 cryptography==50.0.2
cat >"$folder/keys.py" <<'PYTHON'
import importlib.metadata, json, joserfc.jwk, joserfc.jwt, jwt, warnings
from cryptography.hazmat.primitives.asymmetric import ec, rsa

with warnings.catch_warnings(record=True):
    import authlib.jose  # which joserfc is to replace

def base64url(number):
    return jwt.utils.base64url_encode(number.to_bytes(32, "big")).decode()

private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
old = {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key())), "kid": "old", "alg": "RS256", "use": "sig"}
token = jwt.encode({"sub": "somebody"}, private, "RS256", {"kid": "old"})
point = ec.generate_private_key(ec.BrainpoolP256R1()).public_key().public_numbers()
sets = {
    "the old key": [old],
    "an ML-DSA key beside it": [{"kty": "AKP", "alg": "ML-DSA-44", "kid": "new", "use": "sig", "pub": "A" * 1750}, old],
    "a Brainpool key beside it": [{"kty": "EC", "crv": "BP-256", "kid": "new", "x": base64url(point.x), "y": base64url(point.y)}, old],
}
clients = {
    "Authlib": lambda keys: authlib.jose.jwt.decode(token, authlib.jose.JsonWebKey.import_key_set(keys))["sub"],
    "joserfc": lambda keys: joserfc.jwt.decode(token, joserfc.jwk.KeySet.import_key_set(keys)).claims["sub"],
    "PyJWT": lambda keys: jwt.decode(token, jwt.PyJWKSet.from_dict(keys)["old"], ["RS256"])["sub"],
}
for name, client in clients.items():
    print(name, importlib.metadata.version(name), "with")
    for case, keys in sets.items():
        try:
            print(f"  {case}:", client({"keys": keys}))
        except Exception as error:
            print(f"  {case}:", type(error).__name__, error)
PYTHON
seen=$("$folder/venv/bin/python" "$folder/keys.py")
echo "$seen"
diff - <(echo "$seen") <<'EXPECTED'
Authlib 1.9.10 with
  the old key: somebody
  an ML-DSA key beside it: KeyError 'AKP'
  a Brainpool key beside it: somebody
joserfc 1.8.0 with
  the old key: somebody
  an ML-DSA key beside it: somebody
  a Brainpool key beside it: KeyError 'BP-256'
PyJWT 2.15.1 with
  the old key: somebody
  an ML-DSA key beside it: somebody
  a Brainpool key beside it: somebody
EXPECTED
