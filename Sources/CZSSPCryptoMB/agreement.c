// SPDX-License-Identifier: Apache-2.0
#include "CZSSPCryptoMB.h"

#if defined(__linux__) && defined(__x86_64__)
#include <cpuid.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

// The part of crypto_mb's interface 13 that is used here. A status has four bits for each lane,
// which are zero if the lane succeeded.
struct version {
  int major, minor, patch;
  // More follows, which is not used.
};
struct library {
  const struct version *(*mbx_getversion)(void);
  uint64_t (*mbx_get_algo_info)(int algorithm);
  uint32_t (*mbx_nistp384_ecpublic_key_mb8)(
      uint64_t *x[8], uint64_t *y[8], uint64_t *z[8], const uint64_t *const scalar[8], uint8_t *buffer);
  uint32_t (*mbx_nistp384_ecdh_mb8)(
      uint8_t *secret[8], const uint64_t *const scalar[8], const uint64_t *const x[8], const uint64_t *const y[8],
      const uint64_t *const z[8], uint8_t *buffer);
};
#define ALGORITHM_P384 6 // MBX_ALGO_EC_NIST_P384
#define WIDTH 8          // MBX_WIDTH_MB8

// The name contains the major version of the interface.
static const char name[] = "libcrypto_mb.so.13";
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct library library;
static const char *failure;
static char text[512];
static char version[48];
static int is_missing;

static void fail(int missing, const char *reason) {
  if (reason != text) snprintf(text, sizeof text, "%s", reason);
  is_missing = missing;
  failure = text;
}

// crypto_mb itself checks whether the system saves the registers. It also has code for processors
// with less, but decoding here does not.
static int has_ifma(void) {
  unsigned a, b, c, d;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX512F) && (b & bit_AVX512IFMA);
}

static void load(void) {
  if (!has_ifma())
    return fail(0, "crypto_mb needs a processor with AVX-512 IFMA, which this one does not have");
  void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL) {
    const char *reason = dlerror();
    snprintf(text, sizeof text, "%s cannot be loaded: %s", name, reason ? reason : "no reason is given");
    return fail(1, text);
  }
  // POSIX guarantees that a pointer to a function fits into a pointer to data.
