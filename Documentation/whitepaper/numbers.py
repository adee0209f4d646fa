#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Computes the figures of the whitepaper, and checks that its text has the constants of the protocol.

    numbers.py            print every figure
    numbers.py --write    write numbers.json, from which the whitepaper takes its figures
    numbers.py --check    fail unless numbers.json is what this script computes, the whitepaper uses every
                          figure, and every constant below is in both the specification and the whitepaper

Standard library only.
"""

import json
import math
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
SPECIFICATION = HERE.parent / "specification.md"

# The protocol's constants (specification, sections 1 to 13).
TAG = 16
BLOCK = 16
HEADER = 16
FRAGMENTS = 48
KEY_ID = 4
POINT = 49
KEM_KEY = KEM_CIPHERTEXT = 1568
FINGERPRINT = 32
CHALLENGE = 32
KEY_USES = 2**32 - 1
REKEY_USES = 2**30
LARGEST_STEP = 2**24
WORK_BITS = 13
# Settings of this implementation.
WINDOW = 8192
MTU = 1400
LARGEST_MTU = 65507
BODIES = 4
FIXED_BITS = 16


def log2(value):
    return math.log2(value)


def blocks(size):
    """AES blocks of so many bytes."""
    return -(-size // BLOCK)


def largest_message(mtu):
    return FRAGMENTS * (mtu - HEADER) - TAG


def gcm_distinguishing(packets, size):
    """log2 of (sigma + q + 1)^2 / 2^129: GCM with 96-bit nonces over q packets of so many bytes."""
    sigma = packets * blocks(size)
    return 2 * log2(sigma + packets + 1) - 129


def gcm_forgery(size, attempts=1, associated=0):
    """log2 of v (l + 1) / 2^128: v attempts, l blocks of associated data and ciphertext."""
    return log2(attempts) + log2(blocks(size) + blocks(associated) + 1) - 128


def permutation(count):
    """log2 of B^2 / 2^129: a permutation of 128 bits against a function, at B distinct inputs."""
    return 2 * log2(count) - 129


def plausible(types, counters):
    """The probability that a random block is a header with a fragment number below its count, at most 48, one of so many
    types, and one of so many counters. The reserved byte may be anything."""
    numbers = sum(range(1, FRAGMENTS + 1))
    return numbers / 2**16 * types / 2**8 * counters / 2**64


def figures():
    x1 = KEY_ID + POINT + (KEM_KEY + TAG) + (2 * FINGERPRINT + TAG)
    x2 = POINT + (KEM_CIPHERTEXT + TAG) + (KEY_ID + TAG)
    x3 = (POINT + TAG) + TAG
    inner = POINT + KEY_ID + TAG
    fragments = lambda size, mtu: -(-size // (mtu - HEADER))
    result = {
        # Sizes in bytes.
        "x1": x1, "x1-sent": x1 + CHALLENGE, "x2": x2, "x3": x3, "k-inner": inner, "k": inner + TAG,
        "challenge": KEY_ID + CHALLENGE,
        "x1-fragments": fragments(x1 + CHALLENGE, MTU), "x2-fragments": fragments(x2, MTU),
        "message-1400": largest_message(MTU), "message-1500": largest_message(1500),
        "message-9000": largest_message(9000), "message-largest": largest_message(LARGEST_MTU),
        "handshake-bytes": x1 + CHALLENGE + x2 + x3 + 2 * TAG
        + HEADER * (fragments(x1 + CHALLENGE, MTU) + fragments(x2, MTU) + 3),
        # Blocks of one packet.
        "blocks-64k": blocks(65536), "blocks-1400": blocks(largest_message(MTU)),
        "blocks-1500": blocks(largest_message(1500)), "blocks-9000": blocks(largest_message(9000)),
        "blocks-largest": blocks(largest_message(LARGEST_MTU)), "blocks-single": blocks(MTU - HEADER - TAG),
    }
    # AES-GCM: telling one key from an ideal cipher, in powers of two.
    for name, size in {
        "single": MTU - HEADER - TAG, "64k": 65536, "1400": largest_message(MTU), "1500": largest_message(1500),
        "9000": largest_message(9000), "largest": largest_message(LARGEST_MTU),
    }.items():
        result[f"gcm-{name}-30"] = gcm_distinguishing(REKEY_USES, size)
        result[f"gcm-{name}-32"] = gcm_distinguishing(KEY_USES, size)
    # AES-GCM: forgeries.
    hour = 10**7 * 3600
    result |= {
        "forge-tag": gcm_forgery(0), "forge-single": gcm_forgery(MTU - HEADER - TAG), "forge-64k": gcm_forgery(65536),
        "forge-64k-32": gcm_forgery(65536, 2**32), "forge-64k-40": gcm_forgery(65536, 2**40),
        "forge-largest-40": gcm_forgery(largest_message(LARGEST_MTU), 2**40),
        "attempts-hour": log2(hour), "forge-64k-hour": gcm_forgery(65536, hour),
        "trial": gcm_forgery(KEY_ID, 2, associated=64),
        "bodies-attempts": 4 * BODIES,
        "bodies": gcm_forgery(KEM_CIPHERTEXT, 4 * BODIES, associated=64),
    }
    # Header protection.
    session = plausible(6, LARGEST_STEP + WINDOW - 1)
    response = plausible(1, LARGEST_STEP)
    completion = plausible(1, 1)
    result |= {
        "pairs": sum(range(1, FRAGMENTS + 1)),
        "plausible-session": log2(session), "plausible-response": log2(response),
        "plausible-completion": log2(completion),
        "plausible-years": round(1 / session / 10**7 / (365.25 * 86400), 1),
        "header-32": permutation(2**32), "header-40": permutation(2**40), "header-48": permutation(2**48),
        "header-48-years": round(2**48 / 10**6 / (365.25 * 86400), 1),
        "header-48-years-7": round(2**48 / 10**7 / (365.25 * 86400), 1),
    }
    # Key ids.
    result |= {
        "keyid-guess": log2(1 / (2**32 - 1)), "keyid-guess-100k": log2(200_000 / (2**32 - 1)),
        "keyid-off-path": log2(200_000 / (2**32 - 1)) + log2(session),
        "keyid-sessions-free": 29, "keyid-sessions-fixed": 2 ** (29 - FIXED_BITS),
        "keyid-birthday": math.ceil(math.sqrt(2 * math.log(2) * (2**32 - 1))),
        "fingerprint-40": 2 * 40 - 257,
    }
    # Challenges.
    result |= {"work": 2**WORK_BITS, "window": WINDOW, "mac-40": 40 - 128}
    # Time at a million packets a second.
    rate = 10**6
    result |= {
        "seconds-30": round(REKEY_USES / rate), "seconds-32": round(KEY_USES / rate),
        "window-ms": round(WINDOW / rate * 1000, 1), "step-s": round(LARGEST_STEP / rate, 1),
    }
    # The losses of the theorems, for n = 2^20 parties and N = 2^40 instances.
    n, instances, queries = 20, 40, 100
    calls = instances + log2(7 + 6 * BODIES)
    result |= {
        "calls": 7 + 6 * BODIES,
        "gdh-100": 2 * queries - 384, "gdh-128": 2 * 128 - 384,
        "loss-static-100": n + instances + 2 * queries - 384, "loss-static-128": n + instances + 2 * 128 - 384,
        "loss-pair-100": 2 * instances + 2 * queries - 384, "loss-pair-128": 2 * instances + 2 * 128 - 384,
        "collide-ephemerals": 2 * instances - 384, "collide-calls": 2 * calls - 512,
        "guess-ck": calls + 128 - 512,
        "loss-aead": instances + log2(4 * BODIES) + gcm_forgery(KEM_CIPHERTEXT, 1, associated=64),
    }
    return {key: round(value, 2) if isinstance(value, float) else value for key, value in result.items()}


# What must stand in the specification and in the whitepaper alike. White space counts as one space.
CONSTANTS = [
    "Noise_XKhfs+psk2_P384+Kyber1024_AESGCM_SHA512",
    "Noise_XKhfs+psk2_P384+MLKEM1024_AESGCM_SHA512",
    "Noise_KKpsk0_P384_AESGCM_SHA512",
    "ZSSP_OTP_TO_RATCHET",
    "ASKH", "ASKK", "ASKR",
    "kyber1024", "upstream", "mlkem1024",
]

# The same by regular expressions: (specification, whitepaper). {NAME} is a figure.
PATTERNS = [
    (r"{x1} \+ 32 challenge response = {x1-sent}", r'n\("x1-sent"\)'),
    (r"\| {x2} \|", r'n\("x2"\)'),
    (r"{x3} \+ identity \(0…4096\)", r"identity \(0…4096\)"),
    (r"{k-inner} \+ 16 = {k} bytes", r'n\("k-inner"\)'),
    (r"\| Challenge \| {challenge} \|", r'n\("challenge"\)'),
    (r"A key MUST NOT encrypt more than 2\^32 − 1 packets", r"at most \$2\^32 - 1\$ packets"),
    (r"At 2\^30 uses in state S2", r"At \$2\^30\$ uses in state S2"),
    (r"at most 2\^24 ahead", r"at most \$2\^24\$ ahead"),
    (r"bytes 4\.\.<20", r"4\.\.<20"),
    (r"first\s+13 bits", r"first 13 bits"),
    (r"1…48", r"1…48"),
    (r"output_i = HMAC\(key, byte\(i\) \|\| label \|\| 0x00 \|\| context \|\| uint16\(512·n\)\)",
     r"output_i = HMAC\(K, byte\(i\) \|\| L \|\| 0x00 \|\| C \|\| uint16\(512·m\)\)"),
]


def check(computed):
    problems = []
    path = HERE / "numbers.json"
    stored = json.loads(path.read_text()) if path.exists() else None
    if stored != json.loads(json.dumps(computed)):
        problems.append("numbers.json is not what numbers.py computes: run numbers.py --write and read the text again")
    specification = re.sub(r"\s+", " ", SPECIFICATION.read_text())
    source = re.sub(r"\s+", " ", "\n".join(file.read_text() for file in sorted(HERE.rglob("*.typ"))))
    for constant in CONSTANTS:
        for name, text in (("specification", specification), ("whitepaper", source)):
            if constant not in text:
                problems.append(f"{constant!r} is not in the {name}")
    for pattern, in_whitepaper in PATTERNS:
        in_specification = re.sub(r"\{([a-z0-9-]+)\}", lambda name: str(computed[name[1]]), pattern)
        if not re.search(in_specification, specification):
            problems.append(f"/{in_specification}/ is not in the specification any more: does the whitepaper still hold?")
        if not re.search(in_whitepaper, source):
            problems.append(f"/{in_whitepaper}/ is not in the whitepaper")
    used = set(re.findall(r'(?<![a-z])(?:n|p2)\("([^"]+)"\)', source))
    for key in sorted(used - computed.keys()):
        problems.append(f"the whitepaper uses {key!r}, which is not computed")
    for key in sorted(computed.keys() - used):
        problems.append(f"{key!r} is computed and not used in the whitepaper")
    return problems


def main():
    computed = figures()
    if "--write" in sys.argv[1:]:
        (HERE / "numbers.json").write_text(json.dumps(computed, indent=2) + "\n")
    elif "--check" in sys.argv[1:]:
        problems = check(computed)
        for problem in problems:
            print(f"numbers.py: {problem}", file=sys.stderr)
        return 1 if problems else 0
    else:
        for key, value in computed.items():
            print(f"{key:24}{value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
