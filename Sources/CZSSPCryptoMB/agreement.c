// SPDX-License-Identifier: Apache-2.0
#include "CZSSPCryptoMB.h"

#include <stdio.h>

#if defined(__linux__) && defined(__x86_64__)
#include <cpuid.h>
#include <dlfcn.h>
#include <string.h>

// The part of crypto_mb's interface that is used only here.
struct version {
  int major, minor, patch;
  // More follows, which is not used.
};
#define ALGORITHM_P384 6 // MBX_ALGO_EC_NIST_P384
#define WIDTH 8          // MBX_WIDTH_MB8

// The name contains the major version of the interface.
static const char name[] = "libcrypto_mb.so.13";

// crypto_mb itself checks whether the system saves the registers. It also has code for processors
// with less, but decoding here does not.
static int has_ifma(void) {
  unsigned a, b, c, d;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX512F) && (b & bit_AVX512IFMA);
}

zssp_crypto_mb_result zssp_load_crypto_mb(zssp_crypto_mb *library, char *reason, size_t size) {
  if (!has_ifma()) {
    snprintf(reason, size, "crypto_mb needs a processor with AVX-512 IFMA, which this one does not have");
    return ZSSP_CRYPTO_MB_NO_INSTRUCTIONS;
  }
  void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL) {
    const char *text = dlerror();
    snprintf(reason, size, "%s cannot be loaded: %s", name, text ? text : "no reason is given");
    return ZSSP_CRYPTO_MB_MISSING;
  }
  const struct version *(*get_version)(void);
  uint64_t (*get_algorithm)(int algorithm);
  // POSIX guarantees that a pointer to a function fits into a pointer to data.
