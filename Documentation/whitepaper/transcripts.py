#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds sections 3 and 4 of the whitepaper against recorded transcripts of all three profiles.

Written from the whitepaper's text alone, with none of the project's code. From the recorded static and ephemeral keys and KEM
secret it recomputes an XK handshake and its re-keys, opens every handshake packet and compares transcript hash,
chaining key, ratchet state and keys with the recording.

Needs the package cryptography of PyPI: pip install cryptography
"""

import hashlib
import hmac
import json
import pathlib
import sys

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "Tests/ZSSPTestSupport/Vectors/Transcripts"
XK = {
    "kyber1024": b"Noise_XKhfs+psk2_P384+Kyber1024_AESGCM_SHA512",
    "upstream": b"Noise_XKhfs+psk2_P384+Kyber1024_AESGCM_SHA512",
    "mlkem1024": b"Noise_XKhfs+psk2_P384+MLKEM1024_AESGCM_SHA512",
}
KK = b"Noise_KKpsk0_P384_AESGCM_SHA512"
CURVE = ec.SECP384R1()


def private(data):
    return ec.derive_private_key(int.from_bytes(data, "big"), CURVE)


def public(key):
    return key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)


def dh(key, point):
    return key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(CURVE, point))


def kbkdf(key, label, context, count):
    return [
        hmac.digest(key, bytes([i]) + label + b"\0" + context + (512 * count).to_bytes(2, "big"), "sha512")
        for i in range(1, count + 1)
    ]


def nonce(kind, counter):
    return bytes([0, 0, 0, kind]) + counter.to_bytes(8, "big")


def require(condition, what):
    if not condition:
        raise SystemExit(f"transcripts.py: {what} differs")


class SymmetricState:
    """Section 3.3."""

    def __init__(self, name):
        self.h = self.ck = name.ljust(64, b"\0")
        self.k = None

    def mix_hash(self, data):
        self.h = hashlib.sha512(self.h + data).digest()

    def mix_key(self, material):
        self.ck, t = kbkdf(material, b"ZSSP", self.ck, 2)
        self.k = t[:32]

    def mix_key_and_hash(self, material):
        self.ck, t, u = kbkdf(material, b"ZSSP", self.ck, 3)
        self.mix_hash(t)
        self.k = u[:32]

    def ephemeral(self, point):
        self.mix_hash(point)
        self.mix_key(point)

    def decrypt_and_hash(self, kind, counter, data):
        plaintext = AESGCM(self.k).decrypt(nonce(kind, counter), data, self.h)
        self.mix_hash(data)
        return plaintext

    def ask(self, label):
        return [output[:32] for output in kbkdf(self.h, label, self.ck, 2)]

    def split(self):
        return [output[:32] for output in kbkdf(b"", b"ZSSP", self.ck, 2)]

    def compare(self, recorded, what):
        """Compares with the recording; the ratchet key and kek, the first towards the initiator."""
        rk, rf = self.ask(b"ASKR")
        kek, nk = self.ask(b"ASKK"), self.split()
        require(recorded["h"] == self.h.hex(), f"{what}: h")
        require(recorded["ck"] == self.ck.hex(), f"{what}: ck")
        require(recorded["ratchet_key"] == rk.hex(), f"{what}: rk")
        require(recorded["ratchet_fingerprint"] == rf.hex(), f"{what}: rf")
        # Which is for which direction is shown by the packets that open with them.
        for keys, name in ((kek, "kek_to"), (nk, "nk_to")):
            require(sorted(recorded[name]) == sorted(key.hex() for key in keys), f"{what}: {name}")
        return rk, kek


def removeHeaderProtection(packet, key):
    """Section 4.2: bytes 4..<20 are one block."""
    block = Cipher(algorithms.AES(key), modes.ECB()).decryptor()
    return packet[:4] + block.update(packet[4:20]) + packet[20:]


def counter(packet):
    return int.from_bytes(packet[8:16], "big")


def play(name):
    run = json.loads((FOLDER / f"{name}.json").read_text())
    profile = run["profile"]
    static = {who: private(bytes.fromhex(run["static"][f"{who}_private"])) for who in ("alice", "bob")}
    points = {who: public(key) for who, key in static.items()}
    tape = run["alice"]["tape"] + run["bob"]["tape"]
    ephemerals = {public(key): key for entry in tape if "agreement" in entry
                  for key in [private(bytes.fromhex(entry["agreement"]))]}
    secret = next(bytes.fromhex(entry["secret"]) for entry in tape if "encapsulate" in entry)
    kinds = [packet["type"] for packet in run["packets"]]
    senders = [packet["from"] for packet in run["packets"]]
    packets = [bytes.fromhex(packet["hex"]) for packet in run["packets"]]

    # X1
    x1 = b"".join(packet[16:] for packet, kind in zip(packets, kinds) if kind == 0)
    require(len(x1) == 1717 + 32, "the size of X1")
    require(packets[0][8:16] == x1[1709:1717], "the counter of X1")
    state = SymmetricState(XK[profile])
    state.mix_hash(x1[:4])
    state.mix_hash(points["bob"])
    x = x1[4:53]
    state.ephemeral(x)
    state.mix_key(dh(static["bob"], x))
    state.decrypt_and_hash(0, 0, x1[53:1637])
    state.decrypt_and_hash(0, 1, x1[1637:1717])
    to_alice, to_bob = state.ask(b"ASKH")
    plain = [packet if kind in (0, 9) else removeHeaderProtection(packet, to_bob if sender == "alice" else to_alice)
             for packet, kind, sender in zip(packets, kinds, senders)]
    require(all(packet[7] == kind for packet, kind in zip(plain, kinds)), "a header")

    # X2
    x2 = b"".join(packet[16:] for packet, kind in zip(plain, kinds) if kind == 1)
    require(len(x2) == 1653, "the size of X2")
    require(counter(plain[kinds.index(1)]) == int.from_bytes(x2[-3:], "big"), "the counter of X2")
    y = x2[:49]
    state.ephemeral(y)
    state.mix_key(dh(ephemerals[y], x))
    state.decrypt_and_hash(1, 0, x2[49:1633])
    state.mix_key(secret)
    state.mix_key_and_hash(bytes(32))
    state.decrypt_and_hash(1, 0, x2[1633:])

    # X3
    x3 = plain[kinds.index(2)][16:]
    require(state.decrypt_and_hash(2, 1, x3[:65]) == points["alice"], "S_A")
    state.mix_key(dh(static["alice"], y))
    require(state.decrypt_and_hash(2, 0, x3[65:]).hex() == run["identity"], "the identity")
    rk, kek = state.compare(run["handshakes"][0], "XK")
    towards = {"alice": kek[0], "bob": kek[1]}
    confirm = plain[kinds.index(3)]
    AESGCM(towards["alice"]).decrypt(nonce(3, counter(confirm)), confirm[16:], None)

    # Re-keys
    rekeys = 0
    for index, kind in enumerate(kinds):
        if kind != 5:
            continue
        initiator = senders[index]
        responder = "bob" if initiator == "alice" else "alice"
        k1, k2 = plain[index], plain[kinds.index(6, index)]
        first = AESGCM(towards[responder]).decrypt(nonce(5, counter(k1)), k1[16:], None)
        second = AESGCM(towards[initiator]).decrypt(nonce(6, counter(k2)), k2[16:], None)
        require(len(first) == len(second) == 69, "the size of K1 or K2")
        x, y = first[:49], second[:49]
        state = SymmetricState(KK)
        state.mix_hash(points[initiator])
        state.mix_hash(points[responder])
        state.mix_key_and_hash(rk)
        state.ephemeral(x)
        state.mix_key(dh(ephemerals[x], points[responder]))
        state.mix_key(dh(static[initiator], points[responder]))
        state.decrypt_and_hash(5, 0, first[49:])
        state.ephemeral(y)
        state.mix_key(dh(ephemerals[y], x))
        if profile == "upstream":
            state.mix_key(dh(ephemerals[x], points[responder]))
        else:
            state.mix_key(dh(static[initiator], y))
        state.decrypt_and_hash(6, 0, second[49:])
        rekeys += 1
        rk, kek = state.compare(run["handshakes"][rekeys], f"re-key {rekeys}")
        towards = {initiator: kek[0], responder: kek[1]}
    require(rekeys == len(run["handshakes"]) - 1, "the number of re-keys")
    print(f"{name}: XK and {rekeys} re-keys as recorded")


if __name__ == "__main__":
    for transcript in sys.argv[1:] or ("oracle_kyber1024", "oracle_mlkem1024", "oracle_upstream"):
        play(transcript)
