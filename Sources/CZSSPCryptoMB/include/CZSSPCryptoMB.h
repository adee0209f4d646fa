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
/// The largest number of bytes of the stack that a function of crypto_mb may use, so that they can
/// be wiped.
#define ZSSP_P384_LARGEST_STACK (128 << 10)

/// What is used of crypto_mb: two functions of its interface 13, and their properties.
///
/// Numbers are words of 64 bits, the lowest first. A status has four bits for each lane, which are
/// zero if the lane succeeded.
typedef struct {
  uint32_t (*public_keys)(
      uint64_t *x[ZSSP_P384_LANES], uint64_t *y[ZSSP_P384_LANES], uint64_t *z[ZSSP_P384_LANES],
      const uint64_t *const scalar[ZSSP_P384_LANES], uint8_t *buffer);
  uint32_t (*secrets)(
      uint8_t *secret[ZSSP_P384_LANES], const uint64_t *const scalar[ZSSP_P384_LANES],
      const uint64_t *const x[ZSSP_P384_LANES], const uint64_t *const y[ZSSP_P384_LANES],
      const uint64_t *const z[ZSSP_P384_LANES], uint8_t *buffer);
  /// The number of bytes of the stack that are wiped after each call.
  size_t stack;
  /// The version of the library.
  int major, minor, patch;
} zssp_crypto_mb;

/// The reasons why crypto_mb cannot be used.
typedef enum {
  ZSSP_CRYPTO_MB_LOADED = 0,
  /// The library is missing, or lacks a function.
  ZSSP_CRYPTO_MB_MISSING = 1,
  /// The processor lacks instructions.
  ZSSP_CRYPTO_MB_NO_INSTRUCTIONS = 2,
} zssp_crypto_mb_result;

/// Loads crypto_mb and checks the processor. Can be called on any thread.
///
/// If it fails, `reason` has a text of less than `size` bytes.
zssp_crypto_mb_result zssp_load_crypto_mb(zssp_crypto_mb *library, char *reason, size_t size);

/// Returns the number of bytes of the stack that the functions use, at least. Numbers above
/// ZSSP_P384_LARGEST_STACK are not exact.
///
/// The parameters are eight scalars and points, which are not secret.
size_t zssp_p384_measure_stack(const zssp_crypto_mb *library, const uint8_t *scalars, const uint8_t *points);

/// Returns true if 48 bytes are a number from 1 to the order of the group less one. The time does
/// not depend on them.
int zssp_p384_is_scalar(const uint8_t *bytes);

/// Computes public keys, each as x and then y, 96 bytes.
///
/// The scalars must be in range. Returns a bit for each lane that failed.
unsigned zssp_p384_public_keys(
    const zssp_crypto_mb *library, size_t count, const uint8_t *scalars, uint8_t *points);

/// Computes shared secrets, the x-coordinates of the products of scalars and points.
///
/// The scalars must be in range, and the points on the curve. Returns a bit for each lane that
/// failed.
unsigned zssp_p384_secrets(
    const zssp_crypto_mb *library, size_t count, const uint8_t *scalars, const uint8_t *points, uint8_t *secrets);

/// Decodes compressed points of 49 bytes, which begin with 02 or 03, to x and then y, 96 bytes.
///
/// The processor must have AVX-512 IFMA. Returns a bit for each lane that is no point of the curve,
/// or whose x is not below the prime.
unsigned zssp_p384_decode(size_t count, const uint8_t *encoded, uint8_t *points);