#define FIND(function)                                                                                                            \
  *(void **)&library.function = dlsym(handle, #function);                                                                         \
  if (library.function == NULL) {                                                                                                 \
    snprintf(text, sizeof text, "%s has no function " #function, name);                                                           \
    return fail(1, text);                                                                                                         \
  }
  FIND(mbx_getversion)
  FIND(mbx_get_algo_info)
  FIND(mbx_nistp384_ecpublic_key_mb8)
  FIND(mbx_nistp384_ecdh_mb8)
#undef FIND
  const struct version *number = library.mbx_getversion();
  snprintf(version, sizeof version, "%d.%d.%d", number->major, number->minor, number->patch);
  if ((library.mbx_get_algo_info(ALGORITHM_P384) & WIDTH) == 0)
    fail(0, "crypto_mb has no P-384 for this processor: it needs AVX-512 IFMA, VBMI2, BW and DQ");
}

const char *zssp_load_crypto_mb(void) {
  pthread_once(&once, load);
  return failure;
}

int zssp_crypto_mb_is_missing(void) { return is_missing; }

const char *zssp_crypto_mb_version(void) { return version; }

int zssp_p384_is_scalar(const uint8_t *bytes) {
  static const uint8_t order[ZSSP_P384_SIZE] = {
      0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
      0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xC7, 0x63, 0x4D, 0x81, 0xF4, 0x37, 0x2D, 0xDF,
      0x58, 0x1A, 0x0D, 0xB2, 0x48, 0xB0, 0xA7, 0x7A, 0xEC, 0xEC, 0x19, 0x6A, 0xCC, 0xC5, 0x29, 0x73};
  unsigned borrow = 0, bits = 0;
  for (int index = ZSSP_P384_SIZE - 1; index >= 0; index--) {
    borrow = (bytes[index] - order[index] - borrow) >> 8 & 1;
    bits |= bytes[index];
  }
  return (borrow & (bits + 0xFF) >> 8) == 1;
}

// A number as crypto_mb takes it: words of 64 bits, the lowest first.
typedef uint64_t number[6];

static void read_number(number result, const uint8_t *bytes) {
  for (int word = 0; word < 6; word++) {
    uint64_t value;
    memcpy(&value, bytes + 40 - 8 * word, 8);
    result[word] = __builtin_bswap64(value);
  }
}

static void write_number(uint8_t *bytes, const number value) {
  for (int word = 0; word < 6; word++) {
    uint64_t swapped = __builtin_bswap64(value[word]);
    memcpy(bytes + 40 - 8 * word, &swapped, 8);
  }
}

// Wipes memory in a way that the compiler keeps.
static void wipe(void *memory, size_t size) {
  memset(memory, 0, size);
  __asm__ volatile("" : : "r"(memory) : "memory");
}

// Wipes the part of the stack that crypto_mb has used: it holds multiples of points, and does not
// wipe all of them itself. Version 2.3 uses 28 KB.
#define STACK (48 << 10)
__attribute__((noinline)) static void wipe_stack(void) {
  uint8_t used[STACK];
  wipe(used, sizeof used);
}

static unsigned failed(uint32_t status, size_t count) {
  unsigned lanes = 0;
  for (size_t lane = 0; lane < count; lane++) lanes |= (unsigned)((status >> 4 * lane & 0xF) != 0) << lane;
  return lanes;
}

// Lanes without work repeat the first one: crypto_mb reports lanes without pointers as errors.
static size_t source(size_t lane, size_t count) { return lane < count ? lane : 0; }

unsigned zssp_p384_public_keys(size_t count, const uint8_t *scalars, uint8_t *points) {
  number scalar[WIDTH], x[WIDTH], y[WIDTH];
  const uint64_t *scalar_pointers[WIDTH];
  uint64_t *x_pointers[WIDTH], *y_pointers[WIDTH];
  for (size_t lane = 0; lane < WIDTH; lane++) {
    read_number(scalar[lane], scalars + ZSSP_P384_SIZE * source(lane, count));
    scalar_pointers[lane] = scalar[lane];
    x_pointers[lane] = x[lane];
    y_pointers[lane] = y[lane];
  }
  uint32_t status = library.mbx_nistp384_ecpublic_key_mb8(x_pointers, y_pointers, NULL, scalar_pointers, NULL);
  wipe(scalar, sizeof scalar);
  wipe_stack();
  for (size_t lane = 0; lane < count; lane++) {
    write_number(points + 2 * ZSSP_P384_SIZE * lane, x[lane]);
    write_number(points + 2 * ZSSP_P384_SIZE * lane + ZSSP_P384_SIZE, y[lane]);
  }
  return failed(status, count);
}

unsigned zssp_p384_secrets(size_t count, const uint8_t *scalars, const uint8_t *points, uint8_t *secrets) {
  number scalar[WIDTH], x[WIDTH], y[WIDTH];
  uint8_t secret[WIDTH][ZSSP_P384_SIZE];
  const uint64_t *scalar_pointers[WIDTH], *x_pointers[WIDTH], *y_pointers[WIDTH];
  uint8_t *secret_pointers[WIDTH];
  for (size_t lane = 0; lane < WIDTH; lane++) {
    size_t from = source(lane, count);
    read_number(scalar[lane], scalars + ZSSP_P384_SIZE * from);
    read_number(x[lane], points + 2 * ZSSP_P384_SIZE * from);
    read_number(y[lane], points + 2 * ZSSP_P384_SIZE * from + ZSSP_P384_SIZE);
    scalar_pointers[lane] = scalar[lane];
    x_pointers[lane] = x[lane];
    y_pointers[lane] = y[lane];
    secret_pointers[lane] = secret[lane];
  }
  // Without z the points are affine.
  uint32_t status = library.mbx_nistp384_ecdh_mb8(secret_pointers, scalar_pointers, x_pointers, y_pointers, NULL, NULL);
  wipe(scalar, sizeof scalar);
  wipe_stack();
  memcpy(secrets, secret, ZSSP_P384_SIZE * count);
  wipe(secret, sizeof secret);
  return failed(status, count);
}
#else
const char *zssp_load_crypto_mb(void) { return "crypto_mb is available on Linux on x86-64 only"; }
int zssp_crypto_mb_is_missing(void) { return 0; }
const char *zssp_crypto_mb_version(void) { return ""; }
int zssp_p384_is_scalar(const uint8_t *bytes) { return 0; }
unsigned zssp_p384_public_keys(size_t count, const uint8_t *scalars, uint8_t *points) { return ~0u; }
unsigned zssp_p384_secrets(size_t count, const uint8_t *scalars, const uint8_t *points, uint8_t *secrets) { return ~0u; }
unsigned zssp_p384_decode(size_t count, const uint8_t *encoded, uint8_t *points) { return ~0u; }
#endif
