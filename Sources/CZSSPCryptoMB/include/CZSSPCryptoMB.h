// SPDX-License-Identifier: Apache-2.0
// P-384 for up to eight pairs of keys at once, from Intel's crypto_mb, which is loaded when the
// program runs: a build needs nothing of it. Public keys are decoded here, because crypto_mb cannot
// do it.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// The number of lanes: the largest `count` below.
#define ZSSP_P384_LANES 8
/// The size of a scalar, a coordinate and a shared secret, in bytes, big-endian.
#define ZSSP_P384_SIZE 48

/// Loads crypto_mb and checks the processor, once per process. Can be called on any thread. No
/// other function may be called before this one has returned NULL.
///
/// Returns NULL, or the reason why crypto_mb cannot be used: a text that stays valid.
const char *zssp_load_crypto_mb(void);

/// Returns true if the reason of the failure is that the library is missing or has another
/// interface.
int zssp_crypto_mb_is_missing(void);

/// Returns the version of crypto_mb, "2.3.0".
const char *zssp_crypto_mb_version(void);

/// Returns true if 48 bytes are a number from 1 to the order of the group less one. The time does
/// not depend on them.
int zssp_p384_is_scalar(const uint8_t *bytes);

/// Computes public keys, each as x and then y, 96 bytes.
///
/// The scalars must be in range. Returns a bit for each lane that failed.
unsigned zssp_p384_public_keys(size_t count, const uint8_t *scalars, uint8_t *points);

/// Computes shared secrets, the x-coordinates of the products of scalars and points.
///
/// The scalars must be in range, and the points on the curve. Returns a bit for each lane that
/// failed.
unsigned zssp_p384_secrets(size_t count, const uint8_t *scalars, const uint8_t *points, uint8_t *secrets);

/// Decodes compressed points of 49 bytes, which begin with 02 or 03, to x and then y, 96 bytes.
///
/// Returns a bit for each lane that is no point of the curve, or whose x is not below the prime.
unsigned zssp_p384_decode(size_t count, const uint8_t *encoded, uint8_t *points);