#define FIND(pointer, function)                                                                                                   \
  *(void **)&pointer = dlsym(handle, #function);                                                                                  \
  if (pointer == NULL) {                                                                                                          \
    snprintf(reason, size, "%s has no function " #function, name);                                                                \
    return ZSSP_CRYPTO_MB_MISSING;                                                                                                \
  }
  FIND(get_version, mbx_getversion)
  FIND(get_algorithm, mbx_get_algo_info)
  FIND(library->public_keys, mbx_nistp384_ecpublic_key_mb8)
  FIND(library->secrets, mbx_nistp384_ecdh_mb8)
#undef FIND
  const struct version *version = get_version();
  library->major = version->major;
  library->minor = version->minor;
  library->patch = version->patch;
  if ((get_algorithm(ALGORITHM_P384) & WIDTH) == 0) {
    snprintf(reason, size, "crypto_mb has no P-384 for this processor: it needs AVX-512 IFMA, VBMI2, BW and DQ");
    return ZSSP_CRYPTO_MB_NO_INSTRUCTIONS;
  }
  return ZSSP_CRYPTO_MB_LOADED;
}

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

// A number as crypto_mb takes it.
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

// Address sanitizer would put arrays elsewhere.
#define ON_STACK __attribute__((noinline, no_sanitize("address")))

// Wipes the part of the stack that crypto_mb has used: it holds multiples of points, and does not
// wipe all of them itself.
ON_STACK static void wipe_stack(size_t size) {
  uint8_t used[size];
  wipe(used, size);
}

// The size of the stack that a function uses is the depth to which it changes a pattern. The area
// that is searched is smaller than the one with the pattern, because the two functions may put
// their arrays some bytes apart.
#define PATTERN 0xA7
#define SEARCHED (ZSSP_P384_LARGEST_STACK + (8 << 10))
#define PAINTED (SEARCHED + (1 << 10))

ON_STACK static void paint_stack(void) {
  uint8_t area[PAINTED];
  memset(area, PATTERN, sizeof area);
  __asm__ volatile("" : : "r"(area) : "memory");
}

ON_STACK static size_t changed_stack(void) {
  uint8_t area[SEARCHED];
  // To the compiler, this writes what earlier functions have left there.
  __asm__ volatile("" : "=m"(area));
  size_t same = 0;
  while (same < sizeof area && area[same] == PATTERN) same++;
  return sizeof area - same;
}

static unsigned failed(uint32_t status, size_t count) {
  unsigned lanes = 0;
  for (size_t lane = 0; lane < count; lane++) lanes |= (unsigned)((status >> 4 * lane & 0xF) != 0) << lane;
  return lanes;
}

// Lanes without work repeat the first one: crypto_mb reports lanes without pointers as errors.
static size_t source(size_t lane, size_t count) { return lane < count ? lane : 0; }

// If `used` is not NULL, measures the size of the stack.
static unsigned public_keys(
    const zssp_crypto_mb *library, size_t count, const uint8_t *scalars, uint8_t *points, size_t *used) {
  number scalar[WIDTH], x[WIDTH] = {{0}}, y[WIDTH] = {{0}};
  const uint64_t *scalar_pointers[WIDTH];
  uint64_t *x_pointers[WIDTH], *y_pointers[WIDTH];
  for (size_t lane = 0; lane < WIDTH; lane++) {
    read_number(scalar[lane], scalars + ZSSP_P384_SIZE * source(lane, count));
    scalar_pointers[lane] = scalar[lane];
    x_pointers[lane] = x[lane];
    y_pointers[lane] = y[lane];
  }
  if (used != NULL) paint_stack();
  uint32_t status = library->public_keys(x_pointers, y_pointers, NULL, scalar_pointers, NULL);
  if (used != NULL) *used = changed_stack();
  wipe(scalar, sizeof scalar);
  if (used == NULL) wipe_stack(library->stack);
  for (size_t lane = 0; lane < count; lane++) {
    write_number(points + 2 * ZSSP_P384_SIZE * lane, x[lane]);
    write_number(points + 2 * ZSSP_P384_SIZE * lane + ZSSP_P384_SIZE, y[lane]);
  }
  return failed(status, count);
}

static unsigned secrets(
    const zssp_crypto_mb *library, size_t count, const uint8_t *scalars, const uint8_t *points, uint8_t *output,
    size_t *used) {
  number scalar[WIDTH], x[WIDTH] = {{0}}, y[WIDTH] = {{0}};
  uint8_t secret[WIDTH][ZSSP_P384_SIZE] = {{0}};
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
  if (used != NULL) paint_stack();
  // Without z the points are affine.
  uint32_t status = library->secrets(secret_pointers, scalar_pointers, x_pointers, y_pointers, NULL, NULL);
  if (used != NULL) *used = changed_stack();
  wipe(scalar, sizeof scalar);
  if (used == NULL) wipe_stack(library->stack);
  memcpy(output, secret, ZSSP_P384_SIZE * count);
  wipe(secret, sizeof secret);
  return failed(status, count);
}

unsigned zssp_p384_public_keys(
    const zssp_crypto_mb *library, size_t count, const uint8_t *scalars, uint8_t *points) {
  return public_keys(library, count, scalars, points, NULL);
}

unsigned zssp_p384_secrets(
    const zssp_crypto_mb *library, size_t count, const uint8_t *scalars, const uint8_t *points, uint8_t *output) {
  return secrets(library, count, scalars, points, output, NULL);
}

size_t zssp_p384_measure_stack(const zssp_crypto_mb *library, const uint8_t *scalars, const uint8_t *points) {
  uint8_t output[2 * ZSSP_P384_SIZE * WIDTH];
  size_t first = 0, second = 0;
  public_keys(library, WIDTH, scalars, output, &first);
  secrets(library, WIDTH, scalars, points, output, &second);
  return first > second ? first : second;
}
#else
zssp_crypto_mb_result zssp_load_crypto_mb(zssp_crypto_mb *library, char *reason, size_t size) {
  snprintf(reason, size, "crypto_mb is available on Linux on x86-64 only");
  return ZSSP_CRYPTO_MB_NO_INSTRUCTIONS;
}
size_t zssp_p384_measure_stack(const zssp_crypto_mb *library, const uint8_t *scalars, const uint8_t *points) { return 0; }
int zssp_p384_is_scalar(const uint8_t *bytes) { return 0; }
unsigned zssp_p384_public_keys(const zssp_crypto_mb *library, size_t count, const uint8_t *scalars, uint8_t *points) {
  return ~0u;
}
unsigned zssp_p384_secrets(
    const zssp_crypto_mb *library, size_t count, const uint8_t *scalars, const uint8_t *points, uint8_t *output) {
  return ~0u;
}
unsigned zssp_p384_decode(size_t count, const uint8_t *encoded, uint8_t *points) { return ~0u; }
#endif
